"""Logs as JSON, one line per event, safe to show on any screen and free of personal numbers."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from datetime import date
from typing import Any, TextIO

import orjson
import structlog

from hub.contracts.observer import Fact

FIELD_CHARACTERS = 2_000
FIELD_ENTRIES = 50
_DEPTH = 4
# C0 and C1 controls, line and paragraph separators, zero-width and bidirectional signs, surrogates, the byte order mark.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")
# A citizen's number of 18 or 15 digits (GB 11643). No message should hold one; this is the second lock on that door.
_CITIZEN = re.compile(r"(?<![0-9A-Za-z])(?:[1-9]\d{5}(?:18|19|20)\d{9}[\dXx]|[1-9]\d{14})(?![0-9A-Za-z])")

_WARNINGS = ("stumbled", "held", "refused", "unreadable", "dead", "config_refused")
_LEVELS = {**dict.fromkeys(_WARNINGS, logging.WARNING), "stopped": logging.ERROR, "failed": logging.ERROR}


def safe_text(text: str) -> str:
    """The text with unsafe signs written as escapes, citizens' numbers withheld, and at most `FIELD_CHARACTERS` long."""
    shown = text if len(text) <= FIELD_CHARACTERS else text[:FIELD_CHARACTERS] + f"… ({len(text)} characters)"
    escaped = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", shown)
    return _CITIZEN.sub("[withheld]", escaped)


def safe_value(value: Any, depth: int = 0) -> Any:
    """A JSON-able copy with every text made safe, and every container bounded in entries and depth."""
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 53 else safe_text(str(value))
    if isinstance(value, date):
        return value.isoformat()
    if depth < _DEPTH and isinstance(value, Mapping):
        return {safe_text(str(key)): safe_value(entry, depth + 1) for key, entry in list(value.items())[:FIELD_ENTRIES]}
    if depth < _DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [safe_value(entry, depth + 1) for entry in list(value)[:FIELD_ENTRIES]]
    return safe_text(str(value))


def _make_safe(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: safe_value(value) for key, value in event.items()}


def _as_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    first = {key: event[key] for key in ("timestamp", "level", "event", "where") if key in event}
    return orjson.dumps({**first, **event}).decode()


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def configure(stream: TextIO | None = None, level: str = "INFO") -> None:
    """Send everything, libraries' own logs included, to `stream` (standard error by default) as JSON lines."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *_SHARED],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _make_safe, _as_line],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("pika", "aiohttp.access", "apscheduler", "watchdog"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


class LogListener:
    """Writes each fact as one line: `what` is the event, `where` the feed, item or share."""

    def __init__(self) -> None:
        self._log = structlog.stdlib.get_logger("credit_hub")

    def __call__(self, fact: Fact) -> None:
        """Write one fact."""
        reserved = {"event", "level", "logger", "timestamp", "where", "at"}
        fields = {f"fact_{key}" if key in reserved else key: value for key, value in fact.facts.items()}
        self._log.log(_LEVELS.get(fact.what, logging.INFO), fact.what, where=fact.where, at=fact.at.isoformat(), **fields)
