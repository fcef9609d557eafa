"""What all pulls have in common: rows are landed as they come, numbered with the place where the next pull goes on, and only then offered.

A pull is one arrival: JSON Lines (or, from databases, delimited text) of the rows as they were found, in landing before anything else happens. Until it is
whole nothing of it counts; from then on a crash, a page that changes or a system that goes away takes nothing back.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from connectors.formats.csv import ROWS
from connectors.formats.forms import Expected, FileFormat, Forms
from connectors.formats.json import JsonFormat
from connectors.formats.reading import ArrivalReader, Examine
from connectors.formats.worker import Worker
from hub.contracts.batch import Batch, Header
from hub.contracts.errors import Rejected
from hub.contracts.source import Arrival, Finding, Intake, LandingWriter

Row = Mapping[str, str | None]
_PIECE = 256 << 10


@dataclass(frozen=True, slots=True)
class Pulled:
    """How a pull ended: the `cursor` where the next one goes on (JSON-able, None keeps the old one), `evidence` (JSON-able, no personal data), whether
    there is `more` to be had at once.
    """

    cursor: Any = None
    evidence: dict[str, Any] = field(default_factory=dict)
    more: bool = False


class Harvest:
    """Rows of one pull on their way into landing, and the documents they came from."""

    def __init__(self, intake: Intake, worker: Worker) -> None:
        self._intake = intake
        self._worker = worker
        self._writer = intake.writer()
        self._held: list[bytes] = []
        self._size = 0
        self.rows = 0

    async def add(self, rows: Iterable[Row]) -> None:
        """Take rows: cells as text under the source's own names, exactly as they were written there; None for nothing."""
        for row in rows:
            piece = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            self._held.append(piece)
            self._size += len(piece)
            self.rows += 1
        if self._size >= _PIECE:
            await self._flush()

    async def add_text(self, text: bytes, rows: int) -> None:
        """Take some text of a document that is delimited text, with the rows in it; its heading first, which holds none."""
        self._held.append(text)
        self._size += len(text)
        self.rows += rows
        if self._size >= _PIECE:
            await self._flush()

    async def keep(self, document: bytes) -> str:
        """Land a document (a page, an answer) as evidence; its sha256."""
        return await self._worker.do(_land, self._intake.writer(), document)

    async def land(self, name: str, pulled: Pulled) -> Arrival:
        """Make the rows durable and number them."""
        await self._flush()
        landed = await self._worker.do(self._writer.commit)
        return await self._intake.receive(name, landed, cursor=pulled.cursor, evidence=pulled.evidence | {"rows": self.rows})

    async def drop(self) -> None:
        """Forget what was not landed."""
        await self._worker.do(self._writer.abort)

    async def begin_again(self) -> None:
        """Forget the rows so far, because what they were read from has changed meanwhile."""
        await self.drop()
        self._writer = self._intake.writer()
        self._held, self._size, self.rows = [], 0, 0

    async def _flush(self) -> None:
        if self._held:
            await self._worker.do(self._writer.write, b"".join(self._held))
            self._held, self._size = [], 0


def _land(writer: LandingWriter, document: bytes) -> str:
    try:
        writer.write(document)
        return writer.commit().digest
    finally:
        writer.abort()


class Puller(Protocol):
    """One outside system that is asked for what is new. Raises only the three errors."""

    async def pull(self, after: Any, harvest: Harvest) -> Pulled:
        """Fetch what is new after the cursor `after` (None at first), at most a bounded part of it, and add its rows to the harvest.

        Returns only when the part is whole: totals agree, no page is missing. Raising instead loses nothing: the next call begins at the same cursor.
        """

    def probe(self) -> AsyncGenerator[Finding, None]:
        """As `Source.probe`."""

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """As `Source.sample`: JSON Lines made by `json_lines`, under a name that ends in .jsonl."""

    async def close(self) -> None:
        """Release what is held open."""


class PullSource:
    """The `Source` of one feed that pulls. A schedule wakes it; between two times there is nothing to wait for.

    `examine` is given by pullers that add text instead of rows, and says how it is cut.
    """

    def __init__(
        self,
        puller: Puller,
        *,
        feed: str,
        item: str,
        known: frozenset[str],
        intake: Intake,
        batch_rows: int = ROWS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        examine: Examine | None = None,
    ) -> None:
        self.feed = feed
        self.item = item
        self._puller = puller
        self._intake = intake
        self._now = now
        self._worker = Worker(f"pull-{feed}")
        forms = Forms(FileFormat.model_validate({"json": JsonFormat()}), Expected(item, feed.partition(".")[0], known))
        self._ending = "jsonl" if examine is None else "txt"
        self._reader = ArrivalReader(forms, intake, self._worker, batch_rows, examine)

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """First what was landed before, then what is new, part by part."""
        more = True
        while True:
            for arrival in await self._intake.waiting():
                try:
                    async with aclosing(offered(self._reader, self._intake, arrival)) as batches:
                        async for batch in batches:
                            yield batch
                except Rejected as error:  # thrown in by whoever reads the batches
                    await self._intake.refused(arrival, error)
            if not more:
                return
            more = await self._pull()

    async def _pull(self) -> bool:
        """Land the next part; whether there is more."""
        after = await self._intake.recall("cursor")
        harvest = Harvest(self._intake, self._worker)
        try:
            pulled = await self._puller.pull(after, harvest)
            if harvest.rows:
                await harvest.land(f"{self.feed} {self._now():%Y-%m-%dT%H:%M:%S.%fZ}.{self._ending}", pulled)
            else:
                await self._intake.remember("heard", value=True)  # it was asked and had nothing new
                if pulled.cursor is not None:
                    await self._intake.remember("cursor", pulled.cursor)
        finally:
            await harvest.drop()
        return pulled.more

    def ahead(self, header: Header, rows: int) -> AsyncIterator[Batch]:
        """Batches of the first `rows` rows from the batch of `header` on."""
        return self._reader.ahead(header, rows)

    async def again(self, header: Header, cut: dict[str, Any]) -> Batch:
        """The very same batch again, from landing."""
        return await self._reader.again(header, cut)

    async def wake(self) -> None:
        """Nobody tells us that there is something new: the schedule does."""
        import asyncio

        await asyncio.Event().wait()

    async def next_ready(self) -> float | None:
        """Nothing here becomes ready by waiting."""
        return None

    def probe(self) -> AsyncGenerator[Finding, None]:
        """The other side, layer by layer."""
        return self._puller.probe()

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """Some rows of the other side as JSON Lines."""
        return await self._puller.sample(rows)

    async def close(self) -> None:
        """Release connections and threads."""
        await self._puller.close()
        self._worker.close()


async def offered(reader: ArrivalReader, intake: Intake, arrival: Arrival) -> AsyncGenerator[Batch, None]:
    """The batches of one landed arrival to its end; refused where the reader says so.

    What is thrown in at a `yield` of a source does not come down here: the source refuses the arrival itself.
    """
    try:
        arrival = await reader.open(arrival)
        async with aclosing(reader.batches(arrival)) as batches:
            async for batch in batches:
                yield batch
    except Rejected as error:
        await intake.refused(arrival, error)
    else:
        await intake.finished(arrival)


def json_lines(rows: Iterable[Row]) -> bytes:
    """Rows as a document that every pulled feed can read again."""
    return b"".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for row in rows)
