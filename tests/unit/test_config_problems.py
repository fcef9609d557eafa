"""Every kind of error in a configuration is reported at its very place, with a way out."""

from __future__ import annotations

import pytest

from config.loader import load_bundle
from config.problems import CODES, Problem
from tests.unit.sample_config import FILES, bundle, loaded_with

AGENCY, ITEM, HUB = "agencies/A0030.yaml", "catalogue/A0030-F06-01.yaml", "hub.yaml"

# file, old text, new text, then the one problem expected: code, line, column, path, a word of message or hint
FAULTS = [
    (HUB, "city: 样例市", "city: 样例市\ncity: 又一市", "duplicate-key", 2, 1, "city", "line 1"),
    (HUB, "broker:", "brokr:", "unknown-key", 2, 1, "brokr", "did you mean broker?"),
    (HUB, "${env:MQ}", "hunter2", "literal-secret", 2, 9, "broker", "${env:NAME}"),
    (HUB, "30%", "30", "bad-value", 4, 35, "defaults.limits.shrink", "percentage"),
    (HUB, "city: 样例市\n", "city: 样例市\nlisten: localhost\n", "bad-value", 2, 9, "listen", "host:port"),
    (HUB, "city: 样例市\n", "city: 样例市\nstores: {ent: 'mysql+pymysql://h/x?local_infile=1'}\n", "bad-value", 2, 15, "stores.ent", "not allowed"),
    (HUB, "city: 样例市\n", "", "missing-key", 1, 1, "city", "add city"),
    (HUB, "city: 样例市", "city: [样例市]", "wrong-type", 1, 7, "city", "must be text"),
    (HUB, "city: 样例市", "city: &a 样例市", "not-allowed", 1, 7, "city", "anchors"),
    (HUB, "city: 样例市", "city: !!str 样例市", "not-allowed", 1, 7, "city", "tags"),
    (HUB, "city: 样例市", "city:\t样例市\n\tx: 1", "syntax", 2, 1, "", "spaces"),
    ("agencies.yaml", "A0011", "A0030", "duplicate-name", 3, 12, "agencies.1.code", "twice"),
    ("codes/kinds.yaml", "01: 警告", "01: 警告\n  01: 通报", "duplicate-key", 4, 3, "entries.01", "line 3"),
    (ITEM, "codes: kinds", "codes: kind", "unknown-code-list", 9, 38, "fields.3.codes", "did you mean kinds?"),
    (ITEM, "uscc|reg_no", "uscc|regno", "unknown-field", 4, 20, "key", "did you mean reg_no?"),
    (ITEM, "key: doc_no + ", "key: doc_no & ", "bad-value", 4, 6, "key", "joined by +"),
    (ITEM, "type: date", "type: dat", "bad-value", 11, 46, "fields.5.type", "did you mean date?"),
    (ITEM, "length: 128", "length: long", "wrong-type", 6, 57, "fields.0.length", "whole number"),
    (ITEM, "name: reg_no", "name: status", "duplicate-name", 8, 12, "fields.2.name", "the hub adds"),
    (ITEM, "title: 工商注册号", "title: CF_WSH", "duplicate-name", 8, 5, "fields.2", "means doc_no already"),
    (ITEM, "check: uscc", "check: uscc, when: {sort: a}", "unknown-field", 7, 76, "fields.1.when", "no field sort"),
    (AGENCY, "item: A0030-F06-01", "item: A0030-F06-1", "unknown-item", 6, 11, "feeds.penalty.item", "did you mean A0030-F06-01?"),
    (AGENCY, "from: drop", "from: drob", "unknown-source", 7, 18, "feeds.penalty.read.from", "did you mean drop?"),
    (AGENCY, "marker: .ok", "markr: .ok", "unknown-key", 7, 51, "feeds.penalty.read.ready.markr", "did you mean marker?"),
    (AGENCY, "0 2 * * *", "0 25 * * *", "bad-value", 8, 18, "feeds.penalty.when.cron", "between 0 and 23"),
    (AGENCY, "7 workdays", "a week", "bad-value", 8, 36, "feeds.penalty.when.due", "7 workdays"),
    (AGENCY, 'cron: "0 2 * * *"', "every: 10", "bad-value", 8, 19, "feeds.penalty.when.every", "unit"),
    (AGENCY, "uscc: '代码 | uscc'", "usc: '代码 | uscc'", "unknown-field", 10, 7, "feeds.penalty.map.usc", "did you mean uscc?"),
    (AGENCY, "代码 | uscc", "代码 | uscx", "unknown-function", 10, 19, "feeds.penalty.map.uscc", "uscc"),
    (AGENCY, "代码 | uscc", '代码 | code("01=a", x)', "bad-expression", 10, 32, "feeds.penalty.map.uscc", ""),
    (AGENCY, "fine_wan: col", "decision_date: col", "bad-expression", 11, 22, "feeds.penalty.map.decision_date", "is date, but this gives number"),
    (AGENCY, "only: fine_wan > 0", "only: fine_wan", "bad-expression", 12, 11, "feeds.penalty.only", "bool"),
    (AGENCY, "- decision_date <=", "- decision_data <=", "unknown-field", 14, 9, "feeds.penalty.check.0", "did you mean decision_date?"),
    (AGENCY, "fine_wan < 1000", "fine_wan < uscc", "bad-expression", 15, 26, "feeds.penalty.check.1.warn", ""),
    (AGENCY, "message: 金额", "massage: 金额", "unknown-key", 16, 9, "feeds.penalty.check.1.massage", "did you mean message?"),
    (AGENCY, "with: today()", "wiht: today()", "unknown-key", 17, 63, "feeds.penalty.check.2.wiht", "did you mean with?"),
    (AGENCY, "rejected: 5%", "rejected: 100%", "because-missing", 18, 24, "feeds.penalty.limits.rejected", "because"),
    (AGENCY, "to: A0011", "to: A0012", "unknown-agency", 22, 9, "shares.to-court.to", "did you mean A0011?"),
    (AGENCY, "until: 2028-12-31", "until: 2028-02-30", "bad-value", 23, 50, "shares.to-court.basis.until", "2026-12-31"),
    (AGENCY, "[uscc, doc_no]", "[uscc, docno]", "unknown-field", 24, 20, "shares.to-court.fields.1", "did you mean doc_no?"),
    (AGENCY, "{webhook:", "{webhok:", "unknown-connector", 25, 15, "shares.to-court.deliver.webhok", "did you mean webhook?"),
    (AGENCY, "${env:HOOK}", "a-signing-secret-written-out", "literal-secret", 25, 64, "shares.to-court.deliver.webhook.secret", "${env:NAME}"),
    (
        AGENCY,
        'secret: "${env:HOOK}"',
        'secret: "${env:HOOK}", allow: [10.0.0.0/8]',
        "because-missing",
        25,
        79,
        "shares.to-court.deliver.webhook.allow",
        "because",
    ),
    (
        AGENCY,
        "    fields: [uscc, doc_no]\n",
        "    fields: [uscc, doc_no]\n    masks: {uscc: none}\n",
        "because-missing",
        25,
        19,
        "shares.to-court.masks.uscc",
        "because",
    ),
    (AGENCY, "    to: A0011\n", "", "missing-key", 20, 3, "shares.to-court.to", "add to"),
    (AGENCY, "feed: penalty,", "feed: penalti,", "unknown-feed", 27, 12, "tests.0.feed", "did you mean penalty?"),
    (AGENCY, '"${env:HOOK}"', "${env:HOOK}", "syntax", 25, 65, "", 'secret: "${env:NAME}"'),
    (AGENCY, "marker: .ok", "marker: {a: {b: 1}}", "too-deep", 7, 59, "feeds.penalty.read.ready.marker", "4 levels"),
]


