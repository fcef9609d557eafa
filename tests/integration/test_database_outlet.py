"""Shares written into an agency's own MariaDB or PostgreSQL: each delivery once, the newest of each record, and nothing of what was withdrawn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from connectors.databases.outlet import DatabaseOutlet
from connectors.databases.outlet_settings import DatabaseOutletConfig, MysqlOutletConfig, PostgresOutletConfig
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from hub.contracts.share import Outlet, Parcel
from tests.contract.outlet_contract import PARCEL, RECORDS, OutletContract, Place
from tests.databases import MariaServer, PostgresServer

pytestmark = pytest.mark.server

Server = MariaServer | PostgresServer
TABLE = "credit_a0030_f06_01"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    with PostgresServer() as postgres, MariaServer() as maria:
        yield {"postgres": postgres, "maria": maria}


def config_of(server: Server, database: str, **more: Any) -> DatabaseOutletConfig:
    kind = MysqlOutletConfig if isinstance(server, MariaServer) else PostgresOutletConfig
    settings = dict(server.settings(database)) | {"create": True} | more
    return kind(**settings | {"password": SecretStr(more.get("password", settings["password"]))})


class Database:
    """A database of an agency and an outlet into it."""

    def __init__(self, server: Server, **more: Any) -> None:
        self.server = server
        self.name = server.database()
        self.outlet: Outlet = DatabaseOutlet(config_of(server, self.name, **more))

    def rows(self, columns: str = "record_id, xdr_name, withdrawn_at IS NOT NULL, sequence, delivery_id") -> list[tuple[Any, ...]]:
        return self.server.execute(f"SELECT {columns} FROM {TABLE} ORDER BY record_id", database=self.name)

    async def arrived(self) -> dict[str, bytes]:
        noted = self.server.execute("SELECT delivery_id FROM credit_deliveries ORDER BY delivery_id", database=self.name)
        rows = repr([(*row[:2], "withdraw" if row[2] else "upsert", *row[3:]) for row in self.rows()]).encode()
        return {str(delivery): rows for (delivery,) in noted}

    async def go_away(self) -> None:
        self.server.stop()


class DatabaseOutletContract(OutletContract):
    """The outlet contract against a real server."""

    kind: str

    @pytest.fixture(autouse=True)
    def _server(self, servers: dict[str, Server]) -> Iterator[None]:
        self.server = servers[self.kind]
        yield
        self.server.stop()
        self.server.start()

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[Place]:
        place = Database(self.server)
        yield place
        await place.outlet.close()

    def place(self) -> AbstractAsyncContextManager[Place]:
        return self._place()


class TestIntoPostgres(DatabaseOutletContract):
    kind = "postgres"


class TestIntoMaria(DatabaseOutletContract):
    kind = "maria"


@pytest.fixture(params=["postgres", "maria"])
async def there(request: pytest.FixtureRequest, servers: dict[str, Server]) -> AsyncIterator[Database]:
    database = Database(servers[request.param])
    yield database
    await database.outlet.close()


def parcel(number: int, records: pl.DataFrame = RECORDS) -> Parcel:
    return replace(PARCEL, delivery_id=f"{number:032x}", sequence=number, records=records)


async def test_a_record_is_one_row_that_later_deliveries_keep_up_to_date(there: Database) -> None:
    changed = RECORDS.head(1).with_columns(pl.lit("常熟改名有限公司").alias("xdr_name"))

    await there.outlet.hand_over(parcel(1))
    await there.outlet.hand_over(parcel(2, changed))

    assert [row[:4] for row in there.rows()] == [("a" * 32, "常熟改名有限公司", False, 2), ("b" * 32, None, True, 1)]


async def test_a_delivery_that_comes_late_does_not_undo_a_newer_one(there: Database) -> None:
    await there.outlet.hand_over(parcel(2, RECORDS.head(1).with_columns(pl.lit("新").alias("xdr_name"))))

    await there.outlet.hand_over(parcel(1))

    assert there.rows()[0][1:5] == ("新", False, 2, f"{2:032x}")


async def test_a_withdrawal_leaves_the_number_and_nothing_of_the_record(there: Database) -> None:
    gone = RECORDS.head(1).with_columns(pl.lit("withdraw").alias("op"), pl.lit(None, pl.String).alias("xdr_name"), pl.lit(None, pl.Date).alias("decision_date"))
    await there.outlet.hand_over(parcel(1))

    await there.outlet.hand_over(parcel(2, gone))

    assert there.rows("record_id, xdr_name, decision_date, withdrawn_at IS NOT NULL")[0] == ("a" * 32, None, None, True)


async def test_types_arrive_as_they_are(there: Database) -> None:
    await there.outlet.hand_over(parcel(1))

    assert there.rows("decision_date")[0] == (date(2026, 11, 1),)


async def test_the_same_delivery_twice_at_the_same_time_counts_once(there: Database) -> None:
    await there.outlet.hand_over(parcel(1))
    twin = DatabaseOutlet(config_of(there.server, there.name))

    told = await asyncio.gather(there.outlet.hand_over(parcel(2)), twin.hand_over(parcel(2)), return_exceptions=True)
    again = [await twin.hand_over(parcel(2)) for answer in told if isinstance(answer, BaseException)]

    assert sorted([bool(answer["seen"]) for answer in [*told, *again] if not isinstance(answer, BaseException)]) == [False, True]
    await twin.close()


async def test_a_table_is_made_only_where_that_was_asked_for(servers: dict[str, Server]) -> None:
    for server in servers.values():
        place = Database(server, create=False)

        with pytest.raises(Misconfigured, match=TABLE) as caught:
            await place.outlet.hand_over(PARCEL)

        assert "xdr_name" in caught.value.hint
        await place.outlet.close()


async def test_a_missing_column_is_named(there: Database) -> None:
    await there.outlet.hand_over(parcel(1))

    with pytest.raises(Misconfigured, match="lacks penalty_class"):
        await there.outlet.hand_over(parcel(2, RECORDS.with_columns(pl.lit("罚款").alias("penalty_class"))))


async def test_a_value_that_the_table_cannot_hold_is_a_dead_letter_and_changes_nothing(there: Database) -> None:
    await there.outlet.hand_over(parcel(1))
    narrow = "ALTER COLUMN xdr_name TYPE varchar(10)" if isinstance(there.server, PostgresServer) else "MODIFY xdr_name varchar(10)"
    there.server.execute(f"ALTER TABLE {TABLE} {narrow}", database=there.name)
    before = there.rows()

    with pytest.raises(Rejected) as caught:
        await there.outlet.hand_over(parcel(2, RECORDS.with_columns(pl.lit("一二三四五六七八九十甲乙丙").alias("xdr_name"))))

    assert "一二三" not in caught.value.message + caught.value.hint
    assert there.rows() == before
    assert f"{2:032x}" not in await there.arrived()


async def test_a_wrong_password_stops_the_share(servers: dict[str, Server]) -> None:
    for server in servers.values():
        place = Database(server, password="wrong")

        with pytest.raises(Misconfigured, match="password"):
            await place.outlet.hand_over(PARCEL)

        await place.outlet.close()


async def test_a_lock_that_somebody_holds_is_waited_for_and_then_told(there: Database) -> None:
    await there.outlet.hand_over(parcel(1))
    settings = "SET innodb_lock_wait_timeout = 50" if isinstance(there.server, MariaServer) else "SET lock_timeout = 0"
    held = there.server.connect(there.name)
    held.cursor().execute(settings)
    held.cursor().execute("BEGIN")
    held.cursor().execute(f"UPDATE {TABLE} SET version = 'x'")
    freed = threading.Timer(1.0, held.close)
    freed.start()

    told = await there.outlet.hand_over(parcel(2))

    assert told["seen"] is False
    freed.join()


async def test_a_server_that_died_in_between_is_written_to_again_when_it_is_back(there: Database) -> None:
    await there.outlet.hand_over(parcel(1))
    there.server.kill()
    with pytest.raises(Unavailable):
        await there.outlet.hand_over(parcel(2))
    there.server.start()

    await there.outlet.hand_over(parcel(2))

    assert sorted(await there.arrived()) == [f"{1:032x}", f"{2:032x}"]


@pytest.mark.parametrize("option", ["local_infile", "init_command", "read_default_file", "unix_socket", "sslmode", "ssl_disabled"])
def test_options_that_reach_beyond_the_connection_are_refused(option: str) -> None:
    for kind in (MysqlOutletConfig, PostgresOutletConfig):
        with pytest.raises(ValueError, match="not allowed"):
            kind(host="127.0.0.1", database="d", user="u", password=SecretStr("p"), options={option: "1"})


def test_a_connection_beyond_this_machine_is_encrypted_unless_somebody_says_why_not() -> None:
    with pytest.raises(ValueError, match="in clear"):
        PostgresOutletConfig(host="10.1.2.3", database="d", user="u", password=SecretStr("p"), tls="off")

    assert PostgresOutletConfig(host="10.1.2.3", database="d", user="u", password=SecretStr("p")).address().connect_args()["sslmode"] == "verify-full"
