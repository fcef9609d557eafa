"""One thread for blocking calls: they run in order, and each is awaited to its end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hub.contracts.blocking import to_its_end

T = TypeVar("T")


class Worker:
    """A thread of its own."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def do(self, call: Callable[[], T]) -> T:
        """Run a blocking call in the thread."""
        return await to_its_end(self._executor, call)

    def close(self) -> None:
        """End the thread once its last call is done."""
        self._executor.shutdown(wait=True)
