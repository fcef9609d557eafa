"""A central credit store over one database session: the contract's words, each run in the store's own threads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import Column, ColumnElement, func, select, table

from connectors.stores import stored
from connectors.stores.applying import Applying
from connectors.stores.claiming import whole
from connectors.stores.equal import equal
from connectors.stores.inbox import counts_of, find_receipt, head_of
from connectors.stores.known import Memory
from connectors.stores.recognising import Recogniser
from connectors.stores.session import Session
from connectors.stores.tables import JOURNAL, OWN_TABLES, SUBJECT_IDENTIFIER, hash_column, item_table, table_name
from connectors.stores.worker import Worker
from hub.contracts.batch import Batch, Header, Receipt
from hub.contracts.errors import HubError, Misconfigured
from hub.contracts.item import Item
from hub.contracts.keys import KeyRing
from hub.contracts.store import JournalEntry

MOST_FOUND = 1_000
LARGEST_CHUNK = 50_000
T = TypeVar("T")


def _column(item: Item, name: str) -> Column[Any]:
    found = item_table(item).c.get(name)
    if found is None:
        raise Misconfigured(f"item {item.code} has no column {name}", hint="use an identifier of the catalogue")
    return found


def local_now() -> datetime:
    """The city's wall clock, without a zone, in whole seconds: how stores write time."""
    return datetime.now(ZoneInfo("Asia/Shanghai")).replace(tzinfo=None, microsecond=0)


