"""The collect leg (采集): an agency's rows, landed, mapped and checked, into the item's intake queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from hub.contracts.batch import ORDINAL, Batch, Fate, Header, Receipt, Step
from hub.contracts.blocking import to_its_end
from hub.contracts.broker import Broker
from hub.contracts.errors import Rejected
from hub.contracts.keys import KeyRing
from hub.contracts.observer import Observer
from hub.contracts.source import Source
from hub.failpoints import failpoint
from hub.ledger import Ledger
from hub.pipeline import Held, Pipeline
from hub.wire import ClaimCheck, encode
from transforms.intake import FeedPlan, prepare

AHEAD_ROWS = 50_000
"""Limits are tested over this many rows before anything is published."""

PlanFor = Callable[[str], FeedPlan]
"""The plan of this feed under a configuration version, so that an opened batch is finished under the one it was opened with."""


def intake_queue(item: str) -> str:
    """Name of an item's intake queue."""
    return f"intake.{item}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond these a run is held: `rejected` is a share of the rows read, from 0 to 1."""

    rejected: float = 0.05


class CollectSteps:
    """Maps, cleans and checks a batch in a worker thread."""

    def __init__(self, plan_for: PlanFor, clock: Callable[[], datetime], executor: ThreadPoolExecutor) -> None:
        self._plan_for = plan_for
        self._clock = clock
        self._executor = executor
        self._kept: tuple[Header, Step] | None = None

    async def __call__(self, batch: Batch) -> Step:
        """What becomes of the batch under the configuration that it was opened with; one that is the same as an earlier batch is fine as it is."""
        if batch.header.same_as or batch.header.withdraws:
            return Step(batch)
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == batch.header:
            return kept[1]
        return await to_its_end(self._executor, self._prepare, batch)

    def keep(self, batch: Batch, step: Step) -> None:
        """What became of a batch that is asked for next."""
        self._kept = (batch.header, step)

    def _prepare(self, batch: Batch) -> Step:
        return prepare(batch, self._plan_for(batch.header.config), now=self._clock().replace(tzinfo=None))


class Limiter:
    """Tests a run's share of rejected rows: over its first 50,000 rows before anything is published, then at every batch."""

    def __init__(self, source: Source, steps: CollectSteps, ledger: Ledger, limits: Limits) -> None:
        self._source = source
        self._steps = steps
        self._ledger = ledger
        self._limits = limits

    async def ahead(self, batch: Batch) -> Step:
        """Look at the first rows of a new arrival. Raises `Held` beyond the limit, `Rejected` for a heading that does not fit."""
        if batch.header.first or batch.header.generation or batch.header.same_as:
            return Step(batch)
        step = await self._steps(batch)
        read, refused = batch.header.rows, step.refused.height
        if read < AHEAD_ROWS:
            more = await self._beyond(batch)
            read, refused = read + more[0], refused + more[1]
        if not await self._ledger.released(batch.header):
            self._test(read, refused)
        self._steps.keep(batch, step)
        return step

    async def _beyond(self, batch: Batch) -> tuple[int, int]:
        """Rows behind the batch that are among the first 50,000, and how many of them are refused."""
        read = refused = 0
        async for coming in self._source.ahead(batch.header, AHEAD_ROWS):
            if coming.header.first > batch.header.first:
                read += coming.header.rows
                refused += (await self._steps(coming)).refused.height
        return read, refused

    async def gate(self, batch: Batch, step: Step) -> None:
        """Look at the run so far, this batch included. Raises `Held` beyond the limit, `Rejected` once a person refused the arrival."""
        header = batch.header
        if header.reenters or header.generation or not step.refused.height or await self._ledger.released(header):
            return
        if (reason := await self._ledger.refusing(header)) is not None:
            raise Rejected(reason, hint="send a corrected file under any name", code="held")
        sums = await self._ledger.totals(item=header.item, arrival_number=header.arrival, generation=header.generation)
        refused = sums.fates.get("rejected", 0) + step.refused.height
        self._test(max(sums.read, AHEAD_ROWS), refused)

    def _test(self, read: int, refused: int) -> None:
        if refused > read * self._limits.rejected:
            share = f"{refused / max(read, 1):.1%}"
            message = f"{refused} of {read} rows were rejected ({share}); the limit is {self._limits.rejected:.0%}"
            raise Held(message, hint="look at them with `run_hub.py quarantine list` or `preview`, then `run_hub.py feed release|refuse`", code="rejected")


Again = Callable[[Header, dict[str, Any]], Awaitable[Batch]]
"""The very same batch again, from landing."""


class CollectBook:
    """Keeps the collect leg's place in the ledger."""

    def __init__(self, feed: str, again: Again, ledger: Ledger) -> None:
        self._feed = feed
        self._again = again
        self._ledger = ledger

    async def unfinished(self) -> list[Batch]:
        """Opened batches, cut again from landing."""
        return [await self._again(header, cut) for header, cut in await self._ledger.unsettled(self._feed)]

    async def open(self, batch: Batch) -> None:
        """Commit the batch's id and origin before anything is published."""
        await self._ledger.open(batch.header)
        failpoint("collect.opened")

    async def settle(self, batch: Batch, step: Step, receipt: Receipt | None) -> None:
        """Write fates, quarantine and position."""
        failpoint("collect.published")
        await self._ledger.settle(batch, step)
        failpoint("collect.settled")

    async def refuse(self, batch: Batch, error: Rejected) -> None:
        """Every row of the batch is set aside with the error's code; rows that could not be read keep their own reason."""
        refused = batch.frame.select(ORDINAL, pl.lit(error.code or "F001").alias("code"), pl.lit("").alias("field"), pl.lit(error.message).alias("reason"))
        await self._ledger.settle(batch, Step(batch.with_frame(batch.frame.clear()), pl.concat([batch.refused, refused], how="diagonal"), batch.filtered))


class QueueSink:
    """Publishes a batch to its item's intake queue; returns once it is durable there."""

    def __init__(self, broker: Broker, keys: KeyRing, claims: ClaimCheck, executor: ThreadPoolExecutor) -> None:
        self._broker = broker
        self._keys = keys
        self._claims = claims
        self._executor = executor

    async def deliver(self, batch: Batch) -> Receipt:
        """Encode in a worker thread, then publish."""
        message = await to_its_end(self._executor, encode, batch, self._keys, self._claims)
        queue = intake_queue(batch.header.item)
        failpoint("collect.encoded")
        await self._broker.declare(queue)
        await self._broker.publish(queue, message)
        return Receipt(batch.header.batch_id, np.full(len(batch), Fate.PASSED, np.uint8))

    async def close(self) -> None:
        """The broker belongs to the engine."""


def collect_pipeline(
    feed: str, source: Source, again: Again, steps: CollectSteps, sink: QueueSink, ledger: Ledger, limits: Limits, observer: Observer
) -> Pipeline:
    """The collect leg of one feed."""
    limiter = Limiter(source, steps, ledger, limits)
    return Pipeline(feed, source, steps, sink, CollectBook(feed, again, ledger), observer, ahead=limiter.ahead, gate=limiter.gate)
