"""An Oracle database of an agency that is pulled: python-oracledb, thin by default, whose Arrow batches go straight into frames."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import oracledb
import polars as pl

from connectors.databases import oracle_statements as made
from connectors.databases.dialect import Ask, Column, Oddities, Piece, Relation
from connectors.databases.oracle_errors import translated
from connectors.databases.oracle_login import Door
from connectors.databases.oracle_names import described, relation_named
from connectors.databases.oracle_text import hashed, pieces
from connectors.databases.oracle_types import LARGE, kind_of, value_of, width_of
from connectors.databases.settings import OracleConfig, ThickMode
from hub.contracts.errors import HubError, Misconfigured, Unavailable

_FETCHED = 32 << 20  # bytes that the widest rows of one fetch may come to
_MOST, _LEAST, _LARGE = 10_000, 100, 64  # rows of one fetch
_MARKED = 1_000  # rows that are marked in one call
_TRIES = 5
_PATIENCE = 60.0  # seconds that a login may take
_ALIAS = "cx_oracle is no longer maintained, its successor oracledb is used: write driver: oracledb"
_NUMBERS: Mapping[str, Callable[[str], object]] = {"expire_time": int, "sdu": int, "tcp_connect_timeout": float}

_thick: list[str] = []
_doors: dict[int, Door[oracledb.Connection]] = {}
_process = threading.Lock()


class OracleDatabase:
    """Implements `Database` for Oracle 12.1 and newer in thin mode, 11.2 and newer with Oracle's own client library (`thick`).

    `patience` is how many seconds a login may take; `chance` and `wait` are only for the pause between tries of a status that two sessions write.
    """

    def __init__(
        self, config: OracleConfig, *, patience: float = _PATIENCE, chance: Callable[[], float] = random.random, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._config = config
        self._patience = patience
        self._place = config.address().place
        self._reader: oracledb.Connection | None = None
        self._writer: oracledb.Connection | None = None
        self._held = False
        self._odd: Counter[tuple[str, str]] = Counter()
        self._chance, self._wait = chance, wait

    def server(self) -> str:
        """Product, version and mode: "Oracle Database 19.0.0.0.0 (thin)"; a driver's old name is remarked, since `check` shows this."""
        connection = self._connection()
        remark = f"; {_ALIAS}" if self._config.driver == "cx_oracle" else ""
        return f"Oracle Database {connection.version} ({'thin' if connection.thin else 'thick'}){remark}"

    def clock(self) -> str:
        """The time of the server's machine, which SYSDATE is too."""
        return str(self._rows(made.Statement(made.CLOCK), "asking for its time")[0][0])

    def relation(self, name: str, schema: str = "") -> Relation:
        """A table, view or synonym; a name in other letters is taken where only one is meant, as Oracle does with names without quotes."""
        return relation_named(self._rows, name, schema, self._place)

    def query(self, name: str, sql: str) -> Relation:
        """A reviewed query, parsed by the server and not run."""
        if not re.match(r"\s*(select|with)\b", sql, re.IGNORECASE) or ";" in sql:
            raise Misconfigured(f"query {name} is not one SELECT", hint="write one SELECT without a semicolon")
        connection = self._ready()
        with self._border(f"parsing query {name}"), connection.cursor() as cursor:
            cursor.parse(sql)
            columns = tuple(described(item) for item in cursor.description or ())
        if len({column.name for column in columns}) < len(columns) or not columns:
            raise Misconfigured(f"query {name} has no columns, or two of the same name", hint="name each with AS")
        return Relation(name, columns, sql=sql)

    def begin(self) -> None:
        """Everything until `end` is read as it was at this moment (transaction-level read consistency)."""
        self._odd.clear()
        self._held = False
        self._ready()
        self._held = True

    def end(self) -> None:
        """End the reading transaction."""
        self._held = False
        if self._reader is not None:
            try:
                self._reader.rollback()
            except (oracledb.Error, OSError):
                self._lose()  # the transaction has ended with its session

    def count(self, ask: Ask) -> int:
        """How many rows there are, at most `ask.limit`."""
        found = int(str(self._rows(made.counting(ask), f"counting rows of {ask.relation.name}")[0][0]))
        return found if ask.limit is None else min(found, ask.limit)

    def read(self, ask: Ask) -> Iterator[Piece]:
        """The rows in pieces of a few MiB; the driver fetches so many rows at a time that the widest come to 32 MiB at most."""
        connection = self._ready()
        statement = made.reading(ask, _major(connection))
        columns = [made.column_of(ask.relation, name) for name in ask.columns]
        with self._border(f"reading {ask.relation.name}"):
            for batch in connection.fetch_df_batches(statement.sql, statement.binds, size=_fetched_rows(columns)):
                frame = pl.DataFrame(batch)
                if frame.height:
                    yield from pieces(frame, columns, self._odd)

    def sums(self, ask: Ask, of: int) -> Mapping[int, tuple[int, str]]:
        """By the server's hash functions; large objects, which those do not take, are read and hashed here."""
        columns = [made.column_of(ask.relation, name) for name in ask.columns]
        if any(kind_of(column) in LARGE for column in columns):
            return self._own_sums(ask, of, columns)
        statement = made.summing(ask, of, _major(self._connection()))
        rows = self._rows(statement, f"summing {ask.relation.name}")
        return {int(row[0]): (int(row[1]), "-".join(str(part) for part in row[2:])) for row in rows}

    def mark(self, relation: Relation, column: str, value: str, *, key: str, keys: Sequence[str], expected: str) -> int:
        """All in one transaction of a session of its own; a deadlock or a lock is waited out a few times."""
        sql = made.marking(relation, column, key, empty=not expected)
        told, status = made.column_of(relation, key), made.column_of(relation, column)
        same: dict[str, object] = {"value": value_of(status, value)}
        if expected:
            same["expected"] = value_of(status, expected)
        rows: list[dict[str, object]] = [{"id": value_of(told, each), **same} for each in keys]
        for attempt in range(1, _TRIES + 1):
            try:
                return self._marked(sql, rows, f"writing {column} of {relation.name}")
            except Unavailable as error:
                if error.code not in ("ORA-00060", "ORA-00054") or attempt == _TRIES:
                    raise
                self._wait((0.05 + 0.2 * self._chance()) * 2**attempt)
        return 0

    def oddities(self) -> Oddities:
        """Per column what was left out or taken out, and words about the way of connecting."""
        said: dict[str, object] = {}
        for (column, what), count in sorted(self._odd.items()):
            said.setdefault(what, {})[column] = count  # type: ignore[index]
        if self._config.driver == "cx_oracle":
            said["driver"] = _ALIAS
        return Oddities(said)

    def close(self) -> None:
        """Log off."""
        self._held = False
        opened, self._reader, self._writer = (self._reader, self._writer), None, None
        for connection in opened:
            _put_away(connection)

    def _connection(self) -> oracledb.Connection:
        if self._reader is not None and not self._reader.is_healthy():
            self._lose()
        if self._reader is None:
            if self._held:
                self._held = False
                raise Unavailable(
                    f"Oracle at {self._place}: the connection was lost", hint="the consistent view is gone with it; reading begins anew by itself"
                )
            self._reader = self._opened()
        return self._reader

    def _ready(self) -> oracledb.Connection:
        """A connection in a read-only transaction: the one that is held, or a new one."""
        connection = self._connection()
        if not self._held:
            with self._border("beginning a reading transaction"):
                connection.rollback()
                connection.cursor().execute(made.READ_ONLY)
        return connection

    def _rows(self, statement: made.Statement, doing: str) -> list[tuple[Any, ...]]:
        connection = self._ready()
        with self._border(doing), connection.cursor() as cursor:
            cursor.execute(statement.sql, statement.binds)
            return list(cursor.fetchall())

    def _opened(self) -> oracledb.Connection:
        config = self._config
        address = config.address()
        choose_mode(config.thick)
        arguments = address.connect_args() | {name: _NUMBERS[name](value) for name, value in config.options.items() if name in _NUMBERS}
        if config.thick is not None:
            arguments.pop("ssl_context", None)  # Oracle's client takes its wallet's certificates
        password = config.password.get_secret_value()

        def knock() -> oracledb.Connection:
            with self._border("logging in"):
                return oracledb.connect(
                    host=config.host, port=config.port or 1521, service_name=config.database, user=config.user, password=password, **arguments
                )

        door = _doors.setdefault(hash((self._place, config.user, password)), Door())
        connection = door.enter(knock, self._patience, self._place)
        connection.call_timeout = max(1, int(config.timeout.total_seconds() * 1000))
        with self._border("setting up the session"):
            connection.cursor().execute(made.SESSION)
        return connection

    @contextmanager
    def _border(self, doing: str) -> Iterator[None]:
        """The driver's errors become ours; a session that is dead, or was cut off in the middle of a call, is put away."""
        try:
            yield
        except (oracledb.Error, OSError, pl.exceptions.PolarsError, UnicodeError) as error:
            meant = translated(error, self._place, doing)
            if isinstance(meant, Unavailable) and meant.code not in ("ORA-00060", "ORA-00054"):
                self._lose()
            raise meant from None

    def _lose(self) -> None:
        opened, self._reader, self._writer = (self._reader, self._writer), None, None
        for connection in opened:
            _put_away(connection)

    def _marked(self, sql: str, rows: Sequence[Mapping[str, object]], doing: str) -> int:
        if self._writer is not None and not self._writer.is_healthy():
            _put_away(self._writer)
            self._writer = None
        connection = self._writer = self._writer or self._opened()
        written = 0
        try:
            with self._border(doing), connection.cursor() as cursor:
                for begin in range(0, len(rows), _MARKED):
                    cursor.executemany(sql, list(rows[begin : begin + _MARKED]))
                    written += cursor.rowcount
                connection.commit()
        except HubError:
            with suppress(oracledb.Error):
                connection.rollback()
            raise
        return written

    def _own_sums(self, ask: Ask, of: int, columns: Sequence[Column]) -> Mapping[int, tuple[int, str]]:
        """Sums of 64-bit hashes of whole rows by two seeds. They may differ between releases of the hub: then buckets are read once more."""
        found: dict[int, tuple[int, int, int]] = {}
        connection = self._ready()
        statement = made.hashing(ask, of)
        with self._border(f"summing {ask.relation.name}"):
            for batch in connection.fetch_df_batches(statement.sql, statement.binds, size=_fetched_rows(columns)):
                for bucket, rows, first, second in hashed(pl.DataFrame(batch)).iter_rows():
                    before = found.get(bucket, (0, 0, 0))
                    found[bucket] = (before[0] + rows, (before[1] + first) % 2**64, (before[2] + second) % 2**64)
        return {bucket: (rows, f"{first:016x}-{second:016x}") for bucket, (rows, first, second) in found.items()}


def choose_mode(thick: ThickMode | None) -> None:
    """Thin, or Oracle's client library: one choice for the whole process, since the driver allows only one. Raises `Misconfigured` for a second one."""
    with _process:
        if thick is None and not _thick:
            return
        if thick is None or (_thick and _thick[0] != thick.lib_dir):
            hint = "give every Oracle source of this process the same thick: …, or none"
            raise Misconfigured("Oracle sources disagree on the client library", hint=hint)
        try:
            oracledb.init_oracle_client(lib_dir=thick.lib_dir or None)
        except oracledb.Error as error:
            raise translated(error, "this machine", "loading the client library") from None
        _thick[:] = [thick.lib_dir]


def _put_away(connection: oracledb.Connection | None) -> None:
    if connection is not None:
        with suppress(oracledb.Error, OSError):
            connection.close()


def _major(connection: oracledb.Connection) -> int:
    return int(connection.version.partition(".")[0])


def _fetched_rows(columns: Sequence[Column]) -> int:
    if any(kind_of(column) in LARGE for column in columns):
        return _LARGE
    return max(_LEAST, min(_MOST, _FETCHED // sum(width_of(column) for column in columns)))
