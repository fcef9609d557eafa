"""What agencies submitted, offered from landing: a source that is told, and never asks anybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from connectors.formats.csv import ROWS
from connectors.formats.forms import Expected, Forms
from connectors.formats.pulling import offered
from connectors.formats.reading import ArrivalReader
from connectors.formats.worker import Worker
from connectors.gateway.settings import GatewayConfig, GatewayRead
from hub.contracts.batch import Batch, Header
from hub.contracts.errors import Rejected, Unavailable
from hub.contracts.source import SAMPLE_BYTES, Arrival, Finding, Intake


class GatewaySource:
    """The submissions of one feed, which the server numbered before it answered. `notice` wakes it."""

    def __init__(
        self,
        config: GatewayConfig,
        read: GatewayRead,
        *,
        feed: str,
        item: str,
        known: frozenset[str],
        intake: Intake,
        home: Path | None = None,
        batch_rows: int = ROWS,
    ) -> None:
        self.feed = feed
        self.item = item
        self._intake = intake
        self._worker = Worker(f"gateway-{feed}")
        self._reader = ArrivalReader(Forms(read, Expected(item, feed.partition(".")[0], known)), intake, self._worker, batch_rows)
        self._noticed = asyncio.Event()

    def notice(self) -> None:
        """Something was numbered."""
        self._noticed.set()

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Everything that was numbered and is not finished, oldest first."""
        while waiting := await self._intake.waiting():
            for arrival in waiting:
                try:
                    async with aclosing(offered(self._reader, self._intake, arrival)) as batches:
                        async for batch in batches:
                            yield batch
                except Rejected as error:  # thrown in by whoever reads the batches; what the reader finds is dealt with inside
                    await self._intake.refused(arrival, error)

    def ahead(self, header: Header, rows: int) -> AsyncIterator[Batch]:
        """Batches of the first `rows` rows from the batch of `header` on."""
        return self._reader.ahead(header, rows)

    async def again(self, header: Header, cut: dict[str, Any]) -> Batch:
        """The very same batch again, from landing."""
        return await self._reader.again(header, cut)

    async def wake(self) -> None:
        """Return when something was numbered since the last time."""
        await self._noticed.wait()
        self._noticed.clear()

    async def next_ready(self) -> float | None:
        """Nothing here becomes ready by waiting."""
        return None

    async def probe(self) -> AsyncGenerator[Finding, None]:
        """There is nobody to reach: what waits in landing is all there is to say."""
        waiting = await self._intake.waiting()
        said = f"agencies call us at /v1/items/{self.item}/batches; {len(waiting)} submissions wait"
        yield Finding("reach", fine=True, said=said, hint="a key is made by `run_hub.py key add`")

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """The beginning of the oldest submission that waits."""
        waiting = await self._intake.waiting()
        if not waiting:
            raise Unavailable("no submission waits", hint="submit one, and ask again before it is collected")
        return waiting[0].name, await self._worker.do(self._head, waiting[0])

    def _head(self, arrival: Arrival) -> bytes:
        with self._intake.open(arrival.landed) as stream:
            return stream.read(SAMPLE_BYTES)

    async def close(self) -> None:
        """Let the threads go."""
        self._worker.close()
