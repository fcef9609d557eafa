"""What a pull needs of a database: reflected names, stretches of rows as text, sums of buckets, marks. One class per system answers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

SEPARATOR = "\x1f"
Sort = Literal["text", "number", "date", "time", "binary"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the database spells and types it: `declared` is its own word ("varchar(255)", "NUMBER(10,2)", "DATE").

    `charset` is the column's own character set where the system has such a thing ("latin1", "utf8mb3").
    """

    name: str
    declared: str
    sort: Sort
    charset: str = ""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, a view, or a reviewed query: what `FROM` may name. `sql` is the query's text, empty for a table or view; `key` its primary key."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    schema: str = ""
    sql: str = ""

    def column(self, name: str) -> Column | None:
        """A column by its exact name."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the order of a stretch: column names and, as text, the values of the last row read. Later rows compare greater, column by column."""

    columns: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Which rows: `columns` of `relation` where each of `equals` holds, strictly after `after`, in its order; at most `limit`.

    `until` (column, value) leaves out rows that are later; rows without a value are left out too where `after` or `until` names their column.
    `order` names the columns that rows come in order of; empty means any order. `bucket` (number, of how many) takes one bucket of the key's hash.
    Values are bound, names come from `relation`.
    """

    relation: Relation
    columns: tuple[str, ...]
    order: tuple[str, ...] = ()
    after: Place | None = None
    until: tuple[str, str] | None = None
    equals: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    buckets: tuple[frozenset[int], int] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows: `lines` are UTF-8 text, a line a row, cells between 0x1F in the order of `Ask.columns`, quoted as in RFC 4180 where needed.

    Nothing (NULL or empty text) is an empty cell. Dates are YYYY-MM-DD, times YYYY-MM-DD HH:MM:SS[.ffffff], numbers plain decimal digits without loss.
    `last` holds the cells of the last row, None where there is none.
    """

    lines: bytes
    rows: int
    last: tuple[str | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class Oddities:
    """What was found out of the ordinary, as evidence: JSON-able words and counts, no values. Zero dates, doubtful character sets, NUL bytes."""

    said: Mapping[str, object] = field(default_factory=dict)


class Database(Protocol):
    """One database, read only; every call blocks and is made from one worker thread at a time. Raises only the three errors.

    Nothing is opened before the first call. A connection that was lost is opened anew by the next call; a stretch that was being read raises
    `Unavailable`. Reading happens in read-only transactions with a statement timeout, and within `snapshot` in one consistent view.
    """

    def server(self) -> str:
        """Product and version: "MariaDB 10.11.19". The first thing to call: it connects and logs in."""

    def clock(self) -> str:
        """The database's own time now, as text in the form of `Piece`."""

    def relation(self, name: str, schema: str = "") -> Relation:
        """A table or view with its columns and key. Raises `Misconfigured` where there is none, with the nearest names."""

    def query(self, name: str, sql: str) -> Relation:
        """A reviewed query as a relation: one SELECT, no second statement. Raises `Misconfigured` with the server's own word for what is wrong in it."""

    def begin(self) -> None:
        """Begin a read-only transaction with one consistent view of everything (as far as the system can)."""

    def end(self) -> None:
        """End that transaction; safe where there is none."""

    def count(self, ask: Ask) -> int:
        """How many rows the ask is for."""

    def read(self, ask: Ask) -> Iterator[Piece]:
        """The rows, piece by piece, each of at most a few MiB; memory is bounded whatever the table. Close the iterator to stop early."""

    def sums(self, ask: Ask, of: int) -> Mapping[int, tuple[int, str]]:
        """Per bucket of the key's hash (0 to `of` - 1): rows, and a checksum over `Ask.columns` that changes when any of them does."""

    def mark(self, relation: Relation, column: str, value: str, *, key: str, keys: Sequence[str], expected: str) -> int:
        """Write `value` into the rows whose `key` is among `keys` and whose `column` is still `expected`; how many. Its own short transaction, retried on deadlock."""

    def oddities(self) -> Oddities:
        """What was odd since `begin`."""

    def close(self) -> None:
        """Release the connection."""
