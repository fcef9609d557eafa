"""A central credit store (库): item tables, subjects, an inbox, a journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import polars as pl

from hub.contracts.batch import Batch, Header, Receipt
from hub.contracts.item import Item

# One row per subject named in a batch. A subject may have several identifiers.
SUBJECTS_SCHEMA: dict[str, Any] = {
    "subject_id": pl.String,  # 32 hex, keyed hash of "<scheme>:<canonical identifier>"
    "kind": pl.String,  # "legal" or "person"
    "scheme": pl.String,  # "uscc", "org_code", "id_no", …
    "identifier": pl.String,  # plain for legal persons, the keyed hash for natural persons
    "name": pl.String,  # plain for legal persons, null for natural persons
}


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What one batch really changed in one item (变更日志).

    `rows` has RECORD_ID, "_op" (insert, update, withdraw) and every column of the item's table as stored, one row per changed record.
    `seq` is gapless per item, from 1.
    """

    item: str
    seq: int
    batch_id: str
    at: datetime
    counts: Mapping[str, int]
    rows: pl.DataFrame


class Store(Protocol):
    """One database that holds the tables of many items. One transaction applies a batch: inbox row, upserts, journal entry.

    Raises `Unavailable` (locked, full, away), `Misconfigured` (wrong schema, no permission).
    """

    async def prepare(self, items: Sequence[Item]) -> None:
        """Create what is missing: item tables from the catalogue, and the hub's own tables."""

    async def apply(self, batch: Batch, item: Item, subjects: pl.DataFrame, *, fence: int = 0) -> Receipt:
        """Apply one batch, or answer with the receipt of the first time.

        `fence` rises with each loader that takes the item over. A lower one than the store has seen is `Unavailable` ("fenced") and changes nothing.

        The frame has ORDINAL, OP, RECORD_ID, ROW_HASH, SUBJECT_ID (null = unmatched), SOURCE_TIME, STATUS and the item's columns, typed and plain.
        Fields of role ID number are sealed by the store, and only for the rows that it writes.
        """

    async def recognise(self, header: Header, item: Item, *, fence: int = 0) -> Receipt | None:
        """Settle a batch that is `same_as` an earlier one without its rows: all unchanged, or None where the rows must be seen.

        Rows must be seen when the store no longer knows the earlier batch, or when any of its records was changed or withdrawn since.
        """

    async def receipt(self, batch_id: str) -> Receipt | None:
        """The receipt of a batch that was applied, None for one that the inbox does not know."""

    async def receipts(self, item: str) -> Mapping[str, Mapping[str, int]]:
        """Counts per fate word of every batch of the item in the inbox, by batch_id."""

    async def head(self, item: str) -> int:
        """The item's latest journal sequence, 0 before the first change."""

    async def journal(self, item: str, after: int, limit: int = 1) -> list[JournalEntry]:
        """Up to `limit` entries following `after`, in order."""

    async def rows(self, item: Item, record_ids: Sequence[str]) -> pl.DataFrame:
        """Current rows of these records with all hub and item columns; sealed fields opened. Missing ids are left out."""

    def scan(self, item: Item, *, columns: Sequence[str], size: int = 50_000) -> AsyncIterator[pl.DataFrame]:
        """Chosen columns of all rows in chunks, ordered by record_id, as stored."""

    async def find(self, item: Item, **equals: Any) -> pl.DataFrame:
        """At most 1,000 rows whose columns (of the item or the hub) equal the values; sealed fields are looked up by `<field>_hash`."""

    async def subject(self, scheme: str, identifier: str) -> str | None:
        """subject_id for an identifier (keyed hash for persons), None when unknown."""

    async def count(self, item: str) -> int:
        """Rows in the item's table, tombstones included."""

    async def close(self) -> None:
        """Finish the running transaction and release the file or connection."""