@pytest.mark.parametrize(("file", "old", "new", "code", "line", "column", "path", "words"), FAULTS, ids=[f"{f[3]}:{f[6] or f[2][:12]}" for f in FAULTS])
def test_a_fault_is_named_where_it_is(file: str, old: str, new: str, code: str, line: int, column: int, path: str, words: str) -> None:
    found = loaded_with(file, old, new)

    places = [(p.file, p.code, p.line, p.column, p.path) for p in found.problems]
    told = [f"{p.message} {p.hint}" for p in found.problems if p.code == code]

    assert (file, code, line, column, path) in places
    assert any(words in text for text in told)
    assert found.hub is None


def test_the_sample_itself_has_no_fault() -> None:
    assert load_bundle(bundle()).problems == ()


def test_every_code_that_is_reported_is_of_the_closed_list() -> None:
    assert {fault[3] for fault in FAULTS} <= set(CODES)


def test_all_faults_of_all_files_are_reported_at_once() -> None:
    files = {
        HUB: FILES[HUB].replace("broker:", "brokr:").replace("30%", "30"),
        ITEM: FILES[ITEM].replace("codes: kinds", "codes: kind"),
        AGENCY: FILES[AGENCY]
        .replace("    item: A0030-F06-01\n", "")
        .replace("from: drop", "from: drob")
        .replace("to: A0011", "to: A0012")
        .replace("docno", "x"),
    }

    found = load_bundle(bundle(**files)).problems

    assert {(p.file, p.code) for p in found} == {
        (HUB, "unknown-key"),
        (HUB, "bad-value"),
        (ITEM, "unknown-code-list"),
        (AGENCY, "missing-key"),
        (AGENCY, "unknown-source"),
        (AGENCY, "unknown-agency"),
    }


