"""Keeps every route moving. The one place where a bug is contained."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hub.contracts.errors import HubError, Misconfigured, Unavailable
from hub.contracts.observer import Observer
from hub.pipeline import Held
from hub.standing import Standing

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0

Work = Callable[[], Awaitable[None]]


@dataclass
class Kept:
    """One route under the engine's care. `busy` says that it runs, `draining` that it moves batches; `trouble` is the last error it met, empty when all is well."""

    name: str
    work: Work
    busy: bool = False
    draining: bool = False
    trouble: str = ""
    failures: int = 0
    nudged: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Engine:
    """Runs routes side by side; waits, retries or stops as their errors say."""

    def __init__(self, standing: Standing, observer: Observer, random: Random | None = None) -> None:
        self.standing = standing
        self.observer = observer
        self.kept: dict[str, Kept] = {}
        self._random = random or Random()

    def keep(self, name: str, work: Work) -> Kept:
        """Run `work` again and again: it returns when there is nothing to do for now, and waits by itself for more."""
        kept = Kept(name, work)
        self.kept[name] = kept
        kept.task = asyncio.create_task(self._keep(kept), name=name)
        return kept

    async def _keep(self, kept: Kept) -> None:
        while True:
            await self._until_allowed(kept)
            delay = await self.attempt(kept)
            if delay:
                kept.nudged.clear()
                await _either(kept.nudged.wait(), delay)

    async def _until_allowed(self, kept: Kept) -> None:
        while self.standing.of(kept.name).state in ("held", "stopped", "paused"):
            kept.nudged.clear()
            await kept.nudged.wait()

    async def attempt(self, kept: Kept) -> float:
        """Run the work once; seconds to wait before the next time. Held, stopped and paused are written down."""
        kept.busy = True
        try:
            await kept.work()
        except Held as error:
            await self._stand(kept, "held", error)
        except Unavailable as error:
            return self._stumble(kept, error)
        except Misconfigured as error:
            await self._stand(kept, "stopped", error)
        except HubError as error:
            await self._stand(kept, "stopped", error)
        except Exception as error:  # noqa: BLE001  a bug in one route must not end the others; it stops this one, loudly
            await self._stand(kept, "stopped", _bug(error))
        else:
            kept.failures, kept.trouble = 0, ""
        finally:
            kept.busy = False
        return 0.0

    def _stumble(self, kept: Kept, error: Unavailable) -> float:
        kept.failures += 1
        kept.trouble = error.message
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2**kept.failures)
        delay = error.retry_after or self._random.uniform(_FIRST_WAIT, longest)
        self.observer.tell("stumbled", kept.name, reason=error.message, hint=error.hint, again_in_s=round(delay, 1))
        return delay

    async def _stand(self, kept: Kept, state: str, error: HubError) -> None:
        kept.trouble = error.message
        await self.standing.set(kept.name, state, f"{error.message} ({error.hint})" if error.hint else error.message)
        self.observer.tell(state, kept.name, reason=error.message, hint=error.hint, code=error.code)

    def nudge(self, name: str) -> None:
        """Let a waiting route look again at once."""
        if name in self.kept:
            self.kept[name].nudged.set()

    async def drop(self, name: str) -> None:
        """Stop one route; what it had not settled is done again later."""
        kept = self.kept.pop(name, None)
        if kept is not None and kept.task is not None:
            kept.task.cancel()
            await asyncio.gather(kept.task, return_exceptions=True)

    async def close(self) -> None:
        """Stop all. Stopping is cancelling: nothing depends on a clean stop."""
        await asyncio.gather(*(self.drop(name) for name in list(self.kept)))


def _bug(error: Exception) -> Misconfigured:
    """A bug as a decision. Only type and place are told: an exception's text may hold a value of a record."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    return Misconfigured(
        f"a defect of the hub stopped this route: {type(error).__name__} at {place}", hint="report it; the data is safe and the route can be resumed"
    )


async def _either(waiter: Awaitable[object], seconds: float) -> None:
    """Return when the waiter does, or after the time."""
    task = asyncio.ensure_future(waiter)
    await asyncio.wait([task], timeout=seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
