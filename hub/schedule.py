"""When a feed wakes: cron lines and intervals, through APScheduler."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, tzinfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

_GRACE_S = 3600
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class Schedule:
    """Sets an event per feed when its time comes. Jobs live in memory and are made again from the configuration at each start."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._scheduler = AsyncIOScheduler(timezone=zone)
        self._events: dict[str, asyncio.Event] = {}

    def start(self) -> None:
        """Begin to watch the clock."""
        self._scheduler.start()

    def add(self, name: str, *, cron: str | None = None, every: timedelta | None = None) -> asyncio.Event:
        """Wake `name` by a five-field cron line or an interval; the event is set each time."""
        waker = self._events.setdefault(name, asyncio.Event())
        trigger: BaseTrigger
        if cron is not None:
            trigger = CronTrigger.from_crontab(_named_weekdays(cron), timezone=self._zone)
        else:
            assert every is not None, "a schedule is a cron line or an interval"
            trigger = IntervalTrigger(seconds=max(1, int(every.total_seconds())), timezone=self._zone)
        options = {"coalesce": True, "max_instances": 1, "misfire_grace_time": _GRACE_S, "replace_existing": True}
        self._scheduler.add_job(waker.set, trigger, id=name, **options)
        return waker

    def missed(self, name: str, since: datetime, now: datetime) -> bool:
        """Whether a time of the feed lies after `since` and not after `now`: nobody was there to hear it."""
        job = self._scheduler.get_job(name)
        due = job.trigger.get_next_fire_time(since, since) if job is not None else None
        return due is not None and bool(since < due <= now)

    def remove(self, name: str) -> None:
        """Forget a feed's times."""
        self._events.pop(name, None)
        if self._scheduler.get_job(name) is not None:
            self._scheduler.remove_job(name)

    def next(self, name: str) -> datetime | None:
        """When the feed wakes next; None for one that has no times."""
        job = self._scheduler.get_job(name)
        return getattr(job, "next_run_time", None) if job is not None else None

    def close(self) -> None:
        """Stop watching the clock."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)


def _named_weekdays(cron: str) -> str:
    """The line with weekday names: cron counts from Sunday (0 or 7), APScheduler from Monday."""
    fields = cron.split()
    fields[4] = ",".join(_named(part) for part in fields[4].split(","))
    return " ".join(fields)


def _named(part: str) -> str:
    span, slash, step = part.partition("/")
    days = "-".join(_DAYS[int(end) % 7] if end.isdecimal() else end for end in span.split("-"))
    return days + slash + step
