"""Statements for any database that SQLAlchemy speaks: its expressions only, no dialect's own words; and cells as text."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    LargeBinary,
    Numeric,
    Select,
    String,
    TextClause,
    Update,
    and_,
    column,
    func,
    literal,
    or_,
    select,
    table,
    text,
    types,
    update,
)
from sqlalchemy.types import TypeEngine

from connectors.databases.dialect import Ask, Column, Relation, Sort
from hub.contracts.errors import Misconfigured

Row = Sequence[str | None]
CITY: Final = timezone(timedelta(hours=8))
_MOST_INT: Final = 1 << 63
_TYPES: Final[dict[Sort, TypeEngine[Any]]] = {"text": String(), "number": Numeric(), "date": Date(), "time": DateTime(), "binary": LargeBinary()}


def sort_of(kind: TypeEngine[Any]) -> Sort:
    """What a reflected type is."""
    if isinstance(kind, (types.Integer, types.Numeric, types.Float)):
        return "number"
    if isinstance(kind, types.DateTime):
        return "time"
    if isinstance(kind, types.Date):
        return "date"
    return "binary" if isinstance(kind, types.LargeBinary | types.BINARY | types.VARBINARY) else "text"


def _escaped(sql: str) -> str:
    return sql.replace("\\", "\\\\").replace(":", "\\:") if "\\:" in sql else sql.replace(":", "\\:")


def described(sql: str) -> TextClause:
    """What a query answers with, without a row of it."""
    return text(f"SELECT q.* FROM ({_escaped(sql)}\n) q WHERE 1 = 0")


def source(relation: Relation) -> FromClause:
    """What stands after FROM; columns are without a type, so that the driver's own values come back."""
    columns: list[ColumnClause[Any]] = [column(each.name) for each in relation.columns]
    if relation.sql:
        return text(f"{_escaped(relation.sql)}\n").columns(*columns).subquery(relation.name)
    return table(relation.name, *columns, schema=relation.schema or None)


def bound(at: Column, value: str) -> ColumnElement[Any]:
    """A value in a column's own type. Raises `Misconfigured` for what it cannot hold."""
    try:
        if at.sort == "number":
            number = Decimal(value)
            whole = number == number.to_integral_value() and abs(number) < _MOST_INT
            return literal(int(number), BigInteger()) if whole else literal(number, Numeric())
        plain: Any = {"date": date.fromisoformat, "time": datetime.fromisoformat, "binary": bytes.fromhex}.get(at.sort, str)(value)
    except (InvalidOperation, ValueError) as error:
        raise Misconfigured(
            f"column {at.name} ({at.declared}) cannot hold a value that it is compared with", hint="correct `where`, `begin` or `done`"
        ) from error
    return literal(plain, _TYPES[at.sort])


def is_value(rows: FromClause, at: Column, value: str) -> ColumnElement[bool]:
    """Whether a column holds a value; nothing is NULL or empty text."""
    name = rows.c[at.name]
    if value:
        return name == bound(at, value)
    return or_(name.is_(None), name == literal("", String())) if at.sort == "text" else name.is_(None)


def _later(rows: FromClause, relation: Relation, names: Sequence[str], values: Sequence[str]) -> ColumnElement[bool]:
    """`(a, b) > (x, y)` for databases that do not compare rows."""
    (first, *names), (value, *values) = names, values
    at = relation.column(first)
    assert at is not None, "names come from the relation"
    greater: ColumnElement[bool] = rows.c[first] > bound(at, value)
    if not names:
        return greater
    return or_(greater, and_(rows.c[first] == bound(at, value), _later(rows, relation, names, values)))


def _conditions(rows: FromClause, ask: Ask) -> list[ColumnElement[bool]]:
    parts = [is_value(rows, at, value) for name, value in ask.equals.items() if (at := ask.relation.column(name)) is not None]
    if ask.after is not None:
        parts += [rows.c[name].is_not(None) for name in ask.after.columns]
        parts.append(_later(rows, ask.relation, ask.after.columns, ask.after.values))
    if ask.until is not None and (at := ask.relation.column(ask.until[0])) is not None:
        parts.append(rows.c[at.name] <= bound(at, ask.until[1]))
    return parts


def rows_of(ask: Ask, columns: Sequence[str], limit: int | None) -> Select[Any]:
    """The rows of an ask, of all buckets."""
    rows = source(ask.relation)
    missing = [name for name in (*columns, *ask.order) if name not in rows.c]
    if missing:
        raise Misconfigured(f"{ask.relation.name} has no column {missing[0]}", hint="it was renamed or dropped: correct the feed's columns")
    chosen = select(*(rows.c[name] for name in columns)).where(*_conditions(rows, ask)).order_by(*(rows.c[name] for name in ask.order))
    return chosen if limit is None else chosen.limit(limit)


def count(ask: Ask) -> Select[Any]:
    """How many rows an ask is for, of all buckets."""
    rows = source(ask.relation)
    if ask.limit is None:
        return select(func.count()).select_from(rows).where(*_conditions(rows, ask))
    first = next(iter(rows.c))
    return select(func.count()).select_from(select(first).where(*_conditions(rows, ask)).limit(ask.limit).subquery("limited"))


def mark(relation: Relation, at: Column, value: str, key: Column, keys: Sequence[str], expected: str) -> Update:
    """Write `value` where it is still expected."""
    rows = table(relation.name, *(column(each.name) for each in relation.columns), schema=relation.schema or None)
    new = bound(at, value) if value else None
    wanted = [bound(key, each) for each in keys]
    return update(rows).where(rows.c[key.name].in_(wanted), is_value(rows, at, expected)).values({rows.c[at.name]: new})


def cell(value: Any) -> str | None:
    """A driver's value in the text form of `Piece`: bytes as hexadecimal digits, truth as true and false, documents as JSON."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f") if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    return _other(value)


def _other(value: Any) -> str | None:
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(CITY).replace(tzinfo=None)).isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex() or None
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value.read() if hasattr(value, "read") else value) or None


def digest(row: Row) -> int:
    """128 bits that tell a row from any other."""
    return int.from_bytes(blake2b(json.dumps(list(row)).encode(), digest_size=16).digest())
