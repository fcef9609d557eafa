"""Text of fixed column widths, cut into cells a window of lines at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from connectors.formats import charset, detection
from connectors.formats.charset import WIDE, Charset
from connectors.formats.plain import PLACE, SEPARATOR, Document, Plain, heading_line, lines_of, unread_line
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Rejected

if TYPE_CHECKING:
    from connectors.formats.forms import Expected

Offsets = np.ndarray[Any, np.dtype[np.int64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
PIECE = 1 << 20
MAX_LINE = 8 << 20
_LENGTHS = 20
_BLANK = b" \t\r\x1a\f"
_MARK = SEPARATOR.encode()


class FixedColumn(EndpointConfig):
    """One column; also written in one text, `企业名称=60`, because YAML files have four levels only."""

    name: str = Field(min_length=1, max_length=200, description="Heading of the column, as the catalogue or `map:` knows it.")
    width: int = Field(ge=1, le=32_767, description="How wide it is.")

    @model_validator(mode="before")
    @classmethod
    def _written_in_one(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name, sign, width = value.rpartition("=")
        if not sign or not width.strip().isdecimal():
            raise ValueError("write a column as HEADING=WIDTH, like 企业名称=60")
        return {"name": name.strip(), "width": int(width)}


class FixedFormat(EndpointConfig):
    """Text of fixed column widths."""

    columns: tuple[FixedColumn, ...] = Field(
        min_length=1, max_length=2_000, description="Columns from left to right, each as heading=width: [企业名称=60, 认定日期=8]."
    )
    unit: Literal["bytes", "characters"] = Field(default="bytes", description="What widths count; in GBK files a Chinese character has two bytes.")
    encoding: Literal["auto", "utf-8", "gb18030", "gbk"] = Field(default="auto", description="Character set; gbk is read as GB 18030.")
    skip: int = Field(default=0, ge=0, le=1_000, description="Lines to pass over at the beginning.")
    trim: bool = Field(default=True, description="Whether the blanks that fill a cell up are taken away.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [column.name for column in self.columns]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the column {repeated[0]} is named twice")
        return self


@dataclass(frozen=True, slots=True)
class _Window:
    """Whole lines: `raw` bytes from byte `start`, which is line `line`; where each line begins and ends, without its line end."""

    raw: bytes
    start: int
    line: int
    begins: Offsets
    ends: Offsets

    def text_of(self, i: int, encoding: str) -> str:
        """One line as text. Raises `Rejected` F002."""
        begin = int(self.begins[i])
        return detection.utf8(self.raw[begin : int(self.ends[i])], encoding, start=self.start + begin, line=self.line + i, key="fixed").decode()


@dataclass(slots=True)
class _Count:
    fitting: int = 0
    lengths: Counter[int] = field(default_factory=Counter)

    @property
    def others(self) -> int:
        return self.lengths.total()


class FixedFormer:
    """Makes lines of fixed width into their plain form; the place of a row is its line. A line of another length becomes a row that cannot be read (R100).

    Raises `Rejected`: F002 (encoding), F003 (a line over 8 MiB), F006 (not one line is as long as the columns are wide).
    """

    form = "fixed"

    def __init__(self, options: FixedFormat, expected: Expected) -> None:
        self._options = options
        self._width = sum(column.width for column in options.columns)
        self._names = tuple(column.name for column in options.columns)
        self._edges = [0, *accumulate(column.width for column in options.columns)]

    def convert(self, document: Document, titles: Sequence[str] = ()) -> Generator[bytes, None, Plain]:
        """Pieces of the plain form; `titles` add nothing, for the columns are the feed's own."""
        found = self._charset(document.stream)
        count = _Count()
        yield heading_line(self._names)
        for window in _windows(document.stream, found.mark, self._options.skip):
            if piece := self._lines(window, found.encoding, count):
                yield piece
        if count.others and not count.fitting:
            ((length, _),) = count.lengths.most_common(1)
            message = f"no line has the {self._width} {self._options.unit} of the columns; most have {length}"
            raise Rejected(message, hint="compare `fixed: {columns: …, unit: …}` with the agency's description", code="F006")
        lengths = {str(length): lines for length, lines in count.lengths.most_common(_LENGTHS)}
        evidence = {"encoding": found.encoding, "basis": found.basis, "width": self._width, "unit": self._options.unit}
        return Plain(self.form, self._names, count.fitting + count.others, evidence | ({"other lengths": lengths} if lengths else {}))

    def _charset(self, stream: BinaryIO) -> Charset:
        named = self._options.encoding
        if named == "auto":
            found = detection.detected(stream)
            if found.encoding in WIDE:
                raise Rejected("fixed columns in UTF-16 are not read", hint="ask for UTF-8 or GB 18030", code="F002")
            return found
        marked = charset.marked(detection.beginning(stream, 4))
        return Charset({"gbk": "gb18030"}.get(named, named), marked.mark if marked is not None and marked.encoding == named else 0, "named in the feed")

    def _lines(self, window: _Window, encoding: str, count: _Count) -> bytes:
        """Lines of the plain form of one window, in the order of the document."""
        places, frame, others = self._by_bytes(window, encoding) if self._options.unit == "bytes" else self._by_characters(window, encoding)
        if self._options.trim:
            frame = frame.select(pl.all().str.strip_chars())
        frame = frame.insert_column(0, pl.Series(PLACE, places).cast(pl.String)).filter(pl.any_horizontal(pl.exclude(PLACE) != ""))
        unread = {i: text for i in others if (text := window.text_of(i, encoding)).strip(_BLANK.decode())}
        count.fitting += frame.height
        count.lengths.update(self._length(window, i, text) for i, text in unread.items())
        good = lines_of(frame)
        if not unread:
            return good
        rows = [*zip(map(int, frame[PLACE]), good.splitlines(keepends=True), strict=True)]
        rows += [(window.line + i, unread_line(window.line + i, text, len(self._names))) for i, text in unread.items()]
        return b"".join(text for _, text in sorted(rows))

    def _length(self, window: _Window, i: int, text: str) -> int:
        return len(text) if self._options.unit == "characters" else int(window.ends[i] - window.begins[i])

    def _by_characters(self, window: _Window, encoding: str) -> tuple[Offsets, pl.DataFrame, list[int]]:
        """Line numbers and cells of the lines that fit, and the numbers (from 0) of the others."""
        text = detection.utf8(window.raw, encoding, start=window.start, line=window.line, key="fixed").decode()
        lines = pl.Series("line", text.split("\n")[: len(window.begins)], dtype=pl.String).str.strip_suffix("\r")
        fits = lines.str.len_chars() == self._width
        cells = (
            lines.filter(fits)
            .to_frame()
            .select(pl.col("line").str.slice(at, column.width).alias(column.name) for at, column in zip(self._edges, self._options.columns, strict=False))
        )
        return window.line + np.flatnonzero(fits.to_numpy()), cells, np.flatnonzero(~fits.to_numpy()).tolist()

    def _by_bytes(self, window: _Window, encoding: str) -> tuple[Offsets, pl.DataFrame, list[int]]:
        """The same where widths count bytes: cells are cut before they are decoded."""
        fits = window.ends - window.begins == self._width
        if _MARK in window.raw:
            for i in np.flatnonzero(fits):
                fits[i] = _MARK not in window.raw[window.begins[i] : window.ends[i]]
        try:
            text = detection.utf8(self._cut(window, fits), encoding, start=0, line=0, key="fixed")
        except Rejected:
            for i in np.flatnonzero(fits):
                fits[i] = self._falls_between_characters(window, int(i), encoding)
            text = detection.utf8(self._cut(window, fits), encoding, start=0, line=0, key="fixed")
        schema = dict.fromkeys(self._names, pl.String())
        cells = pl.read_csv(text, separator=SEPARATOR, has_header=False, schema=schema, quote_char=None) if text else pl.DataFrame(schema=schema)
        return window.line + np.flatnonzero(fits), cells.with_columns(pl.all().fill_null("")), np.flatnonzero(~fits).tolist()

    def _cut(self, window: _Window, fits: np.ndarray[Any, np.dtype[np.bool_]]) -> bytes:
        """The lines that fit, with a separator behind each cell and a line end behind the last."""
        codes: Bytes = np.frombuffer(window.raw, np.uint8)
        begins = window.begins[fits]
        cut = np.full((len(begins), self._width + len(self._names)), ord(SEPARATOR), np.uint8)
        cut[:, -1] = ord("\n")
        cells = np.arange(self._width) + np.repeat(np.arange(len(self._names)), np.diff(self._edges))
        cut[:, cells] = codes[begins[:, None] + np.arange(self._width)]
        return cut.tobytes()

    def _falls_between_characters(self, window: _Window, i: int, encoding: str) -> bool:
        """Whether each cell of a line is text by itself. Raises `Rejected` F002 where the line is none."""
        window.text_of(i, encoding)
        begin = int(window.begins[i])
        return all(detection.fitting(cell := window.raw[begin + at : begin + until], encoding, final=True) == len(cell) for at, until in pairwise(self._edges))


