"""Rows of a database as Parquet pieces that any other engine can take again, with what describes their tables."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
    cast,
    column,
    func,
    insert,
    inspect,
    literal,
    select,
    table,
    text,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from connectors.stores.shapes import NARROWER, UNBOUNDED, Shape, difference, shape_of
from hub.contracts.errors import Misconfigured
from hub.state import BYTES, LONG

_ROWS, _BYTES = 10_000, 8 << 20
"""Most rows, and about the most bytes of blobs, of one piece."""
_KEY = 255
_SERVERS: Mapping[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_FRAME: Mapping[str, type[pl.DataType]] = {"whole number": pl.Int64, "boolean": pl.Int64, "binary": pl.Binary}
"""What travels otherwise than as text: dates, times and amounts are text, exactly as the database writes them."""


def reflected(connection: Connection, names: Sequence[str], also: re.Pattern[str] | None = None) -> list[Table]:
    """The tables of these names that the database has, as they are; and those whose name has the form of `also`."""
    there = inspect(connection).get_table_names()
    more = sorted(name for name in there if also is not None and also.fullmatch(name) and name not in names)
    return [Table(name, MetaData(), autoload_with=connection) for name in [*(n for n in names if n in there), *more]]


def described(found: Table, connection: Connection) -> list[dict[str, Any]]:
    """The columns of a table, for `tables_for`."""
    return [
        {"name": c.name, "family": shape.family, "size": shape.size, "scale": shape.scale, "key": c.primary_key, "null": bool(c.nullable)}
        for c, shape in ((c, shape_of(c.type, connection.dialect)) for c in found.columns)
    ]


def pieces(connection: Connection, found: Table) -> Iterator[pl.DataFrame]:
    """All rows of a table, a bounded part at a time, in the order in which the database keeps them."""
    shapes = {c.name: shape_of(c.type, connection.dialect).family for c in found.columns}
    statement = select(*(_portable(c, shapes[c.name]).label(c.name) for c in found.columns)).select_from(found)
    schema = {name: _FRAME.get(family, pl.String) for name, family in shapes.items()}
    blobs = [place for place, family in enumerate(shapes.values()) if family == "binary"]
    rows: list[tuple[Any, ...]] = []
    size = 0
    for part in connection.execution_options(stream_results=True).execute(statement).partitions(4 if blobs else 5_000):
        rows += [tuple(row) for row in part]
        size += sum(len(row[place] or b"") for row in part for place in blobs)
        if len(rows) >= _ROWS or size >= _BYTES:
            yield pl.DataFrame(rows, schema=schema, orient="row")
            rows, size = [], 0
    if rows:
        yield pl.DataFrame(rows, schema=schema, orient="row")


def _portable(c: Column[Any], family: str) -> ColumnElement[Any]:
    match family:
        case "text":
            return type_coerce(c, Text())
        case "whole number":
            return type_coerce(c, BigInteger())
        case "boolean":
            return cast(c, Integer())
        case "binary":
            return type_coerce(c, LargeBinary())
        case _:
            return cast(c, Text())


def packed(frame: pl.DataFrame) -> bytes:
    """One piece as bytes."""
    out = io.BytesIO()
    frame.write_parquet(out, compression="zstd", compression_level=3, statistics=False)
    return out.getvalue()


def unpacked(piece: bytes) -> pl.DataFrame:
    """Inverse of `packed`."""
    return pl.read_parquet(io.BytesIO(piece))


def table_for(name: str, columns: Sequence[Mapping[str, Any]], known: Table | None, connection: Connection, *, same_engine: bool) -> Table:
    """The table to make for described rows: as this version wants it, with the columns that stayed from before, and no column narrower than it was."""
    made = Table(name, MetaData(), **(dict(_SERVERS) | dict(known.dialect_kwargs if known is not None else {})))
    given = {str(c["name"]): c for c in columns}
    for wanted in known.columns if known is not None else ():
        was = given.get(wanted.name)
        kind = wanted.type
        if was is not None and same_engine and difference(_shape(was), shape_of(kind, connection.dialect)) == NARROWER:
            kind = _type(was)
        server = getattr(wanted.server_default, "arg", None)
        made.append_column(
            Column(
                wanted.name,
                kind,
                primary_key=wanted.primary_key,
                nullable=wanted.nullable,
                default=_default(wanted),
                server_default=server,
                autoincrement=wanted.autoincrement,
            )
        )
    for column_name, was in given.items():
        if column_name not in made.c:
            made.append_column(
                Column(column_name, _type(was), primary_key=was["key"], nullable=True if known is not None else was["null"], autoincrement=False)
            )
    for unique in (c for c in known.constraints if isinstance(c, UniqueConstraint)) if known is not None else ():
        made.append_constraint(UniqueConstraint(*(c.name for c in unique.columns), name=unique.name))
    for index in known.indexes if known is not None else ():
        Index(index.name, *(made.c[c.name] for c in index.columns), unique=index.unique, **dict(index.dialect_kwargs))
    return made


def _shape(was: Mapping[str, Any]) -> Shape:
    return Shape(str(was["family"]), int(was["size"]), int(was["scale"]))


def _type(was: Mapping[str, Any]) -> TypeEngine[Any]:
    size = int(was["size"])
    match was["family"]:
        case "whole number":
            return BigInteger()
        case "boolean":
            return Boolean()
        case "number":
            return Numeric(size, int(was["scale"]))
        case "float":
            return Float(53)
        case "date":
            return Date()
        case "time":
            return DateTime()
        case "binary":
            return LargeBinary(_KEY) if was["key"] else BYTES
        case _:
            return String(min(size, _KEY)) if was["key"] or size < _KEY < UNBOUNDED else LONG


def put(connection: Connection, target: Table, frame: pl.DataFrame) -> None:
    """Insert one piece. The database reads dates, times and amounts from their text itself, and refuses what does not fit."""
    if unknown := [name for name in frame.columns if name not in target.c]:
        raise Misconfigured(f"the backup has {target.name}.{unknown[0]}, which its manifest does not describe", hint="restore another backup")
    families = {name: shape_of(target.c[name].type, connection.dialect).family for name in frame.columns}
    rows = frame.with_columns(pl.col(name).cast(pl.Boolean) for name, family in families.items() if family == "boolean")
    missing = {c.name: _default(c) for c in target.columns if c.name not in families and not c.nullable and _default(c) is not None}
    plain = table(target.name, *(column(name) for name in [*frame.columns, *missing]))
    values = rows.with_columns(pl.lit(value).alias(name) for name, value in missing.items()).to_dicts()
    connection.execute(insert(plain), values)


def _default(c: Column[Any]) -> Any:
    """A plain value that rows get on our side, None where there is none."""
    value = getattr(c.default, "arg", None)
    return value if isinstance(value, bool | int | str) else None


def count(connection: Connection, target: Table) -> int:
    """Rows that a table has."""
    return int(connection.execute(select(func.count()).select_from(target)).scalar_one())


def go_on_counting(connection: Connection, target: Table) -> None:
    """Numbers that the database gives to new rows follow those that were restored. Only PostgreSQL has to be told."""
    if connection.dialect.name != "postgresql":
        return
    for c in target.primary_key:
        if c.autoincrement is True:
            name = connection.dialect.identifier_preparer.quote(target.name)
            sequence = connection.execute(select(func.pg_get_serial_sequence(name, c.name))).scalar()
            last = connection.execute(select(func.max(c))).scalar()
            if sequence and last:
                connection.execute(select(func.setval(literal(sequence), last)))


def settle(connection: Connection) -> None:
    """The session's ways of writing dates are those that every engine reads."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL datestyle TO 'ISO, YMD'"))
