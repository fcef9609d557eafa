"""Pulls from a real MariaDB: rows that are written while they are read, servers that die, tables that change, and columns nobody may read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from connectors.databases.mysql import MysqlDatabase
from connectors.databases.settings import DatabaseRead, MysqlConfig
from connectors.databases.source import DatabaseSource, database_source
from connectors.formats.pace import ZONE, Surroundings
from connectors.memory import MemoryIntake
from hub.contracts.answer import Answer, Returned
from hub.contracts.batch import LINE, OP, ORDINAL, Batch
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.headings import normalise_heading
from tests.contract.source_contract import settle_all
from tests.databases import MariaServer
from tests.unit.sample_items import KEYS, NOW, PENALTY, good
from transforms.intake import FeedPlan, prepare

NAMES = ("文号", "企业名称", "gxsj", "op", "opt_type")
PAIR: dict[str, Any] = {"since": {"time": "gxsj", "id": "tongid"}}


@pytest.fixture(scope="module")
def server() -> Iterator[MariaServer]:
    with MariaServer() as running:
        yield running


class Agency:
    """A database of its own with the feed that reads from it."""

    def __init__(self, server: MariaServer) -> None:
        self.server = server
        self.name = server.database()
        self.intake = MemoryIntake()
        self.config: dict[str, Any] = {}
        self.known = frozenset(map(normalise_heading, NAMES))

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """As the agency."""
        return self.server.execute(*statements, database=self.name)

    def made(self, rows: int) -> None:
        """A table as exchange middleware writes it."""
        self.run(
            "CREATE TABLE penalty (tongid BIGINT PRIMARY KEY AUTO_INCREMENT, `文号` VARCHAR(255), `企业名称` VARCHAR(255), gxsj DATETIME, op CHAR(1),"
            " `血型` VARCHAR(8), KEY (gxsj, tongid))",
            f"INSERT INTO penalty (`文号`, `企业名称`, gxsj, op, `血型`) SELECT CONCAT('文', seq), CONCAT('企业', seq), NOW() - INTERVAL 30 MINUTE, 'I', 'AB'"
            f" FROM seq_1_to_{rows}",
        )

    def source(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, **read: Any) -> DatabaseSource:
        """The feed's source."""
        config = MysqlConfig.model_validate({**self.server.settings(self.name), **self.config})
        settings = DatabaseRead.model_validate({"table": "penalty", **read})
        world = Surroundings(now=lambda: datetime.now(ZONE), sleep=sleep)
        return database_source(
            lambda: MysqlDatabase(config), config, settings, feed="A0030.penalty", item="A0030-F06-01", known=self.known, intake=self.intake, world=world
        )

    async def pull(self, **read: Any) -> list[Batch]:
        """What a wake of the feed offers."""
        source = self.source(**read)
        try:
            return await settle_all(source, self.intake)
        finally:
            await source.close()

    @property
    def evidence(self) -> dict[str, Any]:
        """Of the latest arrival."""
        found: dict[str, Any] = list(self.intake.arrivals.values())[-1].evidence
        return found


@pytest.fixture
def agency(server: MariaServer) -> Agency:
    return Agency(server)


def numbers(batches: list[Batch]) -> list[str]:
    return [number for batch in batches for number in batch.frame.get_column("文号").to_list()]


async def test_a_whole_table_arrives_without_what_must_not_be_read(agency: Agency) -> None:
    agency.made(70_000)

    batches = await agency.pull()

    assert numbers(batches) == [f"文{i}" for i in range(1, 70_001)]
    assert all(set(batch.frame.columns) == {ORDINAL, LINE, "文号", "企业名称", "gxsj", "op"} for batch in batches)
    assert agency.evidence["denied"] == ["血型"]
    assert agency.evidence["server"].startswith("MariaDB")


async def test_rows_that_are_written_while_they_are_read_belong_to_the_next_pull(agency: Agency) -> None:
    agency.made(20_000)
    source = agency.source()
    reading = asyncio.create_task(settle_all(source, agency.intake))

    for i in range(20):
        agency.run(f"INSERT INTO penalty (`文号`) VALUES ('新{i}')", f"UPDATE penalty SET `企业名称` = '改' WHERE tongid = {i + 1}")
        await asyncio.sleep(0.005)
    first = await reading
    await source.close()
    second = await agency.pull()

    assert agency.intake.arrivals[1].evidence["count"] == sum(batch.header.rows for batch in first)
    assert len(numbers(second)) == 20_020


async def test_a_server_that_dies_in_mid_pull_lands_nothing_and_is_asked_again(server: MariaServer) -> None:
    agency = Agency(server)
    agency.made(60_000)
    agency.run("UPDATE penalty SET `企业名称` = REPEAT('名', 80)")
    agency.config = {"rows_per_second": 10}
    reached, dead = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        reached.set()
        await dead.wait()

    source = agency.source(sleep=sleep)
    reading = asyncio.create_task(settle_all(source, agency.intake))
    await reached.wait()

    server.kill()
    dead.set()
    with pytest.raises(Unavailable):
        await reading
    held = dict(agency.intake.arrivals)
    server.start()
    batches = await settle_all(source, agency.intake)
    await source.close()

    assert held == {}
    assert len(numbers(batches)) == 60_000


