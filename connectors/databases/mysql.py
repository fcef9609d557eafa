"""MySQL and MariaDB, read with an account that may only read.

The server writes each row as one text, which is several times as fast as fetching its columns one by one; nothing is guessed in taking it apart
(`mysql_wire`). Types are in `mysql_types`, what the session may do in `mysql_session`.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

from connectors.databases.dialect import Ask, Oddities, Piece, Relation
from connectors.databases.mysql_errors import DEADLOCK, LOCK_WAIT, number
from connectors.databases.mysql_names import described, reflected
from connectors.databases.mysql_pages import in_pages, pages
from connectors.databases.mysql_session import Session
from connectors.databases.mysql_statements import Statements
from connectors.databases.mysql_types import is_gbk
from connectors.databases.mysql_wire import PIECE, Lines, looks_like_gbk
from connectors.databases.settings import MysqlConfig
from hub.contracts.errors import Unavailable

_SAMPLE = 500
_KEYS = 500
_ATTEMPTS = 5
_PRODUCT = re.compile(r"^([0-9][0-9.]*)(?:-(.*))?$")


class MysqlDatabase:
    """A `Database` of the family. `sleep` and `chance` space the attempts at a mark that met a deadlock."""

    def __init__(self, config: MysqlConfig, *, sleep: Callable[[float], None] = time.sleep, chance: Callable[[], float] = random.random) -> None:
        self._config = config
        self._gbk = config.text_is == "gbk"
        self._session = Session(config)
        self._statements = Statements(self._session.quote, gbk=self._gbk)
        self._sleep, self._chance = sleep, chance
        self._odd: dict[str, Counter[str]] = {}
        self._sampled: dict[tuple[str, str], tuple[str, ...]] = {}

    def server(self) -> str:
        """Product and version; connects and logs in."""
        found = _PRODUCT.match(str(self._session.query("SELECT VERSION()")[0][0]))
        version, rest = (found[1], found[2] or "") if found else ("?", "")
        words = (word for word in ("MariaDB", "OceanBase", "TiDB") if word.casefold() in rest.casefold())
        return f"{next(words, 'MySQL')} {version}"

    def clock(self) -> str:
        """The server's time, in the hub's time zone."""
        return str(self._session.query("SELECT CAST(NOW(6) AS CHAR)")[0][0])

    def relation(self, name: str, schema: str = "") -> Relation:
        """A table or view with its columns and key."""
        return reflected(self._session, name, schema)

    def query(self, name: str, sql: str) -> Relation:
        """A reviewed query as a relation."""
        return described(self._session, self._statements, name, sql)

    def begin(self) -> None:
        """Begin a read-only transaction with one view of all InnoDB tables."""
        self._odd.clear()
        self._sampled.clear()
        self._session.begin()

    def end(self) -> None:
        """End that transaction."""
        self._session.end()

    def count(self, ask: Ask) -> int:
        """How many rows the ask is for."""
        return int(self._session.query(*self._statements.count(ask))[0][0])

    def read(self, ask: Ask) -> Iterator[Piece]:
        """The rows in pieces of about 2 MiB. Raises `Unavailable` where the connection breaks."""
        self._look_at_latin1(ask)
        lines = Lines(tuple(column for name in ask.columns if (column := ask.relation.column(name)) is not None))
        try:
            yield from pages(self._session, self._statements, ask, lines) if in_pages(ask) else self._streamed(ask, lines)
        finally:
            self._note("zero_dates", lines.zero_dates)
            self._note("nul_bytes", lines.nul)
            self._note("no_gbk", lines.no_gbk)

    def sums(self, ask: Ask, of: int) -> Mapping[int, tuple[int, str]]:
        """Rows and a checksum of 128 bits per bucket."""
        rows = self._session.query(*self._statements.sums(ask, of))
        return {int(bucket): (int(count), f"{int(left) % (1 << 64):016x}{int(right) % (1 << 64):016x}") for bucket, count, left, right in rows}

    def mark(self, relation: Relation, column: str, value: str, *, key: str, keys: Sequence[str], expected: str) -> int:
        """Write a status, 500 keys to a transaction, over a connection of its own. What was written stays written when a later part fails."""
        with closing(Session(self._config)) as session:
            return sum(
                self._changed(session, *self._statements.mark(relation, column, value, key, keys[at : at + _KEYS], expected))
                for at in range(0, len(keys), _KEYS)
            )

    def oddities(self) -> Oddities:
        """Counts per column of `zero_dates`, `nul_bytes` and `no_gbk`, and columns of `latin1_that_looks_like_gbk`."""
        said: dict[str, object] = {name: dict(counts) for name, counts in self._odd.items() if counts}
        doubtful = sorted({column for columns in self._sampled.values() for column in columns})
        if doubtful:
            said["latin1_that_looks_like_gbk"] = {"columns": doubtful, "hint": "write text_is: gbk at the source"}
        return Oddities(said)

    def close(self) -> None:
        """Release the connection; the next call opens another."""
        self._session.close()

    def _streamed(self, ask: Ask, lines: Lines) -> Iterator[Piece]:
        with closing(self._session.stream(*self._statements.rows(ask), PIECE)) as rows:
            for found in rows:
                yield lines.piece(found)

    def _note(self, name: str, counts: Counter[str]) -> None:
        self._odd.setdefault(name, Counter()).update(counts)

    def _look_at_latin1(self, ask: Ask) -> None:
        """Whether the first rows of columns declared latin1 hold GBK; each table once, and no query, which may be dear."""
        where = (ask.relation.schema, ask.relation.name)
        names = [name for name in ask.columns if (column := ask.relation.column(name)) is not None and is_gbk(column, True)]
        if self._gbk or not names or ask.relation.sql or where in self._sampled:
            return
        rows = self._session.query(*self._statements.sample(ask.relation, names, _SAMPLE))
        beyond = [[raw for row in rows if (raw := row[at]) and not raw.isascii()] for at in range(len(names))]
        self._sampled[where] = tuple(
            name for name, values in zip(names, beyond, strict=True) if values and sum(map(looks_like_gbk, values)) >= 0.9 * len(values)
        )

    def _changed(self, session: Session, sql: str, values: tuple[object, ...]) -> int:
        for attempt in range(1, _ATTEMPTS):
            try:
                return session.changed(sql, values)
            except Unavailable as error:
                if error.__cause__ is None or number(error.__cause__) not in (DEADLOCK, LOCK_WAIT):
                    raise
                self._sleep(0.05 * 2**attempt * (0.5 + self._chance()))
        return session.changed(sql, values)
