"""Frames as the text that MySQL loads and speaks, and back: whole columns at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import polars as pl
from sqlalchemy import ColumnElement, Select, String, cast, func, literal
from sqlalchemy.dialects.mysql import CHAR

from connectors.stores.types import ID, dtype_of

TIME = "%Y-%m-%d %H:%M:%S"
_LOAD = """LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table} CHARACTER SET utf8mb4
FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' ESCAPED BY '' LINES TERMINATED BY '\\n' ({columns})"""
_ROWS = 8_000  # rows of one piece: the next is written out while the server takes this one
_END = "_end"


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Values as the server's text has them: dates, times (in whole seconds) and decimals as text."""
    changes = []
    for name, dtype in frame.schema.items():
        if dtype == pl.Datetime:
            changes.append(pl.col(name).dt.to_string(TIME))
        elif dtype in (pl.Date, pl.Decimal, pl.Null):
            changes.append(pl.col(name).cast(pl.String))
        elif dtype == pl.Boolean:
            changes.append(pl.col(name).cast(pl.Int64))
    return frame.with_columns(changes) if changes else frame


def name(identifier: str) -> str:
    """An identifier of our tables as SQL writes it."""
    return "`" + identifier.replace("`", "``") + "`"


def names(frame: pl.DataFrame) -> str:
    """A frame's columns as SQL lists them."""
    return ", ".join(map(name, frame.columns))


def loading(table: str, frame: pl.DataFrame, file: str) -> tuple[str, Iterator[bytes]]:
    """A LOAD DATA LOCAL statement for the rows, and the pieces of the file that it names.

    Columns with one value throughout stand in the statement: the server reads a fifth less.
    """
    alike = frame.select(pl.col(column).eq_missing(pl.col(column).first()).all() for column in frame.columns).row(0)
    same = [column for column, one in zip(frame.columns, alike, strict=True) if one][: frame.width - 1]
    varying, fixed = frame.drop(same), frame.head(1).select(same)
    sql = _LOAD.format(file=file, table=name(table), columns=names(varying))
    if same:
        sql += " SET " + ", ".join(f"{name(column)} = {value}" for column, value in zip(same, _spelled(fixed).row(0), strict=True))
    return sql, _pieces(varying)


def _pieces(frame: pl.DataFrame) -> Iterator[bytes]:
    """Rows as the file. Text stands in quotes, so that NULL without them is nothing else."""
    for part in frame.iter_slices(_ROWS):
        buffer = io.BytesIO()
        part.write_csv(buffer, include_header=False, null_value="NULL", quote_style="non_numeric", datetime_format=TIME)
        yield buffer.getvalue()


def literals(frame: pl.DataFrame) -> pl.Series:
    """Each row as a parenthesis of an INSERT's VALUES; the session's `sql_mode` must leave backslashes their meaning. No binary columns."""
    return _spelled(frame).select((pl.lit("(") + pl.concat_str(pl.all(), separator=",") + pl.lit(")")).alias("row")).to_series()


def _spelled(frame: pl.DataFrame) -> pl.DataFrame:
    rows = plain(frame)
    texts = {column: _spoken(pl.col(column)) if dtype == pl.String else pl.col(column).cast(pl.String) for column, dtype in rows.schema.items()}
    return rows.select(text.fill_null("NULL").alias(column) for column, text in texts.items())


def _spoken(text: pl.Expr) -> pl.Expr:
    return pl.lit("'") + text.str.replace_all("\\", "\\\\", literal=True).str.replace_all("'", "''", literal=True) + pl.lit("'")


def quoted(texts: pl.Series) -> list[str]:
    """Texts as SQL writes them."""
    return texts.alias("text").to_frame().select(_spoken(pl.col("text"))).to_series().to_list()


def chunks(texts: pl.Series, most_bytes: int) -> Iterator[tuple[str, int]]:
    """Texts joined by commas, none longer than `most_bytes` unless a single text is, each with the number of texts in it."""
    ends = texts.str.len_bytes().cast(pl.Int64).cum_sum() + pl.int_range(texts.len(), eager=True)
    start = 0
    while start < texts.len():
        before = int(ends[start - 1]) if start else 0
        end = max(int(ends.search_sorted(before + most_bytes, side="right")), start + 1)
        yield ",".join(texts[start:end].to_list()), end - start
        start = end


def _cell(column: ColumnElement[object]) -> ColumnElement[str]:
    if column.type is ID:  # hex digits need no quotes
        return func.coalesce(column, "")
    text: ColumnElement[str] = cast(column, CHAR(charset="utf8mb4"))
    if isinstance(column.type, String):
        text = func.concat('"', func.replace(text, '"', '""'), '"')
    return func.coalesce(text, "")


def packed(statement: Select[tuple[object, ...]], *, grouped: bool = False) -> Select[tuple[str]]:
    """The statement with its columns as one of CSV text; `grouped` puts all rows into one text."""
    cells = [_cell(column) for column in statement.selected_columns]
    line = func.concat_ws(",", *cells, *([literal("1")] if len(cells) == 1 else []))  # a line with nothing on it would be no line
    if grouped:
        line = func.aggregate_strings(line, "\n")
    return statement.with_only_columns(line.label("packed"), maintain_column_froms=True)


def unpacked(texts: Sequence[str], statement: Select[tuple[object, ...]]) -> pl.DataFrame:
    """Inverse of `packed`: a frame typed after the statement's columns."""
    columns = list(statement.selected_columns)
    schema = {column.name: dtype_of(column.type) for column in columns}
    if not texts:
        return pl.DataFrame(schema=schema)
    read = {name: pl.Int64() if dtype == pl.Int64 else pl.String() for name, dtype in schema.items()}
    if len(columns) == 1:
        read[_END] = pl.String()
    body = "\n".join(texts).encode()
    frame = pl.read_csv(body, has_header=False, schema=read, quote_char='"', infer_schema=False, raise_if_empty=False)
    return frame.select(_typed(name, dtype) for name, dtype in schema.items())


def _typed(name: str, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(name)
    if dtype == pl.Date:
        return value.str.to_date("%Y-%m-%d")
    if dtype == pl.Datetime:
        return value.str.to_datetime(TIME, time_unit="us")
    return value.cast(dtype)
