"""What the RabbitMQ broker does when the server dies, forbids, blocks, or takes a queue away."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress

import pytest

from connectors.queues.rabbitmq import RabbitBroker
from hub.contracts.broker import Delivered, Message
from hub.contracts.errors import Misconfigured, Unavailable
from tests.contract.broker_contract import eventually, message, numbers, take
from tests.servers import RabbitServer, free_ports

pytestmark = pytest.mark.server
PATIENCE = 90.0


@pytest.fixture
async def broker(rabbit: RabbitServer) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(rabbit.url, chance=lambda: 0.1, settle=0)
    yield broker
    await broker.close()


@pytest.fixture
async def settled(rabbit: RabbitServer) -> AsyncIterator[RabbitBroker]:
    """A broker as in production, for tests that kill the server."""
    broker = RabbitBroker(rabbit.url, chance=lambda: 0.1)
    yield broker
    await broker.close()


@pytest.fixture
async def queue(broker: RabbitBroker) -> str:
    name = f"intake.{secrets.token_hex(6)}"
    await broker.declare(name)
    return name


async def publish_in_the_end(broker: RabbitBroker, queue: str, sent: Message) -> None:
    """Publish as the engine does: again and again while the broker is unavailable."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(Unavailable):
                return await broker.publish(queue, sent)
            await asyncio.sleep(0.1)


async def started_again(rabbit: RabbitServer) -> None:
    with ThreadPoolExecutor(1) as starting:
        await asyncio.get_running_loop().run_in_executor(starting, rabbit.start)


async def consume_in_the_end(broker: RabbitBroker, queue: str, count: int) -> list[Delivered]:
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(Unavailable):
                async with aclosing(broker.consume(queue, prefetch=count)) as consumer:
                    return await take(consumer, count)
            await asyncio.sleep(0.1)


async def test_a_killed_server_loses_nothing_and_is_found_again(rabbit: RabbitServer, settled: RabbitBroker) -> None:
    broker, queue = settled, f"intake.{secrets.token_hex(6)}"
    await broker.declare(queue)
    for number in range(5):
        await broker.publish(queue, message(number, secrets.token_bytes(1000)))

    rabbit.kill()
    with pytest.raises(Unavailable) as away:
        await broker.publish(queue, message(5))
    with pytest.raises(Unavailable):
        await broker.depth(queue)
    await started_again(rabbit)
    await publish_in_the_end(broker, queue, message(6))

    assert away.value.hint
    assert numbers(await consume_in_the_end(broker, queue, 6)) == [0, 1, 2, 3, 4, 6]


async def test_a_server_killed_between_publishing_and_confirming_loses_nothing_confirmed(rabbit: RabbitServer, settled: RabbitBroker) -> None:
    broker, queue = settled, f"intake.{secrets.token_hex(6)}"
    await broker.declare(queue)
    confirmed: set[int] = set()

    async def publish(number: int) -> None:
        with suppress(Unavailable):
            await broker.publish(queue, message(number, bytes(20_000)))
            confirmed.add(number)

    publishing = asyncio.gather(*(publish(number) for number in range(400)))
    async with asyncio.timeout(PATIENCE):
        while len(confirmed) <= 20:
            await asyncio.sleep(0.001)
    rabbit.kill()
    await publishing
    await started_again(rabbit)
    await publish_in_the_end(broker, queue, message(999))

    found = set(numbers(await consume_in_the_end(broker, queue, (await broker.depth(queue)).ready)))
    assert 20 < len(confirmed) < 400
    assert confirmed <= found


async def test_a_consumer_hears_that_the_connection_is_gone_and_its_messages_come_again(rabbit: RabbitServer, broker: RabbitBroker, queue: str) -> None:
    await broker.publish(queue, message(1))
    async with aclosing(broker.consume(queue)) as consumer:
        [held] = await take(consumer, 1)
        rabbit.control("close_all_connections", "test")
        with pytest.raises(Unavailable):
            await take(consumer, 1)

    await broker.ack(held)

    [again] = await consume_in_the_end(broker, queue, 1)
    assert numbers([again]) == [1]
    assert again.redelivered


async def test_a_queue_deleted_under_its_consumer_is_noticed(rabbit: RabbitServer, broker: RabbitBroker, queue: str) -> None:
    async with aclosing(broker.consume(queue)) as consumer:
        waiting = asyncio.ensure_future(anext(consumer))
        await asyncio.wait([waiting], timeout=0.2)
        rabbit.control("delete_queue", queue)
        with pytest.raises(Unavailable):
            async with asyncio.timeout(PATIENCE):
                await waiting

    with pytest.raises(Misconfigured):
        await take(broker.consume(queue), 1)


