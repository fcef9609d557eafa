"""Objects of JSON as lines of a plain form, block by block and column by column."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any, Protocol

import polars as pl

from connectors.formats import strict_json
from connectors.formats.plain import PLACE, Widened, heading_line, lines_of, unread_line

_FLAT = {str, type(None), strict_json.Number}
_WORDED = {*_FLAT, bool}
_WORDS: dict[Any, str] = {True: "true", False: "false"}


@dataclass(frozen=True, slots=True)
class Unread:
    """What should be a record and is none, as text."""

    text: str


@dataclass(frozen=True, slots=True)
class Records:
    """Decoded objects (or `Unread`) and their places. `care` says that some text may be none (half characters, NUL)."""

    places: list[int]
    found: list[Any]
    care: bool = False

    def read(self) -> Records:
        """They are read."""
        return self

    def quickly(self, titles: tuple[str, ...]) -> tuple[bytes, int] | None:
        """There is no text left that could be made into lines at once."""
        return None


class Block(Protocol):
    """Some records of a document, in order."""

    def read(self) -> Records:
        """Decode them."""

    def quickly(self, titles: tuple[str, ...]) -> tuple[bytes, int] | None:
        """Their lines of the plain form and how many, without decoding; None where that would not be exact."""


@dataclass(slots=True)
class Tally:
    """What has been written: headings, rows, and how many of them are unread."""

    titles: dict[str, None] = field(default_factory=dict)
    rows: int = 0
    unread: int = 0


def plain_rows(blocks: Iterable[Block], titles: Sequence[str]) -> Generator[bytes, None, Tally]:
    """Lines of all blocks, the heading first. Raises `Widened` with all headings where later records have more than the first block."""
    tally = Tally(dict.fromkeys(titles))
    begun = False
    blocks = iter(blocks)
    for block in blocks:
        if begun and (quick := block.quickly(tuple(tally.titles))) is not None:
            tally.rows += quick[1]
            yield quick[0]
            continue
        records = block.read()
        rows = [_row(one, records.care) for one in records.found]
        columns = _columns([row for row in rows if isinstance(row, dict)])
        if columns is None:
            rows = [_flat(row) for row in rows]
            columns = _columns([row for row in rows if isinstance(row, dict)]) or {}
        if not begun:
            tally.titles |= dict.fromkeys(columns)
            yield heading_line(tuple(tally.titles))
        elif not columns.keys() <= tally.titles.keys():
            raise Widened(_all_titles(tally.titles, columns, blocks))
        begun = True
        yield from _lines(records.places, rows, columns, tally)
    return tally


def _row(found: Any, care: bool) -> Any:
    if isinstance(found, Unread):
        return found
    if not isinstance(found, dict):
        return Unread(strict_json.cell(found) or "null")
    return _sound(found) if care else found


def _sound(record: dict[str, Any]) -> Any:
    """The record, or its text where it cannot be a row."""
    text = strict_json.written(record)
    try:
        strict_json.check_texts(record)
    except ValueError:
        return Unread(text)
    return Unread(text) if "\\u0000" in text.replace("\\\\", "") else record


def _flat(row: Any) -> Any:
    if isinstance(row, Unread):
        return row
    try:
        return strict_json.flat(row)
    except ValueError:
        return Unread(strict_json.written(row))


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[str | None]] | None:
    """A list of texts per heading; None where the rows must be made flat first."""
    columns: dict[str, list[str | None]] = {}
    for name in dict.fromkeys(chain.from_iterable(rows)):
        column = [row.get(name) for row in rows]
        kinds = set(map(type, column))
        if not kinds <= _WORDED or name != name.strip():
            return None
        columns[name] = column if kinds <= _FLAT else [_WORDS.get(one, one) for one in column]
    return columns


def _lines(places: list[int], rows: list[Any], columns: dict[str, list[str | None]], tally: Tally) -> Iterator[bytes]:
    """The block's lines: runs of rows that could be read, with the unread ones between them."""
    odd = [i for i, row in enumerate(rows) if isinstance(row, Unread)]
    tally.rows += len(rows)
    tally.unread += len(odd)
    read = [place for place, row in zip(places, rows, strict=True) if not isinstance(row, Unread)] if odd else places
    series = [pl.Series(PLACE, read, dtype=pl.Int64).cast(pl.String)]
    series += [pl.Series(f"c{i}", columns.get(title, []), dtype=pl.String) for i, title in enumerate(tally.titles)]
    frame = pl.DataFrame([one if one.len() else pl.Series(one.name, [None] * len(read), dtype=pl.String) for one in series])
    for number, (before, at) in enumerate(pairwise([-1, *odd, len(rows)])):
        if at - before > 1:
            yield lines_of(frame.slice(before + 1 - number, at - before - 1))
        if at < len(rows):
            yield unread_line(places[at], rows[at].text, len(tally.titles))


def _all_titles(titles: Iterable[str], columns: Iterable[str], blocks: Iterable[Block]) -> tuple[str, ...]:
    """Every heading to the very end, so that one more conversion is enough."""
    every = dict.fromkeys(chain(titles, columns))
    for records in (block.read() for block in blocks):
        for one in records.found:
            row = _flat(_row(one, records.care))
            if isinstance(row, dict):
                every |= dict.fromkeys(row)
    return tuple(every)
