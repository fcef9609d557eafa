"""Proves the promise again (对账): from landing, ledger, stores and quarantine, and names every record that does not fit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import Connection, Row, func, select

from hub.contracts.batch import RECORD_ID, Fate, Header
from hub.contracts.errors import HubError
from hub.contracts.item import Item
from hub.contracts.store import Store
from hub.landing import Landing
from hub.ledger import Ledger, Totals, totals, unpack
from hub.tables import arrival, batch, quarantine

_NAMED = 1_000
"""At most this many differences are named; the rest are counted."""

_WRITTEN = (Fate.INSERTED, Fate.UPDATED, Fate.WITHDRAWN)


@dataclass
class Proof:
    """What was found. `differences` name place and cause; empty and `in_flight` 0 where all is proved."""

    totals: Totals
    differences: list[dict[str, Any]] = field(default_factory=list)
    unnamed: int = 0

    @property
    def balanced(self) -> bool:
        """True where nothing is in flight, the equation holds and every record fits."""
        return not self.differences and self.totals.balanced and self.totals.in_flight == 0

    def differ(self, what: str, **place: Any) -> None:
        """Name one thing that does not fit."""
        if len(self.differences) < _NAMED:
            self.differences.append({"what": what, **place})
        else:
            self.unnamed += 1

    def as_json(self) -> dict[str, Any]:
        """The fixed face of `reconcile --format json`."""
        return {
            "balanced": self.balanced,
            "batches": self.totals.batches,
            "counts": self.totals.counts(),
            "reentered": self.totals.reentered,
            "differences": self.differences,
            **({"unnamed": self.unnamed} if self.unnamed else {}),
        }


Check = Callable[[Proof], Awaitable[None]]


class Reconciler:
    """Compares the four books. `others` are further checks of the same kind (deliveries)."""

    def __init__(self, ledger: Ledger, landing: Landing, items: Mapping[str, Item], stores: Mapping[str, Store], others: Sequence[Check] = ()) -> None:
        self._ledger = ledger
        self._landing = landing
        self._items = items
        self._stores = stores
        self._others = others
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="reconcile")

    async def prove(self) -> Proof:
        """Every check, on one snapshot of the ledger."""
        proof = Proof(await self._ledger.state.read(totals))
        rows = await self._ledger.state.read(lambda c: c.execute(select(batch).order_by(batch.c.item, batch.c.arrival, batch.c.first)).all())
        refused = await self._ledger.state.read(_quarantined)
        for row in rows:
            _equation(proof, row, refused.get(row.batch_id, 0))
        arrived = await self._ledger.state.read(lambda c: c.execute(select(arrival.c.landed)).scalars().all())
        digests = list(dict.fromkeys([*arrived, *(row.landed for row in rows)]))
        landed = asyncio.get_running_loop().run_in_executor(self._executor, self._check_landing, proof, digests)
        for code in sorted({row.item for row in rows}):
            await self._check_store(proof, code, [row for row in rows if row.item == code])
        await landed
        for check in self._others:
            await check(proof)
        return proof

    def _check_landing(self, proof: Proof, digests: Sequence[str]) -> None:
        """Every landed object is whole, what came and what was made of it: its bytes still have the digest that is their name."""
        for digest in digests:
            try:
                if not self._landing.verify(digest):
                    proof.differ("landing", landed=digest, cause="the object is missing")
            except HubError as error:
                proof.differ("landing", landed=digest, cause=error.message)

    async def _check_store(self, proof: Proof, code: str, rows: Sequence[Row[Any]]) -> None:
        item = self._items.get(code)
        if item is None:
            proof.differ("item", item=code, cause="the configuration does not know this item any more")
            return
        store = self._stores[item.store]
        inbox = await store.receipts(code)
        for row in rows:
            _inbox(proof, row, inbox.get(row.batch_id))
        known = {row.batch_id for row in rows}
        for stray in inbox.keys() - known:
            proof.differ("inbox", item=code, batch=stray, cause="the store applied a batch that the ledger never opened")
        await self._check_rows(proof, item, store, rows)

    async def _check_rows(self, proof: Proof, item: Item, store: Store, rows: Sequence[Row[Any]]) -> None:
        """Every stored row names a (batch, ordinal) whose fate is to be stored, and no record that was inserted is gone."""
        places = _Places(rows)
        stored = 0
        async for chunk in store.scan(item, columns=["record_id", "batch_id", "ordinal"]):
            stored += chunk.height
            for record_id, batch_id, ordinal in places.strangers(chunk).iter_rows():
                proof.differ("ghost", item=item.code, record_id=record_id, batch=batch_id, ordinal=ordinal, cause="no batch of the ledger wrote this row")
        if stored < places.created():
            await self._name_missing(proof, item, store, places.created() - stored)

    async def _name_missing(self, proof: Proof, item: Item, store: Store, missing: int) -> None:
        """The journal knows every record that ever entered; name those that are not there."""
        seq, named = 0, 0
        while entries := await store.journal(item.code, seq, limit=1):
            seq = entries[-1].seq
            entered = entries[0].rows.select(RECORD_ID, "batch_id", "ordinal").unique(RECORD_ID)
            there = await store.rows(item, entered[RECORD_ID].to_list())
            gone = entered.join(there.select(pl.col("record_id").alias(RECORD_ID)), on=RECORD_ID, how="anti")
            for record_id, batch_id, ordinal in gone.iter_rows():
                named += 1
                proof.differ("lost", item=item.code, record_id=record_id, batch=batch_id, ordinal=ordinal, cause="the store no longer has this record")
        if named == 0:
            proof.differ(
                "lost", item=item.code, records=missing, cause="the store has fewer records than were inserted, and the journal is too short to name them"
            )

    async def repair(self, resend: Callable[[Header, dict[str, Any]], Awaitable[None]]) -> dict[str, int]:
        """Copy receipts that the ledger missed, and send again, from landing, what no inbox knows."""
        done = {"copied": 0, "sent": 0}
        for header, cut in await self._ledger.unapplied():
            item = self._items.get(header.item)
            if item is None:
                continue
            if await self._stores[item.store].receipt(header.batch_id) is None:
                done["sent"] += 1
            else:
                done["copied"] += 1
            # Both ways go through the queue: an inbox that knows the batch answers with its first receipt, which is then copied.
            await resend(header, cut)
        return done

    def close(self) -> None:
        """Release the worker thread."""
        self._executor.shutdown()


class _Places:
    """Which (batch, ordinal) may be found in a store: the ledger's fates as one array, and where in it each batch begins."""

    def __init__(self, rows: Sequence[Row[Any]]) -> None:
        self._created: int = sum(json.loads(row.load_counts).get("inserted", 0) for row in rows)
        self._written = np.concatenate([np.isin(unpack(row.load_fates, row.rows), _WRITTEN) for row in rows])
        ends = np.cumsum([row.rows for row in rows])
        self._scattered = {row.batch_id: row for row in rows if row.reenters}
        self._batches = pl.DataFrame(
            {"batch_id": [row.batch_id for row in rows], "first": [row.first for row in rows], "rows": [row.rows for row in rows], "end": ends},
            schema={"batch_id": pl.String, "first": pl.Int64, "rows": pl.Int64, "end": pl.Int64},
        )

    def created(self) -> int:
        """Records that batches inserted."""
        return self._created

    def strangers(self, chunk: pl.DataFrame) -> pl.DataFrame:
        """Rows that no batch accounts for."""
        known = chunk.join(self._batches, on="batch_id", how="left", maintain_order="left")
        places = (known["ordinal"] - known["first"]).fill_null(-1).to_numpy().copy()
        for batch_id, row in self._scattered.items():
            mine = (known["batch_id"] == batch_id).to_numpy()
            places[mine] = _positions(row, known["ordinal"].to_numpy()[mine])
        rows, end = known["rows"].fill_null(0).to_numpy(), known["end"].fill_null(0).to_numpy()
        inside = (places >= 0) & (places < rows)
        fine = np.zeros(len(places), bool)
        fine[inside] = self._written[(end - rows + places)[inside]]
        return chunk.filter(pl.Series(~fine))


