"""A transport of messages between legs. One conformance suite holds every broker to these words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `id` is deterministic: a message published twice has the same id, and receivers recognise it."""

    id: str
    body: bytes
    headers: Mapping[str, str | int] = field(default_factory=dict)
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message handed to a consumer. `token` belongs to the broker; `redelivered` says that it may have been seen before."""

    message: Message
    queue: str
    token: object
    redelivered: bool = False


@dataclass(frozen=True, slots=True)
class Depth:
    """How full a queue is. `oldest_s` is the age in seconds of the oldest message, None where the queue is empty or the broker cannot say."""

    queue: str
    ready: int
    unacked: int
    oldest_s: float | None = None


class Broker(Protocol):
    """Durable first-in first-out queues with acknowledgement.

    Nothing that `publish` returned for is ever lost; order holds per queue, and an unacked or nacked message comes back near the head.
    Raises `Unavailable` while the broker is away (reconnecting is the broker's own business: the next call tries again) and
    `Misconfigured` for wrong credentials, a forbidden operation or a queue declared otherwise.
    """

    async def declare(self, queue: str) -> None:
        """Make sure the durable queue exists. Safe to repeat."""

    async def publish(self, queue: str, message: Message) -> None:
        """Return when the message is durable in the queue. An unknown queue is `Misconfigured`."""

    def consume(self, queue: str, *, prefetch: int = 2) -> AsyncGenerator[Delivered, None]:
        """Messages as they come, at most `prefetch` unacked at a time; waits for ever when the queue is empty.

        Closing the generator returns what was not acked to the queue. Raises `Unavailable` when the connection is lost: consume again.
        """

    async def ack(self, delivered: Delivered) -> None:
        """Forget the message. After a lost connection this does nothing: the message comes again."""

    async def nack(self, delivered: Delivered) -> None:
        """Give the message back to the head of its queue."""

    async def depth(self, queue: str) -> Depth:
        """How full the queue is."""

    async def peek(self, queue: str, limit: int = 20) -> list[Message]:
        """The first messages, left where they are."""

    async def purge(self, queue: str) -> int:
        """Drop all ready messages; how many they were."""

    async def close(self) -> None:
        """Stop consuming and release connections and files."""
