"""Whoever sends files finds beside them what became of each: a receipt, and the rows to be corrected."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from config.loader import load
from hub.answers import Answers
from routes.city import City
from tests.city.command import FIRM_HEADING, Hub, command, firm_row, person_row
from tests.city.configuration import agency_yaml
from tests.city.identities import citizen, firm
from tests.servers import wait_until
from tests.unit.test_workbook import cells

WRONG = firm(3)[:-1] + ("0" if firm(3)[-1] != "0" else "1")
ROWS = [firm_row(1), firm_row(2), firm_row(3, code=WRONG)]
WORKBOOK = "err/a-错误数据表.xlsx"


def said(hub: Hub, **changes: str) -> None:
    """Change the firms' feed: `files` pattern, `source` settings, or the `rejected` limit."""
    text = agency_yaml(rejected=changes.get("rejected", "50%"))
    text = text.replace("path: in/firms}", "path: in/firms" + changes.get("source", "") + "}").replace('"*.csv"', f'"{changes.get("files", "*.csv")}"', 1)
    (hub.config / "agencies/A0001.yaml").write_text(text)


def folder(hub: Hub, feed: str = "firms") -> Path:
    return hub.home / "in" / feed


def left(hub: Hub, feed: str = "firms") -> list[str]:
    """Every document that was left for the agency."""
    place = folder(hub, feed)
    return sorted(str(path.relative_to(place)) for part in ("ack", "err") for path in (place / part).glob("*"))


def ack(hub: Hub, name: str, feed: str = "firms") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder(hub, feed) / "ack" / name).read_text("utf-8"))
    return found


def test_a_receipt_counts_what_became_of_every_row_and_the_wrong_ones_come_back_in_the_senders_columns(hub: Hub) -> None:
    path = hub.drop("firms", "a.csv", ROWS)
    size = path.stat().st_size

    answer = hub.once()

    told = ack(hub, "a.csv.ack.json")
    assert answer.code == 0, answer.err
    assert left(hub) == ["ack/a.csv.ack.json", WORKBOOK]
    assert told["batch"] == f"A0001-F08-01-{told['received_at'][:10].replace('-', '')}-0001"
    assert (told["item"], told["file"], told["size"], told["state"], len(told["sha256"])) == ("A0001-F08-01", "a.csv", size, "succeeded", 64)
    assert (told["total"], told["success"], told["fail"], told["errors"]) == (3, 2, 1, [{"code": "R111", "rows": 1}])
    assert {word: n for word, n in told["counts"].items() if n} == {"read": 3, "rejected": 1, "inserted": 2}
    assert (told["totalSize"], told["successSize"], told["failSize"], told["errorSize"]) == (3, 2, 1, 1)
    assert told["returned"] == {"file": WORKBOOK, "rows": 1, "of": 1}
    assert told["tips"] == told["message"]["zh"]
    heading, row = cells((folder(hub) / WORKBOOK).read_bytes())
    assert heading == ["原行号", *FIRM_HEADING.split(","), "错误代码", "错误原因"]
    assert row[:6] == ["4", WRONG, "常熟市示例3有限公司", "守合同", "2025-03-05", "R111"]
    assert row[6]


def test_a_corrected_workbook_is_read_as_a_new_file(hub: Hub) -> None:
    said(hub, files="*")
    hub.drop("firms", "a.csv", ROWS)
    hub.once()
    book = openpyxl.load_workbook(folder(hub) / WORKBOOK)
    book.active["B2"] = firm(3)
    corrected = io.BytesIO()
    book.save(corrected)

    hub.drop("firms", "a-错误数据表.xlsx", corrected.getvalue())
    answer = hub.once()

    told = ack(hub, "a-错误数据表.xlsx.ack.json")
    assert answer.code == 0, answer.err
    assert (told["state"], told["total"], told["success"]) == ("succeeded", 1, 1)
    assert hub.sql("ent", f"SELECT org_name FROM a0001_f08_01 WHERE uscc = '{firm(3)}'") == [("常熟市示例3有限公司",)]


def test_persons_stand_in_the_workbook_and_never_in_the_receipt(hub: Hub) -> None:
    wrong = citizen(1)[:-1] + ("1" if citizen(1)[-1] != "1" else "2")
    hub.drop("persons", "p.csv", [person_row(1, code=wrong), person_row(2), person_row(3)])

    hub.once()

    assert cells((folder(hub, "persons") / "err/p-错误数据表.xlsx").read_bytes())[1][1:3] == ["赵样甲", wrong]
    assert wrong not in (folder(hub, "persons") / "ack/p.csv.ack.json").read_text("utf-8")


