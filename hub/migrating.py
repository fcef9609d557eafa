"""Brings tables that an earlier version made up to what this one expects: columns and indexes are added, nothing is ever changed or dropped."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, inspect
from sqlalchemy.schema import CreateColumn, CreateIndex

from hub.contracts.errors import Misconfigured


def bring_up(connection: Connection, metadata: MetaData) -> list[str]:
    """Add columns and indexes that tables lack; what was done, in words. Tables that are missing altogether are not made here.

    Works in the caller's transaction. Raises `Misconfigured` for a column that rows of an earlier version cannot have: neither empty nor with a default.
    """
    seen = inspect(connection)
    known = set(seen.get_table_names())
    done: list[str] = []
    for table in metadata.sorted_tables:
        if table.name in known:
            columns = {column["name"] for column in seen.get_columns(table.name)}
            done += [_add(connection, table, column) for column in table.columns if column.name not in columns]
            indexes = {index["name"] for index in seen.get_indexes(table.name)}
            done += [_index(connection, index) for index in table.indexes if index.name not in indexes]
    return done


def addable(column: Column[Any]) -> Column[Any]:
    """A copy of a column for a table that has rows: a default of ours becomes one of the database. Raises `Misconfigured` where there is none."""
    if column.nullable or column.server_default is not None:
        return Column(column.name, column.type, nullable=column.nullable, server_default=_clause(column))
    default = getattr(column.default, "arg", None)
    if column.primary_key or not isinstance(default, bool | int | str):
        hint = "this home belongs to another version: restore it from a backup with the version that made it, or begin a new home"
        raise Misconfigured(f"table {column.table.name} lacks the column {column.name}, and its rows cannot be given a value", hint=hint)
    return Column(column.name, column.type, nullable=False, server_default=str(int(default)) if isinstance(default, bool) else str(default))


def _clause(column: Column[Any]) -> Any:
    return getattr(column.server_default, "arg", None)


def _add(connection: Connection, table: Table, column: Column[Any]) -> str:
    copy = addable(column)
    alone = Table(table.name, MetaData(), copy)
    words = str(CreateColumn(copy).compile(dialect=connection.dialect))
    name = connection.dialect.identifier_preparer.format_table(alone)
    connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {words}")
    return f"added column {column.name} to {table.name}"


def _index(connection: Connection, index: Any) -> str:
    connection.execute(CreateIndex(index))
    return f"added index {index.name} to {index.table.name}"
