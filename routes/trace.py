"""The whole way of a record, told in sentences: from the agency's file through checks and store to everyone who received it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from sqlalchemy import select

from hub.contracts.batch import RECORD_ID, Fate
from hub.contracts.item import Item
from hub.ledger import Ledger, unpack
from hub.tables import arrival, batch, quarantine
from routes.evidence import part_of, told, told_cut
from routes.proving import received

if TYPE_CHECKING:
    from routes.city import City

_RECORD_ID = re.compile(r"[0-9a-f]{32}")
_JOURNAL_ENTRIES = 2_000
_RECORDS = 100

_FATE_SENTENCES = {
    Fate.REJECTED: "was rejected and set aside in quarantine",
    Fate.FILTERED: "was filtered out: it is no record of this item",
    Fate.DUPLICATE: "repeats another row of its batch and was counted as a duplicate",
    Fate.UNMATCHED: "has no subject yet and waits among the unmatched",
    Fate.INSERTED: "was inserted",
    Fate.UPDATED: "changed the stored record",
    Fate.UNCHANGED: "equals the stored record: nothing changed",
    Fate.SUPERSEDED: "is not newer than what is stored and was superseded",
    Fate.WITHDRAWN: "withdrew the record",
    Fate.PASSED: "passed its checks and is on its way to the store",
}


class Tracer:
    """Looks through ledger, stores, journal and deliveries."""

    def __init__(self, city: City) -> None:
        self._city = city

    async def find(self, wanted: str, *, item: str = "", row: int | None = None) -> dict[str, Any]:
        """Records that answer to a USCC, a document number, a record id, or a file's name with a row number (1 is the first record)."""
        if row is not None:
            return {"records": await self._by_row(wanted, row)}
        records = [record async for record in self._by_value(wanted, item)]
        return {"records": records[:_RECORDS]}

    async def _by_row(self, name: str, row: int) -> list[dict[str, Any]]:
        records = []
        for feed in self._city.config.feeds.values():
            key = self._city.ledger.keys.hash_text(f"{feed.name}\x1f{name}")
            query = (
                select(batch, arrival.c.first_seen)
                .join(arrival, (arrival.c.item == batch.c.item) & (arrival.c.number == batch.c.arrival))
                .where(arrival.c.feed == feed.name, arrival.c.name_key == key, batch.c.first <= row - 1, batch.c.first + batch.c.rows > row - 1)
                .order_by(batch.c.arrival, batch.c.generation)
            )
            found = await self._city.state.read(lambda c, q=query: c.execute(q).all())  # type: ignore[misc]
            records += [await self._row_record(feed.item, one, row - 1, name) for one in found]
        return records

    async def _row_record(self, item: Item, found: Any, ordinal: int, name: str) -> dict[str, Any]:
        steps = await self._batch_steps(found.batch_id, ordinal)
        rows = await self._city.stores[item.store].find(item, batch_id=found.batch_id, ordinal=ordinal)
        record_id = rows["record_id"][0] if rows.height else None
        if record_id:
            steps += await self._delivery_steps(item, record_id)
        return {"item": item.code, "record_id": record_id, "file": name, "row": ordinal + 1, "steps": steps}

    async def _by_value(self, wanted: str, only: str) -> AsyncIterator[dict[str, Any]]:
        for item in self._city.config.items.values():
            if only and item.code != only:
                continue
            store = self._city.stores[item.store]
            for found in [await store.find(item, **equals) for equals in _lookups(item, wanted)]:
                for record_id in found["record_id"].unique(maintain_order=True).to_list()[:_RECORDS]:
                    yield {"item": item.code, "record_id": record_id, "steps": await self._record_steps(item, record_id)}

    async def _record_steps(self, item: Item, record_id: str) -> list[dict[str, Any]]:
        """Every journalled change of the record, each with the way of its batch, then who received it."""
        store = self._city.stores[item.store]
        steps: list[dict[str, Any]] = []
        seq = 0
        for _ in range(_JOURNAL_ENTRIES):
            entries = await store.journal(item.code, seq, limit=1)
            if not entries:
                break
            seq = entries[0].seq
            mine = entries[0].rows.filter(pl.col(RECORD_ID) == record_id)
            for batch_id, ordinal in mine.select("batch_id", "ordinal").iter_rows():
                steps += await self._batch_steps(batch_id, ordinal)
                steps.append({"at": entries[0].at.isoformat(timespec="seconds"), "what": f"written to the journal as change {seq}", "where": item.code})
        return steps + await self._delivery_steps(item, record_id)

    async def _batch_steps(self, batch_id: str, ordinal: int) -> list[dict[str, Any]]:
        """From the file to the fate of one row."""
        query = (
            select(batch, arrival.c.first_seen, arrival.c.landed.label("object"), arrival.c.cut, arrival.c.evidence)
            .join(arrival, (arrival.c.item == batch.c.item) & (arrival.c.number == batch.c.arrival))
            .where(batch.c.batch_id == batch_id)
        )
        row = await self._city.state.read(lambda c: c.execute(query).first())
        if row is None:
            return []
        name = self._city.ledger.open_text(row.name)
        place = int(self._city.ledger.header(row).places(np.array([ordinal]))[0])
        steps = [
            {"at": row.first_seen, "what": f"{name} arrived as arrival {row.arrival} of {row.item} and was landed", "where": f"landing {row.object[:12]}"},
            *_read_steps(self._city.ledger, row, ordinal),
            {"at": row.opened_at, "what": f"row {ordinal + 1} was read into batch {batch_id}", "where": row.feed},
        ]
        collected = Fate(int(unpack(row.collect_fates, row.rows)[place]))
        loaded = Fate(int(unpack(row.load_fates, row.rows)[place]))
        if row.settled_at:
            reason = await self._reason(batch_id, ordinal) if collected is Fate.REJECTED else ""
            sentence = "passed its checks" if collected is Fate.PASSED else _FATE_SENTENCES[collected]
            steps.append({"at": row.settled_at, "what": f"row {ordinal + 1} {sentence}{reason}", "where": row.feed})
        if row.applied_at and collected is Fate.PASSED:
            store = self._city.config.items[row.item].store if row.item in self._city.config.items else ""
            steps.append({"at": row.applied_at, "what": f"row {ordinal + 1} {_FATE_SENTENCES[loaded]}", "where": f"store {store}, {row.item}"})
        return steps

    async def _reason(self, batch_id: str, ordinal: int) -> str:
        query = select(quarantine).where(quarantine.c.batch_id == batch_id, quarantine.c.ordinal == ordinal)
        row = await self._city.state.read(lambda c: c.execute(query).first())
        return f": {row.code} {row.reason} (quarantine {row.id})" if row is not None else ""

    async def _delivery_steps(self, item: Item, record_id: str) -> list[dict[str, Any]]:
        return [
            {"at": at, "what": f"delivered to {to} in delivery {delivery_id}", "where": f"share {share}"}
            for at, to, delivery_id, share in await received(self._city, item.code, record_id)
        ]


