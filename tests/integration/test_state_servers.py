"""The hub's state on a server: transactions that follow one another, leases that change hands, clocks that do not matter."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text, update

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
    after = Leases(state, "same", {"collect"}, dead=before.incarnation)
    await after.begin()

    turn = await after.beat({"collect": ["feed:x"]})

    assert turn.held["feed:x"] > held["feed:x"]


async def test_a_name_that_a_living_process_bears_is_refused(state: State) -> None:
    first, twin = Leases(state, "one", {"load"}), Leases(state, "one", {"load"}, look_s=0.05)
    await first.begin()
    await first.beat({"load": ["a"]})

    starting = asyncio.create_task(twin.begin())
    while not starting.done():
        await first.beat({"load": ["a"]})
        await asyncio.sleep(0.02)

    with pytest.raises(Misconfigured, match="another process is at work as node one"):
        starting.result()
    assert (await first.beat({"load": ["a"]})).held.keys() == {"a"}, "the first goes on"


async def test_a_name_whose_process_fell_silent_is_free_and_its_ghost_holds_nothing(state: State) -> None:
    ghost, heir = Leases(state, "one", {"load"}), Leases(state, "one", {"load"}, look_s=0.01)
    await ghost.begin()
    await ghost.beat({"load": ["a"]})
    await state.write(lambda c: c.execute(update(node).values(seen=node.c.seen - leasing.TTL_S - 1)))

    await heir.begin()
    turn = await heir.beat({"load": ["a"]})

    assert turn.held.keys() == {"a"}
    with pytest.raises(Unavailable) as replaced:
        await ghost.beat({"load": ["a"]})
    assert replaced.value.code == "fenced"
    await ghost.end()
    assert [n["node"] for n in await nodes_of(state)] == ["one"], "a ghost that ends takes nobody's row along"


async def test_a_node_that_was_given_up_for_dead_comes_back_and_gets_its_part(state: State) -> None:
    names = {"load": ["a", "b"]}
    hung, other = Leases(state, "hung", {"load"}), Leases(state, "other", {"load"})
    await hung.begin()
    await hung.beat(names)
    await state.write(lambda c: c.execute(update(lease).values(until=0.5)))
    await state.write(lambda c: c.execute(update(node).values(seen=0.5)))
    await other.begin()
    await other.beat(names)

    lost = await hung.beat(names)
    await hung.release(lost.leaving)
    given = await other.beat(names)
    await other.release(given.leaving)
    again = await hung.beat(names)

    assert set(lost.leaving) == {"a", "b"}
    assert not lost.held
    assert len(again.held) == len(other.held) == 1


async def test_a_node_alone_that_was_given_up_for_dead_goes_on(state: State) -> None:
    alone, watcher = Leases(state, "alone", {"load"}), Leases(state, "watcher", {"console"})
    await alone.begin()
    await alone.beat({"load": ["a"]})
    await state.write(lambda c: c.execute(update(node).values(seen=0.5)))
    await watcher.begin()
    await watcher.beat({})

    turn = await alone.beat({"load": ["a"]})

    assert turn.held.keys() == {"a"}
    assert not turn.leaving
    assert {n["node"] for n in await nodes_of(state)} == {"alone", "watcher"}


async def test_what_was_lost_is_taken_again_only_after_it_has_stopped(state: State) -> None:
    one, two = Leases(state, "one", {"load"}), Leases(state, "two", {"load"})
    await one.begin()
    before = (await one.beat({"load": ["a"]})).held["a"]
    await state.write(lambda c: c.execute(update(lease).values(until=0.5)))
    await state.write(lambda c: c.execute(update(node).values(seen=0.5)))
    await two.begin()
    await two.beat({"load": ["a"]})
    await two.end()

    lost = await one.beat({"load": ["a"]})
    with pytest.raises(Unavailable):
        await state.write(lambda c: one.guard(c, "a"))
    await one.release(lost.leaving)
    again = await one.beat({"load": ["a"]})

    assert "a" in lost.leaving
    assert "a" not in lost.held
    assert again.held["a"] > before


async def test_what_a_node_is_still_stopping_is_nobody_elses(state: State) -> None:
    leaver, other = Leases(state, "leaver", {"load"}), Leases(state, "other", {"load"})
    await leaver.begin()
    await leaver.beat({"load": ["a"]})
    await other.begin()

    leaver.retire()
    kept = await leaver.beat({"load": ["a"]})
    early = await other.beat({"load": ["a"]})
    await leaver.release(kept.leaving)
    taken = await other.beat({"load": ["a"]})

    assert kept.held.keys() == set(kept.leaving) == {"a"}
    assert not early.held
    assert taken.held.keys() == {"a"}


async def test_nodes_of_different_configurations_leave_nothing_lying(state: State) -> None:
    old, new = Leases(state, "old", {"load"}), Leases(state, "new", {"load"})
    old.version, new.version = "v1", "v2"
    await old.begin()
    await old.beat({"load": ["a", "b"]})
    await new.begin()

    turn = await new.beat({"load": ["a", "b", "c", "d", "e"]})

    assert turn.held.keys() == {"c", "d", "e"}, "the old one knows none of these"
    assert (await old.beat({"load": ["a", "b"]})).held.keys() == {"a", "b"}


async def test_a_lease_changes_hands_before_or_after_a_transaction_never_within(target: Target, state: State) -> None:
    elsewhere = State(target)
    await elsewhere.open()
    one, two = Leases(state, "one", {"load"}), Leases(elsewhere, "two", {"load"})
    await one.begin()
    await one.beat({"load": ["a"]})
    await state.write(lambda c: c.execute(update(node).values(seen=0.5)))
    await state.write(lambda c: c.execute(update(lease).values(until=0.5)))
    await two.begin()
    order: list[str] = []
    guarded = threading.Event()

    def work(connection: Connection) -> None:
        one.guard(connection, "a")
        guarded.set()
        time.sleep(0.3)
        order.append("written")

    writing = asyncio.create_task(state.write(work))
    while not guarded.is_set():
        await asyncio.sleep(0.01)
    await two.beat({"load": ["a"]})
    order.append("taken")
    await writing

    assert order == ["written", "taken"]
    await elsewhere.close()


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
