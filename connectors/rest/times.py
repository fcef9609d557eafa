"""Times as an interface writes them; all of them are Shanghai's."""

from __future__ import annotations

from datetime import datetime

from connectors.formats.pace import ZONE

_EPOCH = {"ms": 1000, "s": 1}


def written(time: datetime, pattern: str) -> str:
    """A time with a zone as `ms`, `s` or by a pattern of strftime."""
    if pattern in _EPOCH:
        return str(round(time.timestamp() * 1000) * _EPOCH[pattern] // 1000)
    return time.astimezone(ZONE).strftime(pattern)


def read(text: str, pattern: str) -> datetime | None:
    """The time that a text means, None where it is none."""
    text = text.strip()
    try:
        if pattern in _EPOCH:
            return datetime.fromtimestamp(int(text) / _EPOCH[pattern], ZONE)
        found = datetime.strptime(text, pattern)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=ZONE)


def zoned(time: datetime) -> datetime:
    """A time of the configuration, which is Shanghai's unless it names a zone."""
    return time if time.tzinfo else time.replace(tzinfo=ZONE)
