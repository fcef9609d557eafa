"""The source of a feed that reads from a database, whatever system it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from connectors.databases.columns import spelt, view_of
from connectors.databases.dialect import Database
from connectors.databases.frames import examine, frame_of
from connectors.databases.marking import mark
from connectors.databases.puller import DatabasePuller
from connectors.databases.settings import DatabaseConfig, DatabaseRead
from connectors.formats.csv import ROWS
from connectors.formats.cut import Cut
from connectors.formats.pace import Surroundings
from connectors.formats.pulling import PullSource
from connectors.formats.worker import Worker
from hub.contracts.answer import Answer, Wish
from hub.contracts.errors import Misconfigured, Rejected
from hub.contracts.source import Intake

Connect = Callable[[], Database]


class DatabaseSource(PullSource):
    """A `PullSource` that answers by marking rows where the feed says so. `connect` makes a database that is not connected yet."""

    def __init__(
        self,
        connect: Connect,
        config: DatabaseConfig,
        read: DatabaseRead,
        *,
        feed: str,
        item: str,
        known: frozenset[str],
        intake: Intake,
        home: Path | None = None,
        batch_rows: int = ROWS,
        world: Surroundings | None = None,
    ) -> None:
        world = world or Surroundings()
        puller = DatabasePuller(connect(), config, read, known, intake, world)
        super().__init__(puller, feed=feed, item=item, known=known, intake=intake, batch_rows=batch_rows, now=world.now, examine=examine(known))
        self._connect = connect
        self._read = read
        self._known = known
        self._look = examine(known)
        self._marker = Worker(f"mark-{feed}", 1)
        self._more = asyncio.Event()

    @property
    def answers(self) -> Wish:
        """All parts are answered where there is a status to be written."""
        return "all" if self._read.done is not None else "none"

    async def answer(self, answer: Answer) -> None:
        """Write the status of an arrival's rows, and let the next part be read."""
        evidence = answer.evidence if isinstance(answer.evidence, dict) else {}
        if self._read.done is not None and answer.digest and evidence.get("mode") == "done":
            await self._marker.do(self._mark, answer)
        cursor = await self._intake.recall("cursor")
        if isinstance(cursor, dict) and cursor.get("unmarked") == evidence.get("stamp"):
            full = cursor.pop("full", False)
            del cursor["unmarked"]
            await self._intake.remember("cursor", cursor)
            if full:
                self._more.set()

    def _mark(self, answer: Answer) -> None:
        assert self._read.done is not None
        with closing(self._intake.open(answer.digest)) as stream:
            cut: Cut = self._look(stream, answer.size)
            stream.seek(cut.start)
            landed = frame_of(stream.read(), cut.titles)
        try:
            refused = range(landed.height) if answer.state == "failed" else [row.row - 1 for row in answer.rows()]
        except Rejected as error:
            raise Misconfigured(error.message, hint=error.hint) from error
        with closing(self._connect()) as database:
            relation = database.relation(self._read.table or "", self._read.schema_ or "")
            read = spelt(self._read, relation)
            view = view_of(read, relation, self._known)
            if view.columns != cut.titles:
                columns = tuple(name for name in cut.titles if relation.column(name) is not None)
                view = type(view)(relation, columns, view.denied, view.where, view.id)
            assert read.done is not None
            mark(database, view, read.done, landed, list(refused))

    async def wake(self) -> None:
        """Return when rows are marked and more of them wait; otherwise the schedule wakes it."""
        await self._more.wait()
        self._more.clear()

    async def close(self) -> None:
        """Release connections and threads."""
        await super().close()
        self._marker.close()


def database_source(connect: Connect, config: DatabaseConfig, read: DatabaseRead, **hub: Any) -> DatabaseSource:
    """The `Source` of one feed."""
    if read.done is not None and read.table is None:
        raise Misconfigured("a status is written into a table, and this feed reads a query", hint="name a `table`, or leave out `done`")
    return DatabaseSource(connect, config, read, **hub)
