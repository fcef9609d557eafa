"""Both ends of the hub without an outside world: what the tests use, and the page to read before writing a connector.

A source asks its `Intake` to land and number what it got, yields batches, and forgets a document only after its last batch was settled.
An outlet returns evidence that the other side has it. Each raises the three errors and no other.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from connectors.formats.csv import ROWS
from connectors.formats.forms import Expected, FileFormat, Forms
from connectors.formats.reading import ArrivalReader
from connectors.formats.worker import Worker
from hub.contracts.batch import Batch, Header, Origin
from hub.contracts.errors import HubError, Rejected, Unavailable
from hub.contracts.share import Parcel
from hub.contracts.source import Arrival, Finding, Intake, Landed, Recognise, Recognised


class MemorySource:
    """Offers documents, given as (name, bytes), oldest first. `fails` is raised at the next look, as an outside system would be away."""

    def __init__(self, documents: list[tuple[str, bytes]], intake: Intake, known: frozenset[str], batch_rows: int = ROWS) -> None:
        self.documents = documents
        self.refused: dict[str, Rejected] = {}
        self.fails: HubError | None = None
        self._intake = intake
        self._worker = Worker("memory")
        self._reader = ArrivalReader(Forms(FileFormat(), Expected("", "", known)), intake, self._worker, batch_rows)
        self._arrived = asyncio.Event()

    def add(self, name: str, content: bytes) -> None:
        """The other side sends one more document."""
        self.documents.append((name, content))
        self._arrived.set()

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Everything that is there, in order."""
        if self.fails is not None:
            raise self.fails
        while self.documents:
            name, content = self.documents[0]
            arrival = await self._intake.receive(name, content)
            if not (arrival.duplicate or arrival.finished or arrival.refused):
                try:
                    arrival = await self._reader.open(arrival)
                    async with aclosing(self._reader.batches(arrival)) as batches:
                        async for batch in batches:
                            yield batch
                except Rejected as error:  # found by the reader, or thrown in by whoever reads the batches
                    await self._intake.refused(arrival, error)
                    self.refused[name] = error
                else:
                    await self._intake.finished(arrival)
            # Reached only when every batch of the document is settled: now it may be forgotten.
            del self.documents[0]

    def ahead(self, header: Header, rows: int) -> AsyncIterator[Batch]:
        """Batches of the first `rows` rows from the batch of `header` on."""
        return self._reader.ahead(header, rows)

    async def again(self, header: Header, cut: dict[str, Any]) -> Batch:
        """The very same batch again, from landing."""
        return await self._reader.again(header, cut)

    async def wake(self) -> None:
        """Return when a document was added."""
        await self._arrived.wait()
        self._arrived.clear()

    async def next_ready(self) -> float | None:
        """Nothing here becomes ready by waiting."""
        return None

    async def probe(self) -> AsyncGenerator[Finding, None]:
        """Whether the other side is there, and what it has."""
        if self.fails is not None:
            yield Finding("reach", fine=False, said=self.fails.message, hint=self.fails.hint)
            return
        yield Finding("reach", fine=True, said="it is in memory")
        yield Finding("sample", fine=True, said=f"{len(self.documents)} documents wait")

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """The oldest document as it is."""
        if not self.documents:
            raise Unavailable("no document waits", hint="send one")
        return self.documents[0]

    async def close(self) -> None:
        """Let the threads go."""
        self._worker.close()


class MemoryWriter:
    """A `LandingWriter` into a dictionary."""

    def __init__(self, landed: dict[str, bytes]) -> None:
        self._landed = landed
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        """Take some more bytes."""
        self._pieces.append(bytes(piece))

    def commit(self) -> Landed:
        """Keep them under their digest."""
        body = b"".join(self._pieces)
        digest = hashlib.sha256(body).hexdigest()
        self._landed[digest] = body
        return Landed(digest, len(body))

    def abort(self) -> None:
        """Forget them."""
        self._pieces.clear()


