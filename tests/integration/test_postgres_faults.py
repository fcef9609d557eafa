"""What goes wrong with PostgreSQL while it is read or marked, on a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from typing import Any, TypeVar

import pytest

from connectors.databases.dialect import Ask
from connectors.databases.postgres import PostgresDatabase
from connectors.databases.settings import PostgresConfig
from hub.contracts.errors import Misconfigured, Unavailable
from tests.contract.database_contract import cells
from tests.databases import PostgresServer
from tests.faults.proxy import Faults, Proxy
from tests.servers import wait_until

T = TypeVar("T")
COMMITTED = 12 + 6  # bytes of the answer to COMMIT: what was done, and that the server is ready


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


@pytest.fixture
def name(server: PostgresServer) -> str:
    """A database with a table `t` of 40,000 rows, 20 MB: more than fits into the buffers of a connection."""
    name = server.database()
    server.execute(
        "CREATE TABLE t AS SELECT i AS id, '企业' || i AS name, repeat('长', 170) AS note, '0' AS flag FROM generate_series(1, 40000) AS i",
        "ALTER TABLE t ADD PRIMARY KEY (id); GRANT ALL ON t TO hub",
        database=name,
    )
    return name


@pytest.fixture
def db(server: PostgresServer, name: str) -> Iterator[PostgresDatabase]:
    with closing(connect(server, name)) as database:
        yield database


def connect(server: PostgresServer, name: str, *, grace_s: float = 15.0, pauses: list[float] | None = None, **more: Any) -> PostgresDatabase:
    config = PostgresConfig.model_validate({**server.settings(name), **more})
    return PostgresDatabase(config, grace_s=grace_s) if pauses is None else PostgresDatabase(config, grace_s=grace_s, pause=pauses.append)


def whole(db: PostgresDatabase) -> Ask:
    relation = db.relation("t")
    return Ask(relation, tuple(column.name for column in relation.columns), order=("id",))


def test_a_server_that_is_restarted_in_mid_read_is_unavailable_and_then_read_again(server: PostgresServer, db: PostgresDatabase) -> None:
    stream = db.read(whole(db))
    next(stream)

    server.stop()
    with pytest.raises(Unavailable):
        for _ in stream:
            pass
    with pytest.raises(Unavailable):
        db.clock()
    server.start()

    assert len(cells(db.read(whole(db)))) == 40_000


def test_a_connection_that_is_ended_by_somebody_is_opened_anew(server: PostgresServer, name: str, db: PostgresDatabase) -> None:
    stream = db.read(whole(db))
    next(stream)

    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hub'", database=name)
    with pytest.raises(Unavailable) as ended:
        for _ in stream:
            pass

    assert ended.value.hint
    assert db.count(whole(db)) == 40_000


def test_a_view_of_the_data_that_is_lost_is_not_silently_another_one(server: PostgresServer, name: str, db: PostgresDatabase) -> None:
    ask = whole(db)
    db.begin()
    assert db.count(ask) == 40_000

    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hub'", database=name)
    for _ in range(2):
        with pytest.raises(Unavailable):
            db.count(ask)
    db.begin()

    assert db.count(ask) == 40_000


def test_a_statement_that_takes_too_long_is_stopped_on_the_server(server: PostgresServer, name: str) -> None:
    with closing(connect(server, name, timeout="300ms")) as database:
        relation = database.query("slow", "SELECT id, pg_sleep(3)::text AS x FROM t WHERE id < 3")

        with pytest.raises(Unavailable) as slow:
            cells(database.read(Ask(relation, ("id", "x"))))

        assert slow.value.code == "57014"
        assert "timeout" in slow.value.message
        assert not server.execute("SELECT 1 FROM pg_stat_activity WHERE usename = 'hub' AND state = 'active'", database=name)


def test_reading_slowly_on_purpose_is_not_too_long(server: PostgresServer, name: str) -> None:
    with closing(connect(server, name, timeout="300ms", rows_per_second=100_000)) as database:
        stream = database.read(whole(database))
        next(stream)

        threading.Event().wait(0.5)

        assert sum(piece.rows for piece in stream) > 30_000


def test_a_table_that_somebody_holds_is_unavailable(server: PostgresServer, name: str) -> None:
    with server.connect(name) as other, closing(connect(server, name, timeout="600ms")) as database:
        ask = whole(database)
        with other.transaction():
            other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")

            with pytest.raises(Unavailable) as held:
                database.count(ask)

        assert held.value.code == "55P03"
        assert database.count(ask) == 40_000


@pytest.mark.parametrize(("change", "code"), [("RENAME TO t_old", "42P01"), ("DROP COLUMN note", "42703"), ("RENAME note TO remark", "42703")])
def test_a_change_of_the_table_is_misconfigured_and_says_what_is_gone(server: PostgresServer, name: str, db: PostgresDatabase, change: str, code: str) -> None:
    ask = whole(db)

    server.execute(f"ALTER TABLE t {change}", database=name)
    with pytest.raises(Misconfigured) as gone:
        cells(db.read(ask))

    assert gone.value.code == code
    assert ("note" if code == "42703" else "t") in gone.value.message


def test_a_table_cannot_be_changed_under_a_reader(server: PostgresServer, name: str, db: PostgresDatabase) -> None:
    ask = whole(db)
    stream = db.read(ask)
    found = [next(stream)]

    server.execute("UPDATE t SET name = 'changed', flag = '9'", "DELETE FROM t WHERE id % 2 = 0", database=name)
    rows = cells([*found, *stream])

    assert len(rows) == 40_000
    assert not [row for row in rows if row[1] == "changed"]


def test_a_deadlock_is_tried_again_and_both_come_through(server: PostgresServer, name: str) -> None:
    pauses: list[float] = []
    with server.connect(name) as other, closing(connect(server, name, pauses=pauses)) as database, ThreadPoolExecutor(1) as executor:
        relation = database.relation("t")
        other.execute("SET deadlock_timeout = '60s'")  # so that it is the mark that is broken off
        with other.transaction():
            other.execute("UPDATE t SET name = name WHERE id = 2")
            marked = executor.submit(database.mark, relation, "flag", "1", key="id", keys=["1", "2"], expected="0")
            wait_until(lambda: bool(waiting(server, name)), 10, "the mark waits for row 2")
            other.execute("UPDATE t SET name = name WHERE id = 1")

        assert marked.result(timeout=20) == 2

    assert pauses
    assert server.execute("SELECT count(*) FROM t WHERE flag = '1'", database=name) == [(2,)]


def waiting(server: PostgresServer, name: str) -> list[tuple[Any, ...]]:
    return server.execute("SELECT 1 FROM pg_stat_activity WHERE usename = 'hub' AND wait_event_type = 'Lock'", database=name)


def test_rows_that_stay_locked_are_unavailable_in_the_end(server: PostgresServer, name: str) -> None:
    pauses: list[float] = []
    with server.connect(name) as other, closing(connect(server, name, pauses=pauses, timeout="200ms")) as database:
        relation = database.relation("t")
        with other.transaction():
            other.execute("UPDATE t SET name = name WHERE id = 2")

            with pytest.raises(Unavailable) as locked:
                database.mark(relation, "flag", "1", key="id", keys=["1", "2"], expected="0")

    assert locked.value.code == "55P03"
    assert len(pauses) == 4
    assert server.execute("SELECT count(*) FROM t WHERE flag = '1'", database=name) == [(0,)]


def test_a_row_that_changes_while_the_mark_waits_is_left_alone(server: PostgresServer, name: str) -> None:
    with server.connect(name) as other, closing(connect(server, name)) as database, ThreadPoolExecutor(1) as executor:
        relation = database.relation("t")
        with other.transaction():
            other.execute("UPDATE t SET flag = '8' WHERE id = 2")
            marked = executor.submit(database.mark, relation, "flag", "1", key="id", keys=["1", "2"], expected="0")
            wait_until(lambda: bool(waiting(server, name)), 10, "the mark waits for row 2")

        assert marked.result(timeout=20) == 1

    assert server.execute("SELECT flag FROM t WHERE id < 3 ORDER BY id", database=name) == [("1",), ("8",)]


class Far:
    """A database behind a link, asked in a thread of its own, as blocking calls are."""

    def __init__(self, proxy: Proxy, database: PostgresDatabase, executor: ThreadPoolExecutor) -> None:
        self.proxy, self.database, self._executor = proxy, database, executor

    async def call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


@asynccontextmanager
async def far(server: PostgresServer, name: str, **more: Any) -> AsyncIterator[Far]:
    with ThreadPoolExecutor(1) as executor:
        async with Proxy(server.port) as proxy:
            database = connect(server, name, port=proxy.port, **more)
            end = Far(proxy, database, executor)
            try:
                yield end
            finally:
                await end.call(database.close)


async def test_a_commit_whose_answer_is_lost_is_looked_up(server: PostgresServer, name: str) -> None:
    async with far(server, name) as end:
        relation = await end.call(lambda: end.database.relation("t"))
        await end.call(lambda: end.database.mark(relation, "flag", "1", key="id", keys=["1", "2"], expected="0"))
        end.proxy.queue.append(Faults(cut_answer=end.proxy.links[-1].answered - COMMITTED))

        changed = await end.call(lambda: end.database.mark(relation, "flag", "1", key="id", keys=["3", "4"], expected="0"))

        assert changed == 2
        assert len(end.proxy.links) == 4, "the reader, the first mark, the one that was cut, and the one that asked what became of it"
    assert server.execute("SELECT count(*) FROM t WHERE flag = '1'", database=name) == [(4,)]


async def test_a_commit_that_never_arrived_is_unavailable_and_changes_nothing(server: PostgresServer, name: str) -> None:
    async with far(server, name) as end:
        relation = await end.call(lambda: end.database.relation("t"))
        await end.call(lambda: end.database.mark(relation, "flag", "1", key="id", keys=["1", "2"], expected="0"))
        end.proxy.queue.append(Faults(answers=end.proxy.links[-1].asked - 2))  # all but COMMIT and the farewell

        with pytest.raises(Unavailable):
            await end.call(lambda: end.database.mark(relation, "flag", "1", key="id", keys=["3", "4"], expected="0"))

    assert server.execute("SELECT count(*) FROM t WHERE flag = '1'", database=name) == [(2,)]


@pytest.mark.parametrize("ending", ["close", "reset", "blackhole"])
async def test_a_link_that_breaks_in_mid_read_is_unavailable(server: PostgresServer, name: str, ending: Any) -> None:
    async with far(server, name, timeout="1s", grace_s=0.2) as end:
        end.proxy.faults = Faults(cut_answer=3 << 20, ending=ending)

        with pytest.raises(Unavailable) as broken:
            await end.call(lambda: cells(end.database.read(whole(end.database))))
        end.proxy.heal()

        assert broken.value.hint
        assert await end.call(lambda: end.database.count(whole(end.database))) == 40_000


async def test_a_server_that_takes_the_connection_and_says_nothing_is_unavailable(server: PostgresServer, name: str) -> None:
    async with far(server, name, options={"connect_timeout": "2"}) as end:
        end.proxy.faults = Faults(half_open=True)

        with pytest.raises(Unavailable):
            await end.call(end.database.server)
