"""A table in a SQLite file and the feed that pulls it, with a clock that the tests move."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from connectors.databases.settings import DatabaseRead, MysqlConfig
from connectors.databases.source import DatabaseSource, database_source
from connectors.formats.pace import ZONE, Surroundings
from connectors.memory import MemoryIntake
from hub.contracts.answer import Answer, Returned
from hub.contracts.batch import LINE, ORDINAL
from hub.contracts.headings import normalise_heading
from tests.contract.source_contract import settle_all
from tests.sqlite_database import SqliteDatabase

NOON = datetime(2026, 11, 24, 12)
KNOWN = frozenset(map(normalise_heading, ("name", "uscc", "amount", "op", "gxsj")))


@dataclass
class Table:
    """A table of an agency. `theirs` is the database's clock, `ours` the hub's."""

    path: Path
    columns: str = "id INTEGER PRIMARY KEY, name TEXT, gxsj DATETIME"
    intake: MemoryIntake = field(default_factory=MemoryIntake)
    theirs: datetime = NOON
    ours: datetime = NOON
    asked: list[str] = field(default_factory=list)
    breaks_after: int | None = None
    piece_rows: int = 10_000
    slept: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    known: frozenset[str] = KNOWN

    def __post_init__(self) -> None:
        self.run(f"CREATE TABLE t ({self.columns})")

    def run(self, sql: str, rows: Sequence[Sequence[Any]] = ((),)) -> None:
        """Change it, as the agency does."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executemany(sql, rows)

    def add(self, *rows: Sequence[Any]) -> None:
        """Further rows."""
        self.run(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)

    def rows(self, sql: str = "SELECT * FROM t ORDER BY id") -> list[tuple[Any, ...]]:
        """What stands there."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql).fetchall()

    def connect(self) -> SqliteDatabase:
        """A database as the source sees it."""
        breaks, self.breaks_after = self.breaks_after, None
        return SqliteDatabase(self.path, now=self.theirs.isoformat(" "), asked=self.asked, breaks_after=breaks, piece_rows=self.piece_rows)

    def source(self, **read: Any) -> DatabaseSource:
        """The feed's source, as after a restart."""

        async def sleep(seconds: float) -> None:
            self.slept += seconds

        config = MysqlConfig.model_validate({"host": "127.0.0.1", "database": "a", "user": "u", "password": "x", **self.settings})
        world = Surroundings(now=lambda: self.ours.replace(tzinfo=ZONE), monotonic=lambda: self.slept, sleep=sleep)
        settings = DatabaseRead.model_validate({"table": "t", **read} if "query" not in read else read)
        return database_source(
            self.connect, config, settings, feed="A0001.t", item="A0001-F01-01", known=self.known, intake=self.intake, world=world, batch_rows=50_000
        )

    async def pull(self, **read: Any) -> list[tuple[Any, ...]]:
        """Rows that a wake of the feed offers, without their places."""
        return (await self.sorted(**read))[0]

    async def sorted(self, **read: Any) -> tuple[list[tuple[Any, ...]], list[dict[str, Any]]]:
        """The same, and the rows that could not be read."""
        source = self.source(**read)
        try:
            batches = await settle_all(source, self.intake)
        finally:
            await source.close()
        frames = [batch.frame.drop(ORDINAL, LINE) for batch in batches]
        return (pl.concat(frames).rows() if frames else []), [row for batch in batches for row in batch.refused.to_dicts()]

    def passes(self, time: timedelta) -> None:
        """Both clocks go on."""
        self.theirs += time
        self.ours += time

    @property
    def evidence(self) -> dict[str, Any]:
        """Of the latest arrival."""
        found: dict[str, Any] = list(self.intake.arrivals.values())[-1].evidence
        return found

    async def answered(self, state: Any = "succeeded", refused: Sequence[int] = (), **read: Any) -> None:
        """The run of the latest arrival has closed; `refused` counts rows from 0."""
        arrival = list(self.intake.arrivals.values())[-1]
        returned = [Returned(place + 1, place + 2, "R101", "…", {}) for place in refused]
        answer = Answer(
            "k", "b", arrival.item, "…", arrival.name, arrival.landed, arrival.size, state, "", "", rows=lambda: iter(returned), evidence=arrival.evidence
        )
        source = self.source(**read)
        try:
            await source.answer(answer)
        finally:
            await source.close()
