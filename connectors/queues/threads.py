"""Work that runs in other threads, awaited from the hub's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from hub.contracts.errors import Unavailable

T = TypeVar("T")


async def finished(future: Future[T]) -> T:
    """Wait to the end even when cancelled, then let the cancellation go on: a thread cannot be cancelled."""
    waiter = asyncio.wrap_future(future)
    cancelled: asyncio.CancelledError | None = None
    while not waiter.done():
        try:
            await asyncio.wait([waiter])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        waiter.exception()
        raise cancelled
    return waiter.result()


class LoopThread:
    """An event loop in its own thread: what runs there goes on while the hub's own loop is busy. Started when first used."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._gate = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine there. Cancelling the future cancels it."""
        with self._gate:
            if self._stopped:
                work.close()
                raise Unavailable("the connection to the broker is closed", hint="the hub is stopping")
            return asyncio.run_coroutine_threadsafe(work, self._started())

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it; a cancellation reaches it."""
        return await asyncio.wrap_future(self.submit(work))

    def stop(self) -> None:
        """Cancel what still runs and end the thread. Blocks until done."""
        with self._gate:
            self._stopped = True
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            # Names are resolved in this loop's own executor.
            self._loop.set_default_executor(ThreadPoolExecutor(1, thread_name_prefix=f"{self._name}-names"))
            self._thread = threading.Thread(target=self._serve, args=(self._loop,), name=self._name, daemon=True)
            self._thread.start()
        return self._loop

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            rest = asyncio.all_tasks(loop)
            for task in rest:
                task.cancel()
            if rest:
                loop.run_until_complete(asyncio.wait(rest, timeout=5))
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()
