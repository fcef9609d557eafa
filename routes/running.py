"""A hub at work: every feed, load and share kept moving, for ever or once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from config.loader import Loaded, load
from hub.control import ControlDoor
from hub.engine import Engine, Kept
from hub.schedule import Schedule
from routes.answers import AnswerRoutes
from routes.city import ZONE, City, FeedRoute
from routes.desk import Desk

_CONFIG_LOOK_S = 2.0
_MISSING_LOOK_S = 60.0
_POLL_S = 0.05
_QUIET_LOOK_S = 60.0


class RunningHub:
    """The city with an engine under it, a schedule, and a door for the operator."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.engine = Engine(city.standing, city.observer)
        self.schedule = Schedule(ZONE)
        self.desk = Desk(city, self.engine, self.schedule)
        self.answers = AnswerRoutes(city)
        self._door = ControlDoor(city.home / "hub.sock", self.desk.call)

    async def start(self) -> None:
        """Open the door, finish nothing by force, and let every route run."""
        await self.city.recall_configs()
        await self._door.open()
        self.schedule.start()
        self._keep_loads()
        for route in self.city.feeds.values():
            self._keep_feed(route)
        self._keep_shares()
        self.answers.keep(self.engine)

    def _keep_loads(self) -> None:
        for load_route in self.city.loads.values():
            self.engine.keep(f"load:{load_route.item.code}", load_route.run)

    def _keep_promise(self) -> None:
        """Now and then, send again what is in flight and in no queue: a message that a broker lost, or a damaged one."""

        async def work() -> None:
            before = {header.batch_id for header, _ in await self.city.ledger.unapplied()}
            await asyncio.sleep(_MISSING_LOOK_S)
            if before & {header.batch_id for header, _ in await self.city.ledger.unapplied()}:
                await self.city.send_missing()

        self.engine.keep("hub:promise", work)

    def _keep_shares(self) -> None:
        for name, share in self.city.shares.items():
            self.engine.keep(f"offer:{name}", share.offer_forever)
            self.engine.keep(f"share:{name}", share.deliver_forever)
        self._keep_promise()

    def _keep_feed(self, route: FeedRoute) -> None:
        name = f"feed:{route.feed.name}"
        when = route.feed.when
        timed = when is not None and (when.cron or when.every)
        due = self.schedule.add(route.feed.name, cron=when.cron, every=when.every) if when is not None and timed else None
        asked = due is None  # a feed without times looks at once; one that failed is tried again without waiting for its time

        async def work() -> None:
            nonlocal asked
            if not asked:
                await (_any(due.wait, kept.nudged.wait) if due is not None else _any(route.source.wake, kept.nudged.wait, _quiet(route)))
            while (wait := self.city.not_now(when)) and not kept.nudged.is_set():
                await _any(lambda wait=wait: asyncio.sleep(min(wait, _QUIET_LOOK_S)), kept.nudged.wait)  # type: ignore[misc]
            asked = True
            kept.nudged.clear()
            if due is not None:
                due.clear()
            kept.draining = True
            try:
                await route.pipeline.drain()
            finally:
                kept.draining = False
            asked = False

        kept: Kept = self.engine.keep(name, work)

    async def once(self) -> bool:
        """Read each feed once whatever its schedule, wait out quiet periods, deliver what is due; True when nothing is held or stopped."""
        await self.city.recall_configs()
        await self._door.open()
        self._keep_loads()
        turn = asyncio.Semaphore(2)
        feeds = [Kept(f"feed:{name}", lambda route=route: _drain_all(route, turn)) for name, route in self.city.feeds.items()]  # type: ignore[misc]
        await asyncio.gather(*(self._once(kept) for kept in feeds))
        settled = await self.city.settle_down(self._load_troubled)
        shares = [(Kept(f"offer:{n}", s.offer), Kept(f"share:{n}", s.deliver_due)) for n, s in self.city.shares.items()]
        answers = await self.answers.once()
        lanes = asyncio.Semaphore(8)
        await asyncio.gather(*(self._in_order(legs, lanes) for legs in [*shares, *((answer,) for answer in answers)]))
        failing = [k.name for k in [*feeds, *answers, *(k for pair in shares for k in pair), *self.engine.kept.values()] if k.trouble]
        return settled and not failing and all(stand.state == "paused" for stand in self.city.standing.waiting().values())

    def _load_troubled(self) -> bool:
        """True where a load leg waits for its store or has stopped: more waiting would not help."""
        return any(kept.failures >= 3 or self.city.standing.of(name).state == "stopped" for name, kept in self.engine.kept.items())

    async def _in_order(self, legs: Sequence[Kept], lanes: asyncio.Semaphore) -> None:
        """One leg after the other."""
        async with lanes:
            for leg in legs:
                await self._once(leg)

    async def _once(self, kept: Kept) -> None:
        if self.city.standing.of(kept.name).state != "idle":
            return
        for _ in range(3):
            delay = await self.engine.attempt(kept)
            if not delay:
                return
            await asyncio.sleep(min(delay, 2.0))

    async def watch_config(self, directory: Path) -> None:
        """Take a changed configuration whole, or keep the old one and say what is wrong with the new."""
        seen = _stamp(directory)
        while True:
            await asyncio.sleep(_CONFIG_LOOK_S)
            now = _stamp(directory)
            if now != seen:
                seen = now
                await self.reload(load(directory))

    async def reload(self, loaded: Loaded) -> bool:
        """Swap the configuration between batches; False when it was refused and the old one goes on."""
        if loaded.hub is None or not self.city.can_adopt(loaded.hub):
            reasons = [f"{p.file}:{p.line}: {p.message}" for p in loaded.problems[:20]] or ["broker, stores or address changed: restart the hub"]
            self.city.observer.tell("config_refused", "config", reasons=reasons)
            await self.city.ledger.note("config_refused", "config", version=loaded.version, reasons=reasons)
            return False
        if loaded.version == self.city.config.version:
            return True
        await self.engine.close()
        await self.city.adopt(loaded)
        self._keep_loads()
        for route in self.city.feeds.values():
            self._keep_feed(route)
        self._keep_shares()
        self.answers.keep(self.engine)
        self.city.observer.tell("config_taken", "config", version=loaded.version)
        return True

    async def close(self) -> None:
        """Stop all routes and close the door."""
        self.schedule.close()
        await self.engine.close()
        await self._door.close()


async def _drain_all(route: FeedRoute, turn: asyncio.Semaphore) -> None:
    """Read all there is, and what becomes ready while quiet periods pass; only reading takes a turn, waiting does not."""
    seconds: float | None = 0.0
    while seconds is not None:
        await asyncio.sleep(seconds)
        async with turn:
            await route.pipeline.drain()
        ready = await route.source.next_ready()
        seconds = None if ready is None else max(ready, _POLL_S)


def _quiet(route: FeedRoute) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        seconds = await route.source.next_ready()
        if seconds is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(max(seconds, _POLL_S))

    return wait


async def _any(*waiters: Callable[[], Awaitable[object]]) -> None:
    """Return when the first of them does."""
    tasks = [asyncio.ensure_future(waiter()) for waiter in waiters]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def _stamp(directory: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of the configuration's files."""
    looks = [(path, path.stat()) for path in directory.rglob("*.yaml")]
    return tuple(sorted((str(path), look.st_size, look.st_mtime_ns) for path, look in looks))