async def test_one_consumer_at_a_time_reads_an_intake_queue(rabbit: RabbitServer, broker: RabbitBroker, queue: str) -> None:
    other = RabbitBroker(rabbit.url)
    for number in range(4):
        await broker.publish(queue, message(number))

    async with aclosing(broker.consume(queue, prefetch=1)) as first, aclosing(other.consume(queue, prefetch=4)) as second:
        await take(first, 1)
        waiting = asyncio.ensure_future(anext(second))
        early, _ = await asyncio.wait([waiting], timeout=0.5)
        await first.aclose()
        async with asyncio.timeout(PATIENCE):
            taken = [await waiting]
        taken += await take(second, 3)

    await other.close()
    assert not early
    assert numbers(taken) == [0, 1, 2, 3]


async def test_queues_are_quorum_queues_whose_messages_survive_any_number_of_attempts(rabbit: RabbitServer, broker: RabbitBroker, queue: str) -> None:
    listed = rabbit.control("list_queues", "--no-table-headers", "name", "type", "durable", "arguments")

    [line] = [line for line in listed.splitlines() if line.startswith(queue)]
    assert "\tquorum\ttrue\t" in line
    assert '"x-delivery-limit",1000000' in line.replace(" ", "")
    assert '"x-single-active-consumer",true' in line.replace(" ", "")


async def test_a_queue_declared_otherwise_is_a_matter_of_configuration(broker: RabbitBroker) -> None:
    with pytest.raises(Misconfigured) as raised:
        await broker.declare("hub.dead")

    assert "declared otherwise" in raised.value.message


async def test_a_wrong_password_is_a_matter_of_configuration_and_not_shown(rabbit: RabbitServer) -> None:
    broker = RabbitBroker(rabbit.url.replace("guest:guest", "guest:falsch"))

    for _ in range(2):
        with pytest.raises(Misconfigured) as raised:
            await broker.declare("intake.x")
        assert "falsch" not in raised.value.message + raised.value.hint

    await broker.close()


async def test_a_missing_virtual_host_is_a_matter_of_configuration(rabbit: RabbitServer) -> None:
    broker = RabbitBroker(rabbit.url.replace("%2F", "nowhere"))

    with pytest.raises(Misconfigured):
        await broker.declare("intake.x")

    await broker.close()


async def test_a_forbidden_queue_is_a_matter_of_configuration(rabbit: RabbitServer) -> None:
    user = f"u{secrets.token_hex(4)}"
    rabbit.control("add_user", user, "secret")
    rabbit.control("set_permissions", user, "^$", "^$", "^$")
    broker = RabbitBroker(rabbit.url.replace("guest:guest", f"{user}:secret"))

    with pytest.raises(Misconfigured):
        await broker.declare("intake.x")

    await broker.close()


async def test_a_server_that_is_not_there_is_unavailable_at_once_and_every_time() -> None:
    attempts: list[float] = []
    clock = [0.0]
    broker = RabbitBroker(f"amqp://guest:guest@127.0.0.1:{free_ports(1)[0]}/", chance=lambda: 1.0, clock=lambda: clock[0])

    for _ in range(3):
        with pytest.raises(Unavailable) as raised:
            await broker.declare("intake.x")
        attempts.append(raised.value.retry_after or 0.0)
        clock[0] += 0.1

    await broker.close()
    assert attempts == pytest.approx([0.0, 0.4, 0.3])


async def test_a_blocked_server_takes_no_messages_but_hands_them_out(rabbit: RabbitServer, broker: RabbitBroker, queue: str) -> None:
    await broker.publish(queue, message(1))
    rabbit.control("set_vm_memory_high_watermark", "absolute", "1MB")
    late = asyncio.ensure_future(broker.publish(queue, message(2)))
    try:

        async def refuses() -> bool:
            done, _ = await asyncio.wait([asyncio.ensure_future(broker.publish(queue, message(4)))], timeout=1)
            return any(isinstance(task.exception(), Unavailable) for task in done)

        await eventually(refuses)

        async with aclosing(broker.consume(queue)) as consumer:
            [delivered] = await take(consumer, 1)
            await broker.ack(delivered)
    finally:
        rabbit.control("set_vm_memory_high_watermark", "absolute", "1GB")

    async with asyncio.timeout(PATIENCE):
        await late
    await publish_in_the_end(broker, queue, message(3))
    assert numbers([delivered]) == [1]
    # The refused messages were never sent.
    assert {2, 3} <= set(numbers(await broker.peek(queue))) <= {2, 3, 4}


async def test_nothing_reaches_the_dead_letter_queue(rabbit: RabbitServer, broker: RabbitBroker, queue: str) -> None:
    await broker.publish(queue, message(1))

    async with aclosing(broker.consume(queue)) as consumer:
        for _ in range(30):
            [delivered] = await take(consumer, 1)
            await broker.nack(delivered)
        assert numbers(await take(consumer, 1)) == [1]

    assert (await broker.depth("hub.dead")).ready == 0
