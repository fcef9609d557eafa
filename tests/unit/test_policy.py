"""The disclosure decision, rule by rule, and against an oracle that was written apart from it."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from hub.contracts.item import Field, Identifier, Item, Kind, Level
from hub.contracts.share import WITHHELD, Basis, Decision, Share
from routes.policy import Grant, decide, standing
from tests.oracles import disclosure

CASES = int(os.environ.get("HUB_ORACLE_CASES", "2000"))
NOW = datetime(2026, 11, 2, 9, 0)
TODAY = NOW.date()
COMMON = (Field("usage_scope", "信息使用范围"), Field("public_until", "公示截止期", Kind.DATE))
PENALTY = Item(
    "A0030-F06-01",
    "行政处罚信息（法人）",
    "penalty",
    "A0030",
    "F",
    Level.OPEN,
    "ent",
    (("doc_no",),),
    (Field("uscc", "统一社会信用代码"), Field("doc_no", "文号"), Field("fine_wan", "罚款金额", Kind.NUMBER, scale=6), *COMMON),
)
PERSONS = replace(
    PENALTY,
    code="A0030-Z06-01",
    subject="Z",
    store="psn",
    fields=(Field("name", "姓名", personal="P", roles=("subject.name",)), Field("id_no", "证件号码", identifier=Identifier.ID_NO, personal="S"), *COMMON),
)
GRANT = Basis("执行查控", "常信办〔2024〕17号", date(2024, 1, 1), date(2026, 12, 31))
SHARE = Share("A0030.penalties-to-court", "A0030", "A0011", ("A0030-F06-01", "A0030-Z06-01"), ("uscc", "doc_no"))


def row(item: Item = PENALTY, **changes: Any) -> pl.DataFrame:
    """One stored record of an item, with every column that a store answers."""
    usual = {"record_id": "0" * 32, "status": 0, "arrival": 3, "ordinal": 7, "row_hash": "ab" * 16, "usage_scope": "0", "public_until": None}
    usual |= (
        {"uscc": "91320581MA1MXXXX0X", "doc_no": "常法罚〔2026〕1号", "fine_wan": 1}
        if item.subject == "F"
        else {"name": "张三丰", "id_no": "320581199003070012"}
    )
    return pl.DataFrame([usual | changes], schema_overrides={"public_until": pl.Date, "status": pl.Int64, "usage_scope": pl.String})


def reasons(decision: Decision) -> dict[str, int]:
    assert decision.rows.height + decision.withheld.height == 1
    return decision.reasons


def test_an_open_record_leaves_under_the_standing_rule_with_the_granted_fields_only() -> None:
    decision = decide(PENALTY, SHARE, row(), now=NOW)

    assert decision.rows.columns == ["record_id", "op", "version", "uscc", "doc_no"]
    assert decision.rows.row(0)[:3] == ("0" * 32, "upsert", "0000000003.0000000007.abababab")
    assert decision.basis == "standing rule 政务公开 (open)"


def test_a_grant_in_force_is_named_as_the_basis() -> None:
    decision = decide(PENALTY, replace(SHARE, basis=GRANT), row(), now=NOW)

    assert decision.basis == "grant 常信办〔2024〕17号 (执行查控) until 2026-12-31"


@pytest.mark.parametrize(
    ("level", "to", "basis", "reason"),
    [
        (Level.BASIC, "A0011", None, None),
        (Level.BASIC, "B0002", None, None),
        (Level.BASIC, "C0004", None, "no_grant"),
        (Level.BASIC, "C0004", GRANT, None),
        (Level.DEPARTMENT, "A0011", None, "no_grant"),
        (Level.DEPARTMENT, "A0011", GRANT, None),
        (Level.DEPARTMENT, "A0011", replace(GRANT, purpose=""), "no_grant"),
        (Level.DEPARTMENT, "A0011", replace(GRANT, document=""), "no_grant"),
        (Level.DEPARTMENT, "A0011", replace(GRANT, until=None), "no_grant"),
        (Level.DEPARTMENT, "A0011", replace(GRANT, until=TODAY), None),
        (Level.DEPARTMENT, "A0011", replace(GRANT, until=TODAY - timedelta(1)), "grant_expired"),
        (Level.DEPARTMENT, "A0011", replace(GRANT, start=TODAY), None),
        (Level.DEPARTMENT, "A0011", replace(GRANT, start=TODAY + timedelta(1)), "grant_not_started"),
        (Level.AUTHORISED, "A0011", GRANT, "no_consent"),
    ],
)
def test_each_level_asks_for_its_basis(level: Level, to: str, basis: Basis | None, reason: str | None) -> None:
    decision = decide(replace(PENALTY, level=level), replace(SHARE, to=to, basis=basis), row(), now=NOW)

    assert reasons(decision) == ({reason: 1} if reason else {})


@pytest.mark.parametrize(
    ("scope", "to", "reason"),
    [("1", "A0011", None), ("1", "C0004", "level"), ("2", "A0011", "no_consent"), ("9", "A0011", "unreadable"), (None, "A0011", "unreadable")],
)
def test_the_records_own_scope_can_only_make_it_stricter(scope: str | None, to: str, reason: str | None) -> None:
    decision = decide(PENALTY, replace(SHARE, to=to), row(usage_scope=scope), now=NOW)

    assert reasons(decision) == ({reason: 1} if reason else {})


def test_an_open_scope_does_not_open_an_authorised_item() -> None:
    decision = decide(replace(PENALTY, level=Level.AUTHORISED), SHARE, row(usage_scope="0"), now=NOW)

    assert reasons(decision) == {"no_consent": 1}


@pytest.mark.parametrize(("status", "reason"), [(1, "withdrawn"), (2, "disputed"), (3, "not_normal"), (17, "not_normal"), (None, "unreadable")])
def test_a_record_that_is_not_normal_stays(status: int | None, reason: str) -> None:
    decision = decide(PENALTY, replace(SHARE, basis=GRANT), row(status=status), now=NOW)

    assert reasons(decision) == {reason: 1}


def test_a_withdrawal_reaches_who_was_handed_the_record_and_carries_no_field() -> None:
    decision = decide(PENALTY, SHARE, row(status=1), now=NOW, known={"0" * 32})

    assert decision.rows.to_dicts() == [{"record_id": "0" * 32, "op": "withdraw", "version": None, "uscc": None, "doc_no": None}]
    assert decision.basis == "withdrawal of records handed over before"


def test_a_dispute_is_no_withdrawal() -> None:
    decision = decide(PENALTY, SHARE, row(status=2), now=NOW, known={"0" * 32})

    assert reasons(decision) == {"disputed": 1}


@pytest.mark.parametrize(
    ("until", "known", "left"), [(TODAY, False, ["upsert"]), (TODAY - timedelta(1), False, []), (TODAY - timedelta(1), True, ["withdraw"])]
)
def test_publication_ends_with_its_last_day(until: date, known: bool, left: list[str]) -> None:
    decision = decide(PENALTY, SHARE, row(public_until=until), now=NOW, known={"0" * 32} if known else set())

    assert decision.rows["op"].to_list() == left
    assert decision.reasons == ({} if left else {"public_until": 1})


def test_a_grant_outlives_publication() -> None:
    decision = decide(PENALTY, replace(SHARE, basis=GRANT), row(public_until=date(2020, 1, 1)), now=NOW)

    assert decision.rows.height == 1


def test_an_end_of_publication_that_is_no_date_has_passed() -> None:
    rows = row().with_columns(public_until=pl.lit("sometime"))

    assert reasons(decide(PENALTY, SHARE, rows, now=NOW)) == {"public_until": 1}


def test_an_open_item_about_persons_needs_a_grant_unless_the_item_says_otherwise() -> None:
    share = replace(SHARE, fields=("name",))

    assert reasons(decide(PERSONS, share, row(PERSONS), now=NOW)) == {"person": 1}
    assert reasons(decide(PERSONS, replace(share, basis=GRANT), row(PERSONS), now=NOW)) == {}
    assert reasons(decide(replace(PERSONS, public_persons=True), share, row(PERSONS), now=NOW)) == {}


def test_personal_fields_leave_masked_unless_the_share_says_otherwise() -> None:
    share = replace(SHARE, fields=("name", "id_no"), basis=GRANT)

    masked = decide(PERSONS, share, row(PERSONS), now=NOW).rows
    plain = decide(PERSONS, replace(share, masks={"name": "none", "id_no": "all"}), row(PERSONS), now=NOW).rows

    assert masked.row(0)[3:] == ("张**", "320581********0012")
    assert plain.row(0)[3:] == ("张三丰", "***")


@pytest.mark.parametrize("revoked", [{SHARE.name}, {GRANT.document}])
def test_a_revocation_outranks_grant_and_standing_rule(revoked: set[str]) -> None:
    decision = decide(PENALTY, replace(SHARE, basis=GRANT), row(), now=NOW, revoked=revoked)

    assert reasons(decision) == {"grant_revoked": 1}


def test_an_item_outside_the_share_never_leaves() -> None:
    decision = decide(PENALTY, replace(SHARE, items=("A0001-F01-01",)), row(), now=NOW)

    assert reasons(decision) == {"no_grant": 1}


@pytest.mark.parametrize("column", ["status", "usage_scope", "public_until", "doc_no", "record_id"])
def test_rows_without_a_column_that_the_decision_needs_all_stay(column: str) -> None:
    decision = decide(PENALTY, SHARE, row().drop(column), now=NOW)

    assert decision.rows.height == 0
    assert decision.reasons == {"unreadable": 1}


def test_the_order_of_the_rows_is_kept_with_withdrawals_among_them() -> None:
    ids = [f"{n:032x}" for n in range(6)]
    rows = pl.concat([row(record_id=record_id, status=n % 2) for n, record_id in enumerate(ids)])

    decision = decide(PENALTY, SHARE, rows, now=NOW, known=ids)

    assert decision.rows["record_id"].to_list() == ids
    assert decision.rows["op"].to_list() == ["upsert", "withdraw"] * 3


def test_a_grant_ends_by_the_calendar_of_the_city() -> None:
    share = replace(SHARE, basis=replace(GRANT, until=date(2026, 11, 1)))
    item = replace(PENALTY, level=Level.DEPARTMENT)

    before = decide(item, share, row(), now=datetime(2026, 11, 1, 15, 59, tzinfo=UTC))
    after = decide(item, share, row(), now=datetime(2026, 11, 1, 16, 0, tzinfo=UTC))

    assert (before.rows.height, after.reasons) == (1, {"grant_expired": 1})


def test_the_standing_of_a_basis_has_a_word_for_each_day() -> None:
    share = replace(SHARE, basis=GRANT)

    assert standing(share, date(2023, 12, 31)) is Grant.NOT_STARTED
    assert standing(share, date(2026, 12, 31)) is Grant.LIVE
    assert standing(share, date(2027, 1, 1)) is Grant.EXPIRED
    assert standing(share, TODAY, {share.name}) is Grant.REVOKED
    assert standing(SHARE, TODAY) is Grant.MISSING


def any_case(chance: random.Random) -> tuple[Item, Share, pl.DataFrame, set[str], set[str]]:
    """A random item, share and eight records, with revocations and earlier deliveries."""
    item = replace(chance.choice([PENALTY, PERSONS]), level=chance.choice(list(Level)), public_persons=chance.random() < 0.3)
    day = [None, TODAY, TODAY - timedelta(1), TODAY + timedelta(1), TODAY - timedelta(400), TODAY + timedelta(400)]
    basis = Basis(chance.choice(["执行查控"] * 5 + [""]), chance.choice(["文1"] * 5 + [""]), chance.choice(day[:4]), chance.choice(day))
    names = [f.name for f in item.fields] + ["no_such_field", "facts"]
    share = Share(
        "A0030.s",
        "A0030",
        chance.choice(["A0011", "B0003", "C0004"]),
        (item.code,) if chance.random() < 0.9 else ("A0001-F01-01",),
        tuple(chance.sample(names, chance.randint(1, len(names)))),
        chance.choice([None, basis, basis]),
        {"name": "none"} if chance.random() < 0.2 else {"id_no": "all"} if chance.random() < 0.2 else {},
    )
    person = [{"name": n, "id_no": i} for n in ("张三", "欧阳修", "李", None) for i in ("320581199003070012", "32058", None)]
    rows = [
        row(
            item,
            record_id=f"{n:032x}",
            status=chance.choice([0, 0, 0, 0, 1, 2, 3, 9, None]),
            usage_scope=chance.choice(["0", "0", "0", "1", "2", "x", None]),
            public_until=chance.choice([None, None, *day]),
            **(chance.choice(person) if item.subject == "Z" else {}),
        )
        for n in range(8)
    ]
    revoked = set(chance.sample(["A0030.s", "文1", "文2"], chance.choice([0, 0, 0, 1])))
    return item, share, pl.concat(rows, how="vertical_relaxed"), revoked, {f"{n:032x}" for n in range(8) if chance.random() < 0.5}


def test_an_independent_oracle_agrees_record_by_record() -> None:
    chance = random.Random(20261102)
    seen: set[str] = set()

    for _ in range(-(-CASES // 8)):
        item, share, rows, revoked, known = any_case(chance)
        decision = decide(item, share, rows, now=NOW, revoked=revoked, known=known)
        left = {r.pop("record_id"): r for r in decision.rows.to_dicts()}
        held = dict(decision.withheld.iter_rows())
        for record in rows.to_dicts():
            word, fields = disclosure.answer(item, share, record, TODAY, revoked, known)
            record_id = record["record_id"]
            seen.add(word)
            if word in ("upsert", "withdraw"):
                mine = left.pop(record_id)
                assert mine.pop("op") == word
                mine.pop("version")
                assert mine == (fields if word == "upsert" else dict.fromkeys(mine)), (share, record)
            else:
                assert held.pop(record_id) == word, (item.level, share, record)
        assert not left
        assert not held

    assert seen == {"upsert", "withdraw", *WITHHELD}
