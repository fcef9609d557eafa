"""What every broker promises, written once. Subclass with `opened`, and the promises are tested."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing

import pytest

from connectors.queues import LARGEST
from hub.contracts.broker import Broker, Delivered, Message
from hub.contracts.errors import Misconfigured, Rejected

PATIENCE = 60.0


def message(number: int, body: bytes = b"") -> Message:
    """A small message that tells its number."""
    return Message(f"{number:032x}", body or b"body %d" % number)


def numbers(messages: Sequence[Message | Delivered]) -> list[int]:
    """The numbers of messages, in the order of the messages."""
    return [int((m.message if isinstance(m, Delivered) else m).id, 16) for m in messages]


async def take(consumer: AsyncGenerator[Delivered, None], count: int) -> list[Delivered]:
    """The next messages; a test that waits for ever fails."""
    async with asyncio.timeout(PATIENCE):
        return [await anext(consumer) for _ in range(count)]


async def eventually(is_so: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> None:
    """Ask until it is so; fail after a while."""
    async with asyncio.timeout(seconds):
        while not await is_so():
            await asyncio.sleep(0.05)


class BrokerContract:
    """The promises of `Broker`."""

    async def opened(self) -> Broker:
        """A new broker object; a second one has the data of the first, which is closed by then."""
        raise NotImplementedError

    @pytest.fixture
    async def broker(self) -> AsyncIterator[Broker]:
        broker = await self.opened()
        yield broker
        await broker.close()

    @pytest.fixture(params=["intake", "share"])
    async def queue(self, broker: Broker, request: pytest.FixtureRequest) -> str:
        name = f"{request.param}.{secrets.token_hex(6)}"
        await broker.declare(name)
        return name

    async def test_declaring_twice_keeps_what_is_in_the_queue(self, broker: Broker, queue: str) -> None:
        await broker.publish(queue, message(1))

        await broker.declare(queue)

        assert numbers(await broker.peek(queue)) == [1]

    async def test_messages_come_in_the_order_of_publishing(self, broker: Broker, queue: str) -> None:
        for number in range(20):
            await broker.publish(queue, message(number))

        async with aclosing(broker.consume(queue, prefetch=20)) as consumer:
            taken = await take(consumer, 20)

        assert numbers(taken) == list(range(20))
        assert not any(delivered.redelivered for delivered in taken)

    async def test_a_message_arrives_as_it_was_sent(self, broker: Broker, queue: str) -> None:
        sent = Message(
            "a" * 32, b"\x00\xff" * 10, {"feed": "A0030.penalty", "name": "处罚 \x1b\u2028.csv", "rows": 2**40, "first": 0}, "application/cloudevents+json"
        )

        await broker.publish(queue, sent)

        async with aclosing(broker.consume(queue)) as consumer:
            [delivered] = await take(consumer, 1)
        assert delivered.message == sent
        assert delivered.queue == queue

    @pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 4 * 1024 * 1024])
    async def test_bodies_of_any_size_pass(self, broker: Broker, queue: str, size: int) -> None:
        body = secrets.token_bytes(size)

        await broker.publish(queue, Message("b" * 32, body))

        async with aclosing(broker.consume(queue)) as consumer:
            [delivered] = await take(consumer, 1)
            await broker.ack(delivered)
        assert delivered.message.body == body

    async def test_a_message_beyond_the_limit_is_rejected(self, broker: Broker, queue: str) -> None:
        with pytest.raises(Rejected):
            await broker.publish(queue, message(1, bytes(LARGEST + 1)))

        assert await broker.peek(queue) == []

    async def test_an_acked_message_never_comes_again(self, broker: Broker, queue: str) -> None:
        for number in (1, 2, 3):
            await broker.publish(queue, message(number))
        async with aclosing(broker.consume(queue, prefetch=3)) as consumer:
            first, second, _ = await take(consumer, 3)
            await broker.ack(first)
            await broker.ack(second)
        await broker.close()

        reopened = await self.opened()

        async with aclosing(reopened.consume(queue)) as consumer:
            assert numbers(await take(consumer, 1)) == [3]
        await reopened.close()

    async def test_a_nacked_message_comes_back_before_those_behind_it(self, broker: Broker, queue: str) -> None:
        for number in (1, 2):
            await broker.publish(queue, message(number))

        async with aclosing(broker.consume(queue, prefetch=1)) as consumer:
            [first] = await take(consumer, 1)
            await broker.nack(first)
            [again] = await take(consumer, 1)

        assert numbers([first, again]) == [1, 1]
        assert again.redelivered

    async def test_closing_a_consumer_gives_back_what_it_held_in_order(self, broker: Broker, queue: str) -> None:
        for number in range(6):
            await broker.publish(queue, message(number))
        async with aclosing(broker.consume(queue, prefetch=4)) as consumer:
            await take(consumer, 3)

        async with aclosing(broker.consume(queue, prefetch=6)) as consumer:
            taken = await take(consumer, 6)

        assert numbers(taken) == list(range(6))
        assert all(delivered.redelivered for delivered in taken[:3])

    async def test_a_cancelled_consumer_gives_back_what_it_held(self, broker: Broker, queue: str) -> None:
        await broker.publish(queue, message(1))
        holding = asyncio.Event()

        async def hold() -> None:
            async with aclosing(broker.consume(queue)) as consumer:
                async for _ in consumer:
                    holding.set()

        holder = asyncio.create_task(hold())
        async with asyncio.timeout(PATIENCE):
            await holding.wait()
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)

        async with aclosing(broker.consume(queue)) as consumer:
            assert numbers(await take(consumer, 1)) == [1]

    async def test_an_ack_that_comes_after_closing_does_nothing(self, broker: Broker, queue: str) -> None:
        await broker.publish(queue, message(1))
        async with aclosing(broker.consume(queue)) as consumer:
            [late] = await take(consumer, 1)

        async with aclosing(broker.consume(queue)) as consumer:
            [again] = await take(consumer, 1)
            await broker.ack(late)
            await broker.nack(late)

            assert numbers([again]) == [1]
            assert (await broker.depth(queue)).unacked == 1

    async def test_hands_out_no_more_than_the_prefetch(self, broker: Broker, queue: str) -> None:
        for number in range(4):
            await broker.publish(queue, message(number))

        async with aclosing(broker.consume(queue, prefetch=2)) as consumer:
            first, _ = await take(consumer, 2)
            third = asyncio.ensure_future(anext(consumer))
            early, _ = await asyncio.wait([third], timeout=0.3)
            await broker.ack(first)

            assert not early
            async with asyncio.timeout(PATIENCE):
                assert numbers([await third]) == [2]

    async def test_a_waiting_consumer_hears_of_a_new_message(self, broker: Broker, queue: str) -> None:
        async with aclosing(broker.consume(queue)) as consumer:
            waiting = asyncio.ensure_future(anext(consumer))
            await asyncio.wait([waiting], timeout=0.1)

            await broker.publish(queue, message(7))

            async with asyncio.timeout(PATIENCE):
                assert numbers([await waiting]) == [7]

    async def test_depth_counts_what_waits_and_what_is_in_hand(self, broker: Broker, queue: str) -> None:
        for number in range(5):
            await broker.publish(queue, message(number))
        empty = f"{queue}.empty"
        await broker.declare(empty)

        async with aclosing(broker.consume(queue, prefetch=2)) as consumer:
            await take(consumer, 2)
            depth = await broker.depth(queue)

        assert (depth.queue, depth.ready, depth.unacked) == (queue, 3, 2)
        assert depth.oldest_s is not None
        assert 0 <= depth.oldest_s < PATIENCE
        assert (await broker.depth(empty)).oldest_s is None

    async def test_peek_shows_the_first_messages_and_leaves_them(self, broker: Broker, queue: str) -> None:
        for number in range(5):
            await broker.publish(queue, message(number))

        seen = await broker.peek(queue, 3)

        assert numbers(seen) == [0, 1, 2]
        async with aclosing(broker.consume(queue, prefetch=5)) as consumer:
            assert numbers(await take(consumer, 5)) == list(range(5))

    async def test_peek_shows_what_is_in_hand(self, broker: Broker, queue: str) -> None:
        await broker.publish(queue, message(1))

        async with aclosing(broker.consume(queue)) as consumer:
            await take(consumer, 1)

            assert numbers(await broker.peek(queue)) == [1]

    async def test_purge_drops_what_waits(self, broker: Broker, queue: str) -> None:
        for number in range(4):
            await broker.publish(queue, message(number))

        assert await broker.purge(queue) == 4
        assert (await broker.depth(queue)).ready == 0
        assert await broker.purge(queue) == 0

    async def test_purge_spares_what_is_in_hand(self, broker: Broker, queue: str) -> None:
        for number in range(4):
            await broker.publish(queue, message(number))

        async with aclosing(broker.consume(queue, prefetch=1)) as consumer:
            [held] = await take(consumer, 1)
            assert await broker.purge(queue) == 3
            await broker.nack(held)

            assert numbers(await take(consumer, 1)) == [0]

    async def test_everything_unacked_is_there_after_a_restart(self, broker: Broker, queue: str) -> None:
        for number in range(3):
            await broker.publish(queue, message(number, secrets.token_bytes(70_000) if number == 1 else b""))
        consumer = broker.consume(queue, prefetch=2)
        await take(consumer, 2)
        await broker.close()
        await consumer.aclose()

        reopened = await self.opened()

        async with aclosing(reopened.consume(queue, prefetch=3)) as consumer:
            taken = await take(consumer, 3)
        await reopened.close()
        assert numbers(taken) == [0, 1, 2]
        assert all(delivered.redelivered for delivered in taken[:2])

    async def test_the_same_message_published_twice_comes_once_or_twice(self, broker: Broker, queue: str) -> None:
        await broker.publish(queue, message(1))
        await broker.publish(queue, message(1))
        await broker.publish(queue, message(2))

        async with aclosing(broker.consume(queue, prefetch=3)) as consumer:
            taken = await take(consumer, 2)
            if numbers(taken) == [1, 1]:
                taken += await take(consumer, 1)

        assert numbers(taken) in ([1, 2], [1, 1, 2])

    async def test_a_thousand_messages_at_once_all_arrive(self, broker: Broker, queue: str) -> None:
        await asyncio.gather(*(broker.publish(queue, message(number)) for number in range(1000)))

        seen = set()
        async with aclosing(broker.consume(queue, prefetch=100)) as consumer:
            for _ in range(1000):
                [delivered] = await take(consumer, 1)
                seen.add(delivered.message.id)
                await broker.ack(delivered)
        assert len(seen) == 1000
        assert await broker.peek(queue) == []

    async def test_two_queues_do_not_touch_each_other(self, broker: Broker, queue: str) -> None:
        other = f"{queue}.other"
        await broker.declare(other)
        await broker.publish(queue, message(1))
        await broker.publish(other, message(1))

        assert await broker.purge(queue) == 1

        assert numbers(await broker.peek(other)) == [1]

    async def test_a_queue_that_nobody_declared_is_a_matter_of_configuration(self, broker: Broker) -> None:
        unknown = f"intake.{secrets.token_hex(6)}"

        for attempt in (
            broker.publish(unknown, message(1)),
            anext(broker.consume(unknown)),
            broker.depth(unknown),
            broker.peek(unknown),
            broker.purge(unknown),
        ):
            with pytest.raises(Misconfigured) as raised:
                await attempt
            assert raised.value.hint

    async def test_closing_twice_is_no_error(self, broker: Broker) -> None:
        await broker.close()
        await broker.close()
