"""Types of columns: what each engine makes of a field, so that equal input leaves equal content and a longer field is a change of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import polars as pl
from sqlalchemy import BigInteger, Date, DateTime, Integer, LargeBinary, Numeric, String, Text, TypeDecorator
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from hub.contracts.item import Field, Kind

PRECISION = 18
_MYSQL_LENGTH = 255  # characters; longer texts lie beside the row
_MYSQL_ROW = 56_000  # bytes of a row's VARCHAR columns, of the 65,535 that a row may have
_MYSQL_TEXT = 65_535 // 4  # characters of 4 bytes that fit in TEXT
_ORACLE_LENGTH = 1_000  # characters of 4 bytes that fit in VARCHAR2


class Amount(TypeDecorator[Decimal]):
    """A decimal number of at most `digits` digits. SQLite gets it as text and keeps it by the NUMERIC affinity of its column (exact to 15 digits)."""

    impl = Numeric
    cache_ok = True

    def __init__(self, scale: int, digits: int = PRECISION) -> None:
        super().__init__(PRECISION, scale)
        self.scale = scale
        self.digits = digits

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Servers are told how many digits there may be."""
        return dialect.type_descriptor(Numeric(PRECISION if dialect.name == "sqlite" else self.digits, self.scale))

    def bind_processor(self, dialect: Dialect) -> Any:
        """SQLite's driver takes no decimals."""
        return (lambda value: None if value is None else str(value)) if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Whatever number SQLite holds, as a decimal of the column's scale."""
        if dialect.name != "sqlite":
            return super().result_processor(dialect, coltype)
        return lambda value: None if value is None else round(Decimal(str(value)), self.scale)


def key_of(length: int) -> TypeEngine[Any]:
    """A text that rows are found by: compared byte by byte, whatever the database's language."""
    mine = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(String(length, collation="C"), "postgresql").with_variant(mine, "mysql", "mariadb")


def word_of(length: int) -> TypeEngine[Any]:
    """A short text of ours, which SQLite does not bound."""
    mine = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return Text().with_variant(String(length), "postgresql", "oracle").with_variant(mine, "mysql", "mariadb")


ID = key_of(32)
LONG = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
BYTES = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
MOMENT = DateTime().with_variant(sqlite.DATETIME(truncate_microseconds=True), "sqlite").with_variant(postgresql.TIMESTAMP(precision=0), "postgresql")  # type: ignore[no-untyped-call]
_BY_KIND: dict[Kind, TypeEngine[Any]] = {Kind.DATE: Date(), Kind.TIME: MOMENT}


def _mysql_text(length: int | None, budget: int) -> TypeEngine[Any]:
    if length is None or length > _MYSQL_TEXT:
        return mysql.MEDIUMTEXT()
    return mysql.VARCHAR(length) if length <= _MYSQL_LENGTH and 4 * length + 2 <= budget else mysql.TEXT()


def _text(field: Field, budget: int) -> TypeEngine[Any]:
    length = None if field.sealed or field.multi else field.length
    kind: TypeEngine[Any] = Text().with_variant(_mysql_text(length, budget), "mysql", "mariadb")
    if length is None or field.kind is Kind.LONG:
        return kind
    kind = kind.with_variant(String(length), "postgresql")
    return kind.with_variant(String(length), "oracle") if length <= _ORACLE_LENGTH else kind


def _type_of(field: Field, budget: int) -> TypeEngine[Any]:
    if field.kind is Kind.NUMBER and not field.sealed:
        digits = field.length if field.length and field.scale < field.length < PRECISION else PRECISION
        return Amount(field.scale, digits) if field.scale else BigInteger()
    return _text(field, budget) if field.sealed or field.kind not in _BY_KIND else _BY_KIND[field.kind]


def types_of(fields: Sequence[Field]) -> Iterator[tuple[Field, TypeEngine[Any]]]:
    """The column type of each field. Declared lengths bind on servers; a row of MySQL has room for so many, and further ones are TEXT."""
    budget = _MYSQL_ROW
    for field in fields:
        kind = _type_of(field, budget)
        yield field, kind
        for_mysql = kind.dialect_impl(mysql.dialect())
        if isinstance(for_mysql, mysql.VARCHAR):
            budget -= 4 * (for_mysql.length or 0) + 2


def dtype_of(column_type: TypeEngine[Any]) -> pl.DataType:
    """The frame's type of a column's type."""
    if isinstance(column_type, Amount):
        return pl.Decimal(PRECISION, column_type.scale)
    if isinstance(column_type, DateTime):
        return pl.Datetime("us")
    if isinstance(column_type, Date):
        return pl.Date()
    if isinstance(column_type, Integer):
        return pl.Int64()
    return pl.Binary() if isinstance(column_type, LargeBinary) else pl.String()
