"""A feed that pulls from a database is held to the contract of sources."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Sequence
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from connectors.databases.settings import DatabaseRead, MysqlConfig
from connectors.databases.source import DatabaseSource, database_source
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from hub.contracts.source import Source
from tests.contract.pull_contract import PullContract
from tests.contract.source_contract import KNOWN, ROWS, document, rows_of, settle_all
from tests.sqlite_database import SqliteDatabase

CONFIG = MysqlConfig.model_validate({"host": "127.0.0.1", "database": "agency", "user": "reader", "password": "x"})


class TestDatabaseSource(PullContract):
    """A table whose ids grow; what is there when it is asked is one arrival."""

    merges = True

    def prepare(self, tmp_path: Path) -> None:
        self.path = tmp_path / "agency.sqlite"
        self.questions: list[str] = []
        self.password = "right"
        self.breaks_after: int | None = None
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("CREATE TABLE qy (id INTEGER PRIMARY KEY, 企业名称 TEXT, 统一社会信用代码 TEXT, 宗教信仰 TEXT)")

    def connect(self) -> SqliteDatabase:
        breaks, self.breaks_after = self.breaks_after, None
        return SqliteDatabase(self.path, password=self.password, asked=self.questions, breaks_after=breaks)

    def source(self) -> DatabaseSource:
        read = DatabaseRead.model_validate({"table": "qy", "since": {"id": "id", "overlap": "0s"}})
        return database_source(self.connect, CONFIG, read, feed="A0001.qy", item="A0001-F01-01", known=KNOWN, intake=self.intake, batch_rows=ROWS)

    def send(self, name: str, content: bytes) -> None:
        rows = list(csv.reader(io.StringIO(content.decode())))[1:]
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executemany("INSERT INTO qy (企业名称, 统一社会信用代码, 宗教信仰) VALUES (?, ?, '无')", rows)

    def left(self) -> list[str]:
        waiting = [a.name for a in self.intake.arrivals.values() if not a.finished and a.number not in self.intake.reasons]
        reached = int((self.intake.notes["cursor"]["since"]["at"] or ["0"])[0])
        with closing(sqlite3.connect(self.path)) as connection:
            return waiting + [f"row {row[0]}" for row in connection.execute("SELECT id FROM qy WHERE id > ?", (reached,))]

    def take_away(self) -> None:
        self.path = self.path.with_name("elsewhere")

    def misconfigure(self) -> None:
        self.password = "wrong"

    def asked(self) -> Sequence[object]:
        return self.questions

    async def test_unreachable_peer_is_unavailable_and_comes_back(self) -> None:
        self.send("1.csv", document(3))
        self.path.rename(self.path.with_name("away"))
        source = self.source()

        with pytest.raises(Unavailable) as away:
            await settle_all(source, self.intake)
        self.path.with_name("away").rename(self.path)
        batches = await settle_all(source, self.intake)
        await source.close()

        assert away.value.hint
        assert len(rows_of(batches)) == 3

    async def test_a_peer_that_refuses_us_is_misconfigured(self) -> None:
        self.misconfigure()
        source = self.source()

        with pytest.raises(Misconfigured) as refused:
            await settle_all(source, self.intake)
        await source.close()

        assert refused.value.hint

    async def test_a_refused_document_is_put_aside_and_the_next_one_is_offered(self) -> None:
        self.send("1.csv", document(12, "甲"))
        source = self.source()

        async with aclosing(source.batches()) as offered:
            first = await anext(offered)
            self.send("2.csv", document(3, "乙"))
            assert await self.thrown(offered) is None
        following = await settle_all(source, self.intake)
        await source.close()

        assert first.header.arrival == 1
        assert self.intake.reasons[1].code == "F006"
        assert [name for name, _ in rows_of(following)] == ["乙0", "乙1", "乙2"]
        assert self.left() == []

    async def thrown(self, offered: object) -> object:
        """What comes after the arrival is refused; None at the end."""
        try:
            return await offered.athrow(Rejected("heading does not fit", code="F006"))  # type: ignore[attr-defined]
        except StopAsyncIteration:
            return None

    async def test_an_unreadable_document_does_not_hold_up_the_next(self) -> None:
        """A pull that breaks off never becomes an arrival: it begins again, and nothing is passed over."""
        self.send("1.csv", document(7))
        self.breaks_after = 0
        source = self.source()

        with pytest.raises(Unavailable):
            await settle_all(source, self.intake)
        held = dict(self.intake.arrivals)
        batches = await settle_all(source, self.intake)
        await source.close()

        assert held == {}
        assert len(rows_of(batches)) == 7

    async def test_what_must_not_be_collected_never_leaves_the_database(self) -> None:
        self.send("1.csv", document(2))
        source: Source = self.source()

        batches = await settle_all(source, self.intake)
        await source.close()

        assert "宗教信仰" not in batches[0].frame.columns
        assert all("无".encode() not in content for content in self.intake.landed.values())
        assert self.intake.arrivals[1].evidence["denied"] == ["宗教信仰"]
