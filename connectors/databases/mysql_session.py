"""A connection to MySQL or MariaDB that reads: one time zone, one dialect, a read-only transaction, and no statement without an end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from connectors.databases.mysql_errors import lost, number, translated
from connectors.databases.settings import MysqlConfig
from hub.contracts.errors import Unavailable

_FOUND_ROWS = 2
_UNKNOWN_VARIABLE = 1193
_LONGEST = 16 << 20  # bytes of the rows of a page
_A_ROW = 64  # bytes that a row takes in memory beyond its text
_GRACE = 10
"""Seconds that the server has beyond its own limit to say that the limit is passed."""


class Session:
    """One connection, opened when it is needed. Blocking; one thread at a time."""

    def __init__(self, config: MysqlConfig) -> None:
        address = config.address()
        self.place = address.place
        self._seconds = max(1, int(config.timeout.total_seconds()))
        wait = self._seconds + _GRACE
        arguments = address.connect_args() | {
            "charset": "utf8mb4", "local_infile": False, "autocommit": True, "read_timeout": wait, "write_timeout": wait, "program_name": "credit-hub",
        }  # fmt: skip
        self._engine = create_engine(address.url(), connect_args=arguments, hide_parameters=True, poolclass=NullPool)
        event.listen(self._engine, "do_connect", _count_what_changes)
        driver: Any = self._engine.dialect.dbapi
        self._error: type[BaseException] = driver.Error
        self._unbuffered: Any = driver.cursors.SSCursor
        self._connection: PoolProxiedConnection | None = None
        self.within = False

    def quote(self, name: str) -> str:
        """An identifier, with % doubled for the driver."""
        return str(self._engine.dialect.identifier_preparer.quote_identifier(name))

    def query(self, sql: str, values: tuple[Any, ...] = (), *, own_words: bool = False) -> list[tuple[Any, ...]]:
        """All rows of a statement that has few. Raises the three errors."""
        with self._spoken(own_words), closing(self._open().cursor()) as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    def described(self, sql: str) -> list[tuple[str, int, int]]:
        """Name, type number and scale of each column of a statement without rows."""
        with self._spoken(True), closing(self._open().cursor()) as cursor:
            cursor.execute(sql, ())
            return [(str(name), int(str(kind)), int(scale or 0)) for name, kind, _, _, _, scale, _ in cursor.description or ()]

    def stream(self, sql: str, values: tuple[Any, ...], most: int) -> Generator[list[bytes | None], None, None]:
        """The one cell of each row, about `most` bytes at a time. Closing it early stops the statement on the server."""
        with self._spoken(False):
            connection: Any = self._open()
            cursor = connection.cursor(self._unbuffered)
            ended = False
            try:
                cursor.execute(sql, values)
                while rows := _some(cursor.read_next, most):
                    yield rows
                ended = True
            except GeneratorExit:
                self._interrupt()
                raise
            finally:
                self._let_go(cursor, ended)

    def changed(self, sql: str, values: tuple[Any, ...]) -> int:
        """Write, in a transaction of its own; how many rows changed."""
        with self._spoken(False), closing(self._open(writing=True).cursor()) as cursor:
            cursor.execute("START TRANSACTION READ WRITE")
            try:
                cursor.execute(sql, values)
                rows = int(cursor.rowcount)
                cursor.execute("COMMIT")
            except self._error as error:
                if not lost(error):
                    with suppress(self._error):
                        cursor.execute("ROLLBACK")
                raise
            return rows

    def begin(self) -> None:
        """Begin a read-only transaction with one view of everything."""
        self.end()
        self.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        self.within = True

    def end(self) -> None:
        """End it; a connection that is lost has ended it already."""
        if self.within:
            self.within = False
            with suppress(Unavailable):
                self.query("ROLLBACK")

    def close(self) -> None:
        """Give the connection back."""
        self.within = False
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(self._error, OSError, AttributeError):
                connection.invalidate()

    def _open(self, *, writing: bool = False) -> PoolProxiedConnection:
        if self._connection is not None and not self.within:
            self._still_there()
        if self._connection is None:
            if self.within:
                raise Unavailable(f"{self.place}: the connection was lost, and what was being read with it", hint="it is read again from the last settled row")
            self._connection = self._engine.raw_connection()
            self._arrange(self._connection, writing)
        return self._connection

    def _still_there(self) -> None:
        """A server that was started anew, or that closed what was quiet, is no error as long as nothing is being read."""
        connection: Any = self._connection
        try:
            connection.ping(reconnect=False)
        except (self._error, OSError, AttributeError):
            self.close()

    def _arrange(self, connection: PoolProxiedConnection, writing: bool) -> None:
        mode = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION" if writing else ""
        wait = max(60, self._seconds)
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET SESSION sql_mode=%s, time_zone='+08:00', net_read_timeout=%s, net_write_timeout=%s", (mode, wait, wait))
            cursor.execute("SET SESSION group_concat_max_len=%s", (_LONGEST,))
            if writing:
                cursor.execute("SET SESSION innodb_lock_wait_timeout=%s", (max(1, min(10, self._seconds // 2)),))
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            else:
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            limits = ("max_statement_time", self._seconds), ("max_execution_time", self._seconds * 1000)  # MariaDB in seconds, MySQL in milliseconds
            for name, value in limits:
                try:
                    cursor.execute(f"SET SESSION {name}=%s", (value,))
                    return
                except self._error as error:
                    if number(error) != _UNKNOWN_VARIABLE:
                        raise

    @contextmanager
    def _spoken(self, own_words: bool) -> Iterator[None]:
        """The driver's errors become ours, and a connection that is lost is given up."""
        try:
            with translated(self.place, self._error, own_words=own_words):
                yield
        except Unavailable as error:
            if error.__cause__ is not None and lost(error.__cause__):
                within = self.within
                self.close()
                self.within = within
            raise

    def _interrupt(self) -> None:
        """Stop the running statement from another connection: the driver would read all of its rows before anything else."""
        connection: Any = self._connection
        with suppress(self._error, OSError), closing(self._engine.raw_connection()) as other, closing(other.cursor()) as cursor:
            cursor.execute("KILL QUERY %s", (connection.thread_id(),))

    def _let_go(self, cursor: Any, ended: bool) -> None:
        """Read what was already on its way; where the connection is lost there is nothing to read, and the driver must not try."""
        if not ended and not cursor.connection.open:
            result = getattr(cursor, "_result", None)
            if result is not None:
                result.unbuffered_active = False
            cursor.connection = None
            return
        try:
            cursor.close()
        except self._error as error:
            if lost(error):
                self.close()


def _some(next_row: Callable[[], tuple[bytes | None] | None], most: int) -> list[bytes | None]:
    """Cells of the next rows: at most `most` bytes and one row more; none at the end."""
    rows: list[bytes | None] = []
    size = 0
    while size < most and (row := next_row()) is not None:
        rows.append(row[0])
        size += len(row[0]) + _A_ROW if row[0] is not None else _A_ROW
    return rows


def _count_what_changes(dialect: Any, record: Any, arguments: Any, settings: dict[str, Any]) -> None:
    """SQLAlchemy asks for rows found; what is counted here are rows changed."""
    settings["client_flag"] = int(settings.get("client_flag", 0)) & ~_FOUND_ROWS
