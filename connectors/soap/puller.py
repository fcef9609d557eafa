"""Pulls the records of one feed from a SOAP service: in one call, page by page, or one call for each key."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.formats.destination import Resolve
from connectors.formats.pace import ZONE, Surroundings
from connectors.formats.pulling import Harvest, Pulled, PullSource, json_lines
from connectors.formats.worker import Worker
from connectors.soap.answers import Row, rows_at, text_at
from connectors.soap.calling import Caller
from connectors.soap.judging import Heard
from connectors.soap.settings import Since, SoapConfig, SoapRead
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable
from hub.contracts.source import SAMPLE_BYTES, Finding, Intake, Source

_MOST_PAGES = 20_000
_MOST_KEYS = 100_000
_MOST_NAMED = 500  # answers that the evidence names
_HINT = "the pull begins again at the same place; if it stays so, ask the agency"


def soap_source(config: SoapConfig, read: SoapRead, *, feed: str, item: str, known: frozenset[str], intake: Intake, home: Path, batch_rows: int) -> Source:
    """The source of one feed."""
    return PullSource(SoapPuller(config, read, home), feed=feed, item=item, known=known, intake=intake, batch_rows=batch_rows)


class SoapPuller:
    """One feed's questions to one service. Returns from `pull` only when totals agree and no page came twice."""

    def __init__(self, config: SoapConfig, read: SoapRead, home: Path, *, world: Surroundings | None = None, resolve: Resolve | None = None) -> None:
        self._world = world or Surroundings()
        self._read = read
        self._home = home
        self._concurrency = config.concurrency
        self._has_login = config.login is not None
        self._files = Worker("soap-keys", 1)
        self._caller = Caller(config, read, home, world=self._world, resolve=resolve)

    async def pull(self, after: Any, harvest: Harvest) -> Pulled:
        """Fetch one window of time, or everything."""
        times, cursor, more = self._window(after)
        gathered = _Gathered(harvest)
        if self._read.each is not None:
            await self._each(times, gathered)
        else:
            async for rows, _, heard in self._pages(times):
                await gathered.take(rows, heard)
        return Pulled(cursor, gathered.evidence() | times, more)

    async def probe(self) -> AsyncGenerator[Finding, None]:
        """Reach the address, log in, look for the operation, ask once."""
        layer: Any = "shape"
        try:
            client = await self._caller.door.open()
            layer = "reach"
            await client.ask("GET", client.settings.url, accept=range(200, 600))
            yield Finding("reach", fine=True, said=f"{client.name} answers")
            layer = "authenticate"
            await self._caller.authenticated()
            yield Finding("authenticate", fine=True, said="it gave a token" if self._has_login else "no login is configured")
            layer = "shape"
            if self._read.operation not in self._caller.door.operations:
                raise Misconfigured(
                    f"the WSDL describes no operation {self._read.operation}", hint=f"it has {', '.join(sorted(self._caller.door.operations)[:20])}"
                )
            yield Finding("shape", fine=True, said=f"the WSDL describes {self._read.operation}")
            layer = "sample"
            rows = await self._first()
            yield Finding("sample", fine=True, said=f"{len(rows)} records with {len({name for row in rows for name in row})} fields")
        except HubError as error:
            yield Finding(layer, fine=False, said=error.message, hint=error.hint)

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """The first records that it gives."""
        found = (await self._first())[:rows]
        document = json_lines(found)
        while len(document) > SAMPLE_BYTES:
            found = found[: len(found) // 2]
            document = json_lines(found)
        if not found:
            raise Unavailable("it has no record at present", hint="try again when there is one")
        return f"{self._read.operation}.jsonl", document

    async def close(self) -> None:
        """Close connections and threads."""
        await self._caller.close()
        self._files.close()

    async def _first(self) -> list[Row]:
        """The records of one call."""
        times, _, _ = self._window(None)
        if self._read.each is not None:
            key = next(await self._keys(), None)
            return [] if key is None else self._rows(await self._asked(times | {"key": key}))
        async for rows, _, _ in self._pages(times):
            return rows
        return []

    async def _asked(self, values: Mapping[str, str]) -> Heard:
        """One answer; what can never be answered needs a person, for there is no other key to go on with."""
        try:
            return await self._caller.call(values)
        except Rejected as error:
            raise Misconfigured(error.message, hint=error.hint) from error

    def _rows(self, heard: Heard) -> list[Row]:
        if heard.nothing:
            return []
        found = rows_at(heard.told.tree, self._read.rows)
        if found is None:
            raise Misconfigured(f"the answer has nothing at {self._read.rows}", hint="has the agency changed its answers? Correct `rows`")
        return found

    def _total(self, heard: Heard) -> int | None:
        if self._read.total is None or heard.nothing:
            return None
        text = (text_at(heard.told.tree, self._read.total) or "").strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 12):
            raise Misconfigured(f"the answer has no number at {self._read.total}", hint="correct `total`")
        return int(text)

    async def _pages(self, times: Mapping[str, str]) -> AsyncIterator[tuple[list[Row], int | None, Heard]]:
        """Pages in order, until the total is there, or one is short."""
        paging = self._read.page
        size = paging.size if paging else 0
        seen: set[bytes] = set()
        count, before = 0, None
        for number in range(_MOST_PAGES if paging else 1):
            place = {"page": str(paging.first + number), "offset": str(number * size), "size": str(size)} if paging else {}
            heard = await self._asked({**times, **place})
            rows, total = self._rows(heard), self._total(heard)
            count += len(rows)
            if number and total != before:
                raise Unavailable("the total changed between two pages", hint=_HINT)
            if rows and (digest := _digest(rows)) in seen:
                raise Unavailable("the same page came twice", hint=f"does {{page}} stand where the agency expects it? {_HINT}")
            elif rows:
                seen.add(digest)
            self._count(count, total, last=not rows or paging is None)
            before = total
            yield rows, total, heard
            if paging is None or count == total or not rows or (total is None and len(rows) < size):
                return
        raise Misconfigured(f"there are more than {_MOST_PAGES:,} pages", hint="ask for larger pages, or for less time with `since`")

    def _count(self, count: int, total: int | None, *, last: bool) -> None:
        if total is not None and (count > total or (last and count < total)):
            raise Unavailable(f"{total} records were announced and {count} came", hint=_HINT)

    async def _each(self, times: Mapping[str, str], gathered: _Gathered) -> None:
        """One call for each key, a few at the same time; the records keep the order of the keys."""
        keys = await self._keys()
        waiting: list[asyncio.Task[tuple[list[Row], Heard | None]]] = []
        try:
            for key in keys:
                waiting.append(asyncio.create_task(self._one(times, key)))
                if len(waiting) >= self._concurrency:
                    await gathered.take(*await waiting[0])
                    waiting.pop(0)
            for task in waiting:
                await gathered.take(*await task)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _one(self, times: Mapping[str, str], key: str) -> tuple[list[Row], Heard | None]:
        """The records of one key; none where the other side says that this key cannot be answered."""
        column = self._read.each.column if self._read.each else None
        try:
            heard = await self._caller.call({**times, "key": key})
        except Rejected:
            return [], None  # counted as refused
        rows = self._rows(heard)
        return [{column: key, **row} for row in rows] if column else rows, heard

    async def _keys(self) -> Iterator[str]:
        each = self._read.each
        assert each is not None
        if each.file is not None:
            return iter(await self._files.do(_read_keys, self._home / each.file))
        if each.start is not None and each.end is not None:
            return (str(number).zfill(each.width) for number in range(each.start, each.end + 1))
        return iter(each.keys)

    def _window(self, after: Any) -> tuple[dict[str, str], Any, bool]:
        """What to ask for, the cursor that follows, and whether there is more."""
        since = self._read.since
        if since is None:
            return {}, None, False
        now = self._world.now().astimezone(ZONE).replace(tzinfo=None, microsecond=0)
        begin = datetime.fromisoformat(after["until"]) if after else _start(since)
        end = now if since.window is None else min(now, begin + since.window)
        asked = begin - (since.overlap if after else timedelta(0))
        times = {"since": asked.strftime(since.format), "until": end.strftime(since.format)}
        return times, {"until": end.isoformat()}, end < now


