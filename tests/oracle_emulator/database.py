"""The data: one SQLite file, and sessions on it that run Oracle's statements."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests.oracle_emulator.catalogue import Catalogue, Column
from tests.oracle_emulator.changes import changing
from tests.oracle_emulator.definitions import defining
from tests.oracle_emulator.errors import OracleError, from_sqlite
from tests.oracle_emulator.functions import Failure, install
from tests.oracle_emulator.sql import Translator
from tests.oracle_emulator.tokens import Nodes, at, is_word, tree, words
from tests.oracle_emulator.types import Cell, Type

_CHANGES = ("INSERT", "UPDATE", "DELETE", "MERGE")
_DEFINITIONS = ("CREATE", "DROP", "ALTER", "TRUNCATE", "COMMENT", "GRANT", "REVOKE", "ANALYZE")
_CONTROLS = ("COMMIT", "ROLLBACK", "SAVEPOINT", "SET", "LOCK", "BEGIN", "DECLARE", "CALL")
_EAGER = 2000
_NOT_UNDERSTOOD = (LookupError, AssertionError, AttributeError, StopIteration, TypeError, ValueError)


_WAIT_S = 10
_FOR_UPDATE = re.compile(r"\bFOR\s+UPDATE\b.*\b(?:WAIT\s+(\d+)|NOWAIT)\s*$", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement ready to run: `kind` is query, change, definition or control."""

    kind: str
    nodes: Nodes
    sql: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    locks: bool = False
    wait_s: int = _WAIT_S


class Result:
    """Rows of a query, in order, as many at a time as are asked for. Few rows are read at once, so that no reader is left open."""

    def __init__(self, rows: Generator[tuple[Cell, ...], None, None]) -> None:
        self._rows = rows
        self._held: list[tuple[Cell, ...]] = []
        self._ended = False
        self._fill(_EAGER)

    def take(self, count: int) -> list[tuple[Cell, ...]]:
        """The next rows."""
        self._fill(count)
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    @property
    def ended(self) -> bool:
        """Whether all rows were taken."""
        self._fill(1)
        return not self._held

    def close(self) -> None:
        """Let go of what was not taken."""
        self._rows.close()
        self._held, self._ended = [], True

    def _fill(self, count: int) -> None:
        while not self._ended and len(self._held) < count:
            row = next(self._rows, None)
            if row is None:
                self._ended = True
            else:
                self._held.append(row)


