"""What a database's tables lack of what the catalogue asks for: the steps that add it, and what is refused because it would lose data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, cast

from alembic.operations import BatchOperations, Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Index, MetaData, Table, inspect, select
from sqlalchemy.engine import Dialect

from connectors.stores.shapes import NARROWER, WIDER, Shape, difference, shape_of
from connectors.stores.tables import hash_column
from hub.contracts.errors import Misconfigured
from hub.contracts.item import Item

_MEND = "bring the former field back in the catalogue, or give the new meaning a new item; a table without a row may be dropped, and is made anew"


@dataclass(frozen=True, slots=True)
class Step:
    """One change that loses nothing, in words and as the statements that make it."""

    table: str
    words: str
    sql: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One change that is not made, why, and the way out."""

    table: str
    column: str
    reason: str
    hint: str


@dataclass
class SchemaPlan:
    """Everything between one database and the catalogue. `kept` says in words what stays although the catalogue no longer names it."""

    steps: list[Step] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


class _Lines:
    """Takes the statements that alembic would run."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def write(self, text: str) -> None:
        if statement := text.strip().removesuffix(";").strip():
            self.found.append(statement)

    def flush(self) -> None:
        """Nothing waits."""


def statements(dialect: Dialect, work: Callable[[Operations], None]) -> tuple[str, ...]:
    """What alembic makes of a change, for this dialect, without a connection."""
    lines = _Lines()
    work(Operations(MigrationContext.configure(dialect=dialect, opts={"as_sql": True, "output_buffer": lines})))
    return tuple(lines.found)


def plan_tables(connection: Connection, tables: Sequence[Table], items: Mapping[str, Item], addable: Callable[[Column[Any]], Column[Any]]) -> SchemaPlan:
    """Compare tables with what the database has. `items` names the item of a table; `addable` makes a column fit for a table that has rows, or raises."""
    seen = inspect(connection)
    known = set(seen.get_table_names())
    plan = SchemaPlan()
    for table in tables:
        if table.name not in known:
            make = lambda operations, table=table: operations.impl.create_table(table)  # noqa: E731
            plan.steps.append(Step(table.name, "make the table", statements(connection.dialect, make)))
            continue
        found = Table(table.name, MetaData(), autoload_with=connection)
        _Comparison(connection, found, table, items.get(table.name), plan).run(addable)
    return plan


class _Comparison:
    """One table as it is and as it is wanted."""

    def __init__(self, connection: Connection, found: Table, wanted: Table, item: Item | None, plan: SchemaPlan) -> None:
        self._connection, self._found, self._wanted, self._item, self._plan = connection, found, wanted, item, plan
        self._dialect = connection.dialect

    def run(self, addable: Callable[[Column[Any]], Column[Any]]) -> None:
        """Widen, add, index, in this order: SQLite writes a table anew to widen it, from what it was when it was planned."""
        if wider := [column for column in self._wanted.columns if column.name in self._found.c and self._wider(column)]:
            self._widen(wider)
        for column in self._wanted.columns:
            if column.name not in self._found.c:
                self._add(column, addable)
        self._index()
        self._keep()

    def _wider(self, column: Column[Any]) -> bool:
        now, wanted = self._shape(column.name), shape_of(column.type, self._dialect)
        match difference(now, wanted):
            case "":
                return False
            case str(word) if word == WIDER:
                return True
            case str(word) if word == NARROWER:
                self._plan.kept.append(f"{self._wanted.name}.{column.name}: stays {now.said}, although the catalogue asks for less: nothing is ever cut")
            case reason:
                self._refuse(column.name, reason)
        return False

    def _add(self, column: Column[Any], addable: Callable[[Column[Any]], Column[Any]]) -> None:
        if self._item is not None and (reason := self._unsealed(column.name)):
            self._refuse(column.name, reason)
            return
        try:
            copy = addable(column)
        except Misconfigured as error:
            self._plan.refused.append(Refusal(self._wanted.name, column.name, error.message, error.hint))
            return
        sql = statements(self._dialect, lambda operations: operations.add_column(self._wanted.name, copy))
        self._step(f"add column {self._said(column.name)}, {shape_of(column.type, self._dialect).said}", sql)

    def _unsealed(self, column: str) -> str:
        """Why a hash column may not be added: its field has been kept in clear so far."""
        item = cast(Item, self._item)
        field_name = next((f.name for f in item.fields if f.sealed and hash_column(f.name) == column), "")
        if field_name and field_name in self._found.c and self._has_rows():
            return f"{field_name} is to be sealed, and the values that are stored would stay in clear"
        return ""

    def _has_rows(self) -> bool:
        return self._connection.execute(select(next(iter(self._found.columns))).limit(1)).first() is not None

    def _widen(self, columns: list[Column[Any]]) -> None:
        names = ", ".join(f"{self._said(c.name)} from {self._shape(c.name).said} to {shape_of(c.type, self._dialect).said}" for c in columns)
        if self._dialect.name == "sqlite":
            self._step(f"widen {names} (the table is written anew)", statements(self._dialect, lambda operations: self._anew(operations, columns)))
            return
        for column in columns:
            words = f"widen {self._said(column.name)} from {self._shape(column.name).said} to {shape_of(column.type, self._dialect).said}"
            self._step(words, statements(self._dialect, lambda operations, column=column: self._alter(operations, column)))  # type: ignore[misc]

    def _alter(self, operations: Operations, column: Column[Any]) -> None:
        now = self._found.c[column.name]
        operations.alter_column(self._wanted.name, column.name, type_=column.type, existing_type=now.type, existing_nullable=now.nullable)

    def _anew(self, operations: Operations, columns: list[Column[Any]]) -> None:
        batch: AbstractContextManager[BatchOperations] = operations.batch_alter_table(self._wanted.name, copy_from=self._found, recreate="always")
        with batch as changing:
            for column in columns:
                changing.alter_column(column.name, type_=column.type, existing_type=self._found.c[column.name].type)

    def _index(self) -> None:
        there = {index.name for index in self._found.indexes}
        for index in sorted((i for i in self._wanted.indexes if i.name not in there), key=lambda i: str(i.name)):
            self._step(f"make index {index.name}", statements(self._dialect, lambda operations, index=index: _make(operations, index)))  # type: ignore[misc]

    def _keep(self) -> None:
        for column in self._found.columns:
            if column.name in self._wanted.c:
                continue
            plain = next((f.name for f in self._item.fields if hash_column(f.name) == column.name), "") if self._item is not None else ""
            if plain:
                self._refuse(plain, "it is no longer to be sealed, and what is stored is sealed")
            else:
                self._plan.kept.append(f"{self._wanted.name}.{column.name}: kept, no longer filled")

    def _shape(self, column: str) -> Shape:
        return shape_of(self._found.c[column].type, self._dialect)

    def _said(self, column: str) -> str:
        known = self._item.by_name.get(column) if self._item is not None else None
        return f"{column}（{known.title}）" if known is not None else column

    def _step(self, words: str, sql: tuple[str, ...]) -> None:
        self._plan.steps.append(Step(self._wanted.name, words, sql))

    def _refuse(self, column: str, reason: str) -> None:
        self._plan.refused.append(Refusal(self._wanted.name, column, reason, _MEND))


def _make(operations: Operations, index: Index) -> None:
    operations.impl.create_index(index)
