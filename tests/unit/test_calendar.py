"""Working days, deadlines and reporting periods."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pytest

from config.loader import load
from hub.calendar import Due, Standing, Window, WorkingDays, period_of, standing
from routes.commands.asking import EXAMPLE_CITY


@pytest.fixture(scope="module")
def calendar() -> WorkingDays:
    loaded = load(EXAMPLE_CITY)
    assert loaded.hub is not None
    return loaded.hub.calendar


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-10-01", False),
        ("2026-10-10", True),
        ("2026-10-08", True),
        ("2026-02-14", True),
        ("2026-02-16", False),
        ("2026-11-22", False),
        ("2030-10-01", True),
    ],
)
def test_holidays_and_shifted_working_days_are_known(calendar: WorkingDays, day: str, works: bool) -> None:
    assert calendar.works(date.fromisoformat(day)) is works


def test_seven_working_days_over_the_national_holiday_end_on_a_shifted_saturday_or_later(calendar: WorkingDays) -> None:
    days = np.array(["2026-09-30", "2026-10-03", "NaT"], dtype="datetime64[D]")

    found = calendar.after(days, 3)

    assert [str(day) for day in found] == ["2026-10-10", "2026-10-10", "NaT"]


def test_counting_agrees_with_walking_day_by_day(calendar: WorkingDays) -> None:
    days = np.arange(np.datetime64("2025-12-20"), np.datetime64("2026-03-10"))

    found = calendar.after(days, 7)

    def walked(day: date) -> date:
        left = 7
        while left:
            day = date.fromordinal(day.toordinal() + 1)
            left -= calendar.works(day)
        return day

    assert [d.astype(date) for d in found] == [walked(d.astype(date)) for d in days]


@pytest.mark.parametrize(
    ("due", "at", "late"),
    [
        (Due(7, "workdays"), "2026-10-15T23:59", False),
        (Due(7, "workdays"), "2026-10-16T00:00", True),
        (Due(3, "days"), "2026-10-03T12:00", False),
        (Due(3, "days"), "2026-10-04T00:00", True),
        (Due(12, "hours"), "2026-10-01T11:00", False),
        (Due(12, "hours"), "2026-10-01T13:00", True),
    ],
)
def test_the_last_day_still_counts_and_the_next_is_late(calendar: WorkingDays, due: Due, at: str, late: bool) -> None:
    events = np.array(["2026-09-30", "NaT"], dtype="datetime64[D]")

    assert due.late(events, datetime.fromisoformat(at), calendar).tolist() == [late, False]


@pytest.mark.parametrize(
    ("frequency", "begin", "end"),
    [
        ("每日", "2026-09-24", "2026-09-28"),
        ("每周", "2026-09-21", "2026-09-28"),
        ("每月", "2026-09-01", "2026-10-01"),
        ("每季度", "2026-07-01", "2026-10-01"),
        ("每半年", "2026-07-01", "2027-01-01"),
        ("每年", "2026-01-01", "2027-01-01"),
    ],
)
def test_a_period_holds_its_moment_and_free_days_belong_to_the_working_day_before(calendar: WorkingDays, frequency: str, begin: str, end: str) -> None:
    found = period_of(frequency, datetime(2026, 9, 26, 10), calendar)

    assert found == (datetime.fromisoformat(begin), datetime.fromisoformat(end))


def test_what_is_reported_at_no_fixed_time_is_never_overdue(calendar: WorkingDays) -> None:
    found = standing("不定期", known_since=datetime(2020, 1, 1), last=None, now=datetime(2026, 1, 1), calendar=calendar)

    assert found == Standing("none")


@pytest.mark.parametrize(
    ("last", "state", "since"),
    [
        (None, "overdue", "2026-08-01"),
        ("2026-07-31T23:00", "overdue", "2026-09-01"),
        ("2026-08-15T09:00", "waiting", None),
        ("2026-09-01T00:00", "reported", None),
    ],
)
def test_a_monthly_feed_is_overdue_once_a_whole_month_passed_without_a_report(calendar: WorkingDays, last: str | None, state: str, since: str | None) -> None:
    heard = datetime.fromisoformat(last) if last else None

    found = standing("每月", known_since=datetime(2026, 6, 10), last=heard, now=datetime(2026, 9, 20), calendar=calendar)

    assert (found.state, found.overdue_since) == (state, datetime.fromisoformat(since) if since else None)
    assert found.due_by == datetime(2026, 10, 1)


@pytest.mark.parametrize(("clock", "left"), [("07:59", 0), ("08:00", 36_000), ("17:30", 1_800), ("18:00", 0)])
def test_a_quiet_window_says_how_long_it_lasts(clock: str, left: int) -> None:
    assert Window(8 * 60, 18 * 60).left(datetime.fromisoformat(f"2026-09-20T{clock}")) == left


@pytest.mark.parametrize(("clock", "left"), [("21:59", 0), ("23:00", 7 * 3600), ("05:59", 60), ("06:00", 0)])
def test_a_quiet_window_may_go_over_midnight(clock: str, left: int) -> None:
    assert Window(22 * 60, 6 * 60).left(datetime.fromisoformat(f"2026-09-20T{clock}")) == left
