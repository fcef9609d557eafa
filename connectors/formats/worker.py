"""Blocking calls in threads of one's own, awaited to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from hub.contracts.blocking import to_its_end

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """A few threads for one connector. A cancelled thread does not stop, so a cancellation waits until the call has ended."""

    def __init__(self, name: str, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def start(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Begin a call; pass the future to `end`."""
        return asyncio.wrap_future(self._pool.submit(work, *args, **kwargs))

    async def end(self, future: asyncio.Future[T]) -> T:
        """The result of a call that `start` began."""
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # it was looked at; the cancellation is what counts
            raise

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call and wait for it."""
        return await to_its_end(self._pool, work, *args, **kwargs)

    def close(self) -> None:
        """Take no more calls; running ones end by themselves."""
        self._pool.shutdown(wait=False)
