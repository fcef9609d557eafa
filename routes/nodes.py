"""One of several nodes: keeps what its leases say, hands over what others are to have, and hears what people decided elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import Connection, delete, select

from hub.contracts.errors import HubError
from hub.engine import Engine
from hub.leases import BEAT_S, TTL_S, Leases, Turn
from hub.tables import feed_note
from hub.upserts import put
from routes.city import City

Starts = Mapping[str, Mapping[str, Callable[[], None]]]
"""How each route is begun, by role and name; a route's name is its lease's."""

NUDGED = "nudged"
"""The note by which one node asks another to look at a route at once."""


class NodeWork:
    """Keeps a node's part of the routes moving until it is cancelled; `leave` gives back what it holds, `ended` says that it is gone."""

    def __init__(self, city: City, engine: Engine, leases: Leases, starts: Callable[[], Starts], stop: Callable[[str], Iterable[str]]) -> None:
        self._city = city
        self._engine = engine
        self._leases = leases
        self._starts = starts
        self._stop = stop  # names of all that runs for a route
        self._alive_until = 0.0  # by this machine's own clock: what is held then may be others'
        self._stopping: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Beat for ever. Where the state is away for longer than a lease lasts, everything is stopped: others may have it by then."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(BEAT_S)
        finally:
            await self._leave_everything()

    async def _look(self) -> None:
        begun, starts = time.monotonic(), self._starts()
        beating = asyncio.create_task(self._leases.beat({role: list(names) for role, names in starts.items()}))
        try:
            if self._leases.held:  # a server that neither answers nor refuses must not keep us at work
                await asyncio.wait([beating], timeout=max(0.0, self._last_moment - begun))
                self._leave(() if beating.done() else list(self._leases.held))
            turn = await beating
            self._alive_until = begun + TTL_S
            await self._follow(turn, starts)
        except HubError as error:
            self._city.observer.tell("stumbled", "node", node=self._leases.name, reason=error.message, hint=error.hint)
            if time.monotonic() > self._last_moment or error.code == "fenced":
                self._leave(list(self._leases.held))
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    @property
    def _last_moment(self) -> float:
        return self._alive_until - BEAT_S

    async def _follow(self, turn: Turn, starts: Starts) -> None:
        """Begin what was taken, stop what was lost or is to go. What has not stopped yet begins nowhere: its lease is kept until then."""
        late = time.monotonic() > self._last_moment
        self._leave(turn.held if late or not self._leases.roles else turn.leaving)
        begin = {name: start for names in starts.values() for name, start in names.items()}
        taken = [name for name in turn.held if name not in self._stopping and name not in self._engine.kept]
        stopped = [route for name in taken for route in self._stop(name) if self._city.standing.of(route).state == "stopped"]
        if stopped:
            await self._city.standing.try_again(*stopped)
        for name in taken:
            begin[name]()
            self._city.observer.tell("taken", name, node=self._leases.name)

    def _leave(self, names: Iterable[str]) -> None:
        """Begin to stop routes. The beats go on meanwhile, because a blocking call may take longer than a lease lasts."""
        for name in names:
            if name not in self._stopping:
                self._stopping[name] = asyncio.create_task(self._leave_one(name), name=f"leave {name}")

    async def _leave_one(self, name: str) -> None:
        try:
            for route in self._stop(name):
                await self._engine.drop(route)
            await self._leases.release([name])
            self._city.observer.tell("left", name, node=self._leases.name)
        except HubError as error:
            self._city.observer.tell("stumbled", "node", node=self._leases.name, reason=error.message, hint="its lease runs out by itself")
        finally:
            del self._stopping[name]

    async def _leave_everything(self) -> None:
        self._leave(list(self._leases.held))
        while self._stopping:
            await asyncio.wait(list(self._stopping.values()))

    async def hear(self) -> None:
        """Heed, for ever, what was decided at other nodes. Raises `Unavailable`: run again."""
        while True:
            for name in await self._city.standing.refresh():
                self._engine.nudge(name)
            for name in await self._city.state.write(self._asked, about=None):
                self._engine.nudge(name)
            await asyncio.sleep(BEAT_S)

    def _asked(self, connection: Connection) -> list[str]:
        """Routes kept here that another node wants to be looked at."""
        where = (feed_note.c.key == NUDGED) & feed_note.c.feed.in_(set(self._engine.kept))
        found = list(connection.execute(select(feed_note.c.feed).where(where)).scalars())
        if found:
            connection.execute(delete(feed_note).where(feed_note.c.key == NUDGED, feed_note.c.feed.in_(found)))
        return found

    async def leave(self) -> None:
        """Give everything back, each as soon as it has stopped, and take nothing more. The beats go on until then."""
        self._leases.retire()
        await self._leave_everything()

    async def ended(self) -> None:
        """Say that this node is gone, so that others need not wait; the engine has stopped."""
        try:
            await self._leases.end()
        except HubError as error:
            self._city.observer.tell("stumbled", "node", node=self._leases.name, reason=error.message, hint="the others take over once its leases have run out")


async def ask_elsewhere(city: City, route: str) -> None:
    """Let the node that has a route look at it at once."""
    if city.state.shared and not (city.leases and route in city.leases.held):
        row = {"feed": route, "key": NUDGED, "value": "", "at": city.ledger.now()}
        await city.state.write(lambda c: put(c, feed_note, row, fresh=("at",)), about=None)