async def test_rows_committed_late_are_caught(agency: Agency) -> None:
    agency.made(10)
    agency.run("INSERT INTO penalty (`文号`, gxsj) VALUES ('文11', NOW())")
    await agency.pull(**PAIR)

    with agency.server.connect(agency.name) as late, late.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO penalty (`文号`, gxsj) VALUES ('晚', NOW() - INTERVAL 5 MINUTE)")
        agency.run("INSERT INTO penalty (`文号`, gxsj) VALUES ('文13', NOW())")
        meanwhile = await agency.pull(**PAIR)
        late.commit()
    after = await agency.pull(**PAIR)
    again = await agency.pull(**PAIR)

    assert (numbers(meanwhile), numbers(after), again) == (["文13"], ["晚"], [])


async def test_what_differs_is_found_by_comparing(agency: Agency) -> None:
    agency.made(5_000)
    read = {**PAIR, "compare": "1s"}
    await agency.pull(**read)

    agency.run("UPDATE penalty SET `企业名称` = '悄悄改' WHERE tongid = 4321")
    await asyncio.sleep(1.1)
    batches = await agency.pull(**read)

    assert "文4321" in numbers(batches)
    assert len(numbers(batches)) < 60
    assert agency.evidence["differ"] == 1


async def test_waiting_rows_are_marked_once_they_are_settled(agency: Agency) -> None:
    agency.run("CREATE TABLE penalty (id INT PRIMARY KEY AUTO_INCREMENT, `文号` VARCHAR(50), clzt VARCHAR(2) DEFAULT '0')")
    agency.run("INSERT INTO penalty (`文号`) VALUES ('甲'), ('坏'), ('丙')", "INSERT INTO penalty (`文号`, clzt) VALUES ('旧', '1')")
    read: dict[str, Any] = {"done": {"column": "clzt"}}
    batches = await agency.pull(**read)
    (arrival,) = agency.intake.arrivals.values()
    refused = [Returned(2, 3, "R101", "…", {})]

    source = agency.source(**read)
    answer = Answer("k", "b", "i", "n", arrival.name, arrival.landed, arrival.size, "succeeded", "", "", rows=lambda: iter(refused), evidence=arrival.evidence)
    await source.answer(answer)
    await source.close()

    assert numbers(batches) == ["甲", "坏", "丙"]
    assert agency.run("SELECT `文号`, clzt FROM penalty ORDER BY id") == [("甲", "1"), ("坏", "2"), ("丙", "1"), ("旧", "1")]


@pytest.mark.parametrize("column", ["op", "OPT_TYPE"])
async def test_deletes_of_an_operation_column_are_withdrawals(agency: Agency, column: str) -> None:
    fields = [replace(field, aliases=("op", "opt_type")) if field.name == "op_flag" else field for field in PENALTY.fields]
    item = replace(PENALTY, fields=tuple(fields))
    agency.known = frozenset(normalise_heading(heading) for field in fields for heading in (field.name, field.title, *field.aliases))
    rows = [{**good(), column: operation} for operation in ("I", "D")]
    agency.run(f"CREATE TABLE penalty ({', '.join(f'`{name}` VARCHAR(255)' for name in rows[0])})")
    agency.run(*(f"INSERT INTO penalty VALUES ({', '.join(repr(str(cell)) for cell in row.values())})" for row in rows))

    (batch,) = await agency.pull()
    passed = prepare(batch, FeedPlan(item, KEYS), now=NOW).passed.frame

    assert passed.get_column(OP).to_list() == ["U", "D"]


async def test_a_table_that_was_renamed_or_lost_a_column_is_misconfigured(agency: Agency) -> None:
    agency.made(3)
    await agency.pull()

    agency.run("ALTER TABLE penalty CHANGE `企业名称` `单位名称` VARCHAR(255)")
    with pytest.raises(Misconfigured, match="lost columns that were read: 企业名称"):
        await agency.pull()
    agency.run("RENAME TABLE penalty TO penalty_2026")
    with pytest.raises(Misconfigured) as renamed:
        await agency.pull()

    assert "penalty_2026" in renamed.value.message + renamed.value.hint


async def test_an_account_that_is_not_let_in_is_misconfigured(agency: Agency) -> None:
    agency.made(1)
    agency.config = {"password": "wrong"}

    with pytest.raises(Misconfigured) as refused:
        await agency.pull()

    assert refused.value.hint


async def test_hash_sums_survive_a_restart_of_the_server(server: MariaServer) -> None:
    agency = Agency(server)
    agency.made(500)
    read = {**PAIR, "compare": "1s"}
    await agency.pull(**read)
    arrivals = len(agency.intake.arrivals)

    server.stop()
    server.start()
    await asyncio.sleep(1.1)

    assert numbers(await agency.pull(**read)) == []
    assert len(agency.intake.arrivals) == arrivals
