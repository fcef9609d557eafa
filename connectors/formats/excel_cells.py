"""Cells of a sheet as the plain form writes them: whole columns at once, because a call per cell would cost more than reading the workbook.

Runs in the throw-away process, so it knows nothing but the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import compress
from typing import Any

SEPARATOR = "\x1f"
EXACT = 1e15  # a spreadsheet keeps 15 digits; a longer whole number has lost some
NO_DATE = "1899-12-30"  # what a date cell holding 0 is
GUARDED = "=+-@\t\r"  # what an error workbook writes an apostrophe before
_RISKY = re.compile('["\n\r\x1f]')


def text_column(column: Sequence[Any]) -> Sequence[str]:
    """A column of cells as text: dates as YYYY-MM-DD, times of day after a space, numbers without exponent, TRUE and FALSE.

    A whole number of 16 digits or more is written with an exponent, which the checks of identifiers know as damage (R117).
    """
    kinds = set(map(type, column))
    if kinds == {str}:
        return column
    if kinds == {float} and all(map(float.is_integer, column)) and min(column) > -EXACT and max(column) < EXACT:
        return list(map(str, map(int, column)))
    if kinds <= {date, str}:
        return list(map(str, column))
    cells = column if kinds.isdisjoint((date, datetime)) else _without_zero(column)
    return [_TEXT.get(cell.__class__, str)(cell) for cell in cells]


def unguarded(column: Sequence[str]) -> Sequence[str]:
    """The column without the apostrophes that an error workbook of ours puts before `=`, `+`, `-` and `@`."""
    return [cell[1:] if cell.startswith("'") and cell[1:2] in GUARDED and len(cell) > 1 else cell for cell in column]


def number(value: float) -> str:
    """A number as exact as the file has it: `3`, `0.1`, `0.0000001`, but `3.2058E+17` where digits were lost."""
    if value.is_integer():
        return str(int(value)) if -EXACT < value < EXACT else whole(int(value))
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text


def whole(value: int) -> str:
    """A whole number, with an exponent from 16 digits on."""
    return str(value) if -EXACT < value < EXACT else f"{Decimal(repr(float(value))).normalize():E}"


def moment(value: datetime) -> str:
    """Date and time to the nearest second."""
    if value.microsecond:
        value = (value + timedelta(microseconds=500_000)).replace(microsecond=0)
    return str(value)


def duration(value: timedelta) -> str:
    """Hours, which may be more than 24, minutes and seconds."""
    seconds = round(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _time(value: time) -> str:
    return value.isoformat("seconds")


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"


_MIDNIGHT = time(0, 0)
_TEXT: dict[type, Callable[[Any], str]] = {float: number, int: whole, bool: _truth, datetime: moment, time: _time, timedelta: duration}


def _without_zero(column: Sequence[Any]) -> Iterable[Any]:
    """In a column of dates, the time 00:00 is a date cell that holds the number 0."""
    return (NO_DATE if value.__class__ is time and value == _MIDNIGHT else value for value in column)


class Lines:
    """Some rows of a sheet on their way to the plain form: their `places` (rows of the sheet, from 1), `lines` unquoted, and `rows` of cells."""

    def __init__(self, places: Sequence[int], columns: Sequence[Sequence[str]]) -> None:
        self.places: Sequence[int] = places
        self.rows: list[tuple[str, ...]] = list(zip(*columns, strict=True))
        self.lines: list[str] = list(map(SEPARATOR.join, self.rows))
        self._width = len(columns)

    def drop(self, doomed: Callable[[str], bool]) -> Sequence[int]:
        """Remove the rows whose unquoted line is doomed, and say their places."""
        verdicts = list(map(doomed, self.lines))
        if not any(verdicts):
            return ()
        dropped = list(compress(self.places, verdicts))
        self.keep([not verdict for verdict in verdicts])
        return dropped

    def keep(self, kept: Sequence[bool]) -> None:
        """Only the rows that are to be kept."""
        self.places = list(compress(self.places, kept))
        self.rows, self.lines = list(compress(self.rows, kept)), list(compress(self.lines, kept))

    def longest(self) -> int:
        """Characters of the longest row."""
        return max(map(len, self.lines), default=0)

    def cut(self, at: int) -> Lines:
        """The rows up to `at`; the others stay."""
        front = Lines((), [()] * self._width)
        front.places, front.rows, front.lines = self.places[:at], self.rows[:at], self.lines[:at]
        self.places, self.rows, self.lines = self.places[at:], self.rows[at:], self.lines[at:]
        return front

    def extend(self, others: Lines) -> None:
        """More rows behind these."""
        self.places = [*self.places, *others.places]
        self.rows += others.rows
        self.lines += others.lines

    def written(self) -> bytes:
        """The rows as lines of the plain form; NUL, which no text can hold, becomes U+FFFD."""
        text = "\n".join(self.lines)
        risky = '"' in text or "\r" in text or text.count("\n") != len(self.lines) - 1 or text.count(SEPARATOR) != len(self.lines) * (self._width - 1)
        lines = map(_quoted, self.lines, self.rows) if risky else self.lines
        text = "".join([f"{place}{SEPARATOR}{line}\n" for place, line in zip(self.places, lines, strict=True)])
        return (text.replace("\0", "\ufffd") if "\0" in text else text).encode()


def _quoted(line: str, row: tuple[str, ...]) -> str:
    if '"' not in line and "\n" not in line and "\r" not in line and line.count(SEPARATOR) == len(row) - 1:
        return line
    return SEPARATOR.join('"' + cell.replace('"', '""') + '"' if _RISKY.search(cell) else cell for cell in row)
