"""Shares over a real RabbitMQ: references in one queue, CloudEvents in the subscriber's."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.memory import MemoryOutlet
from connectors.queues import open_broker
from connectors.subscriber import SubscriberConfig, SubscriberOutlet
from hub.contracts.errors import Unavailable
from tests.integration.sharing_city import SHARE, SharingCity
from tests.servers import RabbitServer

pytestmark = pytest.mark.server


async def test_references_wait_in_order_until_the_receiver_is_back(rabbit: RabbitServer, tmp_path: Path) -> None:
    share = replace(SHARE, name="A0030.by-rabbit")
    outlet = MemoryOutlet()
    outlet.fails = Unavailable("answered 503")
    async with SharingCity(tmp_path, rabbit.url) as city:
        for number in range(4):
            await city.changed([number])
        await city.offers(share).drain()
        route = city.delivers(outlet, share)

        next_at = await route.deliver_due()
        outlet.fails = None
        city.clock.now += timedelta(seconds=5)
        done = await route.deliver_due()

        assert (next_at, done) == (city.clock.now, None)
        assert [p.sequence for p in outlet.parcels.values()] == [1, 2, 3, 4]
        assert await city.deliveries.summary(share.name) == {"delivered": 4, "withheld": {}, "waiting": 0, "dead": 0}


async def test_a_subscriber_gets_cloudevents_through_a_short_window(rabbit: RabbitServer, tmp_path: Path) -> None:
    share = replace(SHARE, name="A0030.to-subscriber")
    subscriber = open_broker(rabbit.url, tmp_path, name="court")
    seen: list[str] = []
    async with SharingCity(tmp_path, rabbit.url) as city:
        outlet = SubscriberOutlet(SubscriberConfig(window=2), city.broker, share.name)
        for number in range(5):
            await city.changed([number])
        await city.offers(share).drain()
        route = city.delivers(outlet, share)

        while await route.deliver_due() is not None or len(seen) < 5:
            assert 0 < (await city.broker.depth(outlet.queue)).ready <= 2
            async with aclosing(subscriber.consume(outlet.queue)) as messages:
                for _ in range((await city.broker.depth(outlet.queue)).ready or 1):
                    taken = await anext(messages)
                    assert taken.message.content_type == "application/cloudevents+json"
                    seen.append(json.loads(taken.message.body)["sequence"])
                    await subscriber.ack(taken)
            city.clock.now += timedelta(seconds=1)

        assert seen == ["1", "2", "3", "4", "5"]
        assert {row["attempts"] for row in await city.deliveries.find(share.name)} == {0}
    await subscriber.close()
