"""Feeds that pull from Oracle: everything, what is new, what differs and what waits, over the real driver and the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.databases.oracle import OracleDatabase
from connectors.databases.settings import DatabaseRead, OracleConfig
from connectors.databases.source import DatabaseSource, database_source
from connectors.memory import MemoryIntake
from hub.contracts.answer import Answer, Returned
from hub.contracts.batch import Batch
from hub.contracts.errors import Unavailable
from hub.contracts.headings import normalise_heading
from tests.contract.source_contract import settle_all
from tests.oracle_emulator import OracleEmulator

NAMES = ("CF_WSH", "CF_XDR_MC", "CF_SY", "GXSJ")
PAIR: dict[str, Any] = {"since": {"time": "GXSJ", "id": "TONGID"}}


class Agency:
    """A front-end table of an agency, with the feed that reads from it."""

    def __init__(self, server: OracleEmulator, rows: int) -> None:
        self.server = server
        self.intake = MemoryIntake()
        server.execute(
            "CREATE TABLE FRXZCF (TONGID NUMBER(20) PRIMARY KEY, CF_WSH VARCHAR2(200), CF_XDR_MC VARCHAR2(400), CF_SY CLOB, GXSJ DATE, XX VARCHAR2(8),"
            " CLZT VARCHAR2(1))"
        )
        self.add(1, rows)

    def add(self, first: int, last: int, minutes: int = 30) -> None:
        """Rows that wait, written so many minutes ago."""
        sql = f"INSERT INTO FRXZCF VALUES (:1, :2, :3, :4, SYSDATE - {minutes} / 1440, 'AB', '0')"
        self.server.executemany(sql, [(i, f"文{i}", f"企业{i}", "违反" * 20) for i in range(first, last + 1)])

    def source(self, **read: Any) -> DatabaseSource:
        """The feed's source."""
        config = OracleConfig.model_validate(self.server.settings())
        settings = DatabaseRead.model_validate({"table": "frxzcf", **read})
        known = frozenset(map(normalise_heading, NAMES))
        return database_source(lambda: OracleDatabase(config), config, settings, feed="A0030.cf", item="A0030-F06-01", known=known, intake=self.intake)

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
def oracle() -> Iterator[OracleEmulator]:
    with OracleEmulator() as emulator:
        yield emulator


def numbers(batches: list[Batch]) -> list[str]:
    return [number for batch in batches for number in batch.frame.get_column("CF_WSH").to_list()]


async def test_a_whole_table_arrives(oracle: OracleEmulator) -> None:
    agency = Agency(oracle, 3_000)

    batches = await agency.pull()

    assert numbers(batches) == [f"文{i}" for i in range(1, 3_001)]
    assert batches[0].frame["CF_SY"].to_list()[0] == "违反" * 20
    assert agency.evidence["server"].startswith("Oracle Database 19.")
    assert agency.evidence["relation"] == "FRXZCF"


async def test_only_what_is_new_is_read_and_late_rows_are_caught(oracle: OracleEmulator) -> None:
    agency = Agency(oracle, 500)
    await agency.pull(**PAIR)
    agency.add(501, 510, minutes=1)
    agency.add(511, 511, minutes=35)

    second, third = await agency.pull(**PAIR), await agency.pull(**PAIR)

    assert sorted(numbers(second)) == sorted(f"文{i}" for i in range(501, 512))
    assert numbers(third) == []


async def test_what_differs_is_found_by_comparing(oracle: OracleEmulator) -> None:
    agency = Agency(oracle, 400)
    read = {**PAIR, "compare": "0s"}
    await agency.pull(**read)
    oracle.execute("UPDATE FRXZCF SET CF_XDR_MC = '改' WHERE TONGID = 7")
    oracle.execute("UPDATE FRXZCF SET CF_SY = '更正' WHERE TONGID = 9")

    batches = await agency.pull(**read)

    found = {row["CF_WSH"]: row for batch in batches for row in batch.frame.to_dicts()}
    assert found["文7"]["CF_XDR_MC"] == "改"
    assert found["文9"]["CF_SY"] == "更正"
    assert len(found) < 100, "only buckets that differ were read"


async def test_waiting_rows_are_marked_once_they_are_settled(oracle: OracleEmulator) -> None:
    agency = Agency(oracle, 30)
    source = agency.source(done={"column": "CLZT"})

    batches = await settle_all(source, agency.intake)
    (arrival,) = agency.intake.arrivals.values()
    refused = [Returned(2, 3, "R101", "…", {})]
    answer = Answer("k", "b", "i", "n", arrival.name, arrival.landed, arrival.size, "succeeded", "", "", rows=lambda: iter(refused), evidence=arrival.evidence)
    await source.answer(answer)
    await source.close()

    assert len(numbers(batches)) == 30
    assert oracle.execute("SELECT CLZT, COUNT(*) FROM FRXZCF GROUP BY CLZT ORDER BY CLZT") == [("1", 29), ("2", 1)]


async def test_a_server_that_goes_away_in_mid_pull_lands_nothing(oracle: OracleEmulator) -> None:
    agency = Agency(oracle, 2_000)
    oracle.faults.cut("fetch", after=2, holding="FRXZCF")

    with pytest.raises(Unavailable):
        await agency.pull()
    landed = dict(agency.intake.arrivals)
    again = await agency.pull()

    assert landed == {}
    assert len(numbers(again)) == 2_000


async def test_names_may_be_written_in_small_letters_as_oracle_s_users_do(oracle: OracleEmulator) -> None:
    agency = Agency(oracle, 30)

    new = await agency.pull(since={"time": "gxsj", "id": "tongid"}, columns=["cf_wsh"], where={"xx": "AB"}, compare="1h")
    evidence = agency.evidence
    waiting = await agency.pull(done={"column": "clzt"}, id="tongid", columns=["Cf_Wsh"])

    assert numbers(new)[:30] == [f"文{i}" for i in range(1, 31)]
    assert evidence["columns"] == ["TONGID", "CF_WSH", "GXSJ"]
    assert numbers(waiting) == [f"文{i}" for i in range(1, 31)]


async def test_a_large_object_beyond_all_measure_holds_up_no_neighbour(oracle: OracleEmulator) -> None:
    agency = Agency(oracle, 3)
    oracle.execute("UPDATE FRXZCF SET CF_SY = :1 WHERE TONGID = 2", "违反\n" * 400_000)

    batches = await agency.pull()

    assert numbers(batches) == ["文1", "文3"]
    assert [(row["code"], "文2" in row["_raw"], len(row["_raw"]) < 200) for batch in batches for row in batch.refused.to_dicts()] == [("R100", True, True)]
    assert agency.evidence["too_long"] == 1
