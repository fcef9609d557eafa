"""Is the hub alive, and can it durably accept data now?"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

STALE_AFTER_S = 15.0
WATERMARK_BYTES = 1 << 30


class Heartbeat:
    """A stamp that the event loop renews every second; a loop that is stuck stops renewing it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """Renew the stamp."""
        self._last = self._clock()

    @property
    def age_s(self) -> float:
        """Seconds since the last beat."""
        return self._clock() - self._last

    @property
    def alive(self) -> bool:
        """True while the stamp is fresh."""
        return self.age_s < STALE_AFTER_S

    @asynccontextmanager
    async def beating(self, every_s: float = 1.0) -> AsyncIterator[None]:
        """Beat in the background for as long as the block runs."""

        async def go_on() -> None:
            while True:
                self.beat()
                await asyncio.sleep(every_s)

        task = asyncio.create_task(go_on(), name="heartbeat")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def live_report(heartbeat: Heartbeat) -> tuple[int, dict[str, Any]]:
    """HTTP status and body of `/livez`: the loop only, so that a broken neighbour never causes a restart."""
    return (200 if heartbeat.alive else 503), {"live": heartbeat.alive, "heartbeat_age_s": round(heartbeat.age_s, 1)}


def ready_report(checks: Mapping[str, bool | str]) -> tuple[int, dict[str, Any]]:
    """HTTP status and body of `/readyz`. Everything must be True; a text is the reason why it is not."""
    ready = bool(checks) and all(result is True for result in checks.values())
    return (200 if ready else 503), {"ready": ready, "checks": dict(checks)}


def room_left(folder: Path, *, watermark: int = WATERMARK_BYTES) -> bool | str:
    """True while the disk that holds `folder` has at least `watermark` bytes free, otherwise the reason in words."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"{folder.name} cannot be looked at: {error.strerror}"
    return True if free >= watermark else f"{free >> 20} MiB free where {folder.name} lies, at least {watermark >> 20} MiB are needed"
