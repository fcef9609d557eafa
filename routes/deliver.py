"""The deliver leg (投递): references become records only here, decided and cut at the moment of hand-over, and again at each attempt."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from hub.contracts.broker import Broker, Delivered
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable
from hub.contracts.item import Item
from hub.contracts.keys import KeyRing
from hub.contracts.observer import Observer
from hub.contracts.share import BUSY, Decision, Outlet, Parcel, Share
from hub.contracts.store import Store
from hub.deliveries import Cut, Deliveries, Part
from hub.failpoints import failpoint
from routes.policy import Grant, decide, standing_at
from routes.references import PARCEL, Reference, share_queue
from routes.retry import RetryLadder

_LOOK_S = 1.0  # how often a transfer in flight asks whether its grant was revoked
_BUSY_S = 1.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a deliver leg needs of the world beyond its parts: time, chance and the version of the configuration."""

    now: Callable[[], datetime] = _now
    chance: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    config: str = ""


class DeliverRoute:
    """Hands a share's records over, in order. The message stays at the head of its queue until every part is delivered, withheld or dead."""

    def __init__(
        self,
        share: Share,
        outlet: Outlet,
        *,
        items: Mapping[str, Item],
        stores: Mapping[str, Store],
        broker: Broker,
        deliveries: Deliveries,
        keys: KeyRing,
        observer: Observer,
        ladder: RetryLadder | None = None,
        world: Surroundings | None = None,
    ) -> None:
        self.share = share
        self.outlet = outlet
        self._items = items
        self._stores = stores
        self._broker = broker
        self._deliveries = deliveries
        self._keys = keys
        self._observer = observer
        self._ladder = ladder or RetryLadder()
        self._world = world or Surroundings()

    @property
    def queue(self) -> str:
        """The share's queue."""
        return share_queue(self.share.name)

    async def run(self) -> None:
        """Deliver for ever. Raises `Unavailable` when broker, store or state are away (run again) and `Misconfigured` when a person must act."""
        await self._broker.declare(self.queue)
        while True:
            next_at = await self._work(idle=None)
            if next_at is not None:
                await self._world.sleep(max((next_at - self._world.now()).total_seconds(), 0.0))

    async def deliver_due(self, *, idle: float = 0.3) -> datetime | None:
        """Deliver what is due now; answers when the head of the queue is due, None when the queue is empty.

        `idle` is how long, in seconds, a silent queue is listened to before its depth is believed.
        """
        await self._broker.declare(self.queue)
        return await self._work(idle=idle)

    async def _work(self, *, idle: float | None) -> datetime | None:
        """Take messages one by one. A message that must wait goes back to the head of the queue when the consumer closes."""
        async with aclosing(self._broker.consume(self.queue, prefetch=1)) as messages:
            while (taken := await self._next(messages, idle)) is not None:
                next_at = await self._deliver(Reference.from_message(taken.message))
                if next_at is not None:
                    return next_at
                await self._broker.ack(taken)
                failpoint("deliver.acked")
        return None

    async def _next(self, messages: AsyncGenerator[Delivered, None], idle: float | None) -> Delivered | None:
        if idle is None:
            return await anext(messages)
        task = asyncio.ensure_future(anext(messages))
        try:
            while not (await asyncio.wait({task}, timeout=idle))[0]:
                if (await self._broker.depth(self.queue)).ready == 0 and not task.done():
                    return None
            return task.result()
        finally:
            await _ended(task)

    async def _deliver(self, reference: Reference) -> datetime | None:
        """Every part that is not finished yet; answers with the time to go on when one has to wait."""
        stands = await self._deliveries.progress(self.share.name, reference.message_id)
        for part, record_ids in reference.parts(PARCEL):
            stand = stands.get(part.number)
            if stand is not None and stand.done:
                continue
            if stand is not None and stand.next_at is not None and stand.next_at > self._world.now():
                return stand.next_at
            next_at = await self._hand_over(part, record_ids)
            if next_at is not None:
                return next_at
        return None

    async def _hand_over(self, part: Part, record_ids: Sequence[str]) -> datetime | None:
        decision, at = await self._decide(part, record_ids)
        cut = self._cut(part, decision)
        if not decision.rows.height:
            await self._deliveries.nothing_left(cut, at)
            self._tell("withheld", cut)
            return None
        sequence, attempts = await self._deliveries.begin(cut, at)
        failpoint("deliver.begun")
        try:
            evidence = await self._transfer(self._parcel(cut, decision, sequence, at))
        except Unavailable as error:
            return await self._later(cut, error, attempts + 1)
        except Rejected as error:
            await self._bury(cut, error)
            return None
        failpoint("deliver.handed_over")
        await self._deliveries.delivered(cut, evidence, self._world.now())
        failpoint("deliver.recorded")
        self._tell("delivered", cut)
        return None

    async def _decide(self, part: Part, record_ids: Sequence[str]) -> tuple[Decision, datetime]:
        """Read the records as they are now and ask the policy. Records that the store does not know are unreadable, hence withheld."""
        item = self._item(part.item)
        rows = await self._stores[item.store].rows(item, record_ids)
        asked = pl.DataFrame({"record_id": record_ids}, schema={"record_id": pl.String}).join(rows, on="record_id", how="left", maintain_order="left")
        known = await self._deliveries.known(part.share, part.item, record_ids)
        revoked = await self._deliveries.revoked()
        now = self._world.now()
        return decide(item, self.share, asked, now=now, revoked=revoked, known=known), now

    def _item(self, code: str) -> Item:
        if code not in self._items:
            raise Misconfigured(
                f"share {self.share.name} has references to item {code}, which is not in the catalogue",
                hint="bring the item back: its references wait in the queue",
            )
        return self._items[code]

    def _cut(self, part: Part, decision: Decision) -> Cut:
        """Names the cut by part and content: constant over retries, another one as soon as anything that leaves has changed."""
        content = decision.rows.write_ndjson().encode()
        delivery_id = self._keys.hash_text(b"\x1f".join([part.share.encode(), part.message_id.encode(), str(part.number).encode(), content]))
        withheld = dict(decision.withheld.iter_rows())
        return Cut(part, delivery_id, decision.rows["record_id"].to_list(), withheld, decision.basis, self._world.config)

    def _parcel(self, cut: Cut, decision: Decision, sequence: int, at: datetime) -> Parcel:
        item = self._items[cut.part.item]
        return Parcel(cut.delivery_id, self.share.name, self.share.to, item.code, item.name, sequence, decision.rows, decision.basis, at)

    async def _transfer(self, parcel: Parcel) -> Mapping[str, Any]:
        """Hand over, and break off when the grant is revoked meanwhile."""
        task = asyncio.ensure_future(self.outlet.hand_over(parcel))
        try:
            while not (await asyncio.wait({task}, timeout=_LOOK_S))[0]:
                if standing_at(self.share, self._world.now(), await self._deliveries.revoked()) is Grant.REVOKED:
                    raise Unavailable(f"the grant of {self.share.name} was revoked during a transfer", code=BUSY, retry_after=0)
            return task.result()
        finally:
            await _ended(task)

    async def _later(self, cut: Cut, error: Unavailable, attempts: int) -> datetime | None:
        """When to go on: soon and at no cost where the other side is merely full, otherwise by the ladder; None after the last attempt."""
        now = self._world.now()
        if error.code == BUSY:
            return now + timedelta(seconds=_BUSY_S if error.retry_after is None else error.retry_after)
        wait = self._ladder.wait(attempts, self._world.chance(), error.retry_after)
        if wait is None:
            await self._bury(cut, error)
            return None
        await self._deliveries.stumbled(cut, error, now + wait)
        self._observer.tell("stumbled", self.share.name, item=cut.part.item, attempts=attempts, wait_s=round(wait.total_seconds()), error=error.message)
        return now + wait

    async def _bury(self, cut: Cut, error: HubError) -> None:
        await self._deliveries.died(cut, error, self._world.now())
        self._observer.tell("dead", self.share.name, item=cut.part.item, records=len(cut.record_ids), error=error.message, hint=error.hint)

    def _tell(self, what: str, cut: Cut) -> None:
        self._observer.tell(what, self.share.name, item=cut.part.item, records=len(cut.record_ids), withheld=cut.part.offered - len(cut.record_ids))


async def _ended(task: asyncio.Future[Any]) -> None:
    """Cancel what is still running and await its end: nothing goes on behind our back."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
