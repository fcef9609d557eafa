"""The source of a web bulletin: the whole list each time, entry by entry, in an order that does not depend on the page's."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

from connectors.formats.csv import ROWS
from connectors.formats.destination import Resolve
from connectors.formats.forms import Expected, Forms
from connectors.formats.http import Client
from connectors.formats.pace import Surroundings
from connectors.formats.pulling import Harvest, Pulled, PullSource, json_lines
from connectors.formats.worker import Worker
from connectors.web import layout
from connectors.web.detail import ENTRY, NO_TABLE, Detail, Gathered
from connectors.web.layout import Layout
from connectors.web.listing import Listed, Listing
from connectors.web.settings import WebConfig, WebRead
from connectors.web.tables import Cells
from connectors.web.visiting import Visit
from hub.contracts.errors import HubError, Misconfigured
from hub.contracts.source import SAMPLE_BYTES, Finding, Intake

_PAGES_TOLD = 1_000  # snapshots that the evidence of an arrival names
_ODD = 5  # one entry in so many may have no table before the site counts as changed
_SAMPLED = 20  # entries that a sample opens


class WebPuller:
    """Pulls the bulletin of one feed as a whole. What it has read before is asked for conditionally, and taken from landing where it is unchanged."""

    def __init__(
        self,
        config: WebConfig,
        read: WebRead,
        *,
        feed: str,
        item: str,
        known: frozenset[str],
        intake: Intake,
        world: Surroundings | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._config = config
        self._read = read
        self._known = known
        self._intake = intake
        self._worker = Worker(f"web-{feed}", 1)
        self._client = Client(config, world=world, resolve=resolve)
        self._listing = Listing(read.listing, known, self._worker)
        self._detail = Detail(read.detail, Forms(read, Expected(item, feed.partition(".")[0], known)), self._worker)

    async def pull(self, after: Any, harvest: Harvest) -> Pulled:
        """Every entry of the list. Raises `Misconfigured` where the site has changed: nothing then counts as gone."""
        visit = self._visit(harvest.keep)
        seen = Layout(self._known, await self._intake.recall(layout.NOTE), self._read.layout)
        await visit.begin()
        listed = await self._listing.entries(visit, seen)
        gathered = Gathered(self._known)
        for entry in listed.entries.values():
            await self._detail.gather(visit, entry, seen, gathered)
        _judge(gathered, len(listed.entries))
        seen.check()
        await harvest.add(_in_order(gathered.rows))
        await self._intake.remember(layout.NOTE, seen.note())
        await visit.end()
        return Pulled(evidence=_evidence(visit, listed, gathered, self._config))

    async def probe(self) -> AsyncGenerator[Finding, None]:
        """Site, permission, list and first entry; asks for a handful of addresses, and leaves nothing behind."""
        visit, seen, listed, gathered = (
            self._visit(),
            Layout(self._known, await self._intake.recall(layout.NOTE), self._read.layout),
            Listed(),
            Gathered(self._known),
        )
        layer: Literal["reach", "shape", "sample"] = "reach"
        try:
            await visit.begin()
            rules = f"robots.txt is ignored: {self._config.because}" if self._config.because else "robots.txt was read"
            yield Finding("reach", fine=True, said=f"{self._client.name} answers; {rules}")
            layer = "shape"
            async with aclosing(self._listing.pages(visit, listed, seen)) as pages:
                await anext(pages)
            yield Finding("authenticate", fine=True, said="the list is open to everybody")
            yield Finding("shape", fine=True, said=f"{len(listed.entries)} entries on the first page of the list")
            layer = "sample"
            await self._detail.gather(visit, next(iter(listed.entries.values())), seen, gathered)
            _judge(gathered, 1)
            seen.check()
            yield Finding("sample", fine=True, said=f"rows of the first entry: {len(gathered.rows)}, their headings: {len(gathered.rows[0])}")
        except HubError as error:
            yield Finding(layer, fine=False, said=error.message, hint=error.hint)

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """The first entries of the list, at most 20 of them opened."""
        visit, seen, listed, gathered = self._visit(), Layout(self._known, None, ""), Listed(), Gathered(self._known)
        await visit.begin()
        async with aclosing(self._listing.pages(visit, listed, seen)) as pages:
            await anext(pages)
        for entry in list(listed.entries.values())[: _SAMPLED if self._read.listing.link else rows]:
            if len(gathered.rows) < rows:
                await self._detail.gather(visit, entry, seen, gathered)
        _judge(gathered, len(listed.entries))
        lines = json_lines(_in_order(gathered.rows[:rows]))
        return "sample.jsonl", lines if len(lines) <= SAMPLE_BYTES else lines[: lines.rindex(b"\n", 0, SAMPLE_BYTES) + 1]

    async def close(self) -> None:
        """Close connections and the thread."""
        await self._client.close()
        self._worker.close()

    def _visit(self, keep: Any = None) -> Visit:
        return Visit(self._client, self._config, self._intake, self._worker, keep)


def web_source(
    config: WebConfig, read: WebRead, *, feed: str, item: str, known: frozenset[str], intake: Intake, home: Path, batch_rows: int = ROWS
) -> PullSource:
    """The source of one feed that reads a bulletin."""
    puller = WebPuller(config, read, feed=feed, item=item, known=known, intake=intake)
    return PullSource(puller, feed=feed, item=item, known=known | {ENTRY}, intake=intake, batch_rows=batch_rows)


def _judge(gathered: Gathered, entries: int) -> None:
    """A site whose entries cannot be read any more has changed; a few odd ones are set aside."""
    unread = sum(gathered.unread.values())
    if unread == len(gathered.rows) or gathered.unread[NO_TABLE] * _ODD > entries:
        reasons = "; ".join(f"{count} × {reason}" for reason, count in gathered.unread.most_common(3))
        hint = "look at the pages; their snapshots are in landing. When their new form is right, correct `detail` in the feed's `read`"
        raise Misconfigured(f"{unread} of {entries} entries could not be read: {reasons}", hint=hint)


def _in_order(rows: list[Cells]) -> list[Cells]:
    """Rows by entry and content, each with the same headings: another order on the page makes no other arrival."""
    titles = dict.fromkeys(title for row in rows for title in row)
    return sorted(({title: row.get(title) for title in sorted(titles)} for row in rows), key=lambda row: (row.get(ENTRY) or "", json.dumps(row)))


def _evidence(visit: Visit, listed: Listed, gathered: Gathered, config: WebConfig) -> dict[str, Any]:
    counts = {"entries": len(listed.entries), "repeated": listed.repeated, "passed_over": listed.passed, "list_pages": listed.pages}
    read = {"unread": dict(gathered.unread), "charset_conflicts": gathered.undeclared, "robots": config.because or "obeyed"}
    return {**counts, **read, "requests": len(visit.pages), "snapshots": visit.pages[:_PAGES_TOLD]}
