"""Any database that has a SQLAlchemy dialect (达梦, 人大金仓, OceanBase): the slow, general way.

Rows come through the driver's own objects, and sums and buckets are worked out here from rows that are streamed: a compare reads the whole table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Engine, Executable, NullPool, create_engine, exc, func, inspect, select, text

from connectors.databases import generic_statements as statements
from connectors.databases.dialect import Ask, Column, Oddities, Piece, Relation
from connectors.databases.generic_errors import again, decision
from connectors.databases.settings import SqlConfig
from connectors.formats.plain import lines_of
from hub.contracts.errors import Misconfigured, Unavailable

_ROWS: Final = 2_000
_KEYS: Final = 500  # some systems take no more than 1,000 in a list
_VIEWS: Final = ("REPEATABLE READ", "SNAPSHOT", "SERIALIZABLE")
_PAUSES_S: Final = (0.05, 0.2, 0.8, 2.0)
_PACKAGES: Final = {"dm": "dmPython and dmSQLAlchemy", "kingbase": "its SQLAlchemy dialect and ksycopg2", "mssql": "pymssql or pyodbc"}


class SqlDatabase:
    """A database of any kind, read only as far as its system can. `pause` waits between attempts to write a mark."""

    def __init__(self, config: SqlConfig, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._config = config
        self._pause = pause
        self._address = config.address()
        self._made: Engine | None = None
        self._connection: Connection | None = None
        self._snapshot = False
        self._protects = True  # whether the system has read-only transactions
        self._nul = 0

    def server(self) -> str:
        """Dialect and version."""
        with self._transaction() as connection:
            version = getattr(connection.dialect, "server_version_info", None) or ()
            return f"{connection.dialect.name} {'.'.join(map(str, version))}".strip()

    def clock(self) -> str:
        """The database's own time."""
        with self._transaction() as connection:
            return statements.cell(connection.execute(select(func.current_timestamp())).scalar()) or ""

    def relation(self, name: str, schema: str = "") -> Relation:
        """A table or view as the dialect reflects it. Raises `Misconfigured` where there is none."""
        with self._transaction() as connection:
            seen = inspect(connection)
            space = schema or None
            names = [*seen.get_table_names(space), *seen.get_view_names(space)]
            with suppress(NotImplementedError):
                names += seen.get_materialized_view_names(space)
            if name not in names:
                near = get_close_matches(name, names, 3, 0.6) or [each for each in names if each.casefold() == name.casefold()]
                hint = f"did you mean {' or '.join(near)}?" if near else "name its schema, or ask for the right to see it"
                raise Misconfigured(f"{self._config.database} has no table or view {name}", hint=hint)
            columns = tuple(self._column(connection, each) for each in seen.get_columns(name, space))
            with suppress(NotImplementedError):
                return Relation(name, columns, tuple(seen.get_pk_constraint(name, space)["constrained_columns"]), schema)
            return Relation(name, columns, (), schema)

    def _column(self, connection: Connection, found: Mapping[str, Any]) -> Column:
        kind = found["type"]
        try:
            declared = str(kind.compile(connection.dialect))
        except exc.CompileError:
            declared = type(kind).__name__
        return Column(found["name"], declared, statements.sort_of(kind))

    def query(self, name: str, sql: str) -> Relation:
        """A reviewed query, described by the server without a row of it."""
        with self._transaction() as connection, connection.execute(statements.described(sql)) as result:
            assert result.cursor is not None, "a SELECT has a description"
            columns = tuple(_described(connection, each[0], each[1]) for each in result.cursor.description)
        if len({each.name for each in columns}) < len(columns):
            raise Misconfigured(f"query {name} has two columns of the same name", hint="name each with AS")
        return Relation(name, columns, (), "", sql)

    def begin(self) -> None:
        """Begin a transaction in which everything stays as it is now, as far as the system can."""
        self.end()
        self._nul = 0
        connection = self._connected()
        with self._border():
            self._protected(connection)
        self._snapshot = True

    def end(self) -> None:
        """End that transaction."""
        self._snapshot = False
        if self._connection is not None:
            with suppress(exc.SQLAlchemyError):
                self._connection.rollback()

    def count(self, ask: Ask) -> int:
        """How many rows the ask is for. One of buckets is counted by reading."""
        if ask.buckets is not None:
            return sum(len(rows) for rows in self._rows(ask, ask.relation.key))
        with self._transaction() as connection:
            return int(connection.execute(statements.count(ask)).scalar_one())

    def read(self, ask: Ask) -> Iterator[Piece]:
        """The rows, some thousand at a time."""
        for rows in self._rows(ask, ask.columns):
            if rows:
                frame = pl.DataFrame(rows, schema={str(place): pl.String for place in range(len(ask.columns))}, orient="row")
                yield Piece(self._clean(lines_of(frame)), len(rows), tuple(rows[-1]))

    def _rows(self, ask: Ask, columns: Sequence[str]) -> Iterator[list[Sequence[str | None]]]:
        """Rows of text in parts; those of other buckets are left out here."""
        if ask.buckets is None:
            yield from self._parts(statements.rows_of(ask, columns, ask.limit))
            return
        wanted, of = ask.buckets
        wide, left = (*columns, *_key(ask.relation)), ask.limit
        for part in self._parts(statements.rows_of(ask, wide, None)):
            rows = [row[: len(columns)] for row in part if statements.digest(row[len(columns) :]) % of in wanted][:left]
            left = None if left is None else left - len(rows)
            yield rows
            if left == 0:
                return

    def _parts(self, statement: Executable) -> Iterator[list[Sequence[str | None]]]:
        with self._transaction() as connection:
            streaming = connection.execution_options(stream_results=True, max_row_buffer=_ROWS)
            with streaming.execute(statement) as result:
                cursor = result.cursor
                try:
                    for part in result.partitions(_ROWS):
                        columns = [list(map(statements.cell, values)) for values in zip(*part, strict=True)]
                        yield list(zip(*columns, strict=True))
                except exc.DBAPIError as error:
                    if error.connection_invalidated:
                        _given_up(cursor)
                    raise

    def sums(self, ask: Ask, of: int) -> Mapping[int, tuple[int, str]]:
        """Per bucket: rows, and the sum of their hashes, from rows that are read for it."""
        key = _key(ask.relation)
        found: dict[int, tuple[int, int]] = {}
        for part in self._rows(replace(ask, limit=None), (*ask.columns, *key)):
            for row in part:
                bucket = statements.digest(row[len(ask.columns) :]) % of
                rows, total = found.get(bucket, (0, 0))
                found[bucket] = (rows + 1, (total + statements.digest(row[: len(ask.columns)])) % (1 << 128))
        return {bucket: (rows, f"{total:032x}") for bucket, (rows, total) in found.items()}

    def mark(self, relation: Relation, column: str, value: str, *, key: str, keys: Sequence[str], expected: str) -> int:
        """Write a status over a connection of its own, some hundred keys at a time in one transaction."""
        held, name = relation.column(column), relation.column(key)
        if held is None or name is None:
            raise Misconfigured(f"{relation.name} has no column {key if name is None else column}", hint="it was renamed or dropped: correct the feed")
        ordered = sorted(keys)
        parts = [statements.mark(relation, held, value, name, ordered[start : start + _KEYS], expected) for start in range(0, len(ordered), _KEYS)]
        for wait in _PAUSES_S:
            try:
                return self._written(parts)
            except exc.DBAPIError as error:
                if not again(error):
                    raise decision(error, self._address.place) from error
            self._pause(wait)
        raise Unavailable(f"the rows of {relation.name} stay locked by somebody else", hint="it is tried again; ask who holds the lock if it stays")

    def _written(self, parts: Sequence[Executable]) -> int:
        with self._engine().begin() as connection:
            return sum(connection.execute(part).rowcount for part in parts)

    def oddities(self) -> Oddities:
        """NUL bytes that were taken out."""
        return Oddities({"nul": self._nul} if self._nul else {})

    def close(self) -> None:
        """Release connections."""
        self._snapshot = False
        if self._connection is not None:
            with suppress(exc.SQLAlchemyError):
                self._connection.close()
        self._connection = None
        if self._made is not None:
            self._made.dispose()
            self._made = None

    def _clean(self, lines: bytes) -> bytes:
        if (found := lines.count(b"\0")) == 0:
            return lines
        self._nul += found
        return lines.replace(b"\0", b"")

    def _engine(self) -> Engine:
        if self._made is None:
            word = self._address.dialect
            needs = _PACKAGES.get(word, f"the package that brings SQLAlchemy's dialect {self._config.name}, and its driver")
            try:
                arguments = _bounds(self._address.family, self._config.timeout.total_seconds()) | self._address.connect_args()
                self._made = create_engine(self._address.url(), connect_args=arguments, poolclass=NullPool, hide_parameters=True)
            except (exc.NoSuchModuleError, ImportError) as error:
                raise Misconfigured(f"no driver is installed for {self._config.name}", hint=f"install {needs} into the hub's environment") from error
            except exc.ArgumentError as error:
                raise Misconfigured(f"{self._config.name} is no dialect with a driver", hint="write dialect+driver, such as dm+dmPython") from error
        return self._made

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed or self._connection.invalidated:
            if self._snapshot:
                self._snapshot = False
                raise Unavailable(f"the database {self._address.place} broke off", hint="the view of the data is lost; it is begun anew")
            with self._border():
                self._connection = self._viewing(self._engine().connect())
        return self._connection

    def _viewing(self, connection: Connection) -> Connection:
        """A connection whose transactions see one state of the data, where the dialect knows such a thing."""
        try:
            offered = connection.dialect.get_isolation_level_values(connection.connection.dbapi_connection)  # type: ignore[arg-type]
        except NotImplementedError:
            return connection
        level = next((each for each in _VIEWS if each in offered), None)
        return connection if level is None else connection.execution_options(isolation_level=level)

    def _protected(self, connection: Connection) -> None:
        """SQL-92's word for a transaction that only reads; a system that does not know it goes without."""
        if not self._protects:
            return
        try:
            connection.execute(text("SET TRANSACTION READ ONLY"))
        except exc.DBAPIError as error:
            if error.connection_invalidated:
                raise
            self._protects = False
            connection.rollback()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """The transaction of `begin`, or one of its own."""
        connection = self._connected()
        with self._border():
            if self._snapshot:
                yield connection
                return
            self._protected(connection)
            try:
                yield connection
            finally:
                self.end()

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            raise decision(error, self._address.place) from error
        except AssertionError as error:  # a dialect that does not recognise the server's version
            raise Misconfigured(f"the dialect {self._config.name} does not know this server", hint="name the dialect that its maker offers") from error


def _key(relation: Relation) -> tuple[str, ...]:
    if not relation.key:
        raise Misconfigured(f"{relation.name} has no key to part it by", hint="name the column that tells rows apart as `id`")
    return relation.key


def _given_up(cursor: Any) -> None:
    """PyMySQL reads what is left when a cursor is thrown away, even where the connection is lost: it is told that nothing is left."""
    left: Any = getattr(cursor, "_result", None)
    if hasattr(left, "unbuffered_active"):
        left.unbuffered_active = False


def _bounds(family: str, timeout_s: float) -> dict[str, Any]:
    """What bounds a statement, for drivers that are known; others have their own options."""
    if family == "mysql":
        return {"read_timeout": int(timeout_s) + 1, "write_timeout": int(timeout_s) + 1}
    return {"options": f"-c statement_timeout={int(timeout_s * 1000)} -c timezone=Asia/Shanghai"} if family == "postgresql" else {}


def _described(connection: Connection, name: str, code: Any) -> Column:
    """A column of a query, by the four words that every driver has for types (PEP 249)."""
    driver: Any = connection.dialect.dbapi
    if code == driver.NUMBER:
        return Column(name, "number", "number")
    return Column(name, "time", "time") if code == driver.DATETIME else Column(name, "text", "text")
