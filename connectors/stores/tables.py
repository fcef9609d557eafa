"""The tables of a store: one per item, made from the catalogue, and the store's own."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

import polars as pl
from sqlalchemy import BigInteger, Column, Date, DateTime, Index, Integer, LargeBinary, MetaData, Numeric, String, Table, Text, TypeDecorator
from sqlalchemy.dialects.sqlite import DATETIME
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from hub.contracts.item import Field, Item, Kind

PRECISION = 18
_ID = String(32)


class Amount(TypeDecorator[Decimal]):
    """A decimal number. SQLite gets it as text and keeps it by the NUMERIC affinity of its column (exact to 15 digits)."""

    impl = Numeric
    cache_ok = True

    def __init__(self, scale: int) -> None:
        super().__init__(PRECISION, scale)
        self.scale = scale

    def bind_processor(self, dialect: Dialect) -> Any:
        """SQLite's driver takes no decimals."""
        return (lambda value: None if value is None else str(value)) if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Whatever number SQLite holds, as a decimal of the column's scale."""
        if dialect.name != "sqlite":
            return super().result_processor(dialect, coltype)
        return lambda value: None if value is None else round(Decimal(str(value)), self.scale)


Moment = DateTime().with_variant(DATETIME(truncate_microseconds=True), "sqlite")  # type: ignore[no-untyped-call]
_BY_KIND: dict[Kind, TypeEngine[Any]] = {Kind.TEXT: Text(), Kind.LONG: Text(), Kind.DATE: Date(), Kind.TIME: Moment}


def _type_of(field: Field) -> TypeEngine[Any]:
    if field.kind is Kind.NUMBER:
        return Amount(field.scale) if field.scale else BigInteger()
    return _BY_KIND[field.kind]


def hash_column(field: str) -> str:
    """Name of the column that holds the keyed hash of a sealed field."""
    return f"{field}_hash"


def _columns_of(field: Field) -> list[Column[Any]]:
    if field.sealed:
        return [Column(field.name, Text()), Column(hash_column(field.name), _ID)]
    return [Column(field.name, _type_of(field))]


def table_name(item: str) -> str:
    """Name of an item's table, by the item's code."""
    return item.lower().replace("-", "_")


@lru_cache(maxsize=1024)
def item_table(item: Item) -> Table:
    """The item's table: the hub's columns, then the item's own; a sealed field is its ciphertext beside its keyed hash.

    The record number is the only index: every further one on a random key halves the speed of loading.
    """
    own = [column for field in item.fields for column in _columns_of(field)]
    return Table(
        item.table,
        MetaData(),
        Column("record_id", _ID, primary_key=True),
        Column("subject_id", _ID),
        Column("row_hash", _ID, nullable=False),
        Column("source_time", Moment),
        Column("arrival", BigInteger, nullable=False),
        Column("feed", Text, nullable=False),
        Column("batch_id", _ID, nullable=False),
        Column("ordinal", BigInteger, nullable=False),
        Column("status", BigInteger, nullable=False),
        Column("first_seen", Moment, nullable=False),
        Column("updated_at", Moment, nullable=False),
        *own,
    )


_OWN = MetaData()

SUBJECT = Table(
    "subject",
    _OWN,
    Column("subject_id", _ID, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("registered", BigInteger, nullable=False),
    Column("name", Text),
    Column("first_seen", Moment, nullable=False),
    sqlite_with_rowid=False,
)
SUBJECT_IDENTIFIER = Table(
    "subject_identifier",
    _OWN,
    Column("scheme", String(16), primary_key=True),
    Column("identifier", String(64), primary_key=True),
    Column("subject_id", _ID, nullable=False),
    sqlite_with_rowid=False,
)
# Filled by the matching tiers that go by name; `name_key` is the normalised name.
SUBJECT_ALIAS = Table(
    "subject_alias",
    _OWN,
    Column("name_key", String(255), primary_key=True),
    Column("subject_id", _ID, primary_key=True),
    Column("valid_from", Date),
    Column("valid_to", Date),
)
INBOX = Table(
    "inbox",
    _OWN,
    Column("batch_id", _ID, primary_key=True),
    Column("item", String(32), nullable=False),
    Column("feed", Text, nullable=False),
    Column("arrival", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("config", Text, nullable=False),
    Column("reenters", _ID, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("fates", LargeBinary, nullable=False),
    Column("refused", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("seq", BigInteger),
    Column("applied_at", Moment, nullable=False),
    Index("inbox_item", "item"),
)
HEAD = Table(
    "head",
    _OWN,
    Column("item", String(32), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)
JOURNAL = Table(
    "journal",
    _OWN,
    Column("item", String(32), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("batch_id", _ID, nullable=False),
    Column("at", Moment, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),
    Column("body", LargeBinary().with_variant(LargeBinary(2**32 - 1), "mysql", "mariadb"), nullable=False),
)
# `row` is the whole row, sealed; it is dropped once a newer row of the record takes its place.
UNMATCHED = Table(
    "unmatched",
    _OWN,
    Column("item", String(32), primary_key=True),
    Column("batch_id", _ID, primary_key=True),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("record_id", _ID, nullable=False),
    Column("row", Text),
    Column("at", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Index("unmatched_waiting", "item", "state", "record_id"),
)
# Batches of which every row is in the store: `checked` is the journal's sequence at which that was true, `root` the batch whose record numbers stand
# for all batches of the same content.
CONTENT = Table(
    "content",
    _OWN,
    Column("batch_id", _ID, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("arrival", BigInteger, nullable=False),
    Column("root", _ID, nullable=False),
    Column("checked", BigInteger, nullable=False),
)
CONTENT_KEYS = Table(
    "content_keys",
    _OWN,
    Column("root", _ID, primary_key=True),
    Column("record_ids", LargeBinary, nullable=False),
)
OWN_TABLES = tuple(_OWN.sorted_tables)


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
