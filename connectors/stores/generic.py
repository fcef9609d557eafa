"""A central store through SQLAlchemy, on any database that it speaks: the reference for the faster paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Column, Connection, Engine, Select, StaticPool, Table, create_engine, event, exc, insert, inspect
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.sql.dml import UpdateBase

from connectors.stores.table_store import TableStore, local_now
from connectors.stores.tables import dtype_of
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable
from hub.contracts.keys import KeyRing

_CHUNK = 500
_SETTINGS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA mmap_size=0", "PRAGMA trusted_schema=OFF", "PRAGMA cell_size_check=ON")


def _decision(error: exc.SQLAlchemyError, place: str) -> HubError:
    """Which of the three decisions an error asks for."""
    said = str(getattr(error, "orig", error)).lower()
    if isinstance(error, exc.DBAPIError) and any(word in said for word in ("locked", "busy", "lock wait", "deadlock")):
        return Unavailable(f"store {place} is locked by another program", hint="close the program that holds it; the batch is tried again")
    if "disk is full" in said or "disk i/o error" in said or "no space" in said:
        return Unavailable(f"store {place} cannot be written: the disk is full or failing", hint="free space on the store's disk", code="S507")
    if "readonly" in said or "unable to open" in said or "denied" in said or "authentication" in said:
        return Misconfigured(f"store {place} refuses the hub", hint="check that the store exists and that the hub's user may write to it")
    if isinstance(error, (exc.IntegrityError, exc.DataError)):
        return Rejected("the store's own rules refuse this row", code="S001", hint="compare the row with the table's constraints")
    if isinstance(error, exc.OperationalError) and "no such" not in said:
        return Unavailable(f"store {place} does not answer", hint="check that the database server runs and can be reached")
    return Misconfigured(f"store {place} does not have the tables that the catalogue asks for", hint="run `run_hub.py doctor`")


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


class SqlAlchemySession:
    """One connection of an engine with a single one, so that SQLite has one writer."""

    def __init__(self, url: str, *, wait_s: float = 10.0) -> None:
        try:
            parsed = make_url(url)
            more: dict[str, Any] = {"connect_args": {"check_same_thread": False}} if parsed.get_backend_name() == "sqlite" else {}
            self._engine = create_engine(parsed, poolclass=StaticPool, hide_parameters=True, **more)
        except (exc.ArgumentError, ImportError) as error:
            raise Misconfigured(
                "the store's database URL cannot be used", hint="write it as dialect+driver://user@host/database, and install its driver"
            ) from error
        self._place = parsed.render_as_string(hide_password=True).rsplit("/", 1)[-1]
        self._connection: Connection | None = None
        if self._engine.dialect.name == "sqlite":
            _prepare_sqlite(self._engine, wait_s)

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            raise _decision(error, self._place) from error

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
                if missing := [column.name for column in table.columns if column.name not in found]:
                    raise Misconfigured(
                        f"table {table.name} of store {self._place} lacks the columns {', '.join(missing)}",
                        hint="the catalogue has changed since the table was made; add the columns or give the item a new version",
                    )

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
        if self._engine.dialect.name == "postgresql":
            self.run(insert_postgresql(table).on_conflict_do_nothing(), rows)
        else:
            self.run(insert(table).prefix_with("OR IGNORE", dialect="sqlite").prefix_with("IGNORE", dialect="mysql"), rows)

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

    def __init__(self, url: str, keys: KeyRing, *, wait_s: float = 10.0, clock: Callable[[], datetime] = local_now) -> None:
        super().__init__(lambda _readonly: SqlAlchemySession(url, wait_s=wait_s), keys, beside=False, clock=clock)
