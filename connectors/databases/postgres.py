"""PostgreSQL: pulled with `COPY … TO STDOUT`, which writes the text that landing holds almost for nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import islice
from typing import Final

from connectors.databases import postgres_statements as statements
from connectors.databases.dialect import Ask, Column, Oddities, Piece, Relation
from connectors.databases.postgres_wire import GRACE_S, Wire
from connectors.databases.settings import PostgresConfig
from hub.contracts.errors import Misconfigured, Unavailable

_ROWS, _BYTES = 20_000, 1 << 20
_MARKED_AT_ONCE: Final = 20_000
_MOST_ROWS: Final = 20_000_000
_COPY: Final = "COPY ({select}) TO STDOUT (FORMAT csv, DELIMITER E'\\x1f', ENCODING '{encoding}')"
_CELL = re.compile(rb'"((?:[^"]|"")*)"|([^\x1f\n"]*)')
_AGAIN: Final = frozenset(("40P01", "40001", "55P03"))
_PAUSES_S: Final = (0.05, 0.2, 0.8, 2.0)


class PostgresDatabase:
    """A PostgreSQL database, read only. `pause` waits between attempts to write a mark; `grace_s` is how long a server may be silent beyond `timeout`."""

    def __init__(self, config: PostgresConfig, *, pause: Callable[[float], None] = time.sleep, grace_s: float = GRACE_S) -> None:
        self._config, self._grace_s = config, grace_s
        self._pause = pause
        self._wire: Wire | None = None
        self._snapshot = False
        self._foreign: dict[str, int] = {}

    def server(self) -> str:
        """Product and version."""
        with self._transaction() as wire:
            return " ".join(str(wire.rows("SELECT version()")[0][0]).split()[:2]).rstrip(",")

    def clock(self) -> str:
        """The time of the city by the database's clock."""
        with self._transaction() as wire:
            sql = "SELECT to_char(clock_timestamp() AT TIME ZONE %s, 'YYYY-MM-DD HH24:MI:SS.US')"
            return str(wire.rows(sql, (statements.ZONE,))[0][0])

    def relation(self, name: str, schema: str = "") -> Relation:
        """A table, view, materialized or foreign table. Its key is the primary key, else a unique one of columns that are never null.

        A name in other letter case is found in lower case, as PostgreSQL itself would. Raises `Misconfigured` where there is none.
        """
        with self._transaction() as wire:
            found = wire.rows(statements.FIND, ([name, name.lower()], schema, [schema, schema.lower()], name, schema))
            if not found:
                raise self._unknown(wire, name, schema)
            number, space, spelt = found[0]
            columns = tuple(_column(*row) for row in wire.rows(statements.COLUMNS, (number,)))
            key = tuple(row[0] for row in wire.rows(statements.KEY, (number,)))
        return Relation(spelt, columns, key, space)

    def _unknown(self, wire: Wire, name: str, schema: str) -> Misconfigured:
        names = [row[0] for row in wire.rows(statements.NAMES, (schema, schema))]
        near = get_close_matches(name, names, 3, 0.6) or get_close_matches(name.lower(), names, 3, 0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else "name its schema, or ask for the right to see it"
        return Misconfigured(f"{self._config.database} has no table or view {name}", hint=hint)

    def query(self, name: str, sql: str) -> Relation:
        """A reviewed query, described by the server without a row of it being read."""
        with self._transaction() as wire:
            names, types, modifiers = wire.described(statements.described(sql))
            if len(set(names)) < len(names):
                raise Misconfigured(f"query {name} has two columns of the same name", hint="name each with AS")
            rows = wire.rows(statements.DESCRIBED, (list(range(len(names))), names, types, modifiers))
        return Relation(name, tuple(_column(*row) for row in rows), (), "", sql)

    def begin(self) -> None:
        """Begin a read-only transaction in which everything stays as it is now."""
        self.end()
        self._foreign.clear()
        self._connected().begin(more_s=self._patience(None))
        self._snapshot = True

    def end(self) -> None:
        """End that transaction."""
        self._snapshot = False
        if self._wire is not None:
            self._wire.end()

    def count(self, ask: Ask) -> int:
        """How many rows the ask is for."""
        with self._transaction() as wire:
            return int(wire.rows(*statements.count(ask))[0][0])

    def read(self, ask: Ask) -> Iterator[Piece]:
        """The rows, in pieces of about a MiB."""
        sql, values = statements.select(ask)
        patience = self._patience(ask.limit)
        with self._transaction(patience) as wire:
            unknown = wire.encoding == "SQL_ASCII"
            copy = _COPY.format(select=sql, encoding="SQL_ASCII" if unknown else "UTF8")
            with wire.watched(patience) as watch, wire.copied(copy, values) as messages:
                while lines := _gathered(messages):
                    if unknown:
                        lines = list(map(self._mended, lines))
                    with watch.resting():
                        yield Piece(b"".join(lines), len(lines), cells_of(bytes(lines[-1])))

    def sums(self, ask: Ask, of: int) -> Mapping[int, tuple[int, str]]:
        """Per bucket: rows, and sums of the rows' MD5."""
        if not ask.relation.key:
            raise Misconfigured(f"{ask.relation.name} has no key to part it by", hint="name the column that tells rows apart as `id`")
        with self._transaction() as wire:
            return {int(bucket): (int(rows), str(checksum)) for bucket, rows, checksum in wire.rows(*statements.sums(ask, of))}

    def mark(self, relation: Relation, column: str, value: str, *, key: str, keys: Sequence[str], expected: str) -> int:
        """Write a status over a connection of its own. When the answer to the commit is lost, the server is asked what became of it."""
        held, name = relation.column(column), relation.column(key)
        if held is None or name is None:
            raise Misconfigured(f"{relation.name} has no column {key if name is None else column}", hint="it was renamed or dropped: correct the feed")
        parts = [keys[start : start + _MARKED_AT_ONCE] for start in range(0, len(keys), _MARKED_AT_ONCE)]
        return sum(self._marked(*statements.mark(relation, held, value, name, part, expected)) for part in parts)

    def _marked(self, sql: str, values: Sequence[object]) -> int:
        for wait in (*_PAUSES_S, None):
            try:
                return self._written(sql, values)
            except Unavailable as error:
                if wait is None or error.code not in _AGAIN:
                    raise
                self._pause(wait)
        raise AssertionError("the last attempt returns or raises")

    def _written(self, sql: str, values: Sequence[object]) -> int:
        wire = self._login()
        try:
            wire.begin(write=True)
            changed = wire.changed(sql, values)
            number = wire.rows("SELECT txid_current()")[0][0]
            try:
                wire.end("COMMIT")
            except Unavailable:
                if wire.usable or not self._committed(number):
                    raise
            return changed
        finally:
            wire.close()

    def _committed(self, number: int) -> bool:
        """What became of a transaction whose connection broke while it was committed. It may still be at it."""
        for wait in (*_PAUSES_S, None):
            wire = self._login()
            try:
                state = wire.rows("SELECT txid_status(%s)", (number,))[0][0]
            finally:
                wire.close()
            if state != "in progress" or wait is None:
                return bool(state == "committed")
            self._pause(wait)
        return False

    def oddities(self) -> Oddities:
        """Text that is not in the encoding that the database declares."""
        return Oddities(dict(self._foreign))

    def close(self) -> None:
        """Release the connection."""
        self._snapshot = False
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _login(self) -> Wire:
        return Wire(self._config.address(), self._config.timeout.total_seconds(), self._grace_s)

    def _connected(self) -> Wire:
        if self._wire is None or not self._wire.usable:
            if self._snapshot:
                self._snapshot = False
                raise Unavailable(f"the database {self._config.address().place} broke off", hint="the view of the data is lost; it is begun anew")
            self._wire = self._login()
        return self._wire

    @contextmanager
    def _transaction(self, more_s: float = 0.0) -> Iterator[Wire]:
        """The transaction of `begin`, or one of its own. An error or an early end within `begin`'s leaves the view as it was."""
        wire = self._connected()
        if self._snapshot:
            wire.rows("SAVEPOINT asked")
            try:
                yield wire
            finally:
                wire.back("asked")
            return
        try:
            wire.begin(more_s=more_s)
            yield wire
        finally:
            wire.end()

    def _patience(self, limit: int | None) -> float:
        """Seconds that a statement may take longer because we read slowly on purpose."""
        return (limit or _MOST_ROWS) / self._config.rows_per_second if self._config.rows_per_second else 0.0

    def _mended(self, line: bytes) -> bytes:
        """A line of a database that does not know its own encoding: UTF-8, else GB 18030."""
        line = bytes(line)
        try:
            line.decode()
        except UnicodeDecodeError:
            self._foreign["not_utf8"] = self._foreign.get("not_utf8", 0) + 1
            return line.decode("gb18030", "replace").encode()
        return line


def _column(name: str, declared: str) -> Column:
    return Column(name, declared, statements.sort_of(declared))


def _gathered(messages: Iterator[bytes]) -> list[bytes]:
    """Rows of one piece, none at the end."""
    lines: list[bytes] = []
    size = 0
    while size < _BYTES and len(lines) < _ROWS:
        some = list(islice(messages, 64))
        lines += some
        size += sum(map(len, some))
        if len(some) < 64:
            break
    return lines


def cells_of(line: bytes) -> tuple[str | None, ...]:
    """Cells of one line of RFC 4180 text between 0x1F."""
    line = line.removesuffix(b"\n")
    if b'"' not in line:
        return tuple(cell.decode() or None for cell in line.split(b"\x1f"))
    cells: list[str | None] = []
    place = 0
    while place <= len(line):
        match = _CELL.match(line, place)
        assert match is not None, "the pattern matches nothing too"
        quoted, plain = match.groups()
        cells.append((plain if quoted is None else quoted.replace(b'""', b'"')).decode() or None)
        place = match.end() + 1
    return tuple(cells)
