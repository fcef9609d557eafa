"""Reads each finished file of a folder once, oldest first, then moves it to `done/` or `refused/`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.folder.beside import Beside
from connectors.folder.drop import OURS, Claim, Drop, Found
from connectors.folder.settings import FolderConfig, FolderRead
from connectors.folder.watch import RESCAN, Watch
from connectors.formats.answering import leave, wish
from connectors.formats.csv import ROWS
from connectors.formats.forms import Expected, Forms
from connectors.formats.reading import ArrivalReader
from connectors.formats.worker import Worker
from hub.contracts.answer import UNREAD, Answer, Wish
from hub.contracts.batch import Batch, Header
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from hub.contracts.source import SAMPLE_BYTES, Arrival, Finding, Intake


class FolderSource:
    """One feed's files in a folder. `known` are the item's headings, normalised; a relative path is below `home`.

    A file is claimed by renaming it into `processing/<feed>/`; what a crash left there is offered again first.
    """

    def __init__(
        self,
        config: FolderConfig,
        read: FolderRead,
        *,
        feed: str,
        item: str,
        known: frozenset[str],
        intake: Intake,
        home: Path,
        batch_rows: int = ROWS,
        clock: Callable[[], float] = time.time,
        rescan: float = RESCAN,
    ) -> None:
        self.feed = feed
        self.item = item
        self._read = read
        self._intake = intake
        self._clock = clock
        self._drop = Drop(home / config.path, feed, read, clock)
        self._worker = Worker(f"folder-{feed}")
        self._reader = ArrivalReader(Forms(read, Expected(item, feed.partition(".")[0], known)), intake, self._worker, batch_rows)
        self._answers = config.answers
        self._watch = Watch(self._drop.root, OURS, rescan)

    @property
    def oddities(self) -> dict[str, str]:
        """What lies in the folder under our names and is no regular file, each with the reason why it is left alone."""
        return self._drop.oddities

    @property
    def answers(self) -> Wish:
        """For which files the agency gets receipts."""
        return wish(self._answers)

    async def answer(self, answer: Answer) -> None:
        """Leave receipt and error workbook in `ack/` and `err/`."""
        await self._worker.do(leave, answer, Beside(self._drop.root))

    @property
    def listening(self) -> bool:
        """Whether a change in the folder wakes it; if not, it scans at regular times only."""
        return self._watch.listening

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Everything that is complete, oldest file first; being resumed means that the batch is settled."""
        waiting: list[Claim | Found] = [*await self._worker.do(self._drop.claims), *await self._worker.do(self._drop.finished)]
        for found in waiting:
            claim = found if isinstance(found, Claim) else await self._worker.do(self._drop.claim, found)
            arrival = await self._receive(claim) if claim is not None else None
            if claim is None or arrival is None:
                continue
            try:
                arrival = await self._open(claim, arrival)
                async with aclosing(self._reader.batches(arrival)) as batches:
                    async for batch in batches:
                        yield batch
            except Rejected as error:  # found by the reader, or thrown in by whoever reads the batches
                await self._refuse(claim, arrival, error)
            else:
                await self._intake.finished(arrival)
                await self._worker.do(self._drop.put_done, claim, self._now())

    def ahead(self, header: Header, rows: int) -> AsyncIterator[Batch]:
        """Batches of the first `rows` rows from the batch of `header` on."""
        return self._reader.ahead(header, rows)

    async def again(self, header: Header, cut: dict[str, Any]) -> Batch:
        """The very same batch again, from landing."""
        return await self._reader.again(header, cut)

    async def wake(self) -> None:
        """Return when the folder changed, or when a scan is due; at once the first time, for what came while nobody listened."""
        heard = self._watch.listening
        await self._worker.do(self._drop.make)
        await self._worker.do(self._watch.start, asyncio.get_running_loop())
        if heard or not self._watch.listening:
            await self._watch.wait()

    async def next_ready(self) -> float | None:
        """Seconds until a file that lies there may be complete."""
        return await self._worker.do(self._drop.next_ready)

    async def probe(self) -> AsyncGenerator[Finding, None]:
        """Whether the folder is there and may be used, and what waits in it; nothing is taken or created."""
        try:
            waiting = await self._worker.do(self._drop.look)
        except (Misconfigured, Unavailable) as error:
            yield Finding("reach", fine=False, said=error.message, hint=error.hint)
            return
        yield Finding("reach", fine=True, said=f"{self._drop.root} can be read and written")
        said = f"{len(waiting)} files wait, {sum(f.waits <= 0 for f in waiting)} of them complete"
        yield Finding("sample", fine=True, said=said, hint="" if waiting else f"send a file called like {self._read.files}")

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """The oldest file that lies there, complete or not."""
        waiting = sorted(await self._worker.do(self._drop.look), key=lambda f: (f.waits > 0, f.look[2], f.path))
        if not waiting:
            raise Unavailable("no file waits", hint=f"send a file called like {self._read.files}")
        return await self._worker.do(self._drop.peek, waiting[0], SAMPLE_BYTES)

    async def close(self) -> None:
        """Stop listening and let the threads go."""
        await self._worker.do(self._watch.stop)
        self._worker.close()

    async def _receive(self, claim: Claim) -> Arrival | None:
        """The numbered arrival of a claimed file; None when there is nothing to read and it was put away."""
        if claim.size > self._read.max_size:
            await self._refuse_unread(claim)
            return None
        arrival = await self._intake.receive(claim.name, claim.data, evidence=claim.evidence())
        if arrival.refused:
            await self._worker.do(self._drop.put_refused, claim, _by_a_person(arrival))
        elif not await self._worker.do(claim.unchanged):
            changed = Rejected("the file changed while it was being read", hint="write under a temporary name and rename, or send a marker last", code="F009")
            await self._intake.refused(arrival, changed)
            await self._worker.do(self._drop.give_back, claim)
        elif arrival.duplicate or arrival.finished:
            await self._worker.do(self._drop.put_done, claim, self._now())
        else:
            return arrival
        return None

    async def _open(self, claim: Claim, arrival: Arrival) -> Arrival:
        if self._read.ready.manifest is None:
            return await self._reader.open(arrival)
        manifest = await self._worker.do(claim.manifest)
        await self._worker.do(manifest.check, lambda: claim.data.open("rb"), arrival.size, arrival.landed)
        return await self._reader.open(arrival, manifest.rows)

    async def _refuse(self, claim: Claim, arrival: Arrival, error: Rejected) -> None:
        await self._intake.refused(arrival, error)
        await self._worker.do(self._drop.put_refused, claim, error)

    async def _refuse_unread(self, claim: Claim) -> None:
        """A file that is too large is not landed: a note in its place gives it a number and a line in the ledger."""
        error = Rejected(f"{claim.size} bytes, more than {self._read.max_size}", hint="raise `max_size`, or ask for several files", code="F003")
        note = await self._intake.receive(claim.name, f"{claim.name}: {error.message}\n".encode(), evidence={UNREAD: claim.size})
        await self._refuse(claim, note, error)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock())


def _by_a_person(arrival: Arrival) -> Rejected:
    """The page for the agency, in the words of the person who decided."""
    return Rejected(arrival.reason or "refused by a person", hint="send a corrected file under any name", code="held")