def test_a_refused_file_is_answered_with_its_code(hub: Hub) -> None:
    hub.drop("firms", "other.csv", "姓名,电话\n甲,1\n")
    hub.drop("firms", "empty.csv", b"")

    hub.once()

    told = {name: ack(hub, f"{name}.csv.ack.json") for name in ("other", "empty")}
    assert {name: (one["state"], one["code"], one["total"]) for name, one in told.items()} == {"other": ("failed", "F006", 0), "empty": ("failed", "F005", 0)}
    assert "标题行与信息项不符" in told["other"]["message"]["zh"]
    assert left(hub) == ["ack/empty.csv.ack.json", "ack/other.csv.ack.json"]


def test_a_file_that_is_too_large_to_be_read_is_answered_with_its_own_size(hub: Hub) -> None:
    said(hub, files='*.csv", max_size: 40, ready: {marker: .ok}} #')
    path = hub.drop("firms", "large.csv", ROWS)
    size = path.stat().st_size

    hub.once()

    told = ack(hub, "large.csv.ack.json")
    assert (told["code"], told["size"], "sha256" in told) == ("F003", size, False)


def test_a_held_run_is_answered_once_a_person_has_decided(hub: Hub) -> None:
    said(hub, rejected="5%")
    hub.drop("firms", "a.csv", ROWS)
    hub.once()
    while_held = left(hub)
    hub("feed", "release", "A0001.firms", "--because", "与工商局核实")
    hub.once()
    after = ack(hub, "a.csv.ack.json")

    hub.drop("firms", "b.csv", [firm_row(4, code=WRONG), firm_row(5)])
    hub.once()
    hub("feed", "refuse", "A0001.firms", "--because", "文件不全")
    hub.once()

    refused = ack(hub, "b.csv.ack.json")
    assert while_held == []
    assert (after["state"], after["total"], after["fail"]) == ("succeeded", 3, 1)
    assert (refused["state"], refused["code"], refused["reason"]) == ("failed", "held", "文件不全")


def test_what_was_sent_before_is_answered_as_a_duplicate_and_no_receipt_is_overwritten(hub: Hub) -> None:
    hub.drop("firms", "a.csv", ROWS)
    hub.drop("firms", "copy.csv", ROWS)
    hub.once()
    first = (folder(hub) / "ack/a.csv.ack.json").read_bytes()
    hub.drop("firms", "a.csv", ROWS)
    hub.once()
    hub.drop("firms", "a.csv", [firm_row(9), *ROWS])

    hub.once()

    told = [ack(hub, name) for name in ("copy.csv.ack.json", "a.csv.2.ack.json", "a.csv.3.ack.json")]
    assert [one["state"] for one in told] == ["duplicate", "duplicate", "succeeded"]
    assert [one["batch"][-4:] for one in told] == ["0001", "0001", "0002"]
    assert "未重复处理" in told[0]["tips"]
    assert (folder(hub) / "ack/a.csv.ack.json").read_bytes() == first
    assert told[2]["returned"]["file"] == "err/a-错误数据表.2.xlsx"
    assert len(left(hub)) == 6


def test_corrections_and_further_runs_leave_receipts_as_they_are(hub: Hub) -> None:
    hub.drop("firms", "a.csv", ROWS)
    hub.once()
    before = {name: ((folder(hub) / name).stat().st_mtime_ns, (folder(hub) / name).read_bytes()) for name in left(hub)}

    hub("quarantine", "retry", "1", "--set", f"统一社会信用代码={firm(3)}", "--because", "与工商局核实")
    hub.once()
    hub("feed", "replay", "A0001.firms", "--arrival", "1", "--because", "再读一遍")
    hub.once()

    assert {name: ((folder(hub) / name).stat().st_mtime_ns, (folder(hub) / name).read_bytes()) for name in left(hub)} == before


@pytest.mark.parametrize(("setting", "expected"), [("false", []), ("errors", ["ack/a.csv.ack.json", "ack/other.csv.ack.json", WORKBOOK])])
def test_a_feed_may_want_no_answers_or_only_those_about_errors(hub: Hub, setting: str, expected: list[str]) -> None:
    said(hub, source=f", answers: {setting}")
    hub.drop("firms", "a.csv", ROWS)
    hub.drop("firms", "other.csv", "姓名,电话\n甲,1\n")
    hub.drop("firms", "fine.csv", [firm_row(7)])
    hub.once()
    hub.drop("firms", "fine.csv", [firm_row(7)])

    answer = hub.once()

    assert answer.code == 0, answer.err
    assert left(hub) == expected


def test_what_was_not_wanted_is_not_made_up_for_later(hub: Hub) -> None:
    said(hub, source=", answers: false")
    hub.drop("firms", "a.csv", ROWS)
    hub.once()
    said(hub)
    hub.drop("firms", "b.csv", [firm_row(7)])

    hub.once()

    assert left(hub) == ["ack/b.csv.ack.json"]