class MemoryIntake:
    """An `Intake` of one feed that keeps everything in memory. `settle` does what the ledger does after a batch."""

    def __init__(self, feed: str = "A0000.memory", item: str = "A0000-F00-01") -> None:
        self.feed = feed
        self.item = item
        self.landed: dict[str, bytes] = {}
        self.arrivals: dict[int, Arrival] = {}
        self.reasons: dict[int, Rejected] = {}
        self.notes: dict[str, Any] = {}

    async def receive(self, name: str, content: Path | bytes | Landed, *, cursor: Any = None, evidence: Any = None) -> Arrival:
        """Keep the bytes and number them; what is being read keeps its number, the latest settled content is a duplicate."""
        if cursor is not None:
            self.notes["cursor"] = cursor
        if not isinstance(content, Landed):
            writer = self.writer()
            writer.write(content if isinstance(content, bytes) else content.read_bytes())
            content = writer.commit()
        found = self.numbered(name, content.digest, content.size)
        return found if evidence is None else self._keep(replace(found, evidence=evidence))

    async def waiting(self) -> list[Arrival]:
        """Arrivals that are neither finished nor refused."""
        return [a for a in self.arrivals.values() if not a.finished and a.number not in self.reasons]

    def writer(self) -> MemoryWriter:
        """A new object in memory."""
        return MemoryWriter(self.landed)

    async def recall(self, key: str) -> Any:
        """A note."""
        return self.notes.get(key)

    async def recall_all(self, prefix: str) -> dict[str, Any]:
        """Every note whose key starts so."""
        return {key: value for key, value in self.notes.items() if key.startswith(prefix)}

    async def remember(self, key: str, value: Any) -> None:
        """Keep a note; None deletes it."""
        self.notes.pop(key, None)
        if value is not None:
            self.notes[key] = value

    def numbered(self, name: str, digest: str, size: int) -> Arrival:
        """The arrival of landed bytes: its old number, a duplicate, or a new one."""
        for known in self.arrivals.values():
            if known.landed == digest and known.name == name and known.number not in self.reasons:
                return replace(known, duplicate=known.finished)
        done = [a for a in self.arrivals.values() if a.finished]
        if done and done[-1].landed == digest:
            return replace(done[-1], name=name, duplicate=True)
        return self._keep(Arrival(self.feed, self.item, len(self.arrivals) + 1, name, digest, size))

    def open(self, landed: str) -> BinaryIO:
        """The bytes as a stream."""
        return io.BytesIO(self.landed[landed])

    async def keep_cut(self, arrival: Arrival, cut: dict[str, Any]) -> Arrival:
        """Remember how the arrival is cut."""
        return self._keep(replace(self.arrivals[arrival.number], cut=cut))

    def recognise(self, arrival: Arrival) -> Recognise:
        """Nothing is recognised: every row is seen."""
        return lambda raw: None

    def header(self, arrival: Arrival, *, first: int, rows: int, start: int, end: int, line: int, raw: bytes, seen: Recognised | None = None) -> Header:
        """Header of one batch, with an id that depends on place and bytes alone."""
        parts = f"{arrival.feed}|{arrival.number}|{first}|{arrival.generation}|".encode() + raw
        origin = Origin(arrival.landed, arrival.name, start, end, line)
        return Header(hashlib.sha256(parts).hexdigest()[:32], arrival.feed, arrival.item, arrival.number, first, rows, "memory", origin)

    async def finished(self, arrival: Arrival) -> None:
        """Every row was offered and settled."""
        self._keep(replace(self.arrivals[arrival.number], finished=True))

    async def refused(self, arrival: Arrival, error: Rejected) -> None:
        """The whole arrival cannot be accepted."""
        self.reasons[arrival.number] = error

    def settle(self, batch: Batch) -> None:
        """Write down that a batch is settled."""
        header = batch.header
        known = self.arrivals[header.arrival]
        self._keep(replace(known, settled=header.first + header.rows, resume_at=header.origin.end))

    def _keep(self, arrival: Arrival) -> Arrival:
        self.arrivals[arrival.number] = arrival
        return arrival


class MemoryOutlet:
    """Keeps parcels by delivery id. `fails` is raised at each hand-over until it is taken away."""

    def __init__(self) -> None:
        self.parcels: dict[str, Parcel] = {}
        self.fails: HubError | None = None

    async def hand_over(self, parcel: Parcel) -> Mapping[str, Any]:
        """Keep the parcel; the same delivery twice is one."""
        if self.fails is not None:
            raise self.fails
        self.parcels[parcel.delivery_id] = parcel
        return {"rows": parcel.records.height}

    async def close(self) -> None:
        """Nothing is held open."""
