"""Asks a REST interface for what is new: signed, page by page, checked, with every answer kept as evidence."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from connectors.formats.csv import ROWS
from connectors.formats.destination import Resolve
from connectors.formats.http import Answer, Client
from connectors.formats.pace import Surroundings
from connectors.formats.pulling import Harvest, Pulled, PullSource, json_lines
from connectors.formats.worker import Worker
from connectors.rest.answers import Cells, Expired, Page, Reader
from connectors.rest.auth import Request, make_auth
from connectors.rest.json_path import nested
from connectors.rest.paging import Moved, Step, Walk
from connectors.rest.progress import Progress, progress_of
from connectors.rest.settings import RestConfig, RestRead
from hub.contracts.errors import HubError, Misconfigured, Unavailable
from hub.contracts.headings import normalise_heading
from hub.contracts.source import SAMPLE_BYTES, Finding, Intake

PART_ROWS = 50_000
PART_PAGES = 200
_BEGUN = 3  # times that a part is read before its moving is given up on
_DIGESTS = 1_000
_SKEW = 60.0  # seconds between their clock and ours that are worth a word
_ANY = range(200, 600)


class RestPuller:
    """The `Puller` of one feed. `known` are the item's headings, normalised."""

    def __init__(self, config: RestConfig, read: RestRead, known: frozenset[str], *, world: Surroundings | None = None, resolve: Resolve | None = None) -> None:
        self._config = config
        self._read = read
        self._known = known
        self._client = Client(config, world=world, resolve=resolve)
        self._now = self._client.world.now
        self._auth = make_auth(config, self._client)
        self._reader = Reader(read, known, self._client.name)
        self._worker = Worker("rest", 1)  # reading a large answer would hold up everybody else

    async def pull(self, after: Any, harvest: Harvest) -> Pulled:
        """One part: all of the list, or what is new, at most 50,000 rows or 200 pages at a time where it can go on from there."""
        reason = ""
        for _ in range(_BEGUN):
            try:
                return await self._part(after, harvest)
            except Moved as moved:
                reason = moved.message
                await harvest.begin_again()
        hint = "tried again by the schedule; is it read while the agency writes it? choose quieter hours, or `window`"
        raise Unavailable(f"{self._client.name}: {reason}; the list was read {_BEGUN} times", hint=hint)

    async def _part(self, after: Any, harvest: Harvest) -> Pulled:
        started = self._now()
        progress = progress_of(self._read, after, self._now)
        walk = Walk(self._read, partial(self._page, progress.params()), width=self._config.concurrency, last_id=progress.last_id)
        kept: list[str] = []
        encodings: dict[str, None] = {}
        async with aclosing(walk.pages()) as pages:
            async for page in pages:
                kept.append(await harvest.keep(page.raw))
                encodings[page.encoding] = None
                await harvest.add(page.rows)
                progress.take(page.rows)
                if harvest.rows > self._read.most:
                    raise Misconfigured(
                        f"{self._client.name} has more than {self._read.most:,} rows", hint="read in parts with `since` or `window`, or raise `most`"
                    )
                if progress.may_stop() and (harvest.rows >= PART_ROWS or walk.count >= PART_PAGES):
                    break
        evidence: dict[str, Any] = {"pages": walk.count, "total": walk.total, "digests": kept[:_DIGESTS], "encodings": list(encodings)}
        evidence |= {"asked": self._client.name, "started": _stamp(started), "ended": _stamp(self._now())}
        return Pulled(progress.cursor(walk.done), evidence, progress.more(walk.done))

    async def _page(self, extra: Mapping[str, str], step: Step) -> Page:
        """One page; a token that has ended is fetched anew, once."""
        for last in (False, True):
            answer, version = await self._asked({**extra, **step.params}, step.url)
            refused = answer.status in (401, 403)
            with suppress(Expired):
                if not refused:
                    return await self._worker.do(self._reader.page, answer)
            if last or not self._auth.forget(version):
                raise self._refusal(answer, refused=refused)
        raise AssertionError("the second time returns or raises")

    async def _asked(self, values: Mapping[str, str], url: str) -> tuple[Answer, int]:
        """The answer to one request, and the version of the token that signed it."""
        request = self._request(values, url)
        version = 0

        async def signed() -> tuple[Mapping[str, str], Mapping[str, str]]:
            nonlocal version
            made = await self._auth.sign(request)
            version = self._auth.version
            return made.params, made.headers

        data = request.body if self._read.method == "POST" else None
        answer = await self._client.ask(self._read.method, url or self._read.path, data=data, accept=(401, 403), again=True, signed=signed)
        return answer, version

    def _request(self, values: Mapping[str, str], url: str) -> Request:
        read = self._read
        place = urlsplit(self._client.address(url or read.path)).path
        headers = {"accept": "application/json"} | self._config.headers
        if read.method == "GET":
            return Request("GET", place, {} if url else {**read.params, **values}, headers)
        members = {**read.body, **values}
        kind = "application/x-www-form-urlencoded" if read.form else "application/json; charset=utf-8"
        body = urlencode(members) if read.form else json.dumps(nested(members), ensure_ascii=False, separators=(",", ":"))
        return Request("POST", place, {} if url else read.params, headers | {"content-type": kind}, body.encode())

    def _refusal(self, answer: Answer, *, refused: bool) -> HubError:
        """Why we are not let in; clocks that differ are a usual reason."""
        skew = self._skew(answer)
        said = f"{self._client.name} answered {answer.status}: it does not let us in" if refused else f"{self._client.name} calls a fresh token expired"
        hint = "check the credentials, and whether our address is on its white list"
        if abs(skew) > _SKEW:
            hint = f"their clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours, and signatures hold the time: set the clocks (NTP)"
        return Misconfigured(said, hint=hint)

    def _skew(self, answer: Answer) -> float:
        """Seconds by which the other side's clock is ahead of ours, as far as its Date header tells."""
        try:
            return (parsedate_to_datetime(answer.header("date")) - self._now()).total_seconds()
        except (ValueError, TypeError):
            return 0.0

    async def probe(self) -> AsyncGenerator[Finding, None]:
        """Reach, authenticate, shape, sample; one small request each."""
        try:
            answer = await self._client.ask("HEAD", self._read.path, accept=_ANY, most_bytes=1 << 16)
        except HubError as error:
            yield Finding("reach", False, error.message, error.hint)
            return
        yield Finding("reach", True, f"{self._client.name} answers ({answer.status})")
        progress = self._latest()
        try:
            walk = Walk(self._read, partial(self._page, progress.params()), last_id=progress.last_id)
            answer, _ = await self._asked({**progress.params(), **walk.first().params}, "")
            if answer.status in (401, 403):
                raise self._refusal(answer, refused=True)
        except HubError as error:
            yield Finding("authenticate", False, error.message, error.hint)
            return
        yield Finding("authenticate", True, "it lets us in")
        try:
            page = await self._first()
        except HubError as error:
            yield Finding("shape", False, error.message, error.hint)
            return
        columns = {name for row in page.rows for name in row}
        matched = [name for name in columns if normalise_heading(name) in self._known]
        where = f"rows at `{page.rows_at}`" if page.rows_at else "rows found"
        fine = bool(matched) or not page.rows
        yield Finding("shape", fine, f"{where}, {len(matched)} of {len(columns)} columns known", "" if fine else "map the columns, or correct `rows`")
        if fine:
            yield Finding("sample", True, f"{len(page.rows)} rows on the first page" + ("" if page.total is None else f", {page.total} in all"))

    async def _first(self) -> Page:
        """The first page of the latest part."""
        progress = self._latest()
        walk = Walk(self._read, partial(self._page, progress.params()), last_id=progress.last_id)
        async with aclosing(walk.pages()) as pages:
            async for page in pages:
                return page
        raise AssertionError("a walk has at least one page")

    def _latest(self) -> Progress:
        """The part that a look at the live list takes: the last stretch of time, or the beginning of the list."""
        window = self._read.window
        after = None if window is None else {"until": (self._now() - window.step).isoformat(), "going": True}
        return progress_of(self._read, after, self._now)

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """Rows of the first page as JSON Lines."""
        found: list[Cells] = (await self._first()).rows[:rows]
        while found and len(json_lines(found)) > SAMPLE_BYTES:
            found = found[: len(found) // 2]
        if not found:
            raise Unavailable(f"{self._client.name} has no rows at present", hint="try again when the agency has some")
        return "sample.jsonl", json_lines(found)

    async def close(self) -> None:
        """Close connections and threads."""
        await self._auth.close()
        await self._client.close()
        self._worker.close()


def rest_source(
    config: RestConfig, read: RestRead, *, feed: str, item: str, known: frozenset[str], intake: Intake, home: Path, batch_rows: int = ROWS
) -> PullSource:
    """The `Source` of one feed."""
    return PullSource(RestPuller(config, read, known), feed=feed, item=item, known=known, intake=intake, batch_rows=batch_rows)


def _stamp(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
