"""From a journal to an agency: what leaves, in which order, how often, and what happens when the other side fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiohttp import web

from connectors.memory import MemoryOutlet
from connectors.subscriber import SubscriberConfig, SubscriberOutlet
from connectors.webhook import WebhookOutlet
from hub.contracts.broker import Message
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from hub.contracts.share import Parcel
from routes.references import share_queue
from tests.integration.receiver import SECRET, Receiver
from tests.integration.sharing_city import CANARY, ITEM, SHARE, START, SharingCity, record_id

HOURS = 3600.0


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[SharingCity]:
    async with SharingCity(tmp_path) as opened:
        yield opened


def sent(outlet: MemoryOutlet) -> list[tuple[int, list[str]]]:
    """What an outlet was handed: sequence and ops of each parcel."""
    return [(p.sequence, p.records["op"].to_list()) for p in outlet.parcels.values()]


async def test_a_change_reaches_the_receiver_with_the_granted_fields_masked(city: SharingCity) -> None:
    outlet = MemoryOutlet()
    await city.changed([1])

    waits = await city.shared(outlet)

    (parcel,) = outlet.parcels.values()
    assert waits is None
    assert parcel.records.drop("record_id", "op", "version").to_dicts() == [
        {
            "xdr_name": "常熟第1公司",
            "doc_no": "常法罚〔2026〕1号",
            "legal_rep": "张**",
            "fine_wan": pl.Series(["1.5"]).str.to_decimal(scale=6)[0],
            "decision_date": date(2026, 10, 1),
        }
    ]
    assert parcel.basis == "grant 常信办〔2024〕17号 (执行查控) until 2026-12-31"
    assert await city.deliveries.summary(SHARE.name) == {"delivered": 1, "withheld": {}, "waiting": 0, "dead": 0}


async def test_many_records_travel_in_parcels_of_at_most_500_in_order(city: SharingCity) -> None:
    outlet = MemoryOutlet()
    await city.changed(range(5_600))
    await city.changed([9_001])

    await city.shared(outlet)

    assert [(p.sequence, p.records.height) for p in outlet.parcels.values()] == [(n + 1, 500) for n in range(11)] + [(12, 100), (13, 1)]
    assert (await city.deliveries.balance(SHARE.name))[ITEM.code] == {
        "offered": 5_601,
        "delivered": 5_601,
        "withheld": 0,
        "dead": 0,
        "waiting": 0,
        "recorded": 5_601,
    }


async def test_the_queue_holds_references_and_no_value(city: SharingCity) -> None:
    await city.changed([1, 2])

    await city.offers().drain()

    (message,) = await city.broker.peek(share_queue(SHARE.name))
    body = json.loads(message.body)
    assert sorted(body.pop("record_ids")) == sorted([record_id(1), record_id(2)])
    assert body == {"v": 1, "share": SHARE.name, "item": ITEM.code, "seq": 1, "first": 0}


async def test_offering_again_offers_nothing_new(city: SharingCity) -> None:
    await city.changed([1, 2])

    first, second = await city.offers().drain(), await city.offers().drain()

    assert (first, second) == (2, 0)
    assert (await city.broker.depth(share_queue(SHARE.name))).ready == 1


async def test_references_of_a_lost_queue_are_offered_again_without_sending_twice(city: SharingCity) -> None:
    outlet = MemoryOutlet()
    await city.changed(range(3))
    await city.shared(outlet)
    await city.changed(range(10, 15))
    await city.offers().drain()
    await city.broker.purge(share_queue(SHARE.name))

    restored, again = await city.offers().restore(), await city.offers().restore()
    await city.shared(outlet)

    assert (restored, again) == (1, 0)
    assert [(p.sequence, p.records.height) for p in outlet.parcels.values()] == [(1, 3), (2, 5)]


async def test_everything_withheld_is_counted_by_reason(city: SharingCity) -> None:
    outlet = MemoryOutlet()
    await city.changed([1, 2, 3])
    await city.changed([4, 5], status=2)
    await city.changed([6], usage_scope="2")

    await city.shared(outlet)

    assert await city.deliveries.summary(SHARE.name) == {"delivered": 3, "withheld": {"disputed": 2, "no_consent": 1}, "waiting": 0, "dead": 0}
    assert [p.records.height for p in outlet.parcels.values()] == [3]


async def test_a_record_is_read_when_it_is_handed_over_and_not_when_it_was_offered(city: SharingCity) -> None:
    outlet = MemoryOutlet()
    await city.changed([1])
    await city.offers().drain()
    await city.changed([1], status=1)

    await city.shared(outlet)

    assert outlet.parcels == {}
    assert (await city.deliveries.summary(SHARE.name))["withheld"] == {"withdrawn": 1}


async def test_a_withdrawal_follows_a_record_that_was_handed_over(city: SharingCity) -> None:
    outlet = MemoryOutlet()
    await city.changed([1])
    await city.shared(outlet)
    await city.changed([1], status=1)
    expired = replace(SHARE, basis=None)

    await city.shared(outlet, expired)

    assert sent(outlet) == [(1, ["upsert"]), (2, ["withdraw"])]


async def test_a_failing_receiver_is_tried_by_the_ladder_with_one_delivery_id_and_then_given_up(city: SharingCity) -> None:
    async with Receiver(*(web.Response(status=503) for _ in range(10))) as receiver:
        outlet = WebhookOutlet(receiver.config(), SECRET)
        await city.changed([1])
        await city.offers().drain()
        route = city.delivers(outlet)
        for _ in range(10):
            next_at = await route.deliver_due(idle=0.02)
            city.clock.now = next_at or city.clock.now
        await outlet.close()

    assert len({call.delivery_id for call in receiver.calls}) == 1
    assert len(receiver.calls) == 10
    assert city.clock.now - START == timedelta(hours=75, minutes=35, seconds=5)
    (row,) = await city.deliveries.find(SHARE.name)
    assert (row["state"], row["attempts"]) == ("dead", 10)
    assert "answered 503" in row["first_error"]
    assert (await city.broker.depth(share_queue(SHARE.name))).ready == 0


async def test_nothing_is_tried_before_its_time_and_nothing_overtakes(city: SharingCity) -> None:
    outlet = MemoryOutlet()
    outlet.fails = Unavailable("answered 503", retry_after=2 * HOURS)
    await city.changed([1])
    await city.changed([2])

    first = await city.shared(outlet)
    outlet.fails = None
    early = await city.shared(outlet)
    at_once = list(outlet.parcels)
    city.clock.now += timedelta(hours=2)
    last = await city.shared(outlet)

    assert first == early == city.clock.now
    assert at_once == []
    assert last is None
    assert [p.sequence for p in outlet.parcels.values()] == [1, 2]


async def test_a_refusal_is_a_dead_letter_and_the_next_message_goes_on(city: SharingCity) -> None:
    async with Receiver(web.Response(status=400)) as receiver:
        outlet = WebhookOutlet(receiver.config(), SECRET)
        await city.changed([1])
        await city.changed([2])
        await city.shared(outlet)
        await outlet.close()

    assert await city.states() == ["dead", "delivered"]
    assert await city.deliveries.summary(SHARE.name) == {"delivered": 1, "withheld": {}, "waiting": 0, "dead": 1}


async def test_a_dead_letter_can_be_replayed_and_arrives_once(city: SharingCity) -> None:
    outlet = MemoryOutlet()
    outlet.fails = Rejected("refused")
    await city.changed([1, 2])
    await city.shared(outlet)
    outlet.fails = None

    planned = await city.offers().replay(dry_run=True)
    done = await city.offers().replay(because="the court has mended its end")
    await city.shared(outlet)
    empty = await city.offers().replay(because="again")
    await city.shared(outlet)

    assert (planned["records"], done["deliveries"], empty["deliveries"]) == (2, 1, 0)
    assert sent(outlet) == [(2, ["upsert", "upsert"])]
    assert await city.deliveries.summary(SHARE.name) == {"delivered": 2, "withheld": {}, "waiting": 0, "dead": 0}


async def test_a_replay_decides_anew(city: SharingCity) -> None:
    outlet = MemoryOutlet()
    await city.changed([1, 2])
    await city.shared(outlet)
    (delivered,) = await city.deliveries.find(SHARE.name)
    await city.deliveries.revoke(SHARE.name, "the duty ended", city.clock())

    await city.offers().replay([delivered["delivery_id"]], because="the file was lost")
    await city.shared(outlet)

    assert len(outlet.parcels) == 1
    assert (await city.deliveries.summary(SHARE.name))["withheld"] == {"grant_revoked": 2}


async def test_an_unknown_delivery_cannot_be_replayed(city: SharingCity) -> None:
    with pytest.raises(Rejected, match="no finished delivery"):
        await city.offers().replay(["f" * 32])


async def test_a_changed_cut_is_another_delivery_in_the_same_place(city: SharingCity) -> None:
    outlet = MemoryOutlet()
    outlet.fails = Unavailable("answered 503")
    await city.changed([1, 2])
    await city.shared(outlet)
    await city.changed([2], status=2)
    outlet.fails = None
    city.clock.now += timedelta(minutes=1)

    await city.shared(outlet)

    assert sent(outlet) == [(1, ["upsert"])]
    assert await city.states() == ["withheld", "cancelled", "delivered"]


async def test_a_receiver_that_has_gone_stops_the_share_and_loses_nothing(city: SharingCity) -> None:
    outlet = MemoryOutlet()
    outlet.fails = Misconfigured("answered 410: the receiver has said that it is gone")
    await city.changed([1])

    with pytest.raises(Misconfigured, match="gone"):
        await city.shared(outlet)
    outlet.fails = None
    await city.shared(outlet)

    assert sent(outlet) == [(1, ["upsert"])]


async def test_run_waits_by_itself_until_the_receiver_is_back_and_stops_when_cancelled(city: SharingCity) -> None:
    async with Receiver(web.Response(status=503), web.Response(status=503)) as receiver:
        outlet = WebhookOutlet(receiver.config(), SECRET)
        await city.changed([1])
        await city.offers().drain()
        running = asyncio.ensure_future(city.delivers(outlet).run())
        for _ in range(500):
            if (await city.deliveries.summary(SHARE.name))["delivered"]:
                break
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await outlet.close()

    assert city.clock.waits == [5.0, 300.0]
    assert len(receiver.calls) == 3


async def test_a_revocation_aborts_a_transfer_in_flight(city: SharingCity) -> None:
    class Slow(MemoryOutlet):
        async def hand_over(self, parcel: Parcel) -> Mapping[str, Any]:
            await city.deliveries.revoke(SHARE.name, "the duty ended", city.clock())
            await asyncio.sleep(60)
            return await super().hand_over(parcel)

    outlet = Slow()
    await city.changed([1])

    await city.shared(outlet)
    await city.shared(outlet)

    assert outlet.parcels == {}
    assert await city.states() == ["withheld", "cancelled"]


async def test_no_forbidden_value_is_in_any_byte_that_leaves_or_is_told(city: SharingCity) -> None:
    async with Receiver(web.Response(status=503), web.Response(status=400)) as receiver:
        outlet = WebhookOutlet(receiver.config(), SECRET)
        await city.changed([1])
        await city.shared(outlet)
        city.clock.now += timedelta(hours=1)
        await city.shared(outlet)
        await city.changed([1], status=1)
        await city.shared(outlet)
        await outlet.close()

    told = repr(city.facts) + repr(await city.deliveries.find(SHARE.name))
    everything = b"".join(call.body + repr(call.headers).encode() for call in receiver.calls) + told.encode()
    assert len(receiver.calls) == 3
    for forbidden in (CANARY, "320581199003070012", "张三丰", "legal_rep_id", '"facts"', json.dumps(CANARY)[1:-1]):
        assert forbidden.encode() not in everything


async def test_a_subscribers_queue_is_a_short_window(city: SharingCity) -> None:
    outlet = SubscriberOutlet(SubscriberConfig(window=3), city.broker, SHARE.name)
    for number in range(5):
        await city.changed([number])

    next_at = await city.shared(outlet)

    queue = f"sub.{SHARE.name}"
    assert next_at == city.clock.now + timedelta(seconds=1)
    assert (await city.broker.depth(queue)).ready == 3
    waiting = await city.deliveries.find(SHARE.name, state="waiting")
    assert [row["attempts"] for row in waiting] == [0]
    await city.broker.purge(queue)
    city.clock.now += timedelta(seconds=1)
    await city.shared(outlet)
    messages = await city.broker.peek(queue)
    assert [(m.content_type, json.loads(m.body)["sequence"]) for m in messages] == [
        ("application/cloudevents+json", "4"),
        ("application/cloudevents+json", "5"),
    ]


async def test_a_message_that_is_no_reference_stops_the_share(city: SharingCity) -> None:
    await city.broker.declare(share_queue(SHARE.name))
    await city.broker.publish(share_queue(SHARE.name), Message("x", b"[]"))

    with pytest.raises(Misconfigured, match="no reference"):
        await city.delivers(MemoryOutlet()).deliver_due(idle=0.02)
