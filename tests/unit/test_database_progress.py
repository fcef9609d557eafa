"""Pulls of what is new: nothing is passed over, whenever it is committed and whatever the clocks do, and little comes twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from connectors.databases import progress
from hub.contracts.errors import Unavailable
from tests.unit.pulled_tables import NOON, Table

PAIR = {"since": {"time": "gxsj", "id": "id"}}
BY_ID = {"since": {"id": "id"}}
HOUR = timedelta(hours=1)


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat(" ")


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path / "a.sqlite")


def ids(rows: list[tuple[object, ...]]) -> list[int]:
    return [int(str(row[0])) for row in rows]


async def test_only_what_is_new_is_offered(table: Table) -> None:
    table.add((1, "甲", at(-60)), (2, "乙", at(-1)))
    first = await table.pull(**PAIR)

    table.passes(HOUR)
    table.add((3, "丙", at(30)))
    second = await table.pull(**PAIR)
    third = await table.pull(**PAIR)

    assert (ids(first), ids(second), third) == ([1, 2], [3], [])


async def test_rows_committed_late_with_older_times_are_caught(table: Table) -> None:
    table.add((1, "甲", at(-20)), (2, "乙", at(0)))
    await table.pull(**PAIR)

    table.passes(timedelta(minutes=1))
    table.add((3, "晚", at(-9)))
    late = await table.pull(**PAIR)
    again = await table.pull(**PAIR)

    assert (ids(late), again) == ([3], [])
    assert table.evidence["left_out"] == 1, "what was read before with the same content"


async def test_rows_that_changed_within_the_overlap_are_offered_again(table: Table) -> None:
    table.add((1, "甲", at(-5)), (2, "乙", at(0)))
    await table.pull(**PAIR)

    table.run("UPDATE t SET name = '改' WHERE id = 1")

    assert await table.pull(**PAIR) == [("1", "改", at(-5))]


async def test_many_rows_of_one_moment_are_read_once(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PART_ROWS", 40)
    table.piece_rows = 7
    table.add(*((i, f"企业{i}", at(0)) for i in range(1, 101)))

    first = await table.pull(**PAIR)
    second = await table.pull(**PAIR)

    assert ids(first) == list(range(1, 101))
    assert second == []
    assert len(table.intake.arrivals) == 3, "a part is an arrival"


async def test_a_date_without_time_is_read_again_for_the_whole_day(tmp_path: Path) -> None:
    table = Table(tmp_path / "a.sqlite", "id INTEGER PRIMARY KEY, name TEXT, gxsj DATE")
    table.add((1, "甲", "2026-11-23"), (2, "乙", "2026-11-24"))
    await table.pull(**PAIR)

    table.add((3, "丙", "2026-11-24"))

    assert ids(await table.pull(**PAIR)) == [3]


@pytest.mark.parametrize(
    ("before", "later", "now"), [("20261124110000", "20261124115500", "20261124120000"), ("2026/11/24 11:00:00", "2026/11/24 11:55:00", "2026/11/24 12:00:00")]
)
async def test_times_that_are_text_have_an_overlap_too(tmp_path: Path, before: str, later: str, now: str) -> None:
    table = Table(tmp_path / "a.sqlite", "id INTEGER PRIMARY KEY, name TEXT, gxsj VARCHAR")
    table.add((1, "甲", before), (2, "乙", now))
    first = await table.pull(**PAIR)

    table.add((3, "晚", later))

    assert (ids(first), ids(await table.pull(**PAIR))) == ([1, 2], [3])


async def test_a_row_from_the_future_holds_nothing_up(table: Table) -> None:
    table.add((1, "甲", at(-1)), (2, "未来", "2099-01-01 00:00:00"))
    first = await table.pull(**PAIR)

    table.passes(HOUR)
    table.add((3, "丙", at(30)))
    second = await table.pull(**PAIR)
    third = await table.pull(**PAIR)

    assert (ids(first), ids(second), third) == ([1, 2], [3], [])


@pytest.mark.parametrize("ours_too", [False, True])
async def test_a_clock_that_steps_back_loses_nothing(table: Table, ours_too: bool) -> None:
    table.add((1, "甲", at(-1)), (2, "乙", at(0)))
    await table.pull(**PAIR)
    table.theirs -= 3 * HOUR
    table.ours -= 3 * HOUR if ours_too else timedelta()

    table.passes(HOUR)
    table.add((3, "倒", at(-150)))
    second = await table.pull(**PAIR)
    table.passes(HOUR)
    table.add((4, "丁", at(-90)))
    third = await table.pull(**PAIR)

    assert 3 in ids(second)
    assert 4 in ids(third)


async def test_a_clock_that_steps_back_less_than_has_passed_loses_nothing(table: Table) -> None:
    table.add((1, "甲", at(0)))
    await table.pull(**PAIR)

    table.theirs += timedelta(minutes=10)
    table.ours += timedelta(hours=2)
    table.add((2, "倒", at(-105)))

    assert 2 in ids(await table.pull(**PAIR))


async def test_rows_without_a_time_are_counted(table: Table) -> None:
    table.add((1, "甲", at(0)), (2, "无", None))

    found = await table.pull(**PAIR)

    assert ids(found) == [1]
    assert table.evidence["without_time"] == 1


async def test_by_id_alone_a_lower_id_committed_late_is_caught(table: Table) -> None:
    table.add((1, "甲", None), (3, "丙", None))
    first = await table.pull(**BY_ID)

    table.passes(timedelta(minutes=2))
    table.add((2, "晚", None), (4, "丁", None))
    second = await table.pull(**BY_ID)
    table.passes(HOUR)
    third = await table.pull(**BY_ID)
    table.passes(HOUR)
    table.add((5, "戊", None))
    fourth = await table.pull(**BY_ID)

    assert (ids(first), ids(second), third, ids(fourth)) == ([1, 3], [2, 4], [], [5])


async def test_by_id_alone_little_is_read_again(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "AGAIN_ROWS", 20)
    table.piece_rows = 10
    table.add(*((i, "甲", None) for i in range(1, 201)))
    await table.pull(**BY_ID)

    table.add((201, "新", None))
    found = await table.pull(**BY_ID)

    assert ids(found) == [201]
    assert table.evidence["read"] <= 31


async def test_numbers_grow_as_numbers(table: Table) -> None:
    table.add(*((i, "甲", None) for i in (9, 10, 99, 100)))
    await table.pull(since={"id": "id", "overlap": "0s"})

    table.add((101, "新", None), (1000, "新", None))

    assert ids(await table.pull(since={"id": "id", "overlap": "0s"})) == [101, 1000]


@pytest.mark.parametrize("begin", [{"time": "gxsj", "id": "id", "begin": "2026-11-24 12:00:00"}, {"id": "id", "begin": "2"}])
async def test_it_may_begin_somewhere(table: Table, begin: dict[str, str]) -> None:
    table.add((1, "甲", at(-60)), (2, "乙", at(0)), (3, "丙", at(0)))

    assert ids(await table.pull(since=begin)) == [2, 3]


async def test_a_pull_that_breaks_off_begins_at_the_same_place(table: Table) -> None:
    table.piece_rows = 5
    table.add(*((i, "甲", at(0)) for i in range(1, 21)))
    table.breaks_after = 2

    with pytest.raises(Unavailable):
        await table.pull(**PAIR)
    held = dict(table.intake.arrivals)

    assert held == {}
    assert ids(await table.pull(**PAIR)) == list(range(1, 21))


async def test_remembered_hashes_that_are_gone_cost_reading_again_and_nothing_else(table: Table) -> None:
    table.add((1, "甲", at(0)))
    await table.pull(**PAIR)
    for digest in table.intake.notes["cursor"]["since"]["seen"]:
        del table.intake.landed[digest[0]]

    table.add((2, "乙", at(0)))

    assert ids(await table.pull(**PAIR)) == [1, 2]


async def test_another_question_begins_anew(table: Table) -> None:
    table.add((1, "甲", at(0)))
    await table.pull(**PAIR)

    assert ids(await table.pull(since={"id": "id"})) == []  # the same content, offered and known
    assert table.intake.notes["cursor"]["since"]["at"] == ["1"]


async def test_a_wake_that_finds_nothing_new_lands_nothing(table: Table) -> None:
    table.add((1, "甲", at(0)), (2, "乙", at(0)))
    await table.pull(**PAIR)
    landed = set(table.intake.landed)

    for _ in range(3):
        table.passes(timedelta(minutes=3))
        assert await table.pull(**PAIR) == []

    assert set(table.intake.landed) == landed
