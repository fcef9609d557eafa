"""From a landed arrival to batches: found once how it is cut, resumed where it was settled, cut the same way again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, BinaryIO

from connectors.formats.csv import Block, Cut
from connectors.formats.cut import cut_of_plain
from connectors.formats.forms import Forms
from connectors.formats.plain import Document, Former, Plain, heading_line, widened
from connectors.formats.worker import Worker
from hub.contracts.batch import LINE, ORDINAL, Batch, Header
from hub.contracts.denied import denied_among
from hub.contracts.errors import Rejected
from hub.contracts.source import Arrival, Intake, Landed

Examine = Callable[[BinaryIO, int], Cut]
"""Finds how a document is cut, from its stream and size; blocking."""


class ArrivalReader:
    """Reads arrivals of one feed from landing. `batch_rows` bounds the lines of a batch. Raises `Rejected` (F-codes) for a whole arrival.

    `examine` is given where all documents of the feed are delimited text whose cut need not be guessed. Columns that may not be collected are left out here,
    whatever source it is: no step sees them, and no row that is set aside holds them.
    """

    def __init__(self, forms: Forms, intake: Intake, worker: Worker, batch_rows: int, examine: Examine | None = None) -> None:
        self._forms = forms
        self._reader = forms.csv
        self._intake = intake
        self._worker = worker
        self._rows = batch_rows
        self._look = examine
        self._cuts: dict[str, Cut] = {}  # of the arrival being read

    async def open(self, arrival: Arrival, rows: int | None = None) -> Arrival:
        """The arrival with its cut kept. `rows` is the sender's own count: another count refuses the arrival (F009) before anything of it is offered."""
        cut = Cut.from_wire(arrival.cut) if arrival.cut else await self._worker.do(self._examine, arrival)
        self._cuts = {cut.plain or arrival.landed: cut}
        if arrival.cut:
            return arrival
        if rows is not None and (found := await self._worker.do(self._count, cut.plain or arrival.landed, cut)) != rows:
            raise Rejected(f"the manifest announces {rows} rows, the file has {found}", hint="ask the agency to send file and manifest again", code="F009")
        if banned := denied_among(cut.names, self._forms.known):
            cut = replace(cut, found=cut.found | {"denied": list(banned)})
        return await self._intake.keep_cut(arrival, cut.to_wire())

    async def batches(self, arrival: Arrival) -> AsyncGenerator[Batch, None]:
        """Batches from the first row that is not settled; the next block is cut while this one is in work."""
        stream, blocks = await self._worker.do(self._begin, arrival)
        following = self._worker.start(self._next, arrival, blocks)
        try:
            while (batch := await self._worker.end(following)) is not None:
                following = self._worker.start(self._next, arrival, blocks)
                yield batch
                del batch
        finally:
            await asyncio.wait([following])
            if not following.cancelled():
                following.exception()  # reported by the loop above, or moot because nobody reads on
            stream.close()

    def _next(self, arrival: Arrival, blocks: Iterator[Block]) -> Batch | None:
        """The next block as a batch, without its raw bytes: it may be in work for long."""
        block = next(blocks, None)
        return None if block is None else self._batch(arrival, block)

    async def ahead(self, header: Header, rows: int) -> AsyncGenerator[Batch, None]:
        """Batches of at least `rows` rows (or all there are) from the batch of `header` on, for testing limits before anything is published."""
        cut = self._cuts.get(header.origin.landed)
        if cut is None:
            raise Rejected(f"arrival {header.arrival} was not opened", hint="report this; nothing is lost")
        arrival = replace(_arrival(header), cut=cut.to_wire(), settled=header.first, resume_at=header.origin.start)
        async with aclosing(self.batches(arrival)) as batches:
            async for batch in batches:
                yield batch
                rows -= batch.header.rows
                if rows <= 0:
                    return

    async def again(self, header: Header, cut: Mapping[str, Any]) -> Batch:
        """The very same batch, with its id made anew from the bytes."""
        block = await self._worker.do(self._block, header, Cut.from_wire(cut))
        batch = self._batch(_arrival(header), block)
        return replace(batch, header=replace(header, batch_id=batch.header.batch_id, rows=block.rows))

    def _batch(self, arrival: Arrival, block: Block) -> Batch:
        place = {"first": block.first, "rows": block.rows, "start": block.start, "end": block.end, "line": block.line}
        landed = str(arrival.cut.get("plain") or arrival.landed)
        header = self._intake.header(replace(arrival, landed=landed), **place, raw=block.raw, seen=block.seen)
        banned = denied_among((name for name in block.frame.columns if name not in (ORDINAL, LINE)), self._forms.known)
        return Batch(header, block.frame.drop(banned) if banned else block.frame, block.refused, block.filtered)

    def _examine(self, arrival: Arrival) -> Cut:
        with self._intake.open(arrival.landed) as stream:
            if self._look is not None:
                return self._look(stream, arrival.size)
            document = Document(stream, arrival.size, arrival.name)
            former = self._forms.former(document)
            stream.seek(0)
            return self._reader.examine(stream, arrival.size) if former is None else self._formed(former, document)

    def _formed(self, former: Former, document: Document) -> Cut:
        """Make the document's plain form and land it."""
        plain, landed = widened(lambda titles: self._land(former, document, titles))
        if not plain.rows:
            hint = "an empty delivery needs no file; otherwise ask the agency to send it again"
            raise Rejected("the document has no data row", hint=hint, code="F005")
        return cut_of_plain(plain.form, plain.titles, self._forms.known, landed, len(heading_line(plain.titles)), plain.evidence)

    def _land(self, former: Former, document: Document, titles: tuple[str, ...]) -> tuple[Plain, Landed]:
        document.stream.seek(0)
        writer = self._intake.writer()
        try:
            pieces = former.convert(document, titles)
            while True:
                try:
                    writer.write(next(pieces))
                except StopIteration as ended:
                    plain: Plain = ended.value
                    return plain, writer.commit()
        finally:
            writer.abort()

    def _count(self, landed: str, cut: Cut) -> int:
        with self._intake.open(landed) as stream:
            return self._reader.count(stream, cut)

    def _begin(self, arrival: Arrival) -> tuple[BinaryIO, Iterator[Block]]:
        cut = Cut.from_wire(arrival.cut)
        stream = self._intake.open(cut.plain or arrival.landed)
        start = arrival.resume_at if arrival.settled else cut.start
        line = self._reader.line_at(stream, cut, start)
        recognise = self._intake.recognise(arrival)
        return stream, self._reader.blocks(stream, cut, start=start, line=line, first=arrival.settled, rows=self._rows, recognise=recognise)

    def _block(self, header: Header, cut: Cut) -> Block:
        with self._intake.open(header.origin.landed) as stream:
            return self._reader.block(stream, cut, start=header.origin.start, end=header.origin.end, line=header.origin.line, first=header.first)


def _arrival(header: Header) -> Arrival:
    return Arrival(header.feed, header.item, header.arrival, header.origin.name, header.origin.landed, 0, generation=header.generation)
