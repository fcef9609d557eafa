"""A batch (批次): records that are settled together, and the words for what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Self

import numpy as np
import polars as pl

# Working columns. They start with an underscore so that no heading or catalogue identifier can collide.
ORDINAL = "_ordinal"  # Int64, position of the row in its origin, from 0 (the heading is no row)
LINE = "_line"  # Int64, physical line in the origin where it starts, from 1; for people
OP = "_op"  # String, "U" (insert or update) or "D" (withdraw)
RECORD_ID = "_record_id"  # String, 32 hex, keyed hash of the natural key
ROW_HASH = "_row_hash"  # String, 32 hex, keyed hash of the canonical row
SUBJECT_ID = "_subject_id"  # String, 32 hex, keyed hash of the strongest identifier; null = unmatched
SOURCE_TIME = "_source_time"  # Datetime("us"), null where the source has none
RAW = "_raw"  # String, a row that could not be read as cells, as it stands in the origin
STATUS = "_status"  # Int8, 0 normal, 1 withdrawn, 2 disputed, 3 other


class Fate(IntEnum):
    """What became of one record. The numbers are stored; never reuse one."""

    PASSED = 0  # collect: handed to the load leg; load: not yet known
    REJECTED = 1
    FILTERED = 2
    DUPLICATE = 3
    UNMATCHED = 4
    INSERTED = 5
    UPDATED = 6
    UNCHANGED = 7
    SUPERSEDED = 8
    WITHDRAWN = 9

    @property
    def word(self) -> str:
        """The word of the equation: "inserted"."""
        return self.name.lower()


FATE_WORDS = ("rejected", "filtered", "duplicate", "unmatched", "inserted", "updated", "unchanged", "superseded", "withdrawn")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a batch's rows lie in landing: plain bytes `start` to `end` of object `landed`, starting at physical line `line`."""

    landed: str
    name: str
    start: int
    end: int
    line: int = 1


@dataclass(frozen=True, slots=True)
class Header:
    """What travels with a frame. `batch_id` is deterministic, so a re-run makes the same one.

    A batch of corrected rows `reenters` the batch they were set aside from, and lists their `ordinals` there, rising.
    `content` names what the batch holds (raw bytes, cut, configuration) whatever its place; `same_as` is an earlier batch of the same content
    whose every row was stored: then the rows need not travel, and the store only makes sure that nobody has changed them since.
    A batch that `withdraws` closes a snapshot: its rows name records that are gone, and only those that this feed wrote last are withdrawn.
    """

    batch_id: str
    feed: str
    item: str
    arrival: int
    first: int  # ordinal of the first row
    rows: int  # rows read from the origin, whatever became of them
    config: str  # configuration version
    origin: Origin
    generation: int = 0
    reenters: str = ""
    ordinals: tuple[int, ...] = ()
    content: str = ""
    same_as: str = ""
    withdraws: bool = False

    def places(self, ordinals: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Positions of ordinals within the batch, 0 to `rows` - 1."""
        if not self.ordinals:
            return (ordinals - self.first).astype(np.int64)
        return np.searchsorted(np.asarray(self.ordinals, np.int64), ordinals).astype(np.int64)

    def to_wire(self) -> dict[str, Any]:
        """Plain dictionary for message headers and the ledger."""
        return {
            "batch_id": self.batch_id,
            "feed": self.feed,
            "item": self.item,
            "arrival": self.arrival,
            "first": self.first,
            "rows": self.rows,
            "config": self.config,
            "generation": self.generation,
            "reenters": self.reenters,
            "ordinals": list(self.ordinals),
            "content": self.content,
            "same_as": self.same_as,
            "withdraws": self.withdraws,
            "landed": self.origin.landed,
            "name": self.origin.name,
            "start": self.origin.start,
            "end": self.origin.end,
            "line": self.origin.line,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """Inverse of `to_wire`."""
        return cls(
            batch_id=wire["batch_id"],
            feed=wire["feed"],
            item=wire["item"],
            arrival=int(wire["arrival"]),
            first=int(wire["first"]),
            rows=int(wire["rows"]),
            config=wire["config"],
            generation=int(wire["generation"]),
            reenters=wire["reenters"],
            ordinals=tuple(wire["ordinals"]),
            content=wire["content"],
            same_as=wire["same_as"],
            withdraws=bool(wire["withdraws"]),
            origin=Origin(wire["landed"], wire["name"], int(wire["start"]), int(wire["end"]), int(wire["line"])),
        )


# Rows that were refused: one row per refused record (its first and gravest reason).
REFUSED_SCHEMA: dict[str, Any] = {
    ORDINAL: pl.Int64,
    "code": pl.String,  # R111
    "field": pl.String,  # identifier of the field, "" where the whole row is meant
    "reason": pl.String,  # says what is wrong; never holds the value
}


# Rows that are no cells: besides, where they stand and what they hold.
UNREAD_SCHEMA: dict[str, Any] = {**REFUSED_SCHEMA, "line": pl.Int64, RAW: pl.String}


def none_refused() -> pl.DataFrame:
    """An empty frame of refused rows."""
    return pl.DataFrame(schema=REFUSED_SCHEMA)


def none_filtered() -> pl.Series:
    """An empty series of filtered ordinals."""
    return pl.Series(ORDINAL, [], dtype=pl.Int64)


@dataclass(frozen=True, slots=True)
class Batch:
    """A frame and its header.

    At intake every column but `ORDINAL` and `LINE` is text, exactly as the agency wrote it, under the agency's own headings.
    After mapping the columns are the item's identifiers, typed.
    `frame` holds the rows that could be read; `refused` those that could not (R100: not as many cells as headings; UNREAD_SCHEMA) and `filtered` the
    ordinals of rows that are no records (a heading repeated, trailing totals). `header.rows` counts all three.
    """

    header: Header
    frame: pl.DataFrame
    refused: pl.DataFrame = field(default_factory=none_refused)
    filtered: pl.Series = field(default_factory=none_filtered)

    def __len__(self) -> int:
        return self.frame.height

    def with_frame(self, frame: pl.DataFrame) -> Batch:
        """The same batch with other rows or columns."""
        return replace(self, frame=frame)


@dataclass(frozen=True, slots=True)
class Keys:
    """The records that a batch of a snapshot names, whatever its checks say: their ids, 16 bytes each, and how many rows have no readable key."""

    ids: bytes
    unreadable: int


@dataclass(frozen=True, slots=True)
class Step:
    """What a collect step makes of a batch: passed rows, refused rows, ordinals filtered out, warnings counted by code; `keys` for snapshots only."""

    passed: Batch
    refused: pl.DataFrame = field(default_factory=none_refused)
    filtered: pl.Series = field(default_factory=none_filtered)
    warned: Mapping[str, int] = field(default_factory=dict)
    keys: Keys | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a sink answers once a batch is durable in it.

    `fates` has one `Fate` number per row of the delivered frame, in its order (uint8); `refused` follows `REFUSED_SCHEMA`.
    `seq` is the item's journal sequence after the batch, None where nothing changed. `seen` says that it was applied before.
    """

    batch_id: str
    fates: np.ndarray[Any, np.dtype[np.uint8]]
    refused: pl.DataFrame = field(default_factory=none_refused)
    seq: int | None = None
    seen: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Records per fate word."""
        found = np.bincount(self.fates, minlength=len(Fate))
        return {Fate(i).word: int(n) for i, n in enumerate(found) if n and i}
