"""A pulled database over a SQLite file, small and complete: what tests of pulls read from where no server is needed."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from connectors.databases.dialect import SEPARATOR, Ask, Column, Oddities, Piece, Relation, Sort
from hub.contracts.errors import HubError, Misconfigured, Unavailable

_ROWS = 10_000
_SORTS: Mapping[str, Sort] = {"INT": "number", "NUM": "number", "DEC": "number", "DATETIME": "time", "DATE": "date"}


@dataclass
class SqliteDatabase:
    """A `Database`. `now` is its clock, `fails` is raised by every call, `asked` lists what was asked of it; `password` is compared with `right`."""

    path: Path
    now: str = "2026-11-24 12:00:00"
    fails: HubError | None = None
    breaks_after: int | None = None  # pieces, until a connection is lost once
    asked: list[str] = field(default_factory=list)
    password: str = "right"
    piece_rows: int = _ROWS
    _connection: sqlite3.Connection | None = None
    _nul: int = 0

    def server(self) -> str:
        """Its product and version."""
        self._open("server")
        return f"SQLite {sqlite3.sqlite_version}"

    def clock(self) -> str:
        """What the test says it is."""
        self._open("clock")
        return self.now

    def relation(self, name: str, schema: str = "") -> Relation:
        """A table or view."""
        connection = self._open("relation")
        known = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
        if name not in known:
            raise Misconfigured(f"there is no table {name}", hint=f"nearest: {', '.join(get_close_matches(name, known)) or 'none'}")
        rows = connection.execute(f"PRAGMA table_info({_quoted(name)})").fetchall()
        key = [row[1] for row in sorted(rows, key=lambda row: int(row[5])) if row[5]]
        return Relation(name, tuple(Column(row[1], row[2] or "text", _sort(row[2])) for row in rows), tuple(key), schema)

    def query(self, name: str, sql: str) -> Relation:
        """A reviewed query."""
        connection = self._open("query")
        if not sql.lstrip().lower().startswith(("select", "with")) or ";" in sql:
            raise Misconfigured(f"query {name} is no single SELECT", hint="write one SELECT")
        with _told():
            cursor = connection.execute(f"SELECT * FROM ({sql}) LIMIT 1")
            row = cursor.fetchone() or [None] * len(cursor.description)
        names = [one[0] for one in cursor.description]
        return Relation(
            name, tuple(Column(each, "query", "number" if isinstance(cell, int | float) else "text") for each, cell in zip(names, row, strict=True)), sql=sql
        )

    def begin(self) -> None:
        """One view of everything."""
        self._open("begin").execute("BEGIN").execute("SELECT 1 FROM sqlite_master").fetchall()
        self._nul = 0

    def end(self) -> None:
        """End it."""
        if self._connection is not None and self._connection.in_transaction:
            self._connection.rollback()

    def count(self, ask: Ask) -> int:
        """How many rows."""
        where, values = _where(ask)
        with _told():
            rows = self._open("count").execute(f"SELECT count(*) FROM {_from(ask.relation)}{where}", values).fetchone()[0]
        return min(int(rows), ask.limit) if ask.limit is not None else int(rows)

    def read(self, ask: Ask) -> Iterator[Piece]:
        """The rows, piece by piece."""
        connection = self._open("read")
        where, values = _where(ask)
        order = f" ORDER BY {', '.join(map(_quoted, ask.order))}" if ask.order else ""
        limit = f" LIMIT {ask.limit}" if ask.limit is not None else ""
        with _told():
            cursor = connection.execute(f"SELECT {', '.join(map(_quoted, ask.columns))} FROM {_from(ask.relation)}{where}{order}{limit}", values)
        while rows := cursor.fetchmany(self.piece_rows):
            if self.breaks_after is not None:
                self.breaks_after -= 1
                if self.breaks_after < 0:
                    self.breaks_after = None
                    self.close()
                    raise Unavailable("the connection was lost in mid-pull", hint="it is tried again by the schedule")
            yield self._piece(rows)

    def _piece(self, rows: Sequence[Sequence[Any]]) -> Piece:
        clean = [[self._text(cell) for cell in row] for row in rows]
        text = "".join(SEPARATOR.join(map(_cell, row)) + "\n" for row in clean)
        return Piece(text.encode(), len(rows), tuple(cell or None for cell in clean[-1]))

    def _text(self, cell: Any) -> str:
        text = "" if cell is None else str(cell)
        if "\0" in text:
            self._nul += 1
            text = text.replace("\0", "")
        return text

    def sums(self, ask: Ask, of: int) -> Mapping[int, tuple[int, str]]:
        """Rows and checksum of each bucket."""
        where, values = _where(ask)
        key = ask.relation.key or (ask.relation.columns[0].name,)
        names = ", ".join(map(_quoted, (*key, *ask.columns)))
        found: dict[int, tuple[int, int]] = {}
        for row in self._open("sums").execute(f"SELECT {names} FROM {_from(ask.relation)}{where}", values):
            bucket = _bucket(SEPARATOR.join(map(str, row[: len(key)])), of)
            rows, sum_ = found.get(bucket, (0, 0))
            found[bucket] = (rows + 1, sum_ ^ int(hashlib.sha256(repr(row).encode()).hexdigest()[:16], 16))
        return {bucket: (rows, f"{sum_:016x}") for bucket, (rows, sum_) in found.items()}

    def mark(self, relation: Relation, column: str, value: str, *, key: str, keys: Sequence[str], expected: str) -> int:
        """Write a status."""
        self._open("mark")
        with sqlite3.connect(self.path) as connection:
            statement = f"UPDATE {_quoted(relation.name)} SET {_quoted(column)} = ? WHERE CAST({_quoted(key)} AS TEXT) = ? AND {_quoted(column)} = ?"
            return connection.executemany(statement, [(value, one, expected) for one in keys]).rowcount

    def oddities(self) -> Oddities:
        """NUL characters that were taken out."""
        return Oddities({"nul": self._nul} if self._nul else {})

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self, what: str) -> sqlite3.Connection:
        self.asked.append(what)
        if self.fails is not None:
            raise self.fails
        if self.password != "right":
            raise Misconfigured("it does not let us in", hint="check user and password")
        if not self.path.exists():
            raise Unavailable("nobody answers", hint="is the server up?")
        if self._connection is None:
            self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._connection.create_function("bucket", 2, _bucket, deterministic=True)
        return self._connection


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Misconfigured(f"the server says: {error}", hint="correct it") from error


def _from(relation: Relation) -> str:
    return f"({relation.sql})" if relation.sql else _quoted(relation.name)


def _where(ask: Ask) -> tuple[str, list[str]]:
    terms: list[str] = []
    values: list[str] = []
    for name, value in ask.equals.items():
        terms.append(f"{_quoted(name)} = {_cast(ask, name)}")
        values.append(value)
    if ask.after is not None:
        names = ask.after.columns
        terms.append(f"({', '.join(map(_quoted, names))}) > ({', '.join(_cast(ask, name) for name in names)})")
        values += ask.after.values
    if ask.until is not None:
        terms.append(f"{_quoted(ask.until[0])} <= {_cast(ask, ask.until[0])}")
        values.append(ask.until[1])
    if ask.buckets is not None:
        chosen, of = ask.buckets
        key = f"|| '{SEPARATOR}' ||".join(map(_quoted, ask.relation.key or (ask.relation.columns[0].name,)))
        terms.append(f"bucket({key}, {of}) IN ({', '.join(map(str, sorted(chosen)))})")
    return (" WHERE " + " AND ".join(terms) if terms else "", values)


def _cast(ask: Ask, name: str) -> str:
    column = ask.relation.column(name)
    return "CAST(? AS NUMERIC)" if column is not None and column.sort == "number" else "?"


def _bucket(key: object, of: int) -> int:
    return int(hashlib.sha256(str(key).encode()).hexdigest()[:8], 16) % of


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in f'"\r\n{SEPARATOR}') else text


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"  # SQLite takes an unknown name between double quotation marks for text


def _sort(declared: str) -> Sort:
    word = declared.upper()
    return next((sort for start, sort in _SORTS.items() if word.startswith(start)), "text")
