"""When and how often another system may be asked: its rate, its quiet hours, and the wishes it sends along."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import time as Clock
from email.utils import parsedate_to_datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, WithJsonSchema

ZONE = ZoneInfo("Asia/Shanghai")
LONGEST_WISH = 86_400.0  # seconds
_RATE = re.compile(r"([1-9]\d{0,5})/(\d{0,6}(?:\.\d{1,3})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Surroundings:
    """Time and chance, as they are handed in: `now` is the time of day with its zone, `monotonic` seconds that never jump, `random` is in [0, 1)."""

    now: Callable[[], datetime] = lambda: datetime.now(ZONE)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


def spacing(rate: str) -> float:
    """Seconds between two requests at a rate such as `5/s`, `1/2s`, `300/m`. Raises `ValueError`."""
    match = _RATE.fullmatch(rate.replace(" ", ""))
    if match is None or not float(match[2] or 1):
        raise ValueError("write a rate as number/time: 5/s, 1/2s, 300/m")
    return float(match[2] or 1) * _SECONDS[match[3]] / int(match[1])


def _rate(value: str) -> str:
    spacing(value)
    return value


def _hours(value: str) -> str:
    if not _HOURS.fullmatch(value) or value[:5] == value[6:]:
        raise ValueError('write hours as "08:00-18:00"')
    return value


RateText = Annotated[str, AfterValidator(_rate), WithJsonSchema({"type": "string", "pattern": r"^\d+/[\d.]*(ms|s|m|h|d)$", "examples": ["5/s", "1/2s"]})]
HoursText = Annotated[str, AfterValidator(_hours), WithJsonSchema({"type": "string", "pattern": r"^\d\d:\d\d-\d\d:\d\d$", "examples": ["08:00-18:00"]})]


class Pace:
    """Lets one request after the other go, `spacing` seconds apart, so that no stretch of time ever sees more than the rate."""

    def __init__(self, seconds: float, world: Surroundings) -> None:
        self._seconds = seconds
        self._world = world
        self._next = 0.0

    async def turn(self) -> None:
        """Return when it is one's turn."""
        now = self._world.monotonic()
        at, self._next = max(now, self._next), max(now, self._next) + self._seconds
        if at > now:
            await self._world.sleep(at - now)


def quiet_for(hours: Sequence[str], now: datetime) -> float:
    """Seconds until the quiet hours that hold now end; 0 outside of them. Hours such as `22:00-06:00` go over midnight."""
    local = now.astimezone(ZONE)
    at = local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6
    left = 0.0
    for text in hours:
        start, end = (_second_of_day(part) for part in text.split("-"))
        inside = start <= at < end if start < end else at >= start or at < end
        if inside:
            left = max(left, (end - at) % 86_400)
    return left


def _second_of_day(text: str) -> int:
    clock = Clock.fromisoformat(text)
    return clock.hour * 3600 + clock.minute * 60


def wish(value: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 10.2.3: seconds or a date), at most a day; None where it says nothing usable."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_WISH)
    try:
        at: datetime = parsedate_to_datetime(value)
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_WISH)
