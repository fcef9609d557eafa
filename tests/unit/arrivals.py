"""One document read from arrival to batches, as any source reads it, with nothing but memory behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from connectors.formats.forms import Expected, FileFormat, Forms
from connectors.formats.reading import ArrivalReader
from connectors.formats.worker import Worker
from connectors.memory import MemoryIntake
from hub.contracts.batch import LINE, ORDINAL, RAW, Batch
from hub.contracts.errors import Rejected
from hub.contracts.headings import normalise_heading

TITLES = ("统一社会信用代码", "企业名称", "决定日期")
KNOWN = frozenset(map(normalise_heading, TITLES))


@dataclass(frozen=True)
class Read:
    """What became of a document."""

    cut: dict[str, Any]
    batches: list[Batch]

    @property
    def frame(self) -> pl.DataFrame:
        """Every row that could be read, with its ordinal."""
        return pl.concat([batch.frame for batch in self.batches]).drop(LINE)

    @property
    def rows(self) -> list[tuple[str | None, ...]]:
        """The same without ordinals."""
        return self.frame.drop(ORDINAL).rows()

    @property
    def places(self) -> list[int]:
        """Where people find the rows in their document."""
        return [place for batch in self.batches for place in batch.frame[LINE].to_list()]

    @property
    def unread(self) -> list[tuple[int, str]]:
        """Place and text of what could not be read."""
        return [row for batch in self.batches if batch.refused.height for row in batch.refused.select("line", RAW).rows()]


async def read(content: bytes, name: str = "document", *, known: frozenset[str] = KNOWN, rows: int = 50_000, **options: Any) -> Read:
    """Read it under a feed's words. Raises what the reader raises."""
    intake, worker = MemoryIntake(), Worker("test", 1)
    try:
        forms = Forms(FileFormat.model_validate(options), Expected("A0001-F08-01", "A0001", known))
        reader = ArrivalReader(forms, intake, worker, rows)
        arrival = await reader.open(await intake.receive(name, content))
        return Read(arrival.cut, [batch async for batch in reader.batches(arrival)])
    finally:
        worker.close()


async def refusal(content: bytes, name: str = "document", **options: Any) -> Rejected:
    """The error by which it is refused as a whole."""
    try:
        found = await read(content, name, **options)
    except Rejected as error:
        return error
    raise AssertionError(f"it was read: {found.cut}")
