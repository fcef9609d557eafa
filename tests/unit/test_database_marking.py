"""A status column is written once rows are settled, and the table is compared from time to time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.databases import puller
from tests.unit.pulled_tables import Table

DONE: dict[str, Any] = {"done": {"column": "clzt"}}
WATCHED: dict[str, Any] = {"since": {"time": "gxsj", "id": "id"}, "compare": "1d"}
EARLY = "2026-11-01 08:00:00"


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path / "a.sqlite", "id INTEGER PRIMARY KEY, name TEXT, clzt TEXT")


@pytest.fixture
def watched(tmp_path: Path) -> Table:
    return Table(tmp_path / "w.sqlite", "id INTEGER PRIMARY KEY, name TEXT, gxsj DATETIME")


def statuses(table: Table) -> list[str]:
    return [row[2] for row in table.rows()]


async def test_rows_that_are_settled_are_taken_and_those_set_aside_refused(table: Table) -> None:
    table.add((1, "甲", "0"), (2, "坏", "0"), (3, "丙", "1"), (4, "丁", "0"))

    found = await table.pull(**DONE)
    await table.answered(refused=[1], **DONE)

    assert [row[0] for row in found] == ["1", "2", "4"]
    assert statuses(table) == ["1", "2", "1", "1"]


async def test_the_next_part_waits_until_the_last_is_marked(table: Table) -> None:
    table.add((1, "甲", "0"))
    await table.pull(**DONE)
    table.add((2, "乙", "0"))

    before = await table.pull(**DONE)
    await table.answered(**DONE)
    after = await table.pull(**DONE)

    assert before == []
    assert [row[0] for row in after] == ["2"]


async def test_marking_again_after_a_crash_changes_nothing(table: Table) -> None:
    table.add((1, "甲", "0"), (2, "坏", "0"))
    await table.pull(**DONE)
    note = table.intake.notes["cursor"]
    await table.answered(refused=[1], **DONE)

    table.intake.notes["cursor"] = note | {"unmarked": table.evidence["stamp"]}
    await table.answered(refused=[1], **DONE)

    assert statuses(table) == ["1", "2"]
    assert "unmarked" not in table.intake.notes["cursor"]


async def test_a_row_that_is_set_to_wait_again_is_read_again_even_unchanged(table: Table) -> None:
    table.add((1, "甲", "0"))
    await table.pull(**DONE)
    await table.answered(**DONE)

    table.passes(timedelta(minutes=1))
    table.run("UPDATE t SET clzt = '0'")
    again = await table.pull(**DONE)
    await table.answered(**DONE)

    assert [row[0] for row in again] == ["1"]
    assert statuses(table) == ["1"]


async def test_a_row_that_was_corrected_before_it_was_marked_goes_on_waiting(table: Table) -> None:
    table.add((1, "甲", "0"), (2, "乙", "0"))
    await table.pull(**DONE)

    table.run("UPDATE t SET name = '改' WHERE id = 1")
    await table.answered(**DONE)
    again = await table.pull(**DONE)

    assert statuses(table) == ["0", "1"]
    assert again == [("1", "改", "0")]


async def test_a_part_that_was_refused_is_marked_so(table: Table) -> None:
    table.add((1, "甲", "0"))
    await table.pull(**DONE)

    await table.answered("failed", **DONE)

    assert statuses(table) == ["2"]


async def test_many_rows_go_part_by_part_and_marking_wakes_the_feed(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(puller, "WAITING_ROWS", 2)
    table.add((1, "甲", "0"), (2, "乙", "0"), (3, "丙", "0"))

    first = await table.pull(**DONE)
    full = table.intake.notes["cursor"]["full"]
    await table.answered(**DONE)
    second = await table.pull(**DONE)

    assert [row[0] for row in first] == ["1", "2"]
    assert full
    assert [row[0] for row in second] == ["3"]


async def test_a_feed_without_a_status_column_answers_nothing(table: Table) -> None:
    source = table.source()
    answers = source.answers
    await source.close()

    assert answers == "none"


async def test_the_first_comparison_reads_everything_and_the_next_only_what_differs(watched: Table) -> None:
    watched.add(*((i, f"企业{i}", EARLY) for i in range(1, 501)), (501, "无时间", None))
    first = await watched.pull(**WATCHED)
    watched.passes(timedelta(days=1))
    watched.run("UPDATE t SET name = '悄悄改' WHERE id = 77")
    second = await watched.pull(**WATCHED)

    assert len(first) == 500 + 501
    assert ("77", "悄悄改", EARLY) in second
    assert len(second) < 20, "the other rows of its bucket"
    assert watched.evidence["mode"] == "compare"
    assert watched.evidence["without_time"] == 1


async def test_what_is_compared_too_early_is_not_compared(watched: Table) -> None:
    watched.add((1, "甲", EARLY))
    await watched.pull(**WATCHED)
    watched.asked.clear()

    watched.passes(timedelta(hours=23))
    await watched.pull(**WATCHED)

    assert "sums" not in watched.asked


async def test_an_unchanged_table_is_compared_without_being_read(watched: Table) -> None:
    watched.add((1, "甲", EARLY), (2, "乙", EARLY))
    await watched.pull(**WATCHED)
    arrivals = len(watched.intake.arrivals)

    watched.passes(timedelta(days=1))
    found = await watched.pull(**WATCHED)

    assert found == []
    assert len(watched.intake.arrivals) == arrivals


async def test_rows_that_are_gone_are_evidence(watched: Table) -> None:
    watched.add(*((i, f"企业{i}", EARLY) for i in range(1, 301)))
    await watched.pull(**WATCHED)

    watched.passes(timedelta(days=1))
    watched.run("DELETE FROM t WHERE id = 5")
    watched.run("UPDATE t SET name = '改' WHERE id = 6")
    await watched.pull(**WATCHED)

    assert watched.evidence["gone"] == 1