def test_what_lies_in_the_folders_for_answers_is_never_read(hub: Hub) -> None:
    said(hub, files="*/*.csv")
    for place in ("ack", "err", "own"):
        hub.drop(f"firms/{place}", "x.csv", f"{FIRM_HEADING}\n{firm_row(1)}\n")

    counts = hub.once() and hub.counts()

    assert counts == {"read": 1, "inserted": 1}
    assert sorted(str(p.relative_to(folder(hub))) for p in folder(hub).rglob("x.csv") if p.parent.name in ("ack", "err")) == ["ack/x.csv", "err/x.csv"]


def test_a_pattern_that_names_the_folder_for_answers_is_refused(hub: Hub) -> None:
    said(hub, files="ack/*.csv")

    answer = command("lint", "--config", str(hub.config))

    assert answer.code == 1
    assert "ack/ is where the agency finds what the hub leaves for it" in answer.out + answer.err


def test_records_that_a_snapshot_lacks_are_told_apart_from_the_rows_of_the_file(hub: Hub) -> None:
    text = agency_yaml().replace("    limits: {rejected: 50%}\n", "    limits: {rejected: 50%, shrink: 90%}\n    snapshot: true\n", 1)
    (hub.config / "agencies/A0001.yaml").write_text(text)
    hub.drop("firms", "1.csv", [firm_row(n) for n in range(1, 6)])
    hub.once()
    hub.drop("firms", "2.csv", [firm_row(n) for n in range(1, 4)])

    hub.once()

    told = ack(hub, "2.csv.ack.json")
    assert (told["total"], told["success"], told["fail"], told["gone"]) == (3, 3, 0, 2)
    assert (told["counts"]["read"], told["counts"]["withdrawn"]) == (5, 2)


@pytest.mark.parametrize("step", ["intake.numbered", "collect.settled", "intake.finished", "load.copied", "answer.left"])
def test_a_hub_that_dies_on_the_way_to_a_receipt_leaves_it_in_its_next_life_and_once(hub: Hub, step: str) -> None:
    hub.drop("firms", "a.csv", ROWS)

    died = hub("run", "--once", HUB_TESTING="1", HUB_FAILPOINTS=f"{step}:kill@1")
    hub.once()
    again = hub.once()

    assert (died.code, again.code) == (-9, 0)
    assert left(hub) == ["ack/a.csv.ack.json", WORKBOOK]
    assert ack(hub, "a.csv.ack.json")["success"] == 2
    assert hub.counts() == {"read": 3, "inserted": 2, "rejected": 1}


def test_an_agency_that_cannot_be_answered_is_read_on_and_waits_for_a_person(hub: Hub) -> None:
    folder(hub).mkdir(parents=True)
    (folder(hub) / "ack").write_text("a file stands where the folder should be")
    with hub.running():
        hub.drop("firms", "a.csv", [firm_row(1)])
        wait_until(lambda: any("ack" in one["reason"] for one in hub.ask("status")["decisions"]), 60, "the hub says that it cannot answer")
        hub.drop("firms", "b.csv", [firm_row(2)])
        wait_until(lambda: len(hub.sql("ent", "SELECT uscc FROM a0001_f08_01")) == 2, 60, "the feed goes on")
        decisions = hub.ask("status")["decisions"]

        (folder(hub) / "ack").unlink()
        hub("feed", "resume", "A0001.firms", "--because", "已清理")
        wait_until(lambda: left(hub) == ["ack/a.csv.ack.json", "ack/b.csv.ack.json"], 60, "both files are answered")

        after = hub.ask("status")["decisions"]
    assert [(one["feed"], one["state"], one["verb"]) for one in decisions] == [("A0001.firms", "stopped", "resume")]
    assert after == []


def test_a_feed_that_wants_no_answers_any_more_leaves_nothing_to_decide(hub: Hub) -> None:
    folder(hub).mkdir(parents=True)
    (folder(hub) / "ack").write_text("a file stands where the folder should be")
    with hub.running():
        hub.drop("firms", "a.csv", [firm_row(1)])
        wait_until(lambda: hub.ask("status")["decisions"] != [], 60, "the hub says that it cannot answer")

        said(hub, source=", answers: false")

        wait_until(lambda: hub.ask("status")["decisions"] == [], 60, "nothing waits for a person")


async def test_a_workbook_holds_no_more_rows_than_agreed(tmp_path: Path) -> None:
    hub = Hub(tmp_path, agency=agency_yaml(rejected="99%"))
    hub.drop("firms", "a.csv", [firm_row(n, code=WRONG) for n in range(5)] + [firm_row(9)])
    city = City(hub.home, load(hub.config))
    try:
        await city.open()
        await city.feeds["A0001.firms"].pipeline.drain()
        await city.load_what_waits()

        answers = Answers(city.ledger, most=2)
        (number,) = await answers.of("A0001.firms")
        answer = await answers.told(number, "守合同重信用企业")
    finally:
        await city.close()

    assert answer is not None
    assert (answer.fail, answer.returned, [row.line for row in answer.rows()]) == (5, 2, [2, 3])
