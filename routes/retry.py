"""When a failed delivery is tried again: the schedule of Standard Webhooks 1.0, about 75 hours in ten attempts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

_LONGEST_WISH = timedelta(hours=24)


def _steps() -> tuple[timedelta, ...]:
    hours = (timedelta(hours=h) for h in (2, 5, 10, 14, 20, 24))
    return (timedelta(0), timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), *hours)


@dataclass(frozen=True, slots=True)
class RetryLadder:
    """Waiting times before each attempt, spread by `jitter` so that receivers that were down together are not called together."""

    steps: tuple[timedelta, ...] = _steps()
    jitter: float = 0.2

    def wait(self, failed: int, chance: float, retry_after: float | None = None) -> timedelta | None:
        """How long to wait after `failed` attempts, None when there were enough. `chance` is drawn from 0 to 1.

        `retry_after`, the other side's wish in seconds, prolongs the wait up to a day; it never shortens it.
        """
        if failed >= len(self.steps):
            return None
        wait = self.steps[failed] * (1 + self.jitter * (2 * chance - 1))
        wish = min(timedelta(seconds=max(retry_after or 0.0, 0.0)), _LONGEST_WISH)
        return max(wait, wish)