class TableStore:
    """Item tables, subjects, inbox and journal in one database.

    `connect(readonly)` opens a session; with `beside` a second one reads while the first writes, else both are one.
    """

    def __init__(
        self, connect: Callable[[bool], Session], keys: KeyRing, *, beside: bool, memory: Memory | None = None, clock: Callable[[], datetime] = local_now
    ) -> None:
        self._connect, self._keys, self._memory, self._clock = connect, keys, memory, clock
        self._recogniser = Recogniser(keys)
        self._write_worker = Worker("store-write")
        self._read_worker = Worker("store-read") if beside else self._write_worker
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="store-journal")
        self._writer: Session | None = None
        self._reader: Session | None = None

    def _writing(self) -> Session:
        if self._writer is None:
            session = self._connect(False)
            try:
                session.create(list(OWN_TABLES))
            except HubError:
                session.close()
                raise
            self._writer = session
        return self._writer

    def _reading(self) -> Session:
        if self._read_worker is self._write_worker:
            return self._writing()
        if self._reader is None:
            self._reader = self._connect(True)
        return self._reader

    async def _read(self, ask: Callable[[Session], T]) -> T:
        if self._writer is None:
            await self._write_worker.do(self._writing)
        return await self._read_worker.do(lambda: whole(lambda: ask(self._reading())))

    async def prepare(self, items: Sequence[Item]) -> None:
        """Create what is missing: item tables from the catalogue, and the store's own tables."""
        tables = [item_table(item) for item in items]
        await self._write_worker.do(lambda: whole(lambda: self._writing().create(tables)))

    async def apply(self, batch: Batch, item: Item, subjects: pl.DataFrame, *, fence: int = 0) -> Receipt:
        """Apply one batch, or answer with the receipt of the first time. See `Store`."""
        return await self._write_worker.do(lambda: self._apply(batch, item, subjects, fence))

    def _apply(self, batch: Batch, item: Item, subjects: pl.DataFrame, fence: int) -> Receipt:
        session = self._writing()
        states = getattr(session, "lookup_near", session.lookup)
        return Applying(session, self._keys, self._memory, states, self._encoder, batch, item, subjects, self._clock(), fence).run()

    async def recognise(self, header: Header, item: Item, *, fence: int = 0) -> Receipt | None:
        """Settle a batch that is the same as an earlier one without its rows. See `Store`."""
        return await self._write_worker.do(lambda: whole(lambda: self._recogniser.settle(self._writing(), header, item, self._clock, fence)))

    async def receipt(self, batch_id: str) -> Receipt | None:
        """The receipt of a batch that was applied, None for one that the inbox does not know."""
        return await self._read(lambda session: find_receipt(session, batch_id))

    async def receipts(self, item: str) -> Mapping[str, Mapping[str, int]]:
        """Counts per fate word of every batch of the item in the inbox, by batch_id."""
        return await self._read(lambda session: counts_of(session, item))

    async def head(self, item: str) -> int:
        """The item's latest journal sequence, 0 before the first change."""
        return await self._read(lambda session: head_of(session, item))

    async def journal(self, item: str, after: int, limit: int = 1) -> list[JournalEntry]:
        """Up to `limit` entries following `after`, in order."""
        statement = select(JOURNAL).where(JOURNAL.c.item == item, JOURNAL.c.seq > after).order_by(JOURNAL.c.seq).limit(limit)
        return await self._read(lambda session: [self._entry(row) for row in session.fetch(statement).iter_rows(named=True)])

    def _entry(self, row: dict[str, Any]) -> JournalEntry:
        rows = stored.journal_rows(row["body"], row["item"], row["seq"], self._keys)
        return JournalEntry(row["item"], row["seq"], row["batch_id"], row["at"], json.loads(row["counts"]), rows)

    async def rows(self, item: Item, record_ids: Sequence[str]) -> pl.DataFrame:
        """Current rows of these records with all hub and item columns; sealed fields opened. Missing ids are left out."""
        kept, wanted = item_table(item), pl.Series(record_ids, dtype=pl.String).unique().sort()
        found = await self._read(lambda session: session.lookup(select(*kept.columns), kept.c.record_id, wanted))
        return stored.opened(found, item, self._keys)

    async def scan(self, item: Item, *, columns: Sequence[str], size: int = LARGEST_CHUNK) -> AsyncIterator[pl.DataFrame]:
        """Chosen columns of all rows in chunks, ordered by record_id, as stored."""
        kept, size = item_table(item), min(size, LARGEST_CHUNK)
        chosen = [kept.c.record_id, *(_column(item, name) for name in columns if name != "record_id")]
        after = ""
        while True:
            behind = [kept.c.record_id > after] if after else []  # at Oracle '' is NULL, which nothing is greater than
            statement = select(*chosen).where(*behind).order_by(kept.c.record_id).limit(size)
            chunk = await self._read(lambda session, statement=statement: session.fetch(statement))  # type: ignore[misc]
            if chunk.height:
                after = chunk[-1, "record_id"]
                yield chunk.select(columns)
            if chunk.height < size:
                return

    async def find(self, item: Item, **equals: Any) -> pl.DataFrame:
        """At most 1,000 rows whose columns equal the values, ordered by record_id, sealed fields opened.

        A sealed field is looked up by its hash: give `<field>_hash`, or the plain value under the field's own name.
        """
        kept = item_table(item)
        tests: list[ColumnElement[bool]] = []
        for name, value in equals.items():
            if name in item.by_name and item.by_name[name].sealed and value is not None:
                name, value = hash_column(name), self._keys.hash_text(value)
            tests.append(equal(_column(item, name), value))
        statement = select(*kept.columns).where(*tests).order_by(kept.c.record_id).limit(MOST_FOUND)
        found = await self._read(lambda session: session.fetch(statement))
        return stored.opened(found, item, self._keys)

    async def subject(self, scheme: str, identifier: str) -> str | None:
        """subject_id for an identifier (keyed hash for persons), None when unknown."""
        names = SUBJECT_IDENTIFIER.c
        statement = select(names.subject_id).where(names.scheme == scheme, names.identifier == identifier)
        found = await self._read(lambda session: session.fetch(statement))
        return found.item() if found.height else None

    async def count(self, item: str) -> int:
        """Rows in the item's table, tombstones included."""
        named = table(table_name(item))
        found = await self._read(lambda session: session.fetch(select(func.count().label("n")).select_from(named)))
        return int(found.item())

    async def close(self) -> None:
        """Finish the running transaction and release the file or connection."""
        if self._reader is not None:
            await self._read_worker.do(self._reader.close)
        if self._writer is not None:
            await self._write_worker.do(self._writer.close)
        self._reader = self._writer = None
        for worker in {self._read_worker, self._write_worker}:
            worker.close()
        self._encoder.shutdown(wait=True)
