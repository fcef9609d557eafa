"""Where a pull goes on: cursors that never move back, never run ahead of the present, and always advance."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.formats.pace import ZONE
from connectors.rest.progress import progress_of
from connectors.rest.settings import RestRead
from connectors.rest.times import read as read_time
from connectors.rest.times import written
from hub.contracts.errors import Misconfigured

NOW = datetime(2026, 3, 5, 12, 0, tzinfo=ZONE)
SINCE = {"since": {"name": "from", "field": "t"}}
ORDERED = {"since": {"name": "from", "field": "t", "ordered": True, "id_name": "id", "id_field": "n"}}
WINDOW = {"window": {"start": "2026-03-03", "step": "1d", "format": "%Y-%m-%d %H:%M"}}


def part(read: dict[str, Any], after: Any = None) -> Any:
    return progress_of(RestRead.model_validate(read), after, lambda: NOW)


def rows(*times: str) -> list[dict[str, str | None]]:
    return [{"t": time, "n": str(number)} for number, time in enumerate(times)]


def test_the_first_pull_asks_for_everything_and_the_next_for_what_is_new_and_an_hour_more() -> None:
    first = part(SINCE)
    first.take(rows("2026-03-05 10:00:00", "2026-03-05 09:00:00"))
    following = part(SINCE, first.cursor(ended=True))

    assert first.params() == {}
    assert following.params() == {"from": "2026-03-05 09:00:00"}


def test_nothing_new_leaves_the_place_where_it_was() -> None:
    after = {"time": "2026-03-05T10:00:00+08:00", "id": "", "going": False}

    assert part(SINCE, after).cursor(ended=True) == after
    assert part(SINCE).cursor(ended=True) is None


def test_older_rows_do_not_move_the_place_back() -> None:
    late = part(SINCE, {"time": "2026-03-05T10:00:00+08:00", "id": "", "going": False})
    late.take(rows("2026-03-05 09:30:00"))

    assert late.cursor(ended=True)["time"] == "2026-03-05T10:00:00+08:00"


def test_a_row_from_the_future_does_not_move_the_place_beyond_the_present() -> None:
    odd = part(SINCE)
    odd.take(rows("2026-03-05 10:00:00", "2099-01-01 00:00:00"))

    assert odd.cursor(ended=True)["time"] == "2026-03-05T10:00:00+08:00"


def test_a_part_that_stops_in_the_middle_goes_on_at_the_same_time_and_id() -> None:
    first = part(ORDERED)
    first.take(rows("2026-03-05 10:00:00", "2026-03-05 10:00:00"))

    following = part(ORDERED, first.cursor(ended=False))

    assert first.may_stop()
    assert first.more(ended=False)
    assert following.params() == {"from": "2026-03-05 10:00:00", "id": "1"}
    assert not following.may_stop()


def test_a_part_does_not_stop_before_the_place_has_moved() -> None:
    ordered = {"since": {"name": "from", "field": "t", "ordered": True}}
    going = part(ordered, {"time": "2026-03-05T10:00:00+08:00", "id": "", "going": True})
    going.take(rows("2026-03-05 10:00:00"))
    before = going.may_stop()
    going.take(rows("2026-03-05 10:00:01"))

    assert (before, going.may_stop()) == (False, True)


def test_rows_without_any_readable_time_stop_the_feed() -> None:
    with pytest.raises(Misconfigured, match="no row of a page"):
        part(SINCE).take(rows("gestern"))


def test_windows_follow_each_other_up_to_the_present_and_begin_again_with_the_overlap() -> None:
    asked, after, more = [], None, True
    while more:
        one = part(WINDOW, after)
        asked.append(tuple(one.params().values()))
        after, more = one.cursor(ended=True), one.more(ended=True)
    again = part(WINDOW, after)

    days = [("2026-03-03 00:00", "2026-03-04 00:00"), ("2026-03-04 00:00", "2026-03-05 00:00"), ("2026-03-05 00:00", "2026-03-05 12:00")]
    assert asked == days
    assert tuple(again.params().values()) == ("2026-03-05 11:00", "2026-03-05 12:00")


def test_a_window_that_begins_in_the_future_waits() -> None:
    future = part({"window": {"start": "2027-01-01"}})

    assert not future.more(ended=True)
    assert future.cursor(ended=True)["until"].startswith("2027-01-01")


def test_ids_go_on_behind_the_last_one() -> None:
    first = part({"last_id": {"field": "n"}})
    first.take(rows("a", "b"))

    assert first.cursor(ended=False) == {"id": "1"}
    assert part({"last_id": {"field": "n"}}, {"id": "1"}).last_id == "1"


@pytest.mark.parametrize(("pattern", "text"), [("ms", "1772683200123"), ("s", "1772683200"), ("%Y%m%d%H%M%S", "20260305120000")])
def test_times_are_written_as_they_are_read(pattern: str, text: str) -> None:
    found = read_time(text, pattern)

    assert found is not None
    assert written(found, pattern) == text


@pytest.mark.parametrize("text", ["", "x", "9" * 40, "2026-02-30 00:00:00"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert read_time(text, "ms") is None or text.isdigit()
    assert read_time(text, "%Y-%m-%d %H:%M:%S") is None


@pytest.mark.parametrize(
    "wrong",
    [
        SINCE | WINDOW,
        {"pages": {}, "link": {}},
        {"since": {"name": "a", "field": "b", "id_name": "c"}},
        {"body": {"a": "b"}},
        {"window": {"start": "2026-01-01", "step": "0s"}},
        {"pages": {"size": 0}},
    ],
)
def test_what_cannot_be_meant_together_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RestRead.model_validate(wrong)