def create(path: Path, catalogue: Catalogue) -> None:
    """An empty database file."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.create_function("ORA_USER", -1, lambda *_: "SYS", deterministic=True)
    connection.execute("BEGIN")
    catalogue.install(connection)
    catalogue.publish(connection)
    connection.execute("COMMIT")
    connection.close()


class Session:
    """One user's session: what it runs, its transaction. Used by one thread at a time; `watch` is called now and then while a statement runs."""

    def __init__(self, path: Path, catalogue: Catalogue, user: str, watch: Callable[[], bool] | None = None) -> None:
        self._catalogue, self.user, self._failure = catalogue, user, Failure()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_WAIT_S, cached_statements=200)
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA case_sensitive_like = ON")
        install(self._connection, user, self._failure)
        self._read_only = False
        if watch is not None:
            self._connection.set_progress_handler(lambda: int(watch()), 50_000)

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction and not self._read_only

    def prepare(self, sql: str, binds: Sequence[Type] = ()) -> Prepared:
        """Parse a statement; for a query, find out its columns."""
        try:
            return _prepared(sql.strip().rstrip(";"), tuple(binds), self.user, self._catalogue.generation, _Held(self._catalogue))
        except _NOT_UNDERSTOOD as error:
            raise OracleError(933, f"SQL command not properly ended (not understood here: {type(error).__name__})") from error

    def query(self, prepared: Prepared, values: Sequence[Cell] = ()) -> Result:
        """Run a query."""
        with self._errors():
            if prepared.locks and not self._connection.in_transaction:
                self._lock(prepared.wait_s)
            cursor = self._connection.execute(prepared.sql[0], self._bound(prepared, values))
            return Result(self._guarded(cursor))

    def _lock(self, wait_s: int) -> None:
        self._connection.execute(f"PRAGMA busy_timeout = {1000 * wait_s}")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {1000 * _WAIT_S}")

    def change(self, prepared: Prepared, rows: Sequence[Sequence[Cell]]) -> Iterator[int]:
        """Run a change once per row of binds, telling how many rows each has changed."""
        with self._errors():
            if self._read_only:
                raise OracleError(1456, "may not perform insert/delete/update operation inside a READ ONLY transaction")
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
        for row in rows:
            with self._errors():
                self._connection.execute("SAVEPOINT ora_statement")
                try:
                    count = sum(self._connection.execute(sql, self._bound(prepared, row)).rowcount for sql in prepared.sql)
                except BaseException:
                    self._connection.execute("ROLLBACK TO ora_statement")
                    raise
                finally:
                    if self._connection.in_transaction:
                        self._connection.execute("RELEASE ora_statement")
            yield count

    def define(self, prepared: Prepared) -> None:
        """Run a definition; as with Oracle it commits what was open."""
        with self._errors():
            if is_word(at(prepared.nodes, 1), "SESSION"):
                return
            self.commit()
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                defining(prepared.nodes, self._catalogue, self.user, self._connection)
            except _NOT_UNDERSTOOD as error:
                self._connection.execute("ROLLBACK")
                raise OracleError(922, f"missing or invalid option (not understood here: {type(error).__name__})") from error
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def control(self, prepared: Prepared) -> None:
        """COMMIT, ROLLBACK, SAVEPOINT, SET TRANSACTION."""
        word, said = words(prepared.nodes[:1]), words(prepared.nodes)
        with self._errors():
            if word == "COMMIT":
                self.commit()
            elif word == "ROLLBACK" and "TO" not in said:
                self.rollback()
            elif word in ("ROLLBACK", "SAVEPOINT"):
                if not self._connection.in_transaction:
                    self._connection.execute("BEGIN IMMEDIATE")
                name = words(prepared.nodes[-1:]).replace('"', '""')
                self._connection.execute(f'{"ROLLBACK TO" if word == "ROLLBACK" else "SAVEPOINT"} "{name}"')
            elif word == "SET" and "TRANSACTION" in said:
                self._transaction("READONLY" in said)
            elif word in ("BEGIN", "DECLARE", "CALL"):
                raise OracleError(6550, "PL/SQL is not understood here")

    def _transaction(self, read_only: bool) -> None:
        if self._connection.in_transaction:
            raise OracleError(1453, "SET TRANSACTION must be first statement of transaction")
        if read_only:
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
            self._read_only = True

    def commit(self) -> None:
        self._end("COMMIT")

    def rollback(self) -> None:
        self._end("ROLLBACK")

    def _end(self, word: str) -> None:
        self._read_only = False
        if self._connection.in_transaction:
            self._connection.execute(word)

    def close(self) -> None:
        """Roll back and let go."""
        self.rollback()
        self._connection.close()

    def _bound(self, prepared: Prepared, values: Sequence[Cell]) -> dict[str, Cell]:
        return {f"b{i}": None if value == "" else value for i, value in enumerate(values, 1)}

    def _guarded(self, cursor: sqlite3.Cursor) -> Generator[tuple[Cell, ...], None, None]:
        with self._errors():
            yield from cursor

    def _errors(self) -> _Errors:
        return _Errors(self._failure, self._catalogue)


class _Errors:
    """What SQLite says, in Oracle's words."""

    def __init__(self, failure: Failure, catalogue: Catalogue) -> None:
        self._failure, self._catalogue = failure, catalogue

    def __enter__(self) -> None:
        self._failure.error = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise (self._failure.error or self._catalogue.violated(str(error)) or from_sqlite(error)) from error


class _Held:
    """A catalogue as part of a cache's key."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def __hash__(self) -> int:
        return id(self.catalogue)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.catalogue is self.catalogue


@lru_cache(1024)
def _prepared(sql: str, binds: tuple[Type, ...], user: str, generation: int, held: _Held) -> Prepared:
    nodes = tree(sql)
    translator = Translator(held.catalogue, user, binds)
    first = at(nodes, 0)
    if not nodes:
        raise OracleError(900, "invalid SQL statement")
    if is_word(first, *_CHANGES):
        statements, _ = changing(nodes, translator)
        return Prepared("change", nodes, tuple(statements))
    if is_word(first, *_DEFINITIONS):
        return Prepared("definition", nodes)
    if is_word(first, *_CONTROLS):
        return Prepared("control", nodes)
    text, columns = translator.query(nodes)
    waits = _FOR_UPDATE.search(sql)
    return Prepared("query", nodes, (text,), columns, translator.locks, int(waits[1] or 0) if waits else _WAIT_S)
