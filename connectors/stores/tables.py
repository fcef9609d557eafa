"""The tables of a store: one per item, made from the catalogue, and the store's own."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Column, Date, Index, MetaData, String, Table, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.types import TypeEngine

from connectors.stores.types import BYTES, ID, LONG, MOMENT, dtype_of, key_of, types_of, word_of
from hub.contracts.errors import Misconfigured
from hub.contracts.item import Field, Item

__all__ = ["CONTENT", "CONTENT_KEYS", "HEAD", "INBOX", "JOURNAL", "OWN_TABLES", "SUBJECT", "SUBJECT_ALIAS", "SUBJECT_IDENTIFIER", "UNMATCHED", "dtype_of", "hash_column", "item_table", "table_name"]  # fmt: skip

_FEED = word_of(128)
_SERVERS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_row_format": "DYNAMIC"}


def hash_column(field: str) -> str:
    """Name of the column that holds the keyed hash of a sealed field."""
    return f"{field}_hash"


def _columns_of(field: Field, kind: TypeEngine[Any]) -> list[Column[Any]]:
    own = Column[Any](field.name, kind)
    return [own, Column(hash_column(field.name), ID)] if field.sealed else [own]


def table_name(item: str) -> str:
    """Name of an item's table, by the item's code."""
    return item.lower().replace("-", "_")


@lru_cache(maxsize=1024)
def item_table(item: Item) -> Table:
    """The item's table: the hub's columns, then the item's own; a sealed field is its ciphertext beside its keyed hash.

    The record number is the only index: every further one on a random key halves the speed of loading.
    """
    own = [column for field, kind in types_of(item.fields) for column in _columns_of(field, kind)]
    return Table(
        item.table,
        MetaData(),
        Column("record_id", ID, primary_key=True),
        Column("subject_id", ID),
        Column("row_hash", ID, nullable=False),
        Column("source_time", MOMENT),
        Column("arrival", BigInteger, nullable=False),
        Column("feed", _FEED, nullable=False),
        Column("batch_id", ID, nullable=False),
        Column("ordinal", BigInteger, nullable=False),
        Column("status", BigInteger, nullable=False),
        Column("first_seen", MOMENT, nullable=False),
        Column("updated_at", MOMENT, nullable=False),
        *own,
        **_SERVERS,
    )


_OWN = MetaData()


def _own(name: str, *parts: Column[Any] | Index, **options: Any) -> Table:
    return Table(name, _OWN, *parts, **_SERVERS, **options)


SUBJECT = _own(
    "subject",
    Column("subject_id", ID, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("registered", BigInteger, nullable=False),
    Column("name", Text),
    Column("first_seen", MOMENT, nullable=False),
    sqlite_with_rowid=False,
)
SUBJECT_IDENTIFIER = _own(
    "subject_identifier",
    Column("scheme", key_of(16), primary_key=True),
    Column("identifier", key_of(64), primary_key=True),
    Column("subject_id", ID, nullable=False),
    sqlite_with_rowid=False,
)
# Filled by the matching tiers that go by name; `name_key` is the normalised name.
SUBJECT_ALIAS = _own(
    "subject_alias",
    Column("name_key", key_of(255), primary_key=True),
    Column("subject_id", ID, primary_key=True),
    Column("valid_from", Date),
    Column("valid_to", Date),
)
INBOX = _own(
    "inbox",
    Column("batch_id", ID, primary_key=True),
    Column("item", key_of(32), nullable=False),
    Column("feed", _FEED, nullable=False),
    Column("arrival", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("config", Text, nullable=False),
    Column("reenters", ID),
    Column("rows", BigInteger, nullable=False),
    Column("fates", BYTES, nullable=False),
    Column("refused", LONG, nullable=False),
    Column("counts", Text, nullable=False),
    Column("seq", BigInteger),
    Column("applied_at", MOMENT, nullable=False),
    Index("inbox_item", "item"),
)
# `fence` is the highest number with which a loader has come: one with a lower number has lost the item.
HEAD = _own(
    "head",
    Column("item", key_of(32), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False, server_default="0"),
)
JOURNAL = _own(
    "journal",
    Column("item", key_of(32), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("batch_id", ID, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),
    Column("body", BYTES, nullable=False),
)
# `row` is the whole row, sealed; it is dropped once a newer row of the record takes its place.
UNMATCHED = _own(
    "unmatched",
    Column("item", key_of(32), primary_key=True),
    Column("batch_id", ID, primary_key=True),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("record_id", ID, nullable=False),
    Column("row", LONG),
    Column("at", MOMENT, nullable=False),
    Column("state", String(16), nullable=False),
    Index("unmatched_waiting", "item", "state", "record_id"),
)
# Batches of which every row is in the store: `checked` is the journal's sequence at which that was true, `root` the batch whose record numbers stand
# for all batches of the same content.
CONTENT = _own(
    "content",
    Column("batch_id", ID, primary_key=True),
    Column("feed", _FEED, nullable=False),
    Column("arrival", BigInteger, nullable=False),
    Column("root", ID, nullable=False),
    Column("checked", BigInteger, nullable=False),
)
CONTENT_KEYS = _own(
    "content_keys",
    Column("root", ID, primary_key=True),
    Column("record_ids", BYTES, nullable=False),
)
OWN_TABLES = tuple(_OWN.sorted_tables)


def to_add(table: Table, found: Collection[str], place: str) -> list[ExecutableDDLElement]:
    """Statements that add the columns with a default that a table lacks. Raises `Misconfigured` where it lacks others."""
    missing = [column for column in table.columns if column.name not in found]
    if lacking := [column.name for column in missing if column.server_default is None]:
        raise Misconfigured(
            f"table {table.name} of store {place} lacks the columns {', '.join(lacking)}",
            hint="the catalogue has changed since the table was made: run `run_hub.py store plan`",
        )
    return [_AddColumn(column) for column in missing]


class _AddColumn(ExecutableDDLElement):
    """ALTER TABLE … ADD COLUMN."""

    inherit_cache = False

    def __init__(self, column: Column[Any]) -> None:
        self.column = column


@compiles(_AddColumn)
def _add_column(element: _AddColumn, compiler: DDLCompiler, **_options: Any) -> str:
    word = "ADD" if compiler.dialect.name == "oracle" else "ADD COLUMN"
    return f"ALTER TABLE {compiler.preparer.format_table(element.column.table)} {word} {compiler.get_column_specification(element.column)}"
