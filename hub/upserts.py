"""Rows that may be there already: the same words for each database that can hold the hub's state."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import mysql, postgresql, sqlite

Row = Mapping[str, Any]


def add_new(connection: Connection, table: Table, rows: Row | Sequence[Row]) -> int:
    """Insert rows, leaving out those whose key is taken; how many were written where it was one."""
    many = [dict(rows)] if isinstance(rows, Mapping) else [dict(row) for row in rows]
    if connection.dialect.name == "mysql":
        statement: Any = mysql.insert(table).prefix_with("IGNORE")
    elif connection.dialect.name == "postgresql":
        statement = postgresql.insert(table).on_conflict_do_nothing()
    else:
        statement = sqlite.insert(table).on_conflict_do_nothing()
    statement = statement.execution_options(preserve_rowcount=True)
    return int(connection.execute(statement, many[0] if len(many) == 1 else many).rowcount)


def put(connection: Connection, table: Table, rows: Row | Sequence[Row], *, fresh: Collection[str], added: Collection[str] = ()) -> None:
    """Insert rows; where the primary key is taken, the `fresh` columns take the new values, and those of the `added` ones are added to the old."""
    many = [dict(rows)] if isinstance(rows, Mapping) else [dict(row) for row in rows]
    if connection.dialect.name == "mysql":
        statement: Any = mysql.insert(table)
        changes = {name: statement.inserted[name] for name in fresh} | {name: table.c[name] + statement.inserted[name] for name in added}
        statement = statement.on_duplicate_key_update(changes)
    else:
        statement = postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
        changes = {name: statement.excluded[name] for name in fresh} | {name: table.c[name] + statement.excluded[name] for name in added}
        statement = statement.on_conflict_do_update(index_elements=[column.name for column in table.primary_key], set_=changes)
    connection.execute(statement, many)
