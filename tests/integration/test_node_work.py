"""One of several nodes at work, on a real server: slow stops, a server that hangs, decisions made elsewhere, gateways that see each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import update

from hub.contracts.address import address_of
from hub.contracts.blocking import to_its_end
from hub.contracts.gateway import Caller, Offer
from hub.contracts.observer import Fact, Observer
from hub.engine import Engine
from hub.engines import Target, hold
from hub.leases import Leases
from hub.ledger import Ledger
from hub.standing import Standing
from hub.state import State
from hub.submissions import Submissions
from hub.tables import submission
from routes.city import City
from routes.nodes import NodeWork, ask_elsewhere
from tests.databases import PostgresServer
from tests.unit.sample_items import KEYS, PENALTY

pytestmark = pytest.mark.server

_SOON_S = 40.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def target(postgres: PostgresServer) -> Target:
    return address_of(postgres.url(postgres.database()))


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(_SOON_S):
        while not is_so():
            await asyncio.sleep(0.02)


class Worker:
    """A node with routes named in `names`, each of which runs `work` for ever."""

    def __init__(self, state: State, pulse: State, name: str, names: list[str]) -> None:
        self.facts: list[Fact] = []
        self.state = state
        observer = Observer(self.facts.append)
        ledger = Ledger(state, KEYS, lambda: datetime.now(UTC))
        self.leases = Leases(pulse, name, {"collect"})
        parts = SimpleNamespace(state=state, ledger=ledger, standing=Standing(ledger), observer=observer, leases=self.leases)
        self.city = cast(City, parts)
        self.engine = Engine(self.city.standing, observer)
        starts: dict[str, Callable[[], None]] = {route: partial(self.begin, route) for route in names}
        self.node = NodeWork(self.city, self.engine, self.leases, lambda: {"collect": starts}, lambda route: (route,))
        self.running: set[str] = set()
        self.blocking: Callable[[], object] | None = None
        self._threads = ThreadPoolExecutor(2)

    def begin(self, name: str) -> None:
        async def work() -> None:
            self.running.add(name)
            try:
                if self.blocking is not None:
                    await to_its_end(self._threads, self.blocking)
                await asyncio.Event().wait()
            finally:
                self.running.discard(name)

        self.engine.keep(name, work)

    async def start(self) -> None:
        await self.leases.begin()
        self.engine.keep("hub:node", self.node.run)
        self.engine.keep("hub:ears", self.node.hear)

    async def stop(self) -> None:
        await self.node.leave()
        await self.engine.close()
        await self.node.ended()
        self._threads.shutdown()


@asynccontextmanager
async def _workers(target: Target, *names: str, routes: list[str]) -> AsyncIterator[list[Worker]]:
    states = [State(target) for _ in range(2 * len(names))]
    for state in states:
        await state.open()
    found = [Worker(states[2 * n], states[2 * n + 1], name, routes) for n, name in enumerate(names)]
    try:
        yield found
    finally:
        for worker in found:
            await worker.stop()
        for state in states:
            await state.close()


async def test_a_route_that_is_slow_to_stop_is_begun_elsewhere_only_when_it_has(target: Target) -> None:
    may_end = threading.Event()
    async with _workers(target, "slow", "heir", routes=["feed:a"]) as (slow, heir):
        slow.blocking = may_end.wait
        await slow.start()
        await _until(lambda: slow.running == {"feed:a"})
        await heir.start()

        leaving = asyncio.create_task(slow.node.leave())
        await asyncio.sleep(12)  # longer than a lease lasts
        both = set(heir.running)
        may_end.set()
        await leaving
        await _until(lambda: heir.running == {"feed:a"})

    assert not both, "the lease was kept while the route was stopping"
    assert not slow.running


async def test_a_state_that_hangs_stops_the_work_before_its_leases_run_out(target: Target) -> None:
    other = State(target)
    await other.open()
    release = asyncio.Event()
    async with _workers(target, "one", routes=["feed:a"]) as (one,):
        await one.start()
        await _until(lambda: one.running == {"feed:a"})
        loop = asyncio.get_running_loop()

        def hang(connection: Any) -> None:
            hold(connection, "leases")
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result()

        hanging = asyncio.create_task(other.write(hang, about=None))
        await _until(lambda: not one.running)
        release.set()
        await hanging
        await _until(lambda: one.running == {"feed:a"})

    await other.close()


async def test_a_decision_made_elsewhere_is_heard(target: Target) -> None:
    async with _workers(target, "one", routes=["feed:a"]) as (one,):
        await one.start()
        await _until(lambda: one.running == {"feed:a"})
        clerk: Any = SimpleNamespace(state=one.state, ledger=one.city.ledger, leases=None)
        kept = one.engine.kept["feed:a"]

        await ask_elsewhere(clerk, "feed:a")

        await _until(kept.nudged.is_set)


async def test_a_route_that_stopped_is_tried_again_by_the_node_that_takes_it(target: Target) -> None:
    async with _workers(target, "one", routes=["feed:a", "feed:b"]) as (one,):
        await one.city.standing.set("feed:a", "stopped", "no such host on the other machine")
        await one.city.standing.set("feed:b", "paused", "a person said so")

        await one.start()

        await _until(lambda: one.running == {"feed:a"})
        assert set(one.city.standing.waiting()) == {"feed:b"}, "a pause is a person's"


async def test_two_gateways_take_a_key_once(target: Target) -> None:
    states = [State(target), State(target)]
    for state in states:
        await state.open()
    here, there = (Submissions(Ledger(state, KEYS, lambda: datetime.now(UTC)), hold_s=3) for state in states)
    caller, offer = Caller("A0030", "k" * 12), Offer(PENALTY, "A0030.penalty", 1024)

    first = await here.begin(caller, offer, "POST /x", "key-1")
    busy = await there.begin(caller, offer, "POST /x", "key-1")
    await asyncio.sleep(4)  # longer than a promise: it is renewed while the body is on its way
    still = await there.begin(caller, offer, "POST /x", "key-1")
    await here.released(first)
    free = await there.begin(caller, offer, "POST /x", "key-1")

    assert (first.state, busy.state, still.state) == ("new", "busy", "busy")
    assert (busy.receipt, still.receipt) == (first.receipt, first.receipt)
    assert free.state == "new"
    await there.released(free)
    for state in states:
        await state.close()


async def test_a_gateway_that_died_keeps_a_key_for_a_moment_only(target: Target) -> None:
    states = [State(target), State(target)]
    for state in states:
        await state.open()
    dead, heir = (Submissions(Ledger(state, KEYS, lambda: datetime.now(UTC))) for state in states)
    caller, offer = Caller("A0030", "k" * 12), Offer(PENALTY, "A0030.penalty", 1024)
    first = await dead.begin(caller, offer, "POST /x", "key-2")
    await states[1].write(lambda c: c.execute(update(submission).values(working_until=1)))

    taken = await heir.begin(caller, offer, "POST /x", "key-2")
    twin = await dead.begin(caller, offer, "POST /x", "key-2")

    assert (taken.state, taken.receipt) == ("new", first.receipt)
    assert twin.state == "busy"
    for each, ticket in ((dead, first), (heir, taken)):
        await each.released(ticket)
    for state in states:
        await state.close()
