"""Delimited text in blocks: cut at line ends, decoded strictly, parsed column by column, every row accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import polars as pl

from connectors.formats import records
from connectors.formats.cut import CsvFormat, Cut, examine
from connectors.formats.window import Known, Mask, Window, lines_between, read_exactly, window_of, windows
from hub.contracts.batch import LINE, ORDINAL, RAW, REFUSED_SCHEMA, UNREAD_SCHEMA, none_filtered, none_refused
from hub.contracts.errors import Rejected
from hub.contracts.source import Recognise, Recognised

ROWS = 50_000
BYTES = 16 << 20

__all__ = ["Block", "CsvFormat", "CsvReader", "Cut"]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of bytes `start` to `end` of a file: `rows` ordinals from `first`, each in `frame`, `refused` or `filtered`.

    One that was `seen` in an earlier batch holds nothing but its ordinals.

    `frame` has ORDINAL, LINE and a text column per title; `refused` follows REFUSED_SCHEMA with code R100; `filtered` holds ordinals.
    """

    frame: pl.DataFrame
    refused: pl.DataFrame
    filtered: pl.Series
    start: int
    end: int
    line: int
    next_line: int
    first: int
    rows: int
    raw: bytes
    seen: Recognised | None = None


class CsvReader:
    """Reads delimited text of one feed. `known` are the item's headings, normalised; they find the heading line and the dialect."""

    def __init__(self, options: CsvFormat, known: frozenset[str]) -> None:
        self._options = options
        self._known = known

    def examine(self, stream: BinaryIO, size: int) -> Cut:
        """How the file is cut; see `connectors.formats.cut.examine` for the reasons to refuse it."""
        return examine(stream, size, self._options, self._known)

    def blocks(
        self, stream: BinaryIO, cut: Cut, *, start: int, line: int, first: int, rows: int = ROWS, size: int = BYTES, recognise: Recognise = lambda raw: None
    ) -> Iterator[Block]:
        """Blocks of at most `rows` lines and about `size` bytes, from byte `start` on, which is line `line` and ordinal `first`.

        A block that `recognise` knows is not parsed. Raises `Rejected` F002 (undecodable, NUL) and F003 (a line over 8 MiB) when it gets there.
        """
        for window in windows(stream, cut, start=start, line=line, rows=rows, size=size, recognise=recognise):
            block = _known(window, first) if isinstance(window, Known) else _block(window, _sort(window, cut), cut, first)
            first += block.rows
            if block.rows:
                yield block

    def block(self, stream: BinaryIO, cut: Cut, *, start: int, end: int, line: int, first: int) -> Block:
        """The very same block again. Raises `Rejected` where the stream is shorter than it was."""
        window = window_of(read_exactly(stream, start, end), cut, start=start, line=line, final=True)
        return _block(window, _sort(window, cut), cut, first)

    def line_at(self, stream: BinaryIO, cut: Cut, offset: int) -> int:
        """Physical line that begins at byte `offset`, which is known to follow a line end."""
        return cut.line + (lines_between(stream, cut.start, offset, cut.encoding) if offset > cut.start else 0)

    def count(self, stream: BinaryIO, cut: Cut) -> int:
        """Records of the whole file without parsing them; closing totals and empty rows are none."""
        rows = 0
        for window in windows(stream, cut, start=cut.start, line=cut.line, rows=ROWS, size=BYTES):
            assert isinstance(window, Window), "nothing is recognised without being asked for"
            kept = _sort(window, cut)
            rows += int((kept.filled & ~kept.filtered).sum())
        return rows


@dataclass(frozen=True, slots=True)
class _Kept:
    """What each record of a window is, as masks over the layout: `filled` ones are rows, of which some are `filtered`; `whole` ones fit the heading."""

    filled: Mask
    filtered: Mask
    whole: Mask


def _sort(window: Window, cut: Cut) -> _Kept:
    layout, codes, wanted = window.layout, np.frombuffer(window.text, np.uint8), len(cut.titles)
    if not len(layout.starts):
        return _Kept(*(np.zeros(0, np.bool_) for _ in range(3)))
    last = np.maximum(layout.ends - 1, 0)
    last = np.where((codes[last] == records.RETURN) & (layout.ends > layout.starts), last - 1, last)
    width = last + 1 - layout.starts
    filled = width > 0
    if wanted > 1:
        for i in np.flatnonzero(filled & (layout.cells == 1) & (width < 256) & (codes[layout.starts] <= 32)):
            filled[i] = not window.text[layout.starts[i] : layout.ends[i]].isspace()
    closing = layout.lines >= window.lines_before(cut.tail, cut.encoding)
    hollow = (width == layout.cells - 1) & (wanted > 1)
    surplus = (layout.cells == wanted + 1) & (codes[np.maximum(last, 0)] == window.delimiter)
    return _Kept(filled, filled & (closing | hollow), (layout.cells == wanted) | surplus)


def _known(window: Known, first: int) -> Block:
    rows = window.seen.rows
    frame = pl.DataFrame({ORDINAL: pl.int_range(first, first + rows, dtype=pl.Int64, eager=True)})
    end, next_line = window.start + len(window.raw), window.line + window.lines
    return Block(frame, none_refused(), none_filtered(), window.start, end, window.line, next_line, first, rows, window.raw, window.seen)


