"""A process that publishes into an embedded queue for ever and says after each message that it is durable; made to be killed."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import sys
from pathlib import Path

from connectors.queues.embedded import EmbeddedBroker
from hub.contracts.broker import Message


def body_of(number: int) -> bytes:
    """Every third body is large enough for a file of its own."""
    return hashlib.sha256(str(number).encode()).digest() * (4000 if number % 3 == 0 else 10)


async def publish_for_ever(directory: Path, first: int) -> None:
    """Four publishers at a time, numbers going up from `first`."""
    broker = EmbeddedBroker(directory, ballast=0)
    await broker.declare("intake.x")
    numbers = itertools.count(first)

    async def publisher() -> None:
        for number in numbers:
            await broker.publish("intake.x", Message(f"{number:032x}", body_of(number)))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(publisher() for _ in range(4)))


if __name__ == "__main__":
    asyncio.run(publish_for_ever(Path(sys.argv[1]), int(sys.argv[2])))
