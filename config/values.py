"""Small values that people write in YAML: percentages, cron lines, due times, natural keys, addresses, and URLs without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from hub.calendar import Due, Window
from hub.contracts.address import address_of
from hub.contracts.endpoint import Duration
from hub.contracts.errors import Misconfigured

_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)\s*%")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DUE = re.compile(r"(\d{1,4})\s*(workdays|workday|days|day|d|h)(?:\s+after\s+([a-z][a-z0-9_]*))?")
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")
_SPAN = re.compile(r"(\d{2})-(\d{2})(?:\.\.(\d{2})-(\d{2}))?")
_CRON_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_NAMES: Final = {
    3: {name: number for number, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)},
    4: {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])},
}
_LISTEN = re.compile(r"(?P<host>[A-Za-z0-9.\-]{1,253}|\[[0-9a-fA-F:]{2,45}\]):(?P<port>\d{1,5})")
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+]{1,30})://(?:(?P<user>[^:@/\s]*)(?::(?P<password>\$\{[^}]*\}|[^@/\s]*))?@)?(?P<rest>[^\s]*)")
_FILE = re.compile(r"[\w./\-]{1,200}\.sqlite")
KEY_PART = re.compile(r"[a-z][a-z0-9_]*(?:\s*\|\s*[a-z][a-z0-9_]*)*")


@dataclass(frozen=True, slots=True)
class Span:
    """Days of a year, first and last as (month, day)."""

    first: tuple[int, int]
    last: tuple[int, int]

    def in_year(self, year: int) -> Iterator[date]:
        """Its days. Raises `ValueError` where the year has no such day."""
        day, last = date(year, *self.first), date(year, *self.last)
        while day <= last:
            yield day
            day += timedelta(days=1)


def _percent(value: object) -> object:
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())) and float(match[1]) <= 100:
        return float(match[1]) / 100
    raise ValueError("write a percentage from 0% to 100%: 5%")


def _due(value: object) -> object:
    if isinstance(value, str) and (match := _DUE.fullmatch(value.strip())):
        unit = {"w": "workdays", "d": "days", "h": "hours"}[match[2][0]]
        return Due(int(match[1]), unit, match[3] or "")
    raise ValueError("write how long after the event it is due: 7 workdays, 3 days, 12h, 7 workdays after decision_date")


def _window(value: object) -> object:
    if isinstance(value, str) and (match := _WINDOW.fullmatch(value.strip())):
        begin, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
        if end <= 24 * 60 and begin != end:
            return Window(begin, end)
    raise ValueError('write from when to when on a day: "08:00-18:00"')


def _days(value: object) -> object:
    if isinstance(value, str) and (match := _SPAN.fullmatch(value.strip())):
        first = (int(match[1]), int(match[2]))
        last = (int(match[3]), int(match[4])) if match[3] else first
        if first <= last:
            return Span(first, last)
    raise ValueError("write a day or days of the year: 10-01, 10-01..10-07")


def _cron_field(text: str, index: int) -> None:
    low, high = _CRON_RANGES[index]
    names = _CRON_NAMES.get(index, {})
    for part in text.lower().split(","):
        span, _, step = part.partition("/")
        if step and not (step.isdecimal() and 0 < int(step) <= high):
            raise ValueError(f"{part} is no step of a cron line")
        if span == "*":
            continue
        ends = [names.get(end, end) for end in span.split("-")]
        numbers = [int(end) for end in ends if str(end).isdecimal() and low <= int(end) <= high]
        if len(ends) > 2 or len(numbers) != len(ends) or numbers != sorted(numbers):
            raise ValueError(f"{part} is not between {low} and {high} in place {index + 1} of the cron line")


def _cron(value: str) -> str:
    fields = value.split()
    if len(value) > 200 or len(fields) != 5:
        raise ValueError('a cron line has five places, minute hour day month weekday: "0 2 * * *"')
    for index, text in enumerate(fields):
        _cron_field(text, index)
    return " ".join(fields)


def _every(value: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= value <= timedelta(days=366):
        raise ValueError("choose between 1s and 366d")
    return value


def _listen(value: str) -> str:
    match = _LISTEN.fullmatch(value)
    if match is None or not 0 <= int(match["port"]) <= 65535:
        raise ValueError("write host:port, for example 127.0.0.1:8700")
    return value


def natural_key(text: str) -> tuple[tuple[str, ...], ...]:
    """`doc_no + uscc|reg_no` as a conjunction of alternatives. Raises `ValueError`."""
    parts = [part.strip() for part in text.split("+")]
    if not all(KEY_PART.fullmatch(part) for part in parts):
        raise ValueError("write field names joined by +, alternatives by |: doc_no + uscc|reg_no")
    return tuple(tuple(name.strip() for name in part.split("|")) for part in parts)


def literal_password(url: str) -> bool:
    """True where a URL holds a password that is not a reference."""
    match = _URL.fullmatch(url)
    return bool(match and match["password"] and not re.fullmatch(r"\$\{(env|file):[^}]+\}", match["password"]))


def _broker(value: str) -> str:
    match = _URL.fullmatch(value)
    if value == "embedded" or (match and match["scheme"] in ("amqp", "amqps") and match["rest"]):
        return value
    raise ValueError('write embedded, or "amqp://user:${env:MQ_PASSWORD}@host:5672/vhost"')


def database_setting(text: str, because: str = "") -> str:
    """A file below HOME or a database URL as it was written, once it is known to be allowed. Raises `ValueError`.

    What a URL may hold is decided by `hub.contracts.address` alone; here the password still is a reference.
    """
    if "://" not in text:
        if _FILE.fullmatch(text) and ".." not in text:
            return text
        raise ValueError("write a file below HOME that ends in .sqlite, or a database URL")
    if text.startswith("sqlite:"):
        raise ValueError("write a SQLite file as a path below HOME, without sqlite://")
    try:
        address_of(text, because)
    except Misconfigured as error:
        raise ValueError(f"{error.message}; {error.hint}") from error
    return text


def _day(value: object) -> object:
    if isinstance(value, str) and _DAY.fullmatch(value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise ValueError("write a day as year-month-day: 2026-12-31")


def _single(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Percent = Annotated[float, BeforeValidator(_percent), WithJsonSchema({"type": "string", "pattern": r"^\d{1,3}(\.\d+)?\s*%$", "examples": ["5%"]})]
DueTime = Annotated[
    Due, BeforeValidator(_due), WithJsonSchema({"type": "string", "examples": ["7 workdays", "3 days", "12h", "7 workdays after decision_date"]})
]
QuietWindow = Annotated[Window, BeforeValidator(_window), WithJsonSchema({"type": "string", "examples": ["08:00-18:00", "22:00-06:00"]})]
YearDays = Annotated[Span, BeforeValidator(_days), WithJsonSchema({"type": "string", "examples": ["10-01", "10-01..10-07"]})]
Day = Annotated[date, BeforeValidator(_day)]
Cron = Annotated[str, AfterValidator(_cron)]
Every = Annotated[Duration, AfterValidator(_every)]
Listen = Annotated[str, AfterValidator(_listen)]
BrokerSetting = Annotated[str, AfterValidator(_broker)]
_TEXTS: Final = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Texts = Annotated[tuple[str, ...], BeforeValidator(_single), WithJsonSchema(_TEXTS)]
