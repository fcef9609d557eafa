"""One leg: open, steps, deliver, set aside, settle. The order of the lines is the guarantee."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Protocol

from hub.contracts.batch import Batch, Receipt, Step
from hub.contracts.errors import Misconfigured, Rejected
from hub.contracts.observer import Observer
from hub.contracts.sink import Sink


class Held(Misconfigured):
    """The run is beyond its limits: it waits until a person releases or refuses it."""


class Offering(Protocol):
    """The part of a source that a pipeline needs."""

    def batches(self) -> AsyncGenerator[Batch, None]:
        """Everything new; being resumed means that the batch is settled."""


class Book(Protocol):
    """How a leg keeps its place. Every method may be repeated after a crash and then changes nothing."""

    async def unfinished(self) -> list[Batch]:
        """Batches opened and not settled, cut again from landing, oldest first."""

    async def open(self, batch: Batch) -> None:
        """Write the batch down before anything of it leaves."""

    async def settle(self, batch: Batch, step: Step, receipt: Receipt | None) -> None:
        """Set aside what was refused; write fates and position, in one transaction."""

    async def refuse(self, batch: Batch, error: Rejected) -> None:
        """Settle the batch with every row refused."""


Steps = Callable[[Batch], Awaitable[Step]]
Gate = Callable[[Batch, Step], Awaitable[None]]


class Pipeline:
    """Carries batches from a source through steps to a sink.

    `ahead` is asked before a batch is opened and may raise `Held`, or `Rejected` for a whole arrival; `gate` is asked between steps and sink.
    """

    def __init__(
        self, name: str, source: Offering, steps: Steps, sink: Sink, book: Book, observer: Observer, *, ahead: Steps | None = None, gate: Gate | None = None
    ) -> None:
        self.name = name
        self._source = source
        self._steps = steps
        self._sink = sink
        self._book = book
        self._observer = observer
        self._ahead = ahead
        self._gate = gate

    async def drain(self) -> int:
        """Finish what was opened before, then move everything that the source has to offer; how many batches that were."""
        carried = 0
        for left in await self._book.unfinished():
            with suppress(Rejected):  # its rows are set aside; the source hears of it when it offers the arrival again
                await self.carry(left)
            carried += 1
        async with aclosing(self._source.batches()) as batches:
            batch: Batch | None = await anext(batches, None)
            while batch is not None:
                try:
                    await self._offer(batch)
                except Rejected as refusal:
                    batch = await _next_after(batches, refusal)
                else:
                    batch = await anext(batches, None)
                carried += 1
        return carried

    async def _offer(self, batch: Batch) -> None:
        if self._ahead is not None:
            await self._ahead(batch)
        await self.carry(batch)

    async def carry(self, batch: Batch) -> None:
        """One batch, from the ledger's first line to its last."""
        await self._book.open(batch)
        try:
            step = await self._steps(batch)
            if self._gate is not None:
                await self._gate(batch, step)
        except Rejected as refusal:
            await self._book.refuse(batch, refusal)
            raise
        receipt = await self._sink.deliver(step.passed) if len(step.passed) else None
        await self._book.settle(batch, step, receipt)
        self._observer.tell("settled", self.name, read=batch.header.rows, refused=step.refused.height, warned=dict(step.warned))


async def _next_after(batches: AsyncGenerator[Batch, None], refusal: Rejected) -> Batch | None:
    """Tell the source that its whole arrival is refused; what it offers next, if anything."""
    try:
        return await batches.athrow(refusal)
    except StopAsyncIteration:
        return None