def test_a_wrong_value_does_not_hide_the_next_error_of_the_same_feed() -> None:
    changed = FILES[AGENCY].replace("0 2 * * *", "0 25 * * *").replace("代码 | uscc", "代码 | uscx").replace("limits:", "limit:")

    found = load_bundle(bundle(**{AGENCY: changed})).problems

    assert [p.code for p in found] == ["bad-value", "unknown-function", "unknown-key"]


def test_an_item_that_is_not_in_order_does_not_blame_those_who_use_it() -> None:
    wrong_type = loaded_with(ITEM, "type: number", "type: numbr").problems
    no_level = loaded_with(ITEM, "level: open\n", "").problems

    assert [(p.file, p.code) for p in wrong_type] == [(ITEM, "bad-value")]
    assert [(p.file, p.code) for p in no_level] == [(ITEM, "missing-key")]


def test_a_secret_that_is_written_out_is_never_shown() -> None:
    found = loaded_with(AGENCY, "${env:HOOK}", "correct-horse-battery-staple").problems

    shown = "".join(p.to_text() + str(p.to_json()) for p in found)

    assert found
    assert "correct-horse" not in shown


def test_the_json_face_has_its_fixed_keys() -> None:
    problem = loaded_with(HUB, "broker:", "brokr:").problems[0]

    assert list(problem.to_json()) == ["file", "line", "column", "path", "code", "message", "hint"]


def test_the_caret_stands_below_the_spot_behind_wide_characters() -> None:
    problem = Problem("a.yaml", 3, 4, "x", "bad-value", "wrong", "", "城市: 样例")

    marked, caret = problem.to_text().splitlines()[1:]

    assert marked == "    3 | 城市: 样例"
    assert caret == "      |      ^"


def test_an_item_above_open_level_needs_a_basis() -> None:
    files = {
        ITEM: FILES[ITEM].replace("level: open", "level: department"),
        AGENCY: FILES[AGENCY].replace("    basis: {purpose: 执行查控, document: 一号文, until: 2028-12-31}\n", ""),
    }

    found = load_bundle(bundle(**files)).problems

    assert [(p.code, p.path) for p in found] == [("missing-key", "shares.to-court.basis")]


def test_because_makes_an_exception_possible() -> None:
    found = loaded_with(AGENCY, "limits: {rejected: 5%}", "limits: {rejected: 100%}\n    because: 试运行期间只观察")

    assert found.problems == ()


def test_two_files_cannot_claim_one_agency() -> None:
    found = load_bundle(bundle(**{"agencies/again.yaml": "agency: {code: A0030, name: 又一份}\n"})).problems

    assert [(p.file, p.code) for p in found] == [("agencies/again.yaml", "duplicate-name")]


def test_an_agency_submits_an_item_to_one_feed() -> None:
    feeds = "\n".join(f"  {name}:\n    item: A0030-F06-01\n    read: {{from: api}}" for name in ("one", "two"))
    text = f"agency: {{code: A0030, name: 法制办公室}}\nsources:\n  api: {{gateway: {{}}}}\nfeeds:\n{feeds}\n"

    problems = load_bundle(bundle(**{AGENCY: text})).problems

    assert [(p.path, p.code) for p in problems] == [("feeds.two.item", "duplicate-name")]


def test_a_feed_that_pulls_has_to_be_told_when() -> None:
    text = (
        'agency: {code: A0030, name: 法制办公室}\nsources:\n  api: {rest: {url: "https://127.0.0.1/", allow: [127.0.0.0/8]}}\n'
        "feeds:\n  one:\n    item: A0030-F06-01\n    read: {from: api, path: /list, rows: data}\n"
    )

    problems = load_bundle(bundle(**{AGENCY: text})).problems

    assert [(p.path, p.code) for p in problems] == [("feeds.one.when", "missing-key")]
