"""JSON Lines in blocks: lines of one shape are rewritten at once by one pattern, all others are decoded one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

import polars as pl

from connectors.formats import strict_json
from connectors.formats.json_rows import Records, Unread
from connectors.formats.json_tree import LARGE
from connectors.formats.plain import SEPARATOR
from hub.contracts.errors import Rejected

MOST_LINE = 8 << 20
_PIECE = 256 << 10
_BLANK = " \t\r\n"
_VALUE = r'(?:"([^"\\\x00-\x1f]*)"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false)|null)'
"""One value without escapes, in two groups: a string's inside, or the text of a number or word (RFC 8259, 3 to 7)."""


def blocks_of(stream: BinaryIO) -> Iterator[Lines]:
    """All lines from here on. Raises `Rejected` F003 for one over 8 MiB."""
    rest, line = b"", 1
    while piece := stream.read(_PIECE):
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        if len(rest) > MOST_LINE:
            raise _too_long(line + whole.count(b"\n") + bool(newline))
        if newline:
            yield Lines(whole, line)
            line += whole.count(b"\n") + 1
    if rest:
        yield Lines(rest, line)


def decoded_line(line: bytes) -> Any:
    """The object of one line, or `Unread`."""
    try:
        text = line.decode().strip(_BLANK)
        if text.startswith("{") and len(text) < LARGE and not _deep(line):
            found, end = strict_json.MARKED.raw_decode(text)
            return found if end == len(text) else Unread(text)
    except ValueError:
        return Unread(line.decode(errors="backslashreplace").strip())
    return Unread(text)


def _deep(line: bytes) -> bool:
    return line.count(b"{") + line.count(b"[") > strict_json.DEPTH and strict_json.depth_of(line) > strict_json.DEPTH


def _too_long(line: int) -> Rejected:
    return Rejected(f"line {line} is longer than {MOST_LINE >> 20} MiB", hint="JSON Lines have one object per line", code="F003")


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of a document, the first of them line `first`."""

    raw: bytes
    first: int

    def read(self) -> Records:
        """Decode each line that is not blank. Raises `Rejected` F003 for one over 8 MiB."""
        lines = self.raw.split(b"\n")
        if len(self.raw) > MOST_LINE and (long := next((i for i, line in enumerate(lines) if len(line) > MOST_LINE), None)) is not None:
            raise _too_long(self.first + long)
        decoded = [(place, decoded_line(line)) for place, line in enumerate(lines, self.first) if line and not line.isspace()]
        return Records([place for place, _ in decoded], [one for _, one in decoded], strict_json.may_hurt(self.raw))

    def quickly(self, titles: tuple[str, ...]) -> tuple[bytes, int] | None:
        """Every line at once, where all are flat objects with the first one's keys in its order and hold no escape: then nothing is left to decide."""
        if len(self.raw) > LARGE or b"\\" in self.raw or (template := _template(self.raw.partition(b"\n")[0], titles)) is None:
            return None
        try:
            lines = pl.Series([self.raw.decode()]).str.split("\n").explode()
        except UnicodeDecodeError:
            return None
        made = lines.str.replace(*template)
        if (made == lines).any():
            return None
        places = pl.int_range(self.first, self.first + len(made), eager=True).cast(pl.String)
        text = pl.select(pl.concat_str(places, made, separator=SEPARATOR).str.join("\n")).item()
        return f"{text}\n".encode(), len(made)


def _template(line: bytes, titles: tuple[str, ...]) -> tuple[str, str] | None:
    record = decoded_line(line)
    keys = tuple(record) if isinstance(record, dict) else ()
    return _pattern(keys, titles) if keys and set(keys) <= set(titles) else None


@lru_cache(maxsize=32)
def _pattern(keys: tuple[str, ...], titles: tuple[str, ...]) -> tuple[str, str]:
    """What one line must look like, and what it becomes: its values in the order of the headings."""
    members = ", ?".join(_escaped(json.dumps(key, ensure_ascii=False)) + " ?: ?" + _VALUE for key in keys)
    places = {key: f"${{{2 * i + 1}}}${{{2 * i + 2}}}" for i, key in enumerate(keys)}
    return rf"^\{{ ?{members} ?\}}\r?$", SEPARATOR.join(places.get(title, "") for title in titles)


def _escaped(text: str) -> str:
    """A text as it stands in a pattern of Polars."""
    return "".join(f"\\{sign}" if sign in r".+*?()|[]{}^$\#&-~/" else sign for sign in text)
