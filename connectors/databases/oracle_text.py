"""Fetched Oracle columns as lines of text: plain digits, one form of times, nothing as an empty cell; what was odd is counted."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal

import polars as pl

from connectors.databases.dialect import SEPARATOR, Column, Piece
from connectors.databases.oracle_types import Kind, kind_of

PIECE = 3 << 20
_TIMES: frozenset[Kind] = frozenset(("date", "second", "time", "fine", "zoned"))
_MAY_BE_EMPTY: frozenset[Kind] = frozenset(("padded", "clob", "xml"))  # EMPTY_CLOB() is not NULL; VARCHAR2 is never empty
_REPLACED = "\ufffd".encode()
_TEXTS: frozenset[Kind] = frozenset(("text", "national", "padded", "clob", "long", "xml"))


def pieces(fetched: pl.DataFrame, columns: Sequence[Column], odd: Counter[tuple[str, str]]) -> Iterator[Piece]:
    """Pieces of a few MiB of a fetched frame, whose columns are C1, C2, … and L1, L2, … as `oracle_statements.reading` names them."""
    _count_excess(fetched, columns, odd)
    frame = pl.DataFrame([_plain(fetched[f"C{i}"], column, odd) for i, column in enumerate(columns, 1)])
    rows = max(1, frame.height * PIECE // max(int(frame.estimated_size()), PIECE))
    for part in frame.iter_slices(rows):
        lines = _lines(part)
        if not _clean(lines):
            part = pl.DataFrame([_mended(values, column, odd) for values, column in zip(part.get_columns(), columns, strict=True)])
            lines = _lines(part)
        yield Piece(lines, part.height, part.row(part.height - 1))


def hashed(fetched: pl.DataFrame) -> pl.DataFrame:
    """Per bucket B: rows, and the sums of two 64-bit hashes of each row's other columns."""
    texts = [pl.col(name).bin.encode("hex") if kind == pl.Binary else pl.col(name).cast(pl.String) for name, kind in fetched.schema.items() if name != "B"]
    row = pl.concat_str([text.fill_null("") for text in texts], separator=SEPARATOR)
    both = fetched.select(pl.col("B").cast(pl.Int64), *(row.hash(seed).cast(pl.Int128).alias(f"h{seed}") for seed in (1, 2)))
    return both.group_by("B").agg(pl.len(), pl.col("h1").sum(), pl.col("h2").sum())


def _lines(part: pl.DataFrame) -> bytes:
    lines = io.BytesIO()
    nothing = '""' if part.width == 1 else ""  # an empty line is no row
    part.write_csv(lines, include_header=False, separator=SEPARATOR, quote_style="necessary", null_value=nothing, line_terminator="\n")
    return lines.getvalue()


def _clean(lines: bytes) -> bool:
    """Whether the text needs no second look: UTF-8 without NUL and without replaced characters. Looking at the bytes at once is quicker than by column."""
    if b"\0" in lines or _REPLACED in lines:
        return False
    try:
        lines.decode()
    except UnicodeDecodeError:
        return False
    return True


def _plain(values: pl.Series, column: Column, odd: Counter[tuple[str, str]]) -> pl.Series:
    kind = kind_of(column)
    if values.dtype == pl.Binary:
        return values.bin.encode("hex").str.to_uppercase()
    if kind == "double":
        return _floating(values, column, odd)
    values = values.cast(pl.String)
    if kind == "number":
        return _number(values)
    if kind in _TIMES:
        return _time(values, column, odd)
    return values.set(values == "", None) if kind in _MAY_BE_EMPTY else values


def _mended(values: pl.Series, column: Column, odd: Counter[tuple[str, str]]) -> pl.Series:
    if kind_of(column) not in _TEXTS:
        return values
    values = _readable(values, column, odd)
    nul = values.str.contains("\0", literal=True).sum()
    if nul:
        odd[column.name, "nul_taken_out"] += int(nul)
        values = values.str.replace_all("\0", "", literal=True)
    replaced = values.str.contains("\ufffd", literal=True).sum()
    if replaced:
        odd[column.name, "unknown_characters"] += int(replaced)
    return values.set(values == "", None)


def _readable(values: pl.Series, column: Column, odd: Counter[tuple[str, str]]) -> pl.Series:
    """Bytes that are no UTF-8, as some old programs store them past every conversion, show as U+FFFD, and are counted."""
    raw = values.cast(pl.Binary)
    checked = raw.cast(pl.String, strict=False)
    wrong = checked.is_null() & raw.is_not_null()
    if not wrong.any():
        return checked
    odd[column.name, "no_utf8"] += int(wrong.sum())
    mended = [bytes(value).decode("utf-8", "replace") for value in raw.filter(wrong)]
    return checked.scatter(wrong.arg_true(), mended)


def _number(values: pl.Series) -> pl.Series:
    """TM9 leaves out the zero before the point, and falls back on an exponent beyond 64 characters."""
    text = pl.col("v")
    whole = (
        pl.when(text.str.starts_with("."))
        .then("0" + text)
        .when(text.str.starts_with("-."))
        .then("-0" + text.str.slice(1))
        .otherwise(text)
    )  # fmt: skip
    return _expanded(values.to_frame("v").select(whole).to_series().alias(values.name))


def _floating(values: pl.Series, column: Column, odd: Counter[tuple[str, str]]) -> pl.Series:
    """The shortest digits that mean the same number."""
    endless = values.is_not_null() & ~values.is_finite()
    if endless.any():
        odd[column.name, "no_number"] += int(endless.sum())
        values = values.set(endless, None)
    return _expanded(values.cast(pl.String).str.strip_suffix(".0"))


def _expanded(values: pl.Series) -> pl.Series:
    """Numbers written with an exponent, as plain digits."""
    scientific = values.str.contains("(?i)e").fill_null(False)
    if not scientific.any():
        return values
    distinct = values.filter(scientific).unique()
    digits = pl.Series([f"{Decimal(value):f}" for value in distinct], dtype=pl.String)
    return values.replace(distinct, digits)


def _time(values: pl.Series, column: Column, odd: Counter[tuple[str, str]]) -> pl.Series:
    zero = values.str.starts_with("0000-").fill_null(False)
    if zero.any():
        odd[column.name, "zero_dates"] += int(zero.sum())
        values = values.set(zero, None)
    return values.str.strip_suffix(".000000")


def _count_excess(fetched: pl.DataFrame, columns: Sequence[Column], odd: Counter[tuple[str, str]]) -> None:
    large = [column for column in columns if kind_of(column) in ("clob", "blob")]
    for i, column in enumerate(large, 1):
        beyond = fetched[f"L{i}"].is_not_null().sum()
        if beyond:
            odd[column.name, "too_long_left_out"] += int(beyond)
