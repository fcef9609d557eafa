"""Reads each finished file of a folder on an SFTP server once, oldest first, and tidies it up there once its last row is settled."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.formats import manifest
from connectors.formats.answering import leave, wish
from connectors.formats.csv import ROWS
from connectors.formats.forms import Expected, Forms
from connectors.formats.reading import ArrivalReader
from connectors.formats.worker import Worker
from connectors.sftp.beside import Beside, names_of
from connectors.sftp.journal import Handled, Journal, digest_of
from connectors.sftp.landing import land
from connectors.sftp.listing import Found, Lister, Listing
from connectors.sftp.probing import probe, sample
from connectors.sftp.remote import Remote
from connectors.sftp.settings import SftpConfig, SftpRead
from connectors.sftp.tidying import Tidier
from hub.contracts.answer import UNREAD, Answer, Wish
from hub.contracts.batch import Batch, Header
from hub.contracts.errors import Rejected
from hub.contracts.source import Arrival, Finding, Intake, Landed

_WRONG_SIZES = 3  # times that a server may give other bytes than it lists, before the file is refused
_LOOK_AGAIN = 1.0  # seconds


class SftpSource:
    """One feed's files on an SFTP server. `known` are the item's headings, normalised.

    A file goes straight into landing. What became of it is written down before the hub counts it as finished, and then done on the server: a cut, a crash or
    a server that is away in between leaves work for the next look, and nothing is downloaded twice. A cut download goes on where it stopped, as long as this
    process lives; after a crash it begins anew.
    """

    def __init__(
        self,
        config: SftpConfig,
        read: SftpRead,
        *,
        feed: str,
        item: str,
        known: frozenset[str],
        intake: Intake,
        home: Path,
        batch_rows: int = ROWS,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.feed = feed
        self.item = item
        self._config = config
        self._read = read
        self._intake = intake
        self._clock = clock
        self._worker = Worker(f"sftp-{feed}")
        self._line = Worker(f"sftp-line-{feed}", 1)
        self._answering = Worker(f"sftp-answer-{feed}", 1)
        self._pause = pause
        self._remote = Remote(config, pause)
        self._lister = Lister(self._remote, read, clock)
        self._tidier = Tidier(self._remote, lambda: datetime.fromtimestamp(clock()), deletes=config.archive == "delete")
        self._journal = Journal(intake)
        self._reader = ArrivalReader(Forms(read, Expected(item, feed.partition(".")[0], known)), intake, self._worker, batch_rows)
        self._wrong: Counter[tuple[bytes, tuple[int, int]]] = Counter()
        self._ready_at: float | None = None

    @property
    def oddities(self) -> dict[str, str]:
        """What lies on the server under our names and is no regular file, each with the reason why it is left alone."""
        return self._lister.oddities

    @property
    def answers(self) -> Wish:
        """For which files the agency gets receipts; a server from which files are not taken away is not written to unasked."""
        asked = self._config.answers
        return wish(self._config.archive != "keep" if asked is None else asked)

    async def answer(self, answer: Answer) -> None:
        """Leave receipt and error workbook in `ack/` and `err/` on the server, beside whatever is being collected."""
        await self._answering.do(self._leave, answer)

    def _leave(self, answer: Answer) -> None:
        with closing(Beside(self._config, answer.evidence, self._pause)) as shelf:
            leave(answer, shelf)

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """First what was landed before, whatever the server does now; then everything that is complete there, oldest file first."""
        try:
            async with aclosing(self._arrivals()) as arrivals:
                async for arrival, handled in arrivals:
                    try:
                        opened = await self._open(arrival, handled)
                        async with aclosing(self._reader.batches(opened)) as batches:
                            async for batch in batches:
                                yield batch
                    except Rejected as error:  # found by the reader, or thrown in by whoever reads the batches
                        await self._refuse(arrival, handled, error)
                    else:
                        await self._settle(arrival, handled)
        finally:
            await self._line.do(self._remote.drop)

    def ahead(self, header: Header, rows: int) -> AsyncIterator[Batch]:
        """Batches of the first `rows` rows from the batch of `header` on."""
        return self._reader.ahead(header, rows)

    async def again(self, header: Header, cut: dict[str, Any]) -> Batch:
        """The very same batch again, from landing."""
        return await self._reader.again(header, cut)

    async def wake(self) -> None:
        """A server tells nobody that a file has come: it is looked at every so often."""
        await asyncio.sleep(self._config.every.total_seconds())

    async def next_ready(self) -> float | None:
        """Seconds until a file that the last look found unfinished may be complete."""
        return None if self._ready_at is None else max(0.0, self._ready_at - self._clock())

    def probe(self) -> AsyncGenerator[Finding, None]:
        """Whether the server can be reached and has its key, lets us in, shows the folder, and what waits in it."""
        return probe(self._config, self._read, self._line, self._clock)

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """The beginning of the oldest file that is meant, complete or not."""
        return await self._line.do(sample, self._config, self._read, self._clock)

    async def close(self) -> None:
        """End the connection and let the threads go."""
        await self._line.do(self._remote.drop)
        self._line.close()
        self._answering.close()
        self._worker.close()

    async def _arrivals(self) -> AsyncGenerator[tuple[Arrival, Handled | None], None]:
        """Everything to be read, each with what is known of its file; resumed when the one before is settled or refused."""
        for waiting in await self._landed():
            yield waiting
        for found in (await self._look()).complete:
            if (received := await self._receive(found)) is not None:
                yield received

    async def _landed(self) -> list[tuple[Arrival, Handled | None]]:
        """Arrivals that were landed and not finished. A file whose arrival is none of them any more was refused by a person."""
        waiting = {arrival.number: arrival for arrival in await self._intake.waiting()}
        handled = {one.arrival: one for one in (await self._journal.all()).values() if one.state == "reading"}
        for number in handled.keys() - waiting.keys():
            await self._journal.write(replace(handled.pop(number), state="refused"))
        pairs = [(arrival, handled.get(number)) for number, arrival in sorted(waiting.items())]
        # Without its note an arrival's manifest is unknown: it is left until the file has been seen again.
        return [(a, h) for a, h in pairs if h is not None or a.cut or self._read.ready.manifest is None]

    async def _look(self) -> Listing:
        """List the server, after what was left to do there is done."""
        for handled in list((await self._journal.all()).values()):
            if handled.state in ("settled", "refused"):
                await self._tidy(handled)
        known = await self._journal.all()
        listing = await self._line.do(self._lister.look, {path: one.look for path, one in known.items()})
        self._ready_at = min((self._clock() + found.waits for found in listing.pending), default=None)
        for handled in [one for path, one in known.items() if one.state == "kept" and listing.whole and listing.there.get(path) != one.look]:
            await self._journal.forget(handled)  # it has gone, or is another by now
        return listing

    async def _receive(self, found: Found) -> tuple[Arrival, Handled] | None:
        """Download a file and number it; None when there is nothing to read."""
        if found.look[0] > self._read.max_size:
            error = Rejected(f"{found.look[0]} bytes, more than {self._read.max_size}", hint="raise `max_size`, or ask for several files", code="F003")
            await self._refuse_unread(found, error)
            return None
        try:
            landed = await self._line.do(self._download, found)
        except Rejected as error:
            await self._changed(found, error)
            return None
        evidence = {"file": digest_of(found.path), "size": found.look[0], "mtime": found.look[1], **names_of(found.path)}
        arrival = await self._intake.receive(found.name, landed, evidence=evidence)
        handled = Handled.of(found, arrival.number)
        if arrival.refused:
            error_of = ("held", arrival.reason or "refused by a person", "send a corrected file under any name")
            await self._tidy(await self._journal.write(replace(handled, state="refused", error=error_of)))
        elif arrival.duplicate or arrival.finished:
            await self._tidy(await self._journal.write(replace(handled, state="settled")))
        else:
            return arrival, await self._journal.write(handled)
        return None

    def _download(self, found: Found) -> Landed:
        with closing(self._remote.read(self._remote.root + found.path, found.look)) as pieces:
            return land(pieces, self._intake.writer())

    async def _changed(self, found: Found, error: Rejected) -> None:
        """A file that changed while it was read is looked at again later; one that stays the same and is not what the server says is refused."""
        place = found.path, found.look
        self._wrong[place] += 1
        if self._wrong[place] >= _WRONG_SIZES:
            del self._wrong[place]
            await self._refuse_unread(found, error)
            return
        self._ready_at = min(self._ready_at or float("inf"), self._clock() + _LOOK_AGAIN)

    async def _refuse_unread(self, found: Found, error: Rejected) -> None:
        """A file that is not landed: a note in its place gives it a number and a line in the ledger."""
        note = await self._intake.receive(found.name, f"{found.name}: {error.message}\n".encode(), evidence={UNREAD: found.look[0], **names_of(found.path)})
        await self._refuse(note, Handled.of(found, note.number), error)

    async def _open(self, arrival: Arrival, handled: Handled | None) -> Arrival:
        if self._read.ready.manifest is None or handled is None or arrival.cut:
            return await self._reader.open(arrival)
        if handled.manifest is None:
            raise manifest.unreadable()
        await self._worker.do(handled.manifest.check, lambda: self._intake.open(arrival.landed), arrival.size, arrival.landed)
        return await self._reader.open(arrival, handled.manifest.rows)

    async def _settle(self, arrival: Arrival, handled: Handled | None) -> None:
        """What is to become of the file is written down before the hub counts it as finished."""
        if handled is not None:
            handled = await self._journal.write(replace(handled, state="settled"))
        await self._intake.finished(arrival)
        if handled is not None:
            await self._tidy(handled)

    async def _refuse(self, arrival: Arrival, handled: Handled | None, error: Rejected) -> None:
        if handled is not None:
            handled = await self._journal.write(replace(handled, state="refused", error=(error.code, error.message, error.hint)))
        await self._intake.refused(arrival, error)
        if handled is not None:
            await self._tidy(handled)

    async def _tidy(self, handled: Handled) -> None:
        """Do on the server what is left to do for a file. Where it goes is written down first, so that a lost reply is recognised."""
        if self._config.archive == "keep":
            await self._journal.write(replace(handled, state="kept"))
            return
        if handled.target is None:
            handled = await self._journal.write(replace(handled, target=await self._line.do(self._tidier.target, handled)))
        await self._line.do(self._tidier.put_away, handled)
        await self._journal.forget(handled)
