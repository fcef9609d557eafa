"""The load leg (入库): an item's intake queue, matched to subjects, into its central store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass

import polars as pl

from hub.contracts.batch import Batch, Header, Receipt
from hub.contracts.blocking import to_its_end
from hub.contracts.broker import Broker, Delivered
from hub.contracts.errors import Misconfigured, Rejected
from hub.contracts.item import Item
from hub.contracts.keys import KeyRing
from hub.contracts.observer import Observer
from hub.contracts.store import SUBJECTS_SCHEMA, Store
from hub.failpoints import failpoint
from hub.landing import Landing
from hub.ledger import Ledger
from hub.wire import claim_of, decode
from routes.collect import intake_queue
from transforms.matching import match


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message decoded and matched, waiting for the store."""

    delivered: Delivered
    batch: Batch
    subjects: pl.DataFrame | None  # None: the rows did not come, or could not be read


class LoadRoute:
    """Loads one item: one at a time, in order. Decoding the next batch runs while the store writes the last."""

    def __init__(
        self,
        item: Item,
        store: Store,
        broker: Broker,
        ledger: Ledger,
        keys: KeyRing,
        claims: Landing,
        observer: Observer,
        whole: Callable[[Header], Awaitable[Batch]],
        late: Callable[[Batch, Receipt], Awaitable[int]],
    ) -> None:
        self.item = item
        self._store = store
        self._broker = broker
        self._ledger = ledger
        self._keys = keys
        self._claims = claims
        self._observer = observer
        self._whole = whole
        self._late = late
        self.fence = 0  # a store refuses us once a loader with a higher one has come
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"load-{item.code}")

    @property
    def queue(self) -> str:
        """The item's intake queue."""
        return intake_queue(self.item.code)

    async def run(self) -> None:
        """Load for ever. Raises `Unavailable` when the broker or the store is away: run again."""
        await self._broker.declare(self.queue)
        while True:
            try:
                async with aclosing(self._ready()) as ready:
                    async for one in ready:
                        await self._load(one)
            except Rejected as error:
                # A message that the broker can no longer read; its batch is still open in the ledger, and `reconcile --repair` sends it again.
                self._observer.tell("unreadable", self.item.code, reason=error.message, hint=error.hint)

    async def _ready(self) -> AsyncGenerator[_Ready, None]:
        """Messages decoded one ahead of the store."""
        async with aclosing(self._broker.consume(self.queue, prefetch=2)) as messages:
            ahead: asyncio.Task[_Ready | None] = asyncio.create_task(self._next(messages))
            try:
                while True:
                    one = await ahead
                    ahead = asyncio.create_task(self._next(messages))
                    if one is not None:
                        yield one
            finally:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)

    async def _next(self, messages: AsyncGenerator[Delivered, None]) -> _Ready | None:
        delivered = await anext(messages)
        try:
            return await to_its_end(self._executor, self._decode, delivered)
        except Rejected as error:
            self._observer.tell("unreadable", self.item.code, reason=error.message, hint=error.hint)
            header = await self._ledger.in_flight_as(delivered.message.id)
            if header is not None:  # the ledger and landing have the batch: its rows are cut again
                return _Ready(delivered, Batch(header, pl.DataFrame()), None)
            await self._broker.ack(delivered)
            return None

    def _decode(self, delivered: Delivered) -> _Ready:
        batch = decode(delivered.message, self._keys, self._claims)
        if batch.header.same_as:
            return _Ready(delivered, batch, None)
        frame, subjects = match(batch.frame, self.item, self._keys)
        return _Ready(delivered, batch.with_frame(frame), subjects)

    async def _load(self, one: _Ready) -> None:
        failpoint("load.decoded")
        receipt = await self._store.recognise(one.batch.header, self.item, fence=self.fence) if one.batch.header.same_as else None
        if receipt is None:
            one = await self._with_rows(one)
            subjects = one.subjects if one.subjects is not None else pl.DataFrame(schema=SUBJECTS_SCHEMA)
            receipt = await self._store.apply(one.batch, self.item, subjects, fence=self.fence)
        failpoint("load.applied")
        await self._ledger.applied(one.batch, receipt, late=await self._late(one.batch, receipt))
        failpoint("load.copied")
        await self._broker.ack(one.delivered)
        failpoint("load.acked")
        if (claim := claim_of(one.delivered.message)) is not None:
            self._claims.remove(claim)
        self._observer.tell("loaded", self.item.code, seen=receipt.seen, seq=receipt.seq, **receipt.counts)

    async def _with_rows(self, one: _Ready) -> _Ready:
        """A batch that came without its rows is cut again from landing, in its place in the queue."""
        if one.subjects is not None:
            return one
        try:
            batch = await self._whole(one.batch.header)
        except Rejected as error:
            cause = f"batch {one.batch.header.batch_id} of {self.item.code} can be read neither from its queue nor from landing: {error.message}"
            raise Misconfigured(cause, hint="restore the landed object from a backup, then resume") from error
        frame, subjects = await to_its_end(self._executor, match, batch.frame, self.item, self._keys)
        return _Ready(one.delivered, batch.with_frame(frame), subjects)

    async def close(self) -> None:
        """Release the worker thread."""
        self._executor.shutdown()
