"""A hub at work: every feed, load and share kept moving, for ever or once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from config.loader import Loaded, load
from hub.contracts.errors import HubError, Misconfigured, Unavailable
from hub.control import ControlDoor
from hub.engine import Engine, Kept, Work
from hub.leases import nodes_of
from hub.lock import door_of
from hub.schedule import Schedule
from routes.answers import ANSWERS, AnswerRoutes, route_of
from routes.city import ZONE, City, FeedRoute
from routes.desk import Desk
from routes.load import LoadRoute
from routes.nodes import NodeWork

FIRED = "fired"
"""The note that says when a feed's time was last kept."""

DRAINED = "drained"
"""The note that says which of those times was carried to its end."""

PROMISE = "hub:promise"
_CONFIG_LOOK_S = 2.0
_MISSING_LOOK_S = 60.0
_POLL_S = 0.05
_QUIET_LOOK_S = 60.0
_APART = timedelta(hours=1)  # by which clocks of nodes may differ before one of them counts as wrong


class RunningHub:
    """The city with an engine under it, a schedule, and a door for the operator."""

    def __init__(self, city: City, node: str = "") -> None:
        self.city = city
        self.engine = Engine(city.standing, city.observer)
        self.schedule = Schedule(ZONE)
        self.desk = Desk(city, self.engine, self.schedule)
        self.answers = AnswerRoutes(city)
        self._door = ControlDoor(door_of(city.home, node), self.desk.call)
        self._node: NodeWork | None = None
        self._halted = False  # between two configurations

    async def start(self) -> None:
        """Open the door, finish nothing by force, and let every route run that is this node's."""
        await self.city.recall_configs()
        await self._door.open()
        self.schedule.start()
        await self._begin()

    async def _begin(self) -> None:
        """Everything at once where the hub is one process; otherwise what the leases say, as they come."""
        if self.city.leases is None:
            await self.city.standing.try_again()  # after a restart the cause may be gone
            self.answers.look(self.engine)
            for names in self._starts().values():
                for start in names.values():
                    start()
            return
        leases = self.city.leases
        leases.version = self.city.config.version
        await leases.begin()
        beats, ears = f"hub:node:{leases.name}", f"hub:ears:{leases.name}"
        await self.city.standing.try_again(beats, ears, ANSWERS)
        self._node = NodeWork(self.city, self.engine, leases, self._starts, _all_of)
        self.engine.keep(beats, self._node.run)
        self.engine.keep(ears, self._node.hear)
        self.answers.look(self.engine)

    def _starts(self) -> dict[str, dict[str, Callable[[], None]]]:
        """How each route is begun, by role. Its name is that of its lease."""
        city = self.city
        return {
            "collect": {f"feed:{name}": partial(self._keep_feed, route) for name, route in city.feeds.items()} | {PROMISE: self._keep_promise},
            "load": {f"load:{code}": partial(self._keep_load, load) for code, load in city.loads.items()},
            "share": {f"offer:{name}": partial(self._keep, f"offer:{name}", share.offer_forever) for name, share in city.shares.items()},
            "deliver": {f"share:{name}": partial(self._keep, f"share:{name}", share.deliver_forever) for name, share in city.shares.items()},
        }

    def _keep(self, name: str, work: Work) -> None:
        self.engine.keep(name, work)

    def _keep_load(self, load_route: LoadRoute) -> None:
        name = f"load:{load_route.item.code}"
        load_route.fence = self.city.leases.held.get(name, 0) if self.city.leases else self.city.fence
        self.engine.keep(name, load_route.run)

    def _keep_promise(self) -> None:
        """Now and then, send again what is in flight and in no queue: a message that a broker lost, or a damaged one."""

        async def work() -> None:
            before = {header.batch_id for header, _ in await self.city.ledger.unapplied()}
            await asyncio.sleep(_MISSING_LOOK_S)
            if before & {header.batch_id for header, _ in await self.city.ledger.unapplied()}:
                await self.city.send_missing()

        self.engine.keep(PROMISE, work)

    def _keep_feed(self, route: FeedRoute) -> None:
        name = f"feed:{route.feed.name}"
        when = route.feed.when
        timed = when is not None and (when.cron or when.every)
        due = self.schedule.add(route.feed.name, cron=when.cron, every=when.every) if when is not None and timed else None
        asked = due is None  # a feed without times looks at once; one that failed is tried again without waiting for its time
        looked = False

        async def work() -> None:
            nonlocal asked, looked
            if due is not None and not looked:
                asked, looked = await self._missed(route) or asked, True
            if not asked:
                await (_any(due.wait, kept.nudged.wait) if due is not None else _any(route.source.wake, kept.nudged.wait, _quiet(route)))
                if due is not None and not kept.nudged.is_set() and await self._kept_elsewhere(route):
                    due.clear()
                    return
            while (wait := self.city.not_now(when)) and not kept.nudged.is_set():
                await _any(lambda wait=wait: asyncio.sleep(min(wait, _QUIET_LOOK_S)), kept.nudged.wait)  # type: ignore[misc]
            asked = True
            kept.nudged.clear()
            fired = self.city.clock().isoformat()
            if due is not None:
                due.clear()
                await route.intake.remember(FIRED, fired)
            kept.draining = True
            try:
                await route.pipeline.drain()
            finally:
                kept.draining = False
            if due is not None:
                await route.intake.remember(DRAINED, fired)
            asked = False

        kept: Kept = self.engine.keep(name, work)
        self.answers.keep(self.engine, route.feed.name)

    async def _missed(self, route: FeedRoute) -> bool:
        """Whether a time of the feed went by while no node was there for it, or the node that kept it did not come to its end."""
        fired = await route.intake.recall(FIRED)
        if fired is None:
            return False
        if fired != await route.intake.recall(DRAINED):
            return True
        return self.schedule.missed(route.feed.name, datetime.fromisoformat(fired), self.city.clock())

    async def _kept_elsewhere(self, route: FeedRoute) -> bool:
        """Whether this time of a cron line was kept by another node, whose clock is ahead of ours by less than an hour."""
        fired = await route.intake.recall(FIRED) if self.city.leases is not None else None
        if fired is None or route.feed.when is None or not route.feed.when.cron:
            return False
        then, now = datetime.fromisoformat(fired), self.city.clock()
        return then - now < _APART and not self.schedule.missed(route.feed.name, then, now)

    async def once(self) -> bool:
        """Read each feed once whatever its schedule, wait out quiet periods, deliver what is due; True when nothing is held or stopped."""
        if living := [node["node"] for node in await nodes_of(self.city.state)] if self.city.state.shared else []:
            raise Misconfigured(
                f"nodes are at work on this state: {', '.join(living)}", hint="they read by themselves; `run_hub.py feed collect FEED` asks one to"
            )
        await self.city.standing.try_again()
        await self.city.recall_configs()
        await self._door.open()
        for start in self._starts()["load"].values():
            start()
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
            if now == seen and not self._halted:
                continue
            try:
                await self.reload(load(directory))
                seen = now
            except Unavailable as error:  # looked at again: a hub between two configurations must not stay there
                self.city.observer.tell("stumbled", "config", reason=error.message, hint=error.hint)
            except HubError as error:
                seen = now
                self.city.observer.tell("config_refused", "config", reasons=[error.message])

    async def reload(self, loaded: Loaded) -> bool:
        """Swap the configuration between batches; False when it was refused and the old one goes on."""
        if loaded.hub is None or not self.city.can_adopt(loaded.hub):
            reasons = [f"{p.file}:{p.line}: {p.message}" for p in loaded.problems[:20]] or ["broker, stores or address changed: restart the hub"]
            self.city.observer.tell("config_refused", "config", reasons=reasons)
            await self.city.ledger.note("config_refused", "config", version=loaded.version, reasons=reasons)
            return False
        if loaded.version == self.city.config.version and not self._halted:
            return True
        self._halted = True
        await self.engine.close()
        await self.city.adopt(loaded)
        await self._begin()
        self._halted = False
        self.city.observer.tell("config_taken", "config", version=loaded.version)
        return True

    async def close(self) -> None:
        """Stop all routes and close the door."""
        self.schedule.close()
        if self._node is not None:
            await self._node.leave()
        await self.engine.close()
        if self._node is not None:
            await self._node.ended()
        await self._door.close()


def _all_of(name: str) -> tuple[str, ...]:
    """Everything that runs for a route: a feed's answers go with it."""
    return (name, route_of(name.removeprefix("feed:"))) if name.startswith("feed:") else (name,)


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
