"""What shares add to a reconciliation and to a record's trace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from hub.reconcile import Proof
from routes.references import share_queue

if TYPE_CHECKING:
    from routes.city import City


def proofs(city: City) -> Sequence[Callable[[Proof], Awaitable[None]]]:
    """What reconciliation checks besides collect and load."""
    return [partial(_prove_deliveries, city)]


async def _prove_deliveries(city: City, proof: Proof) -> None:
    """For every share: offered = delivered + withheld + dead + waiting, and every delivered record has its delivery."""
    for name in city.shares:
        for item, sums in (await city.deliveries.balance(name)).items():
            if sums["waiting"] < 0 or sums["recorded"] != sums["delivered"]:
                proof.differ("delivery", share=name, item=item, cause="the tallies of the share and its deliveries do not agree", **sums)
            depth = await city.broker.depth(share_queue(name))
            if sums["waiting"] > 0 and not depth.ready + depth.unacked:
                proof.differ("delivery", share=name, item=item, cause="what waits to be delivered is in no queue; --repair offers it again", **sums)


async def received(city: City, item: str, record_id: str) -> list[tuple[str, str, str, str]]:
    """Who received a record: time, agency, delivery and share."""
    found = await city.deliveries.whereabouts(item, record_id)
    to = {name: share.share.to for name, share in city.config.shares.items()}
    return [(row["done_at"] or "", to.get(row["share"], "?"), row["delivery_id"], row["share"]) for row in found]
