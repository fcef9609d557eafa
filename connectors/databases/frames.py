"""The document that a pull from a database lands: delimited text as the database's driver gives it, with a heading, and nothing to guess about.

Its first line tells it apart from any other document, and holds a stamp where equal rows must not make an equal document. Its second line names the columns.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import partial
from typing import BinaryIO

import polars as pl

from connectors.databases.dialect import SEPARATOR
from connectors.formats.cut import MAX_LINE, Cut
from connectors.formats.plain import line, lines_of
from connectors.formats.reading import Examine
from connectors.formats.records import QUOTED_MAX
from hub.contracts.errors import Rejected
from hub.contracts.headings import normalise_heading

FORM = "rows"
_MOST_HEADING = 1 << 20
_SEEDS = (20_131, 314_159)  # two hashes of 64 bits each: rows that differ are told apart for certain

_LARGE = 500_000  # bytes of a row that are surely within bounds, quotation marks doubled
_KEPT = 1_000  # bytes of a cell that is kept of a row beyond them
TOO_LONG = "⟨本行过长，长的内容未接收⟩"


def heading(columns: Sequence[str], stamp: str = "") -> bytes:
    """The first two lines of a document."""
    return line(("", FORM, stamp)) + line(columns)


def examine(known: frozenset[str]) -> Examine:
    """How such documents are cut. Raises `Rejected` F001 for any other document."""
    return partial(_examine, known)


def _examine(known: frozenset[str], stream: BinaryIO, size: int) -> Cut:
    stream.seek(0)
    first, second = stream.readline(_MOST_HEADING), stream.readline(_MOST_HEADING)
    if not first.startswith(f"{SEPARATOR}{FORM}{SEPARATOR}".encode()) or not second.endswith(b"\n"):
        raise Rejected("the document does not hold rows of a database", hint="report this; the next pull lands them anew", code="F001")
    titles = tuple(next(csv.reader(io.StringIO(second.decode(), newline=""), delimiter=SEPARATOR)))
    matched = len({name for name in map(normalise_heading, titles) if name in known})
    return Cut("utf-8", "rows of a database", 0, SEPARATOR, True, titles, matched, len(first) + len(second), 2, size, size, form=FORM)


def frame_of(lines: bytes, columns: Sequence[str]) -> pl.DataFrame:
    """Lines as a frame of text columns; null is nothing."""
    schema = dict.fromkeys(columns, pl.String())
    if not lines:
        return pl.DataFrame(schema=schema)
    quoted = b'"' in lines
    frame = pl.read_csv(lines, separator=SEPARATOR, has_header=False, schema=schema, quote_char='"' if quoted else None, extra_columns="ignore")
    return frame.select(pl.when(pl.all() != "").then(pl.all())) if quoted else frame


def rows_of(frame: pl.DataFrame) -> bytes:
    """Lines of a frame; inverse of `frame_of`."""
    return lines_of(frame) if frame.height else b""


def bounded(lines: bytes, columns: Sequence[str]) -> tuple[bytes, int]:
    """Lines in which no row is longer than a reader takes (8 MiB, 1 MiB where it spans several lines), and how many rows were.

    Of such a row the long cells are left out, and it gets one cell more than there are columns: its reader sets it aside (R100), alone.
    """
    if not _may_be_long(lines, len(columns)):
        return lines, 0
    frame = frame_of(lines, columns)
    large = frame.select(pl.arg_where(pl.sum_horizontal(pl.all().str.len_bytes().fill_null(0)) > _LARGE)).to_series().to_list()
    aside = [at for at in large if _too_long(line(frame.row(at)))]
    if not aside:
        return lines, 0
    parts, done = [], 0
    for at in aside:
        parts += [rows_of(frame[done:at]), _shortened(frame.row(at))]
        done = at + 1
    return b"".join([*parts, rows_of(frame[done:])]), len(aside)


def _may_be_long(lines: bytes, columns: int) -> bool:
    """Told without taking rows apart: cells that are short everywhere make no long row, and where nothing is quoted each line is a row."""
    if len(lines) <= QUOTED_MAX:
        return False
    mark, step = (SEPARATOR.encode(), QUOTED_MAX // (2 * columns)) if b'"' in lines else (b"\n", QUOTED_MAX)
    return any(lines.find(mark, at, at + step) < 0 for at in range(0, len(lines) - step + 1, step))


def _too_long(text: bytes) -> bool:
    return len(text) > (QUOTED_MAX if b"\n" in text[:-1] else MAX_LINE)


def _shortened(cells: Sequence[str | None]) -> bytes:
    return line([*(cell if cell and len(cell.encode()) <= _KEPT else None for cell in cells), TOO_LONG])


def hashes(frame: pl.DataFrame) -> pl.DataFrame:
    """Two columns `a` and `b` that tell each row's content."""
    first, second = (frame.hash_rows(seed) for seed in _SEEDS)
    return pl.DataFrame({"a": first, "b": second})


def without(frame: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """Rows whose content is not among `seen` hashes, in their order."""
    found = hashes(frame).with_row_index("at").join(seen, on=["a", "b"], how="anti", maintain_order="left")
    return frame if found.height == frame.height else frame[found.get_column("at")]