def _read_steps(ledger: Ledger, row: Any, ordinal: int) -> list[dict[str, Any]]:
    """How the document was understood, and which part of it (sheet, member, page) the row stands in."""
    cut, evidence = ledger.open_json(row.cut) or {}, ledger.open_json(row.evidence)
    steps = [{"at": row.opened_at, "what": f"it was read as {told_cut(cut)}", "where": f"landing {(cut.get('plain') or row.object)[:12]}"}] if cut else []
    about = {name: value for name, value in evidence.items() if name != "parts"} if isinstance(evidence, dict) else {}
    if about:
        steps.insert(0, {"at": row.first_seen, "what": f"known of it: {told(about)}", "where": row.feed})
    parts = (part_of(found, ordinal) for found in (cut.get("found") or {}, evidence if isinstance(evidence, dict) else {}))
    return steps + [{"at": row.opened_at, "what": f"row {ordinal + 1} stands in {part}", "where": row.feed} for part in parts if part]


def _lookups(item: Item, wanted: str) -> list[dict[str, str]]:
    """Which columns a value may stand in: the record's id, subject identifiers, and text parts of the key."""
    if _RECORD_ID.fullmatch(wanted):
        return [{"record_id": wanted}]
    keys = {name for part in item.natural_key for name in part}
    named = [f for f in item.fields if f.name in keys or any(role.startswith("subject.") and role != "subject.name" for role in f.roles) or f.name == "doc_no"]
    return [{f.name: wanted} for f in named if f.kind in ("text", "long")]
