"""Where batches go."""

from __future__ import annotations

from typing import Protocol

from hub.contracts.batch import Batch, Receipt


class Sink(Protocol):
    """Takes a batch and returns once it is durable there.

    A batch seen before changes nothing and answers with the receipt of the first time. Raises only the three errors.
    """

    async def deliver(self, batch: Batch) -> Receipt:
        """Make the batch durable."""

    async def close(self) -> None:
        """Release what is held open."""
