"""MySQL pulls when the server, the link or somebody else gets in the way: real MariaDB, real driver."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from connectors.databases.dialect import Ask, Column, Relation
from connectors.databases.mysql import MysqlDatabase
from connectors.databases.mysql_session import Session
from connectors.databases.settings import MysqlConfig
from hub.contracts.blocking import to_its_end
from hub.contracts.errors import Misconfigured, Unavailable
from tests.databases import MariaServer
from tests.faults.proxy import Faults, Proxy
from tests.servers import wait_until

pytestmark = [pytest.mark.server, pytest.mark.faults]
ROWS = 60_000
KNOWN = Relation("t", (Column("id", "int(11)", "number"), Column("note", "varchar(200)", "text", "utf8mb4")), ("id",))


@pytest.fixture(scope="module")
def server() -> Iterator[MariaServer]:
    with MariaServer() as running:
        yield running


@pytest.fixture
def name(server: MariaServer) -> str:
    found = server.database()
    server.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, flag VARCHAR(4), note VARCHAR(200))",
        f"INSERT INTO t SELECT seq, '0', REPEAT('注', 60) FROM seq_1_to_{ROWS}",
        database=found,
    )
    return found


def settings(server: MariaServer, name: str, **more: Any) -> MysqlConfig:
    return MysqlConfig.model_validate(dict(server.settings(name)) | more)


def whole(db: MysqlDatabase, *, streamed: bool = False) -> Ask:
    """All of it, page by page; `streamed`, row by row."""
    return Ask(db.relation("t"), ("id", "flag", "note"), order=("flag", "id") if streamed else ("id",))


def rest(stream: Iterator[Any]) -> int:
    return sum(piece.rows for piece in stream)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_server_that_dies_in_mid_read_is_unavailable_and_read_again_afterwards(server: MariaServer, name: str, streamed: bool) -> None:
    with closing(MysqlDatabase(settings(server, name))) as db:
        db.begin()
        stream = db.read(whole(db, streamed=streamed))
        first = next(stream)

        server.kill()
        with pytest.raises(Unavailable) as broken:
            rest(stream)
        with pytest.raises(Unavailable):
            db.server()
        db.end()
        server.start()
        again = rest(db.read(whole(db, streamed=streamed)))

    assert first.rows
    assert broken.value.hint
    assert again == ROWS


@pytest.mark.parametrize("streamed", [False, True])
def test_a_connection_that_is_killed_ends_the_snapshot_and_never_goes_on_without_it(server: MariaServer, name: str, streamed: bool) -> None:
    with closing(MysqlDatabase(settings(server, name))) as db:
        db.begin()
        stream = db.read(whole(db, streamed=streamed))
        next(stream)

        server.execute(*(f"KILL {number}" for number in connections(server, name)))
        with pytest.raises(Unavailable):
            rest(stream)
        with pytest.raises(Unavailable):
            db.count(Ask(KNOWN, ("id",)))
        db.end()

        assert db.count(Ask(KNOWN, ("id",))) == ROWS


def test_a_reader_that_stops_early_stops_the_statement_and_keeps_the_snapshot(server: MariaServer, name: str) -> None:
    with closing(MysqlDatabase(settings(server, name))) as db:
        db.begin()
        stream = db.read(whole(db, streamed=True))
        next(stream)

        stream.close()  # type: ignore[attr-defined]
        server.execute("DELETE FROM t WHERE id > 100", database=name)

        assert db.count(whole(db)) == ROWS
        assert connections(server, name) == connections(server, name)[:1]


def connections(server: MariaServer, name: str) -> list[int]:
    return [int(number) for (number,) in server.execute(f"SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{name}'")]


def test_a_connection_that_was_closed_while_idle_is_opened_anew(server: MariaServer, name: str) -> None:
    with closing(MysqlDatabase(settings(server, name))) as db:
        db.server()

        server.execute(*(f"KILL {number}" for number in connections(server, name)))
        counted = db.count(whole(db))

    assert counted == ROWS


def test_a_statement_that_takes_too_long_is_stopped_by_the_server(server: MariaServer, name: str) -> None:
    with closing(MysqlDatabase(settings(server, name, timeout="1s"))) as db:
        relation = db.query("slow", "SELECT SLEEP(0) + id AS id FROM t WHERE id < 3")
        slow = type(relation)(relation.name, relation.columns, sql="SELECT SLEEP(5) AS id FROM t WHERE id < 3")

        with pytest.raises(Unavailable, match="timeout") as late:
            rest(db.read(Ask(slow, ("id",))))

        assert "index" in late.value.hint
        assert db.count(whole(db)) == ROWS


def test_nothing_can_be_written_where_is_read(server: MariaServer, name: str) -> None:
    session = Session(settings(server, name))
    with closing(session):
        for write in ("INSERT INTO t VALUES (0,'','')", "UPDATE t SET flag = '9'", "DROP TABLE t"):
            with pytest.raises(Misconfigured):
                session.query(write)
        session.begin()
        with pytest.raises(Misconfigured, match="reading"):
            session.query("DELETE FROM t")

    assert server.execute("SELECT COUNT(*) FROM t", database=name) == [(ROWS,)]


def test_rows_that_change_while_they_are_read_come_as_they_were(server: MariaServer, name: str) -> None:
    with closing(MysqlDatabase(settings(server, name))) as db:
        db.begin()
        stream = db.read(whole(db))
        pieces = [next(stream)]

        server.execute("UPDATE t SET flag = '9'", "DELETE FROM t WHERE id % 7 = 0", f"INSERT INTO t VALUES ({ROWS + 1}, '0', '')", database=name)
        pieces += stream

    lines = b"".join(piece.lines for piece in pieces).splitlines()
    assert len(lines) == ROWS
    assert {line.split(b"\x1f")[1] for line in lines} == {b"0"}


def test_a_table_that_was_renamed_or_lost_a_column_is_misconfigured(server: MariaServer, name: str) -> None:
    with closing(MysqlDatabase(settings(server, name))) as db:
        ask = whole(db)

        server.execute("ALTER TABLE t DROP COLUMN note", database=name)
        with pytest.raises(Misconfigured, match="column is gone"):
            rest(db.read(ask))
        server.execute("RENAME TABLE t TO t_2026", database=name)
        with pytest.raises(Misconfigured, match="table is gone"):
            rest(db.read(ask))
        with pytest.raises(Misconfigured) as missing:
            db.relation("t")

    assert "no table or view 't'" in missing.value.message
    assert missing.value.hint


def test_a_lock_that_is_let_go_does_not_stop_a_mark(server: MariaServer, name: str) -> None:
    waits: list[float] = []
    with server.connect(name) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE t SET flag = '5' WHERE id = 2")

        def let_go(seconds: float) -> None:
            waits.append(seconds)
            holder.rollback()

        with closing(MysqlDatabase(settings(server, name, timeout="2s"), sleep=let_go, chance=lambda: 0.5)) as db:
            written = db.mark(db.relation("t"), "flag", "1", key="id", keys=["1", "2"], expected="0")

    assert written == 2
    assert waits == [0.1]


def test_a_lock_that_stays_is_unavailable_after_some_attempts(server: MariaServer, name: str) -> None:
    waits: list[float] = []
    with server.connect(name) as holder, holder.cursor() as cursor, closing(MysqlDatabase(settings(server, name, timeout="2s"), sleep=waits.append)) as db:
        relation = db.relation("t")
        cursor.execute("BEGIN")
        cursor.execute("UPDATE t SET flag = '5' WHERE id = 2")

        with pytest.raises(Unavailable):
            db.mark(relation, "flag", "1", key="id", keys=["1", "2"], expected="0")

        holder.rollback()

    assert len(waits) == 4
    assert server.execute("SELECT flag FROM t WHERE id IN (1, 2)", database=name) == [("0",), ("0",)]


def test_a_deadlock_is_tried_again(server: MariaServer, name: str) -> None:
    waits: list[float] = []
    with closing(MysqlDatabase(settings(server, name), sleep=waits.append)) as db, ThreadPoolExecutor(1) as pool, server.connect(name) as other:
        relation = db.relation("t")
        with other.cursor() as cursor:
            # The other one has changed more, so the server ends the deadlock at the cost of the mark.
            cursor.execute("BEGIN")
            cursor.execute("UPDATE t SET note = 'x' WHERE id BETWEEN 1000 AND 3000")
            marking = pool.submit(db.mark, relation, "flag", "1", key="id", keys=["1", "2", "1500"], expected="0")
            wait_until(lambda: waiting(server), 10, "the mark waits for a row")

            cursor.execute("UPDATE t SET note = 'x' WHERE id = 1")
            other.commit()

        assert marking.result(20) == 3
    assert len(waits) == 1


def waiting(server: MariaServer) -> bool:
    return bool(server.execute("SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"))


def test_an_account_that_may_not_read_a_table_is_misconfigured_with_the_way_out(server: MariaServer, name: str) -> None:
    server.execute("CREATE OR REPLACE USER narrow@'%' IDENTIFIED BY 'narrow'", f"GRANT SELECT (id) ON {name}.t TO narrow@'%'")
    with closing(MysqlDatabase(settings(server, name, user="narrow", password="narrow"))) as db:
        relation = db.relation("t")
        with pytest.raises(Misconfigured) as refused:
            rest(db.read(Ask(KNOWN, ("id", "note"))))

    assert [column.name for column in relation.columns] == ["id"]
    assert "GRANT SELECT" in refused.value.hint


def test_a_server_without_tls_is_misconfigured_where_tls_is_asked_for(server: MariaServer, name: str) -> None:
    with (
        closing(MysqlDatabase(settings(server, name, ca="/etc/ssl/certs/ca-certificates.crt"))) as db,
        pytest.raises(Misconfigured, match="encrypted") as refused,
    ):
        db.server()

    assert "tls" in refused.value.hint


def test_no_message_holds_a_value(server: MariaServer, name: str) -> None:
    with closing(MysqlDatabase(settings(server, name))) as db:
        relation = db.relation("t")
        with pytest.raises((Misconfigured, Unavailable)) as refused:
            db.mark(relation, "flag", "far too long 320581199001011234", key="id", keys=["1"], expected="0")

    assert "320581199001011234" not in refused.value.message + refused.value.hint


async def over(proxy: Proxy, server: MariaServer, name: str, faults: Faults, call: Any) -> Any:
    """What a call gives over a link with faults, in a thread."""
    proxy.queue.append(faults)
    database = MysqlDatabase(settings(server, name, port=proxy.port, timeout="1s"))
    with ThreadPoolExecutor(1) as pool, closing(database):
        return await to_its_end(pool, call, database)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("ending", ["close", "reset", "blackhole"])
async def test_a_link_that_ends_in_mid_read_is_unavailable_in_bounded_time(server: MariaServer, name: str, streamed: bool, ending: Any) -> None:
    def read_all(db: MysqlDatabase) -> int:
        return rest(db.read(whole(db, streamed=streamed)))

    async with Proxy(server.port) as proxy, asyncio.timeout(60):
        with pytest.raises(Unavailable) as broken:
            await over(proxy, server, name, Faults(cut_answer=3_000_000, ending=ending), read_all)

    assert broken.value.hint


async def test_something_that_answers_otherwise_is_unavailable(server: MariaServer, name: str) -> None:
    async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 50)
        writer.close()

    listener = await asyncio.start_server(chatter, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        with (
            ThreadPoolExecutor(1) as pool,
            closing(MysqlDatabase(settings(server, name, port=port, timeout="1s"))) as db,
            pytest.raises(Unavailable) as strange,
        ):
            await to_its_end(pool, db.server)

    assert strange.value.hint
