"""A central store through SQLAlchemy, on any database that it speaks: the reference for the faster paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Column, Connection, Engine, Select, StaticPool, Table, and_, create_engine, event, exc, insert, inspect, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.sql.dml import UpdateBase

from connectors.stores.refusing import decision
from connectors.stores.table_store import TableStore, local_now
from connectors.stores.tables import to_add
from connectors.stores.types import dtype_of
from hub.contracts.address import Address
from hub.contracts.errors import Misconfigured
from hub.contracts.keys import KeyRing

_CHUNK = 500
_SETTINGS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA mmap_size=0", "PRAGMA trusted_schema=OFF", "PRAGMA cell_size_check=ON")
_OF_SERVERS = {
    "postgresql": (
        "SET synchronous_commit = on",
        "SET idle_in_transaction_session_timeout = '120s'",
        "SET datestyle = ISO",
        "SET jit = off",
        "SET lock_timeout = '{wait_ms}ms'",
    ),
    "mysql": (
        "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'",
        "SET SESSION innodb_lock_wait_timeout = {wait_s}",
        "SET SESSION lock_wait_timeout = {wait_s}",
    ),
}
"""What each connection begins with: nobody is waited for without end, and nothing is cut to fit."""


def _prepare_server(engine: Engine, family: str, wait_s: float) -> None:
    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for setting in _OF_SERVERS.get(family, ()):
            cursor.execute(setting.format(wait_ms=int(wait_s * 1000), wait_s=max(1, int(wait_s))))
        cursor.close()
        connection.commit()

    if family == "oracle":

        @event.listens_for(engine, "before_cursor_execute", retval=True)
        def bound(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> tuple[str, Any]:
            """Oracle waits for a row without end unless each statement says how long."""
            return (f"{statement} WAIT {max(1, int(wait_s))}" if statement.endswith(" FOR UPDATE") else statement), parameters


def _prepare_sqlite(engine: Engine, wait_s: float) -> None:
    """Transactions of SQLite begin at once and are ours alone, as SQLAlchemy's documentation describes."""

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for setting in (f"PRAGMA busy_timeout={int(wait_s * 1000)}", *_SETTINGS):
            connection.execute(setting)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def engine_of(target: str | Address, wait_s: float, more: Mapping[str, Any]) -> Engine:
    """An engine with one connection, `more` are arguments for its driver. A URL of SQLite is taken as it is, every other database is an `Address`."""
    try:
        if isinstance(target, Address):
            arguments = target.connect_args() | dict(more)
            options = {"isolation_level": "READ COMMITTED"} if target.family else {}
            engine = create_engine(target.url(), connect_args=arguments, poolclass=StaticPool, hide_parameters=True, **options)
            _prepare_server(engine, target.family, wait_s)
            return engine
        engine = create_engine(make_url(target), poolclass=StaticPool, hide_parameters=True, connect_args={"check_same_thread": False})
    except (exc.ArgumentError, ImportError) as error:
        raise Misconfigured("the store's database URL cannot be used", hint="write it as dialect://user@host/database, and install its driver") from error
    _prepare_sqlite(engine, wait_s)
    return engine


class SqlAlchemySession:
    """One connection of an engine with a single one, so that SQLite has one writer."""

    def __init__(self, target: str | Address, *, wait_s: float = 10.0, more: Mapping[str, Any] | None = None) -> None:
        self._engine = engine_of(target, wait_s, more or {})
        self._place = target.place if isinstance(target, Address) else target.rsplit("/", 1)[-1]
        self._connection: Connection | None = None

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            raise decision(error, self._place) from error

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """The running transaction's connection, else one for a transaction of its own."""
        with self._border():
            if self._connection is not None:
                yield self._connection
                return
            with self._engine.begin() as connection:
                yield connection

    def create(self, tables: list[Table]) -> None:
        """See `Session`."""
        with self._connected() as connection:
            for table in tables:
                table.create(connection, checkfirst=True)
                found = {column["name"] for column in inspect(connection).get_columns(table.name)}
                for statement in to_add(table, found, self._place):
                    connection.execute(statement)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """See `Session`."""
        with self._connected() as connection:
            self._connection = connection
            try:
                yield
            finally:
                self._connection = None

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """See `Session`."""
        with self._connected() as connection, connection.begin_nested():
            yield

    def run(self, statement: UpdateBase, rows: pl.DataFrame | None = None) -> None:
        """See `Session`."""
        with self._connected() as connection:
            if rows is None:
                connection.execute(statement)
            elif rows.height:
                connection.execute(statement, rows.to_dicts())

    def add_new(self, table: Table, rows: pl.DataFrame) -> None:
        """See `Session`."""
        match self._engine.dialect.name:
            case "postgresql":
                self.run(insert_postgresql(table).on_conflict_do_nothing(), rows)
            case "sqlite" | "mysql":
                self.run(insert(table).prefix_with("OR IGNORE", dialect="sqlite").prefix_with("IGNORE", dialect="mysql"), rows)
            case _:
                self._add_missing(table, rows)

    def _add_missing(self, table: Table, rows: pl.DataFrame) -> None:
        """For dialects without a word for it: ask for each row, then insert it. A row that comes in between is the database's conflict."""
        with self._connected() as connection:
            for row in rows.to_dicts():
                same = and_(*(column == row[column.name] for column in table.primary_key))
                if connection.execute(select(*table.primary_key).where(same)).first() is None:
                    connection.execute(insert(table), row)

    def fetch(self, statement: Select[Any]) -> pl.DataFrame:
        """See `Session`."""
        schema = {column.name: dtype_of(column.type) for column in statement.selected_columns}
        with self._connected() as connection:
            rows = [tuple(row) for row in connection.execute(statement)]
        return pl.DataFrame(rows, schema=schema, orient="row")

    def lookup(self, statement: Select[Any], key: Column[Any], values: pl.Series) -> pl.DataFrame:
        """See `Session`."""
        parts = [values[start : start + _CHUNK].to_list() for start in range(0, max(values.len(), 1), _CHUNK)]
        return pl.concat([self.fetch(statement.where(key.in_(part))) for part in parts])

    def version(self) -> int | None:
        """See `Session`."""
        return None

    def close(self) -> None:
        """See `Session`."""
        self._engine.dispose()


class GenericStore(TableStore):
    """A store in any database that SQLAlchemy speaks; `wait_s` is how long a locked SQLite file is waited for.

    A SQLite file must not be open here and in a `SqliteStore` of the same process: their libraries do not see each other's locks.
    """

    def __init__(self, target: str | Address, keys: KeyRing, *, wait_s: float = 10.0, clock: Callable[[], datetime] = local_now) -> None:
        super().__init__(lambda _readonly: SqlAlchemySession(target, wait_s=wait_s), keys, beside=False, clock=clock)
