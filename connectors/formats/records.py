"""Where records and cells begin and end in delimited text (RFC 4180), found with array operations.

A quotation mark opens a cell only as its first character and closes it only as its last; anywhere else it is stray, and its line is no record.
A quoted record that does not close within 1 MiB is stray as well, so one lost quotation mark never swallows the rest of a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

Offsets = np.ndarray[Any, np.dtype[np.int64]]

NEWLINE, RETURN, QUOTE = 10, 13, 34
QUOTED_MAX = 1 << 20  # bytes of one record that spans several lines
STRAY = 0  # cell count of a line with a stray quotation mark


@dataclass(frozen=True, slots=True)
class Layout:
    """Records of a text: `starts` and `ends` (without the newline) as offsets, `lines` (physical, from 0) and how many `cells` each has.

    `used` is how many bytes belong to whole records; what follows needs more text to be decided. `used_lines` is the same in lines.
    """

    starts: Offsets
    ends: Offsets
    lines: Offsets
    cells: Offsets
    used: int
    used_lines: int


def lay_out(text: bytes, delimiter: int, *, quote: bool, final: bool) -> Layout:
    """Records of UTF-8 `text`, whose last line ends in a newline unless `final`, which says that nothing follows."""
    codes = np.frombuffer(text, np.uint8)
    if not quote or b'"' not in text:
        return _plain(codes, delimiter)
    layout = _quoted(codes, delimiter, final)
    return _careful(text, delimiter, final) if layout is None else layout


def split(record: bytes, delimiter: int, *, quote: bool) -> list[str]:
    """Cells of one record as text, unquoted; empty for a record with a stray quotation mark."""
    if not quote or b'"' not in record:
        return record.rstrip(b"\r\n").decode().split(chr(delimiter))
    if _record(delimiter).fullmatch(record) is None:
        return []
    cells = _cell(delimiter).findall(record.rstrip(b"\r\n"))
    return [(c[1:-1].replace(b'""', b'"') if c.startswith(b'"') else c).decode() for c in cells]


def _plain(codes: np.ndarray[Any, np.dtype[np.uint8]], delimiter: int) -> Layout:
    marks = np.flatnonzero((codes == NEWLINE) | (codes == delimiter))
    at = np.flatnonzero(codes[marks] == NEWLINE)
    return _from_marks(len(codes), marks, at, np.arange(len(at) + 1), len(codes))


def _from_marks(size: int, marks: Offsets, at: Offsets, lines: Offsets, used: int) -> Layout:
    """Layout from all structural marks and the indices `at` of those that end a record; a record without newline may follow."""
    ends = marks[at]
    cells = np.diff(at, prepend=-1)
    starts = np.concatenate(([0], ends + 1))
    if starts[-1] < used:  # the last line has no newline
        ends, cells = np.append(ends, used), np.append(cells, len(marks) - (int(at[-1]) + 1 if len(at) else 0) + 1)
    count = len(ends)
    return Layout(starts[:count], ends, lines[:count], cells, used, int(lines[count]) if count < len(lines) else int(lines[-1]) + 1)


def _quoted(codes: np.ndarray[Any, np.dtype[np.uint8]], delimiter: int, final: bool) -> Layout | None:
    """Layout of text whose quotation marks are all in place; None when one is stray and each line must be looked at."""
    marks = np.flatnonzero((codes == NEWLINE) | (codes == delimiter) | (codes == QUOTE))
    kinds = codes[marks]
    inside = np.cumsum(kinds == QUOTE) & 1
    outside = (kinds != QUOTE) & (inside == 0)
    structural, kinds_out = marks[outside], kinds[outside]
    at = np.flatnonzero(kinds_out == NEWLINE)
    used = len(codes) if final else (int(structural[at[-1]]) + 1 if len(at) else 0)
    if _is_stray(codes, marks[kinds == QUOTE], delimiter) or (final and inside[-1]):
        return None
    newlines = marks[kinds == NEWLINE]
    starts = np.concatenate(([0], structural[at] + 1))
    lines = np.searchsorted(newlines, starts)
    several = np.diff(lines) > 1
    if len(codes) - used >= QUOTED_MAX or (np.diff(starts)[several] > QUOTED_MAX).any() or (final and len(codes) - int(starts[-1]) > QUOTED_MAX):
        return None
    if final and starts[-1] < len(codes):
        lines = np.append(lines, len(newlines) + 1)
    keep = structural < used
    return _from_marks(len(codes), structural[keep], at, lines, used)


def _is_stray(codes: np.ndarray[Any, np.dtype[np.uint8]], quotes: Offsets, delimiter: int) -> bool:
    opening, closing, end = quotes[::2], quotes[1::2], len(codes) - 1
    before = codes[np.maximum(opening - 1, 0)]
    opened = (opening == 0) | (before == NEWLINE) | (before == delimiter) | (before == QUOTE)
    after, second = codes[np.minimum(closing + 1, end)], codes[np.minimum(closing + 2, end)]
    returned = (after == RETURN) & ((closing + 2 > end) | (second == NEWLINE))
    closed = (closing == end) | (after == NEWLINE) | (after == delimiter) | (after == QUOTE) | returned
    return not (bool(opened.all()) and bool(closed.all()))


@lru_cache
def _record(delimiter: int) -> re.Pattern[bytes]:
    mark = re.escape(bytes([delimiter]))
    cell = rb'(?:"(?:[^"]++|"")*+"|(?!")[^"%b\n]*+)' % mark
    return re.compile(rb"%b(?:%b%b)*+\r?+(?:\n|\Z)" % (cell, mark, cell))


@lru_cache
def _cell(delimiter: int) -> re.Pattern[bytes]:
    mark = re.escape(bytes([delimiter]))
    return re.compile(rb'(?:\A|(?<=%b))(?:"(?:[^"]++|"")*+"(?=%b|\Z)|[^"%b]*+(?=%b|\Z))' % (mark, mark, mark, mark))


@lru_cache
def _open(delimiter: int) -> re.Pattern[bytes]:
    """A record that the end of the text leaves open inside a quoted cell."""
    mark = re.escape(bytes([delimiter]))
    return re.compile(rb'(?:(?:"(?:[^"]++|"")*+"|(?!")[^"%b\n]*+)%b)*+"(?:[^"]++|"")*+\Z' % (mark, mark))


def _careful(text: bytes, delimiter: int, final: bool) -> Layout:
    """Layout of text with stray quotation marks: record by record, a line that is no record is named and left."""
    starts, ends, lines, cells = [], [], [], []
    record, opened, position, line = _record(delimiter), _open(delimiter), 0, 0
    while position < len(text):
        newline = text.find(b"\n", position)
        until = len(text) if newline < 0 else newline + 1
        match = record.match(text, position)
        if match is not None and match.end() > until and match.end() - position > QUOTED_MAX:
            match = None
        if match is None and not final and len(text) - position < QUOTED_MAX and opened.match(text, position):
            break
        stop = until if match is None else match.end()
        starts.append(position)
        ended = text.endswith(b"\n", position, stop)
        ends.append(stop - ended)
        lines.append(line)
        cells.append(STRAY if match is None else _count(text[position:stop], delimiter))
        line += text.count(b"\n", position, stop) + (not ended)
        position = stop
    columns = [np.array(column, np.int64) for column in (starts, ends, lines, cells)]
    return Layout(columns[0], columns[1], columns[2], columns[3], position, line)


def _count(record: bytes, delimiter: int) -> int:
    if b'"' not in record:
        return record.count(delimiter) + 1
    return len(_cell(delimiter).findall(record.rstrip(b"\r\n")))
