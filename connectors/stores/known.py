"""What a writer of a store remembers, within bounds, so that it need not ask."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import polars as pl

_BITS = 1 << 26  # 8 MiB a table
_TABLES = 4
_SUBJECTS = 500_000
_SHIFTS = (0, 19, 38)  # three 26-bit parts of a 64-bit hash
_SUBJECT_KEY = ("subject_id", "scheme", "identifier")


class KeyFilter:
    """A Bloom filter over record numbers, three bits each: with 13 million records it lets one in eleven unknown ones through."""

    def __init__(self) -> None:
        self._bits = np.zeros(_BITS // 8, dtype=np.uint8)

    @staticmethod
    def _places(record_ids: pl.Series) -> np.ndarray[Any, np.dtype[np.int64]]:
        hashed = record_ids.hash(seed=1).to_numpy()
        return np.concatenate([(hashed >> np.uint64(shift)) & np.uint64(_BITS - 1) for shift in _SHIFTS]).astype(np.int64)

    def add(self, record_ids: pl.Series) -> None:
        """Remember record numbers."""
        places = self._places(record_ids)
        for bit in range(8):  # one bit at a time, so that a byte named twice loses nothing
            self._bits[places[places & 7 == bit] >> 3] |= np.uint8(1 << bit)

    def maybe(self, record_ids: pl.Series) -> pl.Series:
        """False where a record was never added."""
        places = self._places(record_ids)
        found = (self._bits[places >> 3] >> (places & 7).astype(np.uint8)) & 1
        return pl.Series(found.reshape(len(_SHIFTS), -1).all(axis=0))


class Memory:
    """Filters of the tables that were empty when first met, and subjects that are stored for certain.

    `version` is a file's, as the writing connection sees it: where somebody else wrote, everything is forgotten. A server has none; there a table's filter
    counts while the item's journal stands where this writer left it. Subjects are never deleted, so those that are stored stay so.
    """

    def __init__(self) -> None:
        self._version: int | None = None
        self._forget()

    def _forget(self) -> None:
        self._filters: OrderedDict[str, KeyFilter] = OrderedDict()
        self._met: dict[str, int | None] = {}
        self._subjects = pl.Series("key", [], dtype=pl.UInt64)

    def check(self, version: int | None) -> None:
        """Forget everything where the version is another."""
        if version != self._version:
            self._forget()
            self._version = version

    def check_table(self, table: str, seq: int) -> None:
        """Forget a table that somebody else has written to: its item's journal is further than we left it."""
        if self._met.get(table, seq) != seq:
            self._met.pop(table, None)
            self._filters.pop(table, None)

    def committed(self, table: str, seq: int) -> None:
        """Remember where the journal of a table's item stands after a transaction of ours."""
        if table in self._met:
            self._met[table] = seq

    def met(self, table: str) -> bool:
        """True where the table was asked about before."""
        return table in self._met

    def meet(self, table: str, *, empty: bool) -> None:
        """Start a filter for an empty table; the filter used longest ago gives way."""
        self._met[table] = None
        if empty:
            self._filters[table] = KeyFilter()
            if len(self._filters) > _TABLES:
                self._filters.popitem(last=False)

    def filter(self, table: str) -> KeyFilter | None:
        """The table's filter, None where it has none."""
        if table in self._filters:
            self._filters.move_to_end(table)
        return self._filters.get(table)

    def _keys(self, subjects: pl.DataFrame) -> pl.Series:
        return subjects.select(pl.struct(_SUBJECT_KEY).hash(seed=1).alias("key")).to_series()

    def unknown(self, subjects: pl.DataFrame) -> pl.DataFrame:
        """Subjects that are not stored for certain."""
        return subjects.filter(~self._keys(subjects).is_in(self._subjects.implode()))

    def stored(self, subjects: pl.DataFrame) -> None:
        """Remember subjects that are committed."""
        if self._subjects.len() + subjects.height > _SUBJECTS:
            self._subjects = self._subjects.clear()
        self._subjects = self._subjects.append(self._keys(subjects))
