"""Whole records from a stream, one window at a time: never more in memory than a few blocks, however long the file is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from connectors.formats import charset
from connectors.formats.cut import MAX_LINE, Cut, single_delimiter, too_long
from connectors.formats.records import Layout, Offsets, lay_out
from hub.contracts.errors import Rejected
from hub.contracts.source import Recognise, Recognised

Mask = np.ndarray[Any, np.dtype[np.bool_]]
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Window:
    """`raw` bytes from `start` (line `line`) of a file as UTF-8 `text` laid out in records; `delimiter` is one byte in it."""

    raw: bytes
    text: bytes
    delimiter: int
    layout: Layout
    start: int
    line: int

    def lines_before(self, offset: int, encoding: str) -> int:
        """How many lines of the window begin before byte `offset` of the file."""
        if offset >= self.start + len(self.raw):
            return self.layout.used_lines + 1
        return int(np.searchsorted(charset.line_ends(self.raw, encoding), offset - self.start, side="right")) if offset > self.start else 0


def window_of(raw: bytes, cut: Cut, *, start: int, line: int, final: bool) -> Window:
    """Decode and lay out whole lines; unless `final`, records at the end that are not whole yet are left out of the layout."""
    delimiter, text = single_delimiter(charset.to_utf8(raw, cut.encoding, start=start, line=line), cut.delimiter)
    return Window(raw, text, delimiter, lay_out(text, delimiter, quote=cut.quote, final=final), start, line)


@dataclass(frozen=True, slots=True)
class Known:
    """`raw` bytes from `start` (line `line`), `lines` of them, that were seen before: they need not be looked at again."""

    raw: bytes
    start: int
    line: int
    lines: int
    seen: Recognised


def windows(stream: BinaryIO, cut: Cut, *, start: int, line: int, rows: int, size: int, recognise: Recognise = lambda raw: None) -> Iterator[Window | Known]:
    """Windows of at most `rows` lines and about `size` bytes, or of one record where that is longer. Raises `Rejected` F002, F003."""
    stream.seek(start)
    buffer = _Buffer(stream)
    while start < cut.size:
        lines, wanted, seen = rows, size, None
        while True:
            ends, ended = buffer.fill(lines, wanted, cut.encoding, line)
            count = max(1, min(lines, int(np.searchsorted(ends, wanted, side="right"))))
            final = ended and count >= len(ends)
            raw = buffer.data if final else buffer.data[: int(ends[count - 1])] if len(ends) else b""
            if raw and (seen := recognise(raw)) is not None:
                break
            window = window_of(raw, cut, start=start, line=line, final=final)
            if window.layout.used_lines or final:
                break
            lines, wanted = lines * 2, wanted * 2
        if seen is not None:
            yield Known(raw, start, line, count, seen)
            buffer.drop(len(raw))
            start, line = start + len(raw), line + count
            continue
        window = _trimmed(window, ends)
        if not window.raw:
            return
        yield window
        buffer.drop(len(window.raw))
        start, line = start + len(window.raw), line + window.layout.used_lines


def read_exactly(stream: BinaryIO, start: int, end: int) -> bytes:
    """Bytes `start` to `end`. Raises `Rejected` where the stream ends before."""
    stream.seek(start)
    pieces, missing = [], end - start
    while missing and (piece := stream.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    if missing:
        raise Rejected(f"the landed file ends {missing} bytes before byte {end}", hint="run `run_hub.py reconcile`; restore the object from a backup")
    return b"".join(pieces)


def lines_between(stream: BinaryIO, start: int, end: int, encoding: str) -> int:
    """Line ends from byte `start` to `end`."""
    stream.seek(start)
    found = 0
    while start < end and (piece := stream.read(min(PIECE, end - start))):
        found += len(charset.line_ends(piece, encoding))
        start += len(piece)
    return found


def _trimmed(window: Window, ends: Offsets) -> Window:
    """The window without what belongs to no whole record yet."""
    if window.layout.used == len(window.text):
        return window
    return replace(window, raw=window.raw[: int(ends[window.layout.used_lines - 1])], text=window.text[: window.layout.used])


class _Buffer:
    """Bytes read ahead from a stream, and whether it has ended."""

    def __init__(self, stream: BinaryIO) -> None:
        self.data = b""
        self._stream = stream
        self._ended = False

    def fill(self, lines: int, size: int, encoding: str, line: int) -> tuple[Offsets, bool]:
        """Read until there are `lines` line ends, `size` bytes or nothing more; offsets behind line ends, and whether that is all.

        Raises `Rejected` F003 for a line over 8 MiB before reading it whole.
        """
        pieces, held, newlines = [self.data], len(self.data), self.data.count(b"\n")
        while not self._ended and (newlines < lines and held < size):
            piece = self._stream.read(PIECE)
            self._ended = not piece
            pieces.append(piece)
            held, newlines = held + len(piece), newlines + piece.count(b"\n")
        self.data = b"".join(pieces)
        ends = charset.line_ends(self.data, encoding)
        lengths = np.diff(ends, prepend=0, append=len(self.data))
        if len(lengths) and int(lengths.max()) > MAX_LINE:
            raise too_long(line + int(np.argmax(lengths > MAX_LINE)))
        return ends, self._ended

    def drop(self, size: int) -> None:
        """Forget the first `size` bytes."""
        self.data = self.data[size:]