def _windows(stream: BinaryIO, start: int, skip: int) -> Iterator[_Window]:
    """Whole lines, about a MiB at a time, from line `skip + 1` on. Raises `Rejected` F003 for a line over 8 MiB."""
    stream.seek(start)
    held, number = b"", 1
    while True:
        piece = stream.read(PIECE)
        held += piece
        until = held.rfind(b"\n") + 1 if piece else len(held)
        if len(held) - until > MAX_LINE:
            number += held.count(b"\n", 0, until)
            raise Rejected(f"line {number} is longer than {MAX_LINE >> 20} MiB", hint="the line ends are missing", code="F003")
        if until:
            window = _window(held[:until], start, number)
            passed = max(0, skip + 1 - number)
            number += len(window.begins)
            start, held = start + until, held[until:]
            if passed < len(window.begins):
                yield _Window(window.raw, window.start, window.line + passed, window.begins[passed:], window.ends[passed:])
        if not piece:
            return


def _window(raw: bytes, start: int, number: int) -> _Window:
    newlines = charset.line_ends(raw, "utf-8")
    ends = newlines - 1 if raw.endswith(b"\n") else np.append(newlines - 1, len(raw))
    begins = np.concatenate(([0], newlines))[: len(ends)]
    codes = np.frombuffer(raw, np.uint8)
    returned = (ends > begins) & (codes[np.maximum(ends - 1, 0)] == ord("\r"))
    return _Window(raw, start, number, begins, ends - returned)
