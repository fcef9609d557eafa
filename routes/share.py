"""The share leg (共享): what changed in an item becomes references in the queue of each share that receives it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hub.contracts.batch import RECORD_ID
from hub.contracts.broker import Broker
from hub.contracts.errors import Misconfigured, Rejected
from hub.contracts.item import Item
from hub.contracts.observer import Observer
from hub.contracts.share import Share
from hub.contracts.store import Store
from hub.deliveries import Deliveries
from hub.failpoints import failpoint
from routes.references import PARCEL, Reference, references, share_queue

_DEAD_AT_ONCE = 10_000


class ShareRoute:
    """Follows the journals of a share's items. `items` are all items by code, `stores` all stores by name ("ent")."""

    def __init__(
        self, share: Share, items: Mapping[str, Item], stores: Mapping[str, Store], broker: Broker, deliveries: Deliveries, observer: Observer
    ) -> None:
        self.share = share
        self._items = items
        self._stores = stores
        self._broker = broker
        self._deliveries = deliveries
        self._observer = observer
        self._declared = False

    @property
    def queue(self) -> str:
        """The share's queue."""
        return share_queue(self.share.name)

    async def drain(self) -> int:
        """Offer everything that is new in the journals; how many records. Safe to repeat after a crash at any point."""
        if not self._declared:
            await self._broker.declare(self.queue)
            self._declared = True
        offered = 0
        for code in self.share.items:
            offered += await self._follow(self._item(code))
        return offered

    async def _follow(self, item: Item) -> int:
        store, name = self._stores[item.store], self.share.name
        offered = 0
        after = await self._deliveries.cursor(name, item.code)
        while entries := await store.journal(item.code, after):
            for entry in entries:
                ids = entry.rows[RECORD_ID].to_list()
                for reference in references(name, item.code, entry.seq, ids):
                    await self._broker.publish(self.queue, reference.to_message())
                    failpoint("share.published")
                await self._deliveries.advance(name, item.code, entry.seq, len(ids))
                failpoint("share.advanced")
                self._observer.tell("offered", name, item=item.code, seq=entry.seq, records=len(ids))
                after, offered = entry.seq, offered + len(ids)
        return offered

    async def restore(self) -> int:
        """Publish again the references that are offered, not finished and in no queue; how many. Safe to repeat: finished parts are left out."""
        depth = await self._broker.depth(self.queue)
        if depth.ready + depth.unacked or not (await self._deliveries.summary(self.share.name))["waiting"]:
            return 0
        return sum([await self._restore(self._item(code)) for code in self.share.items])

    async def _restore(self, item: Item) -> int:
        store, name, after, published = self._stores[item.store], self.share.name, 0, 0
        last = await self._deliveries.cursor(name, item.code)
        while after < last and (entries := await store.journal(item.code, after)):
            after = entries[0].seq
            for reference in references(name, item.code, after, entries[0].rows[RECORD_ID].to_list()):
                stands = await self._deliveries.progress(name, reference.message_id)
                if not all(part.number in stands and stands[part.number].done for part, _ in reference.parts(PARCEL)):
                    await self._broker.publish(self.queue, reference.to_message())
                    published += 1
        return published

    def _item(self, code: str) -> Item:
        if code not in self._items:
            raise Misconfigured(
                f"share {self.share.name} names item {code}, which is not in the catalogue", hint="bring the item back, or take it out of the share"
            )
        return self._items[code]

    async def replay(self, delivery_ids: Collection[str] | None = None, *, dry_run: bool = False, because: str = "") -> dict[str, Any]:
        """Offer finished deliveries again: the ones named, or all dead letters. They are decided anew, so nothing that was withdrawn comes back.

        Answers with `deliveries` and `records`, the numbers offered again (or that would be). Raises `Rejected` for an id that this share
        does not have or that is not finished.
        """
        name = self.share.name
        found = await self._deliveries.find(name, delivery_ids=delivery_ids or (), state="" if delivery_ids else "dead", limit=_DEAD_AT_ONCE)
        unknown = set(delivery_ids or ()) - {row["delivery_id"] for row in found if row["state"] in ("dead", "delivered")}
        if unknown:
            raise Rejected(f"{name} has no finished delivery {min(unknown)}", hint=f"without ids, `run_hub.py replay {name}` offers all dead letters")
        if not dry_run:
            await self._broker.declare(self.queue)
            for row in found:
                await self._again(row)
            self._observer.tell("replayed", name, deliveries=len(found), because=because)
        return {"share": name, "deliveries": len(found), "records": sum(row["offered"] for row in found), "dry_run": dry_run}

    async def _again(self, row: Mapping[str, Any]) -> None:
        """The delivery's references once more, read from the journal, under a message id of their own."""
        item = self._item(row["item"])
        entries = await self._stores[item.store].journal(item.code, row["seq"] - 1)
        if not entries or entries[0].seq != row["seq"]:
            raise Rejected(
                f"journal entry {row['seq']} of {item.code} is no longer kept", hint="send the records again by a new share or a replay of their feed"
            )
        ids = entries[0].rows[RECORD_ID].slice(row["first"], row["offered"]).to_list()
        replays = row["replays"] + 1
        reference = Reference(f"{row['delivery_id']}/{replays}", row["share"], item.code, row["seq"], row["first"], ids)
        await self._broker.publish(self.queue, reference.to_message())
        await self._deliveries.replayed(row["delivery_id"], replays)
