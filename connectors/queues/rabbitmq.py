"""Queues on a RabbitMQ server: quorum queues with confirms, over one connection to publish and one to consume."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from connectors.queues import check_size
from connectors.queues.amqp import NO_QUEUE, Channel, Confirms, Link, parameters, properties
from connectors.queues.threads import LoopThread, finished
from hub.contracts.broker import Delivered, Depth, Message
from hub.contracts.errors import HubError, Misconfigured, Unavailable

_WINDOW = 128  # messages on their way to the broker at once
_FENCED = "intake."  # queues that one consumer at a time may read
_BYTES = 4 * 1024**3  # of one queue; beyond, publishing is refused
_PEEKED = 100
_LOOK = 1.0  # seconds that a peek waits for messages


@dataclass(eq=False, slots=True)
class _Token:
    """One handing-out of one message on one channel; worthless once that channel is closed."""

    tag: int
    message: Message
    published: int  # seconds since 1970, 0 where the publisher did not say
    consumer: _Consumer


@dataclass(eq=False, slots=True)
class _Consumer:
    """One open `consume`: its channel, the messages in hand, and the way to the hub's loop."""

    queue: str
    loop: asyncio.AbstractEventLoop
    channel: Channel | None = None
    arrived: asyncio.Queue[Delivered | HubError] = field(default_factory=asyncio.Queue)
    held: dict[int, _Token] = field(default_factory=dict)

    def take(self, _channel: Any, method: Any, given: Any, body: bytes) -> None:
        """A message came (called on the connection's loop)."""
        token = _Token(method.delivery_tag, _message(given, body), int(given.timestamp or 0), self)
        self.held[token.tag] = token
        self._tell(Delivered(token.message, self.queue, token, redelivered=method.redelivered))

    def lost(self, error: HubError) -> None:
        """The channel is gone, and with it every message in hand."""
        self.held.clear()
        self._tell(error)

    def _tell(self, news: Delivered | HubError) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.arrived.put_nowait, news)