class _Gathered:
    """What a pull has got so far: rows in the harvest, answers as evidence."""

    def __init__(self, harvest: Harvest) -> None:
        self._harvest = harvest
        self._answers: list[str] = []
        self._charsets: Counter[str] = Counter()
        self._calls = 0
        self._refused = 0

    async def take(self, rows: list[Row], heard: Heard | None) -> None:
        """One more answer."""
        self._calls += 1
        if heard is None:
            self._refused += 1
            return
        self._charsets[heard.charset] += 1
        digest = await self._harvest.keep(heard.body)
        if len(self._answers) < _MOST_NAMED:
            self._answers.append(digest)
        await self._harvest.add(rows)

    def evidence(self) -> dict[str, Any]:
        """What is kept with the arrival."""
        return {"calls": self._calls, "refused": self._refused, "charsets": dict(self._charsets), "answers": self._answers}


def _start(since: Since) -> datetime:
    start = since.start if isinstance(since.start, datetime) else datetime(since.start.year, since.start.month, since.start.day)
    return start.astimezone(ZONE).replace(tzinfo=None) if start.tzinfo else start


def _digest(rows: list[Row]) -> bytes:
    return hashlib.sha256(json_lines(rows)).digest()


def _read_keys(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(8 << 20)
        keys = [line.strip() for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the file of keys {path.name} cannot be read", hint="a text in UTF-8 with a key in each line, below HOME") from error
    if not 0 < len(keys) <= _MOST_KEYS or len(content) == 8 << 20:
        raise Misconfigured(f"the file of keys {path.name} has {len(keys):,} keys", hint=f"from 1 to {_MOST_KEYS:,}")
    return keys
