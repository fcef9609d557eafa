"""The hub's state on a server: transactions that follow one another, leases that change hands, clocks that do not matter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from hub import leases as leasing
from hub.contracts.address import address_of
from hub.contracts.errors import Misconfigured, Unavailable
from hub.engines import Target
from hub.leases import Leases, lease, node, nodes_of
from hub.state import State
from hub.tables import feed_note
from hub.upserts import add_new, put
from tests.databases import MariaServer, PostgresServer

pytestmark = pytest.mark.server

KINDS = ("postgres", "maria")


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, PostgresServer | MariaServer]]:
    with PostgresServer() as postgres, MariaServer() as maria:
        yield {"postgres": postgres, "maria": maria}


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, servers: dict[str, PostgresServer | MariaServer]) -> Target:
    server = servers[request.param]
    return address_of(server.url(server.database()))


@pytest.fixture
async def state(target: Target) -> AsyncIterator[State]:
    opened = State(target)
    await opened.open()
    yield opened
    await opened.close()


async def test_a_state_is_opened_by_many_at_once(target: Target) -> None:
    states = [State(target) for _ in range(4)]

    await asyncio.gather(*(state.open() for state in states))

    assert [await state.read(lambda c: c.execute(select(node)).all()) for state in states] == [[], [], [], []]
    await asyncio.gather(*(state.close() for state in states))


async def test_rows_that_are_there_are_left_or_renewed_as_asked(state: State) -> None:
    row = {"feed": "A0030.penalty", "key": "K", "value": "1", "at": "t"}

    first = await state.write(lambda c: add_new(c, feed_note, row))
    again = await state.write(lambda c: add_new(c, feed_note, row | {"value": "2"}))
    other = await state.write(lambda c: add_new(c, feed_note, row | {"key": "k"}))
    await state.write(lambda c: put(c, feed_note, row | {"value": "3"}, fresh=("value",)))

    assert (first, again, other) == (1, 0, 1), "names that differ by case are two"
    rows = await state.read(lambda c: c.execute(select(feed_note.c.key, feed_note.c.value).order_by(feed_note.c.key)).all())
    assert [tuple(r) for r in rows] == [("K", "3"), ("k", "1")]


async def test_transactions_about_one_thing_never_see_the_same_before(target: Target) -> None:
    states = [State(target), State(target)]
    for state in states:
        await state.open()
    await states[0].write(lambda c: add_new(c, feed_note, {"feed": "f", "key": "n", "value": "0", "at": "t"}))

    def add_one(connection: object) -> None:
        where = (feed_note.c.feed == "f") & (feed_note.c.key == "n")
        value = int(connection.execute(select(feed_note.c.value).where(where)).scalar_one())  # type: ignore[attr-defined]
        connection.execute(update(feed_note).where(where).values(value=str(value + 1)))  # type: ignore[attr-defined]

    await asyncio.gather(*(states[i % 2].write(add_one, about="item") for i in range(60)))

    found = await states[1].read(lambda c: c.execute(select(feed_note.c.value).where(feed_note.c.key == "n")).scalar_one())
    assert found == "60"
    await asyncio.gather(*(state.close() for state in states))


async def test_wrong_passwords_and_missing_databases_are_named(target: Target, servers: dict[str, PostgresServer | MariaServer]) -> None:
    for server in servers.values():
        database = server.database()
        for wrong in (server.url(database).replace("hub-Pass-1", "hub-Pass-2"), server.url("nothere")):
            state = State(address_of(wrong))
            with pytest.raises(Misconfigured) as refused:
                await state.open()
            assert "hub-Pass" not in refused.value.message + refused.value.hint
            await state.close()


async def test_leases_are_shared_out_and_a_joining_node_is_given_some(state: State) -> None:
    first, second = Leases(state, "one", {"load"}), Leases(state, "two", {"load"})
    names = {"load": ["a", "b", "c", "d"]}
    await first.begin()
    alone = await first.beat(names)
    await second.begin()

    nothing_yet = await second.beat(names)
    asked = await first.beat(names)
    await first.release(asked.leaving)
    joined = await second.beat(names)

    assert set(alone.held) == {"a", "b", "c", "d"}
    assert not nothing_yet.held
    assert len(asked.leaving) == 2
    assert set(joined.held) == set(asked.leaving)
    assert all(joined.held[name] > alone.held[name] for name in joined.held), "a token rises each time a lease changes hands"


async def test_a_dead_nodes_leases_go_to_the_others_and_it_is_fenced_off(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    dead, heir = Leases(state, "dead", {"load"}), Leases(state, "heir", {"load"})
    await dead.begin()
    before = (await dead.beat({"load": ["a"]})).held
    await state.write(lambda c: c.execute(update(lease).values(until=lease.c.until - leasing.TTL_S - 1)))
    await state.write(lambda c: c.execute(update(node).values(seen=node.c.seen - leasing.TTL_S - 1)))
    await heir.begin()

    taken = await heir.beat({"load": ["a"]})

    assert taken.held["a"] > before["a"]
    with pytest.raises(Unavailable) as fenced:
        await state.write(lambda c: dead.guard(c, "a"))
    assert fenced.value.code == "fenced"
    lost = await dead.beat({"load": ["a"]})
    assert "a" in lost.leaving
    assert "a" not in lost.held


async def test_a_node_that_starts_again_at_once_need_not_wait_for_itself(state: State) -> None:
    before = Leases(state, "same", {"collect"})
    await before.begin()
    held = (await before.beat({"collect": ["feed:x"]})).held
    after = Leases(state, "same", {"collect"})
    await after.begin()

    turn = await after.beat({"collect": ["feed:x"]})

    assert turn.held["feed:x"] > held["feed:x"]


async def test_what_ends_in_order_is_free_at_once(state: State) -> None:
    first, second = Leases(state, "one", {"share"}), Leases(state, "two", {"share"})
    await first.begin()
    await first.beat({"share": ["s"]})
    await second.begin()

    await first.end()
    turn = await second.beat({"share": ["s"]})

    assert set(turn.held) == {"s"}
    assert [n["node"] for n in await nodes_of(state)] == ["two"]


async def test_one_holder_at_most_whatever_joins_and_dies(state: State) -> None:
    names = {"load": [f"item{i}" for i in range(7)]}
    nodes = [Leases(state, f"n{i}", {"load"}) for i in range(3)]
    for each in nodes:
        await each.begin()

    for _ in range(6):
        for each in nodes:
            turn = await each.beat(names)
            await each.release(turn.leaving)

    held = [name for each in nodes for name in each.held]
    assert sorted(held) == sorted(names["load"]), "each item has one loader"
    assert sorted(len(each.held) for each in nodes) == [2, 2, 3]


async def test_a_clock_that_steps_back_moves_no_lease(state: State, tmp_path: Path) -> None:
    one, two = Leases(state, "one", {"load"}), Leases(state, "two", {"load"})
    await one.begin()
    await two.begin()
    await one.beat({"load": ["a"]})

    earlier = datetime.now() - timedelta(days=1)  # what a node thinks about the time is nowhere asked
    turn = await two.beat({"load": ["a"]})

    assert earlier < datetime.now()
    assert not turn.held


async def test_a_server_that_is_away_is_unavailable_and_comes_back(servers: dict[str, PostgresServer | MariaServer]) -> None:
    for server in servers.values():
        state = State(address_of(server.url(server.database())))
        await state.open()

        server.kill()
        with pytest.raises(Unavailable):
            await state.write(lambda c: c.execute(text("SELECT 1")).scalar())
        server.start()

        async def works(state: State = state) -> bool:
            try:
                return await state.write(lambda c: c.execute(text("SELECT 1")).scalar()) == 1
            except Unavailable:
                return False

        assert any([await works() for _ in range(10)])
        await state.close()