class RabbitBroker:
    """Implements `Broker` on the server at `url`.

    Connections live in a thread of their own, so heartbeats go on whatever the hub is doing; each is made again when lost. `name` begins the names
    of what is declared beside the queues: the exchange `<name>.dlx` and the queue `<name>.dead`, the broker's backstop, which nothing should ever
    reach. A message published twice is in the queue twice: receivers know it by its id. `depth` counts as unacked what this process holds and
    gives the age of the oldest of these. `peek` shows those in hand first; messages of an intake queue that another process reads stay unseen.

    The server writes a new queue's name to its disk about a second late, and a queue whose name was lost when the server died never works again
    (rabbitmq-server issue 15725). So the first messages wait until `settle` seconds after a queue was made.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "hub",
        now: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        settle: float = 3.0,
    ) -> None:
        out, back = parameters(url, f"{name}.publish"), parameters(url, f"{name}.consume")
        where = f"{out.host}:{out.port}, vhost {out.virtual_host}"
        self._name = name
        self._now = now
        self._clock = clock
        self._settle = settle
        self._settled = 0.0
        self._publishing = Link(out, where, chance=chance, clock=clock)
        self._consuming = Link(back, where, chance=chance, clock=clock)
        self._io = LoopThread("amqp")
        self._confirms: Confirms | None = None
        self._confirms_turn = asyncio.Lock()
        self._window = asyncio.Semaphore(_WINDOW)
        self._consumers: set[_Consumer] = set()
        self._closed = False

    async def declare(self, queue: str) -> None:
        """Make sure that the quorum queue exists, behind its dead-letter exchange."""
        await finished(self._io.submit(self._declare(queue)))

    async def publish(self, queue: str, message: Message) -> None:
        """Return when the broker has confirmed the message."""
        check_size(message)
        await self._io.run(self._publish(queue, message))

    async def consume(self, queue: str, *, prefetch: int = 2) -> AsyncGenerator[Delivered, None]:
        """Messages in the queue's order; closing gives back those in hand by closing the channel."""
        consumer = _Consumer(queue, asyncio.get_running_loop())
        self._consumers.add(consumer)
        try:
            await finished(self._io.submit(self._open_consumer(consumer, max(1, prefetch))))
            while True:
                news = await consumer.arrived.get()
                if isinstance(news, HubError):
                    raise news
                yield news
        finally:
            self._consumers.discard(consumer)
            consumer.held.clear()
            if consumer.channel is not None and not self._closed:
                await finished(self._io.submit(consumer.channel.close()))

    async def ack(self, delivered: Delivered) -> None:
        """Forget the message."""
        await self._answer(delivered, "basic_ack")

    async def nack(self, delivered: Delivered) -> None:
        """Give the message back to the head of its queue."""
        await self._answer(delivered, "basic_nack", requeue=True)

    async def depth(self, queue: str) -> Depth:
        """Ready messages by the server's count; unacked and age by what this process holds."""
        found = await self._request("queue_declare", queue=queue, passive=True)
        held = self._held(queue)
        published = [token.published for token in held if token.published]
        return Depth(queue, found.message_count, len(held), max(0.0, self._now() - min(published)) if published else None)

    async def peek(self, queue: str, limit: int = 20) -> list[Message]:
        """The oldest messages, at most 100; each look counts as a delivery at the broker."""
        limit = min(limit, _PEEKED)
        seen = [token.message for token in self._held(queue)][:limit]
        ready = (await self.depth(queue)).ready
        if ready and len(seen) < limit:
            seen += await finished(self._io.submit(self._look(queue, min(limit - len(seen), ready))))
        return seen

    async def purge(self, queue: str) -> int:
        """Drop all ready messages."""
        gone = await self._request("queue_purge", queue=queue)
        return int(gone.message_count)

    async def close(self) -> None:
        """Close both connections; what was not acked goes back to its queue."""
        if self._closed:
            return
        self._closed = True
        ending = ThreadPoolExecutor(1, thread_name_prefix="amqp-close")
        try:
            await finished(self._io.submit(self._close_links()))
            await finished(ending.submit(self._io.stop))
        finally:
            ending.shutdown(wait=False)

    def _held(self, queue: str) -> list[_Token]:
        """What this process holds of a queue, oldest first."""
        return [token for consumer in self._consumers if consumer.queue == queue for token in list(consumer.held.values())]

    async def _answer(self, delivered: Delivered, method: str, **arguments: Any) -> None:
        token = delivered.token
        if isinstance(token, _Token) and not self._closed:
            await finished(self._io.submit(self._send(token, method, arguments)))

    async def _request(self, method: str, **arguments: Any) -> Any:
        return await finished(self._io.submit(self._asked(method, arguments)))

    # What follows runs on the connections' own loop.

    async def _send(self, token: _Token, method: str, arguments: dict[str, Any]) -> None:
        channel = token.consumer.channel
        if token.consumer.held.pop(token.tag, None) is token and channel is not None and channel.usable:
            channel.send(method, token.tag, **arguments)

    async def _asked(self, method: str, arguments: dict[str, Any]) -> Any:
        """One request on a channel of its own, because a refusal closes the channel."""
        channel = await self._consuming.channel()
        try:
            return await channel.call(method, **arguments)
        finally:
            await channel.close()

    async def _declare(self, queue: str) -> None:
        exchange, dead = f"{self._name}.dlx", f"{self._name}.dead"
        is_new = not await self._exists(queue)
        channel = await self._consuming.channel()
        try:
            await channel.call("exchange_declare", exchange=exchange, exchange_type="direct", durable=True)
            await channel.call("queue_declare", queue=dead, durable=True, arguments={"x-queue-type": "quorum"})
            await channel.call("queue_bind", queue=dead, exchange=exchange, routing_key=queue)
            await channel.call("queue_declare", queue=queue, durable=True, arguments=_arguments(queue, exchange))
        finally:
            await channel.close()
        if is_new:
            self._settled = self._clock() + self._settle

    async def _exists(self, queue: str) -> bool:
        try:
            await self._asked("queue_declare", {"queue": queue, "passive": True})
        except Misconfigured as error:
            if error.code == NO_QUEUE:
                return False
            raise
        return True

    async def _publish(self, queue: str, message: Message) -> None:
        if (wait := self._settled - self._clock()) > 0:
            await asyncio.sleep(wait)
        async with self._window:
            confirms = await self._confirming()
            if self._publishing.blocked:
                where = self._publishing.where
                raise Unavailable(f"RabbitMQ at {where} takes no messages: memory or disk alarm", hint="free memory or disk space on the broker's machine")
            given = properties(message.id, message.content_type, message.headers, int(self._now()))
            try:
                await confirms.publish(queue, message.body, given)
            except TimeoutError as error:
                await self._publishing.reset()
                raise Unavailable("RabbitMQ did not confirm a message in time", hint="see the server's log: is it overloaded?") from error

    async def _confirming(self) -> Confirms:
        async with self._confirms_turn:
            if self._confirms is None or not self._confirms.channel.usable:
                self._confirms = await Confirms(await self._publishing.channel()).started()
            return self._confirms

    async def _open_consumer(self, consumer: _Consumer, prefetch: int) -> None:
        consumer.channel = channel = await self._consuming.channel()
        channel.on_closed = consumer.lost
        ended = Unavailable(
            f"RabbitMQ ended the reading of queue {consumer.queue}", hint="the queue was deleted or its leader moved; the hub reads again by itself"
        )
        channel.raw.add_on_cancel_callback(lambda _: consumer.lost(ended))
        await channel.call("basic_qos", prefetch_count=prefetch)
        await channel.call("basic_consume", queue=consumer.queue, on_message_callback=consumer.take)

    async def _look(self, queue: str, limit: int) -> list[Message]:
        """Take up to `limit` messages on a channel of its own and close it, which puts them back in order."""
        seen: list[Message] = []
        enough = asyncio.Event()

        def take(_channel: Any, _method: Any, given: Any, body: bytes) -> None:
            seen.append(_message(given, body))
            if len(seen) >= limit:
                enough.set()

        channel = await self._consuming.channel()
        try:
            await channel.call("basic_qos", prefetch_count=limit)
            await channel.call("basic_consume", queue=queue, on_message_callback=take)
            with suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), _LOOK)
        finally:
            await channel.close()
        return seen

    async def _close_links(self) -> None:
        channels = [consumer.channel for consumer in self._consumers if consumer.channel is not None]
        await asyncio.gather(*(channel.close() for channel in channels))
        await self._publishing.close()
        await self._consuming.close()


def _arguments(queue: str, exchange: str) -> dict[str, Any]:
    """Arguments of a queue. Attempts are counted in the hub's own database, so the broker's delivery limit is out of reach; but it must be set: without it
    RabbitMQ 3 puts returned messages at the end (rabbitmq.com, quorum queues, poison message handling).
    """
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": 1_000_000,
        "x-dead-letter-exchange": exchange,
        "x-dead-letter-routing-key": queue,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-max-length-bytes": _BYTES,
    }
    return arguments | {"x-single-active-consumer": True} if queue.startswith(_FENCED) else arguments


def _message(given: Any, body: bytes) -> Message:
    return Message(given.message_id or "", body, given.headers or {}, given.content_type or "application/octet-stream")
