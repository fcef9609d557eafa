"""Working days (工作日) with their holidays and shifted days (调休), deadlines counted in them, and the periods in which an agency has to report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any

import numpy as np

Days = np.ndarray[Any, np.dtype[np.datetime64]]

_FIRST, _LAST = np.datetime64("1949-01-01"), np.datetime64("2120-12-31")


@dataclass(frozen=True)
class WorkingDays:
    """Monday to Friday, without `holidays` and with `shifted` days on which people work all the same. `years` are those it knows for certain."""

    holidays: frozenset[date] = frozenset()
    shifted: frozenset[date] = frozenset()
    years: frozenset[int] = frozenset()

    def works(self, day: date) -> bool:
        """Whether people work on this day."""
        return day in self.shifted or (day.weekday() < 5 and day not in self.holidays)

    @cached_property
    def _days(self) -> Days:
        every = np.arange(_FIRST, _LAST)
        open_ = np.is_busday(every) & ~np.isin(every, _array(self.holidays)) | np.isin(every, _array(self.shifted))
        return every[open_]

    def after(self, days: Days, amount: int) -> Days:
        """The day that lies so many working days after each of `days` (datetime64[D]); NaT stays NaT."""
        known = ~np.isnat(days)
        found = np.full(days.shape, np.datetime64("NaT"), "datetime64[D]")
        if not amount:
            return days
        places = np.searchsorted(self._days, days[known], side="right") + amount - 1
        found[known] = self._days[np.minimum(places, len(self._days) - 1)]
        return found

    def previous(self, day: date) -> date:
        """The last working day before this one."""
        day -= timedelta(days=1)
        while not self.works(day):
            day -= timedelta(days=1)
        return day


def _array(days: Iterable[date]) -> Days:
    return np.array(sorted(days), dtype="datetime64[D]")


@dataclass(frozen=True, slots=True)
class Due:
    """How long after an event its record must be here: `amount` of "workdays", "days" or "hours" after the date in `field` ("" for the item's event date)."""

    amount: int
    unit: str
    field: str = ""

    def late(self, events: Days, at: datetime, calendar: WorkingDays) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of the events (datetime64[D]) had a deadline that was over at the local time `at`; never one without a date."""
        if self.unit == "hours":
            until = events.astype("datetime64[h]") + np.timedelta64(24 + self.amount, "h")
            return np.asarray(until < np.datetime64(at, "h"), dtype=np.bool_)
        last = calendar.after(events, self.amount) if self.unit == "workdays" else events + np.timedelta64(self.amount, "D")
        return np.asarray(last < np.datetime64(at, "D"), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Window:
    """A time of each day in which nothing is begun, in minutes after midnight; one whose end lies before its beginning goes over midnight."""

    begin: int
    end: int

    def left(self, moment: datetime) -> float:
        """Seconds until it is over; 0 outside of it."""
        minute = moment.hour * 60 + moment.minute + moment.second / 60
        inside = self.begin <= minute < self.end if self.begin < self.end else minute >= self.begin or minute < self.end
        return ((self.end - minute) % (24 * 60)) * 60 if inside else 0.0


FREQUENCIES = ("每日", "每周", "每月", "每季度", "每半年", "每年")
"""How often an item has to be reported (征集周期); any other word expects nothing."""


def period_of(frequency: str, moment: datetime, calendar: WorkingDays) -> tuple[datetime, datetime] | None:
    """The reporting period that holds a local time, from its first moment to the first moment after it; None where nothing is expected.

    Days are working days: what falls on free days belongs to the working day before them.
    """
    day = moment.date()
    match frequency:
        case "每日":
            begin = day if calendar.works(day) else calendar.previous(day)
            end = begin + timedelta(days=1)
            while not calendar.works(end):
                end += timedelta(days=1)
        case "每周":
            begin = day - timedelta(days=day.weekday())
            end = begin + timedelta(days=7)
        case "每月" | "每季度" | "每半年" | "每年":
            months = {"每月": 1, "每季度": 3, "每半年": 6, "每年": 12}[frequency]
            first = (day.month - 1) // months * months
            begin = date(day.year, first + 1, 1)
            end = date(day.year + (first + months) // 12, (first + months) % 12 + 1, 1)
        case _:
            return None
    return datetime.combine(begin, time()), datetime.combine(end, time())


@dataclass(frozen=True, slots=True)
class Standing:
    """How a feed stands with its reports: `state` is waiting (待上报), reported (已上报), overdue (超时) or none; `due_by` the end of the period that
    counts, `overdue_since` the end of the first period without a report.
    """

    state: str
    due_by: datetime | None = None
    overdue_since: datetime | None = None


def standing(frequency: str, *, known_since: datetime, last: datetime | None, now: datetime, calendar: WorkingDays) -> Standing:
    """Judge a feed by its last report (an arrival or a nil return), all in local time. A feed owes nothing for the period in which it was set up."""
    current = period_of(frequency, now, calendar)
    if current is None:
        return Standing("none")
    begin, end = current
    if last is not None and last >= begin:
        return Standing("reported", end)
    reference = period_of(frequency, last if last is not None else known_since, calendar)
    assert reference is not None, "the frequency has periods"
    owed = period_of(frequency, reference[1], calendar)  # the first period after the last report, or after the feed was set up
    assert owed is not None, "the frequency has periods"
    if owed[0] >= begin:
        return Standing("waiting", end)
    return Standing("overdue", end, owed[1])
