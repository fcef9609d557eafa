"""How a blocking call is awaited: in an executor of one's own, and to its end, because a cancelled thread does not stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def to_its_end(executor: Executor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in `executor`; a cancellation goes on only after the call has ended, however often it is repeated."""
    future = asyncio.wrap_future(executor.submit(call, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        future.exception()  # it was looked at; the cancellation is what counts
        raise cancelled
    return future.result()