def _positions(row: Row[Any], ordinals: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Places of ordinals in the fates of a batch of corrected rows; -1 for strangers."""
    listed = np.asarray(json.loads(row.ordinals), np.int64)
    places = np.searchsorted(listed, ordinals)
    known = (places < len(listed)) & (listed[np.minimum(places, len(listed) - 1)] == ordinals)
    return np.where(known, places, -1)


def _quarantined(connection: Connection) -> dict[str, int]:
    query = select(quarantine.c.batch_id, func.count()).group_by(quarantine.c.batch_id)
    return {batch_id: int(n) for batch_id, n in connection.execute(query)}


def _equation(proof: Proof, row: Row[Any], aside: int) -> None:
    """The batch's own counts, its fates and its quarantine agree."""
    loaded = json.loads(row.load_counts)
    place = {"batch": row.batch_id, "item": row.item, "arrival": row.arrival}
    if row.settled_at is None:
        return
    sent = row.rows - row.rejected - row.filtered
    if row.applied_at is not None and sum(loaded.values()) != sent:
        proof.differ("equation", **place, cause=f"{sent} records were sent to the store and {sum(loaded.values())} have a fate")
    if aside != row.rejected + loaded.get("rejected", 0):
        proof.differ("quarantine", **place, cause=f"{row.rejected + loaded.get('rejected', 0)} records were rejected and {aside} are in quarantine")
    collected = np.bincount(unpack(row.collect_fates, row.rows), minlength=len(Fate))
    if collected[Fate.REJECTED] != row.rejected or collected[Fate.FILTERED] != row.filtered:
        proof.differ("fates", **place, cause="the fates of single records do not add up to the batch's counts")


def _inbox(proof: Proof, row: Row[Any], receipt: Mapping[str, int] | None) -> None:
    place = {"batch": row.batch_id, "item": row.item, "arrival": row.arrival}
    if row.applied_at is None:
        return
    if receipt is None:
        proof.differ("inbox", **place, cause="the ledger says that the store has this batch, and its inbox does not know it")
    elif dict(receipt) != json.loads(row.load_counts):
        proof.differ("inbox", **place, cause="the store's inbox has other counts than the ledger")
