"""A file read as a feed would read it, whatever its form and the feed's kind, without touching landing, ledger or the other side."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from config.resolved import Feed
from config.secrets import Secrets
from connectors.formats.csv import Cut
from connectors.formats.pulling import json_lines
from connectors.formats.reading import ArrivalReader
from connectors.formats.worker import Worker
from connectors.memory import MemoryIntake
from connectors.registry import SOURCES
from hub.contracts.batch import Batch
from hub.contracts.errors import Misconfigured, Rejected
from hub.contracts.source import SAMPLE_BYTES, Landed
from routes.documents import RECORDED, forms_of

_FILE = "file"
_FOLDER = "folder"


class FileIntake(MemoryIntake):
    """An intake of one file, which stays where it is."""

    def __init__(self, feed: Feed, path: Path) -> None:
        super().__init__(feed.name, feed.item.code)
        self._path = path

    def open(self, landed: str) -> BinaryIO:
        """The file itself, or what was made of it."""
        return self._path.open("rb") if landed == _FILE else super().open(landed)


async def read(feed: Feed, path: Path, *, home: Path, rows: int) -> AsyncGenerator[tuple[Batch, Cut], None]:
    """Batches of at most `rows` rows, with the evidence of how the file is cut.

    A document of a kind that is pulled (a page, an answer) is read by that kind; what `record` wrote is read as it is. Raises `Rejected` with an F-code,
    `Misconfigured` where there is no such file, or nobody can read it.
    """
    if not path.is_file():
        raise Misconfigured(f"there is no file {path}", hint="name a file, or record one: run_hub.py record FEED")
    intake, worker = FileIntake(feed, path), Worker("trial", 1)
    try:
        name, landed = path.name, Landed(_FILE, path.stat().st_size)
        if (kind := SOURCES[feed.kind]).pages is not None and not name.endswith(RECORDED):
            content = await worker.do(_rows_of_page, feed, path)
            name, landed = f"{name}{RECORDED}", _kept(intake, content)
        elif kind.pulls and not name.endswith(RECORDED):
            raise Misconfigured(f"a feed of kind {feed.kind} reads what `record` wrote ({RECORDED})", hint=f"run_hub.py record {feed.name}")
        filled = replace(feed, read=Secrets(home / "secrets").fill(feed.read))
        reader = ArrivalReader(forms_of(filled, name), intake, worker, rows)
        arrival = await reader.open(await intake.receive(name, landed))
        async with aclosing(reader.batches(arrival)) as batches:
            async for batch in batches:
                yield batch, Cut.from_wire(arrival.cut)
    finally:
        worker.close()


def _rows_of_page(feed: Feed, path: Path) -> bytes:
    """The rows of one saved page as JSON Lines."""
    pages = SOURCES[feed.kind].pages
    assert pages is not None, "the caller has looked"
    if path.stat().st_size > SAMPLE_BYTES:
        raise Rejected(f"a page of more than {SAMPLE_BYTES >> 20} MiB", hint="give a smaller one", code="F003")
    return json_lines(pages(feed.source_config, feed.read, path.read_bytes()))


def _kept(intake: FileIntake, content: bytes) -> Landed:
    writer = intake.writer()
    writer.write(content)
    return writer.commit()
