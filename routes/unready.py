"""A source that cannot be made, because a secret or a library is missing: its feed says so, and all others go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from hub.contracts.batch import Batch, Header
from hub.contracts.errors import HubError
from hub.contracts.source import Finding


class UnreadySource:
    """A `Source` that raises, whatever it is asked for, why it is none."""

    def __init__(self, error: HubError) -> None:
        self._error = error

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Raises the error."""
        for batch in self._refuse():
            yield batch

    async def ahead(self, header: Header, rows: int) -> AsyncIterator[Batch]:
        """Raises the error."""
        for batch in self._refuse():
            yield batch

    def _refuse(self) -> Iterator[Batch]:
        raise self._error

    async def again(self, header: Header, cut: dict[str, Any]) -> Batch:
        """Raises the error: what is in landing can be cut again once the source can be made."""
        raise self._error

    async def wake(self) -> None:
        """Nothing becomes new."""
        await asyncio.Event().wait()

    async def next_ready(self) -> float | None:
        """Nothing becomes ready by waiting."""
        return None

    async def probe(self) -> AsyncGenerator[Finding, None]:
        """One finding: why."""
        yield Finding("reach", False, self._error.message, self._error.hint)

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """Raises the error."""
        raise self._error

    async def close(self) -> None:
        """Nothing is open."""
