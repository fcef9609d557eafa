"""One of several nodes: keeps what its leases say, hands over what others are to have, and hears what people decided elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import Connection, delete, select

from hub.contracts.errors import Unavailable
from hub.engine import Engine
from hub.leases import BEAT_S, TTL_S, Leases
from hub.tables import feed_note
from hub.upserts import put
from routes.city import City

Starts = Mapping[str, Mapping[str, Callable[[], None]]]
"""How each route is begun, by role and name; a route's name is its lease's."""

NUDGED = "nudged"
"""The note by which one node asks another to look at a route at once."""


class NodeWork:
    """Keeps a node's part of the routes moving until it is cancelled; `ended` gives back what it holds."""

    def __init__(self, city: City, engine: Engine, leases: Leases, starts: Callable[[], Starts], stop: Callable[[str], Iterable[str]]) -> None:
        self._city = city
        self._engine = engine
        self._leases = leases
        self._starts = starts
        self._stop = stop  # names of all that runs for a route
        self._alive_until = 0.0

    async def run(self) -> None:
        """Beat for ever. Where the state is away for longer than a lease lasts, everything is stopped: others may have it by then."""
        while True:
            begun = time.monotonic()
            try:
                await self._beat()
                self._alive_until = begun + TTL_S
            except Unavailable as error:
                self._city.observer.tell("stumbled", "node", node=self._leases.name, reason=error.message, hint=error.hint)
                if time.monotonic() > self._alive_until - BEAT_S:
                    await self._leave(list(self._leases.held))
                    self._leases.held.clear()
            await asyncio.sleep(BEAT_S)

    async def _beat(self) -> None:
        starts = self._starts()
        turn = await self._leases.beat({role: list(names) for role, names in starts.items()})
        lost = self._leases.held.keys() - turn.held.keys()
        leaving = turn.leaving | lost
        if leaving:
            await self._leave(leaving)
            await self._leases.release(leaving)
        begin = {name: start for names in starts.values() for name, start in names.items()}
        for name in turn.held.keys() - leaving:
            if name not in self._engine.kept:
                begin[name]()
                self._city.observer.tell("taken", name, node=self._leases.name)
        await self._hear()

    async def _leave(self, names: Iterable[str]) -> None:
        for name in names:
            for route in self._stop(name):
                await self._engine.drop(route)
            self._city.observer.tell("left", name, node=self._leases.name)

    async def _hear(self) -> None:
        """Decisions that were made at another node."""
        for name in await self._city.standing.refresh():
            self._engine.nudge(name)
        held = set(self._engine.kept)

        def asked(connection: Connection) -> list[str]:
            where = (feed_note.c.key == NUDGED) & feed_note.c.feed.in_(held)
            found = list(connection.execute(select(feed_note.c.feed).where(where)).scalars())
            if found:
                connection.execute(delete(feed_note).where(feed_note.c.key == NUDGED, feed_note.c.feed.in_(found)))
            return found

        for name in await self._city.state.write(asked, about=None):
            self._engine.nudge(name)

    async def ended(self) -> None:
        """Give back what is held, so that others need not wait; the engine has stopped."""
        try:
            await self._leases.end()
        except Unavailable as error:
            self._city.observer.tell("stumbled", "node", node=self._leases.name, reason=error.message, hint="the others take over once its leases have run out")


async def ask_elsewhere(city: City, route: str) -> None:
    """Let the node that has a route look at it at once."""
    if city.state.shared:
        row = {"feed": route, "key": NUDGED, "value": "", "at": city.ledger.now()}
        await city.state.write(lambda c: put(c, feed_note, row, fresh=("at",)), about=None)