def _block(window: Window, kept: _Kept, cut: Cut, first: int) -> Block:
    filled = kept.filled
    ordinals = first + np.cumsum(filled) - 1
    good = filled & kept.whole & ~kept.filtered
    frame = _parse(window, good, cut)
    lines = pl.Series(LINE, window.line + window.layout.lines[good], dtype=pl.Int64)
    if cut.placed:
        lines = frame.get_column(frame.columns[0]).cast(pl.Int64, strict=False).fill_null(lines).alias(LINE)
        frame = frame.drop(frame.columns[0])
    frame = frame.with_columns(pl.Series(ORDINAL, ordinals[good], dtype=pl.Int64), lines)
    frame = frame.select(ORDINAL, LINE, pl.exclude(ORDINAL, LINE))
    filtered = pl.Series(ORDINAL, ordinals[kept.filtered], dtype=pl.Int64)
    headings = _headings(frame, cut) if cut.form == "csv" else filtered.clear()
    if headings.len():
        filtered = filtered.append(headings).sort()
        frame = frame.filter(~pl.col(ORDINAL).is_in(headings.implode()))
    return Block(
        frame,
        _refused(window, filled & ~kept.whole & ~kept.filtered, ordinals, cut),
        filtered,
        window.start,
        window.start + len(window.raw),
        window.line,
        window.line + window.layout.used_lines,
        first,
        int(filled.sum()),
        window.raw,
    )


def _parse(window: Window, good: Mask, cut: Cut) -> pl.DataFrame:
    """The good records as text columns. Quotation marks are looked at only where there are any."""
    schema = dict.fromkeys(cut.names, pl.String())
    text = window.text if good.all() else _picked(window, good)
    if not text:
        return pl.DataFrame(schema=schema)
    quoted = cut.quote and b'"' in text
    frame = pl.read_csv(
        text if text.endswith(b"\n") else text.removesuffix(b"\r") + b"\n",
        separator=chr(window.delimiter),
        has_header=False,
        schema=schema,
        quote_char='"' if quoted else None,
        extra_columns="ignore",
    )
    if frame.height != int(good.sum()):
        raise Rejected(f"lines {window.line} to {window.line + window.layout.used_lines} cannot be told apart reliably", hint="report this file", code="F001")
    if quoted:
        frame = frame.select(pl.when(pl.all() != "").then(pl.all()))
    if len(cut.delimiter) > 1 and quoted:
        frame = frame.select(pl.all().str.replace_all(chr(window.delimiter), cut.delimiter, literal=True))
    return frame


def _picked(window: Window, good: Mask) -> bytes:
    """Text of the good records only, joined from runs of neighbours."""
    edges = np.diff(np.concatenate(([0], good.astype(np.int8), [0])))
    bounds = np.append(window.layout.starts, len(window.text))
    runs = zip(bounds[np.flatnonzero(edges == 1)].tolist(), bounds[np.flatnonzero(edges == -1)].tolist(), strict=True)
    return b"".join(window.text[begin:end] for begin, end in runs)


def _headings(frame: pl.DataFrame, cut: Cut) -> pl.Series:
    """Ordinals of rows that repeat the heading line. One column is looked at first: it is almost never the heading."""
    named = [pl.col(name).str.strip_chars() == title for name, title in zip(cut.names, cut.titles, strict=True) if title]
    if not named or not frame.height:
        return pl.Series(ORDINAL, [], dtype=pl.Int64)
    return frame.filter(named[0]).filter(pl.all_horizontal(named))[ORDINAL]


def _refused(window: Window, bad: Mask, ordinals: records.Offsets, cut: Cut) -> pl.DataFrame:
    if not bad.any():
        return pl.DataFrame(schema=UNREAD_SCHEMA)
    layout = window.layout
    open_end = (layout.ends == len(window.text)) & (window.start + len(window.raw) == cut.size)
    line, cells = pl.col("line").cast(pl.String), pl.col("cells").cast(pl.String)
    texts = [window.text[begin:end].decode() for begin, end in zip(layout.starts[bad].tolist(), layout.ends[bad].tolist(), strict=True)]
    rows = pl.DataFrame({ORDINAL: ordinals[bad], "line": window.line + layout.lines[bad], "cells": layout.cells[bad], "open": open_end[bad], RAW: texts})
    if cut.placed:
        rows = _in_document(rows)
    reason = (
        pl.when(pl.lit(cut.placed))
        .then(pl.format("第 {} 行不能分成列 · row {} of the document cannot be read as cells", line, line))
        .when(pl.col("cells") == records.STRAY)
        .then(pl.format("第 {} 行引号位置不对 · line {}: a quotation mark inside a cell or never closed", line, line))
        .when(pl.col("open") & (pl.col("cells") < len(cut.titles)))
        .then(pl.format("第 {} 行不完整，文件在此中断 · line {}: the file breaks off inside this line", line, line))
        .otherwise(
            pl.format(f"第 {{}} 行有 {{}} 列，标题有 {len(cut.titles)} 列 · line {{}}: {{}} cells, {len(cut.titles)} headings", line, cells, line, cells)
        )
    )
    return rows.select(ORDINAL, pl.lit("R100").alias("code"), pl.lit("").alias("field"), reason.alias("reason"), "line", RAW).cast(
        {ORDINAL: REFUSED_SCHEMA[ORDINAL]}
    )


def _in_document(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of a plain form that are no cells, with the place in their document and the text as it stands there."""
    place, quoted = pl.col(RAW).str.extract(r"^(\d{1,18})\x1f"), pl.col(RAW).str.replace(r"^\d{1,18}\x1f", "")
    text = (
        pl.when(quoted.str.starts_with('"')).then(quoted.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"', literal=True)).otherwise(quoted)
    )
    return rows.with_columns(place.cast(pl.Int64).fill_null(pl.col("line")).alias("line"), text.alias(RAW))
