"""A document read as a feed reads it, and nothing kept: for checks of live connections, recordings and previews."""

from __future__ import annotations

import difflib
from collections.abc import AsyncGenerator
from contextlib import aclosing

from config.resolved import Feed, HubConfig
from connectors.formats.forms import Expected, FileFormat, Forms
from connectors.formats.json import JsonFormat
from connectors.formats.reading import ArrivalReader
from connectors.formats.worker import Worker
from connectors.memory import MemoryIntake
from hub.contracts.batch import Batch
from hub.contracts.errors import Misconfigured
from hub.contracts.keys import KeyRing
from hub.contracts.source import SAMPLE_BYTES
from routes.city import known_headings


def feed_of(hub: HubConfig, name: str) -> Feed:
    """A feed by its name. Raises `Misconfigured` with the nearest name."""
    if name not in hub.feeds:
        near = difflib.get_close_matches(name, list(hub.feeds), n=1, cutoff=0.3)
        raise Misconfigured(f"there is no feed {name!r}", hint=f"did you mean {near[0]}?" if near else "`run_hub.py status` names them all")
    return hub.feeds[name]


TRIAL_KEYS = KeyRing("0" * 64, {"t1": bytes(32)})
"""Hashes made with this ring are never kept."""

RECORDED = ".jsonl"
"""Ending of the rows that a pull keeps and `record` writes: JSON Lines of cells as the other side wrote them, whatever form the feed's documents have."""


def forms_of(feed: Feed, name: str) -> Forms:
    """How a document of the feed is read."""
    recorded = name.endswith(RECORDED) or not isinstance(feed.read, FileFormat)
    options = FileFormat.model_validate({"json": JsonFormat()}) if recorded else feed.read
    assert isinstance(options, FileFormat), "feeds without one are pulled"
    return Forms(options, Expected(feed.item.code, feed.agency, known_headings(feed)))


async def batches_of(feed: Feed, name: str, content: bytes, *, rows: int) -> AsyncGenerator[Batch, None]:
    """Batches of at most `rows` rows. A sample that was cut off ends at its last whole line. Raises `Rejected` with an F-code."""
    intake, worker = MemoryIntake(feed.name, feed.item.code), Worker("look", 1)
    if len(content) == SAMPLE_BYTES and b"\n" in content:
        content = content[: content.rindex(b"\n") + 1]
    try:
        reader = ArrivalReader(forms_of(feed, name), intake, worker, rows)
        arrival = await reader.open(await intake.receive(name, content))
        async with aclosing(reader.batches(arrival)) as batches:
            async for batch in batches:
                yield batch
    finally:
        worker.close()
