"""From page to page to the end, with every check that tells a whole list from one that moved while it was read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from urllib.parse import urljoin

from connectors.rest.answers import Page
from connectors.rest.json_path import found_at
from connectors.rest.settings import LastId, NextCursor, Offset, Pages, RestRead
from hub.contracts.errors import Misconfigured, Unavailable

_MOST_PAGES = 50_000
_NO_CURSOR = (None, "", "null", "0", "-1", False)


class Moved(Unavailable):
    """The list changed while it was read: begin again at once, a few times, before it is left for later."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is asked for one page: parameters, or (after a link) an address."""

    params: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


Fetch = Callable[[Step], Awaitable[Page]]


class Walk:
    """One walk over a list. `pages` yields them in order; `done` is true once the last one was yielded.

    Raises `Moved` where pages do not fit together, `Misconfigured` where they never can.
    """

    def __init__(self, read: RestRead, fetch: Fetch, *, width: int = 1, last_id: str | None = None) -> None:
        self._read = read
        self._fetch = fetch
        self._width = width
        self.last_id = last_id
        self.total: int | None = None
        self.rows = 0
        self.count = 0
        self.done = False
        self._seen: set[str] = set()
        self._asked: set[str] = set()
        self._last: Page | None = None
        self._first_rows = 0
        self._short = False

    def first(self) -> Step:
        """What is asked for the first page."""
        kind = self._read.pages or self._read.offset
        return Step(self._first_params() if kind is None else self._place(kind, 0, 0))

    async def pages(self) -> AsyncGenerator[Page, None]:
        """Every page, checked; the total is tested when the last one was taken."""
        kind = self._read.pages or self._read.offset
        walk = self._chained() if kind is None else self._numbered(kind)
        async with aclosing(walk) as pages:
            async for page in pages:
                yield page
        self._adds_up()
        self.done = True

    async def _numbered(self, kind: Pages | Offset) -> AsyncGenerator[Page, None]:
        """Pages whose places are known beforehand: the first one tells the total, the others are asked for side by side."""
        first = await self._fetch(self.first())
        self._checked(first)
        yield first
        size = len(first.rows)
        if self.total is None:
            async with aclosing(self._until_empty(kind)) as pages:
                async for page in pages:
                    yield page
        elif size:
            places = [(number, number * size) for number in range(1, -(-self.total // size))]
            steps = [Step(self._place(kind, number, offset)) for number, offset in places]
            async with aclosing(side_by_side(self._fetch, steps, self._width)) as pages:
                async for page in pages:
                    self._checked(page)
                    yield page

    async def _until_empty(self, kind: Pages | Offset) -> AsyncGenerator[Page, None]:
        """Without a total only an empty page is the end, or the last one again behind a short one."""
        while self._last is not None and self._last.rows:
            page = await self._fetch(Step(self._place(kind, self.count, self.rows)))
            if page.digest == self._last.digest:
                if self._short:
                    return
                hint = "name `total`, or ask the agency whether page numbers count"
                raise Misconfigured("a page came twice, and no total says whether that is the end", hint=hint)
            self._checked(page)
            yield page

    async def _chained(self) -> AsyncGenerator[Page, None]:
        """Pages of which each one tells where the next one is; a list without paging is one page."""
        step: Step | None = self.first()
        while step is not None:
            self._once(step)
            page = await self._fetch(step)
            self._checked(page)
            step = self._following(page, step)
            yield page

    def _first_params(self) -> dict[str, str]:
        kind = self._read.cursor or self._read.link or self._read.last_id
        params = {kind.size_name: str(kind.size)} if kind is not None and kind.size_name else {}
        if isinstance(kind, LastId) and self.last_id:
            params[kind.name] = self.last_id
        return params

    def _following(self, page: Page, step: Step) -> Step | None:
        match self._read.cursor or self._read.link or self._read.last_id:
            case NextCursor() as kind:
                cursor = found_at(page.document, kind.at)
                ended = cursor in _NO_CURSOR or not isinstance(cursor, str)
                return None if ended else Step({**self._first_params(), kind.name: cursor})
            case LastId() as kind:
                return self._behind(kind, page)
            case None:
                return None
            case _:
                return Step(url=urljoin(step.url, page.link) if step.url else page.link) if page.link else None

    def _behind(self, kind: LastId, page: Page) -> Step | None:
        if not page.rows:
            return None
        found = page.rows[-1].get(kind.field)
        if not found:
            raise Misconfigured(f"the last row of a page has no {kind.field}", hint="`field` of last_id names the column that holds the id")
        self.last_id = found
        return Step(self._first_params())

    def _place(self, kind: Pages | Offset, number: int, offset: int) -> dict[str, str]:
        place = kind.first + number if isinstance(kind, Pages) else offset
        return {kind.name: str(place)} | ({kind.size_name: str(kind.size)} if kind.size_name else {})

    def _once(self, step: Step) -> None:
        asked = f"{step.url} {sorted(step.params.items())}"
        if asked in self._asked:
            raise Moved("the pages lead round in a circle")
        self._asked.add(asked)

    def _checked(self, page: Page) -> None:
        """Take a page into account. Raises `Moved`."""
        self.count += 1
        if self.count > _MOST_PAGES:
            raise Misconfigured(f"there are more than {_MOST_PAGES:,} pages", hint="ask for larger pages, or read in parts with `since` or `window`")
        if self.count == 1:
            self.total, self._first_rows = (None if self._read.last_id else page.total), len(page.rows)
        elif self.total is not None and page.total is not None and page.total != self.total:
            raise Moved("the total changed while the pages were read")
        if page.rows and page.digest in self._seen:
            raise Moved("a page came twice")
        if page.rows and self._short:
            raise Moved("a page in the middle was short")
        self._short = bool(self._read.pages or self._read.offset) and len(page.rows) < self._first_rows
        self._seen.add(page.digest)
        self.rows += len(page.rows)
        self._last = page

    def _adds_up(self) -> None:
        if self.total is None or self.rows == self.total:
            return
        said = f"there should be {self.total} rows, and there were {self.rows}"
        if not (self._read.pages or self._read.offset or self._read.cursor or self._read.link):
            raise Misconfigured(said, hint="say how the next page is asked for: `pages`, `offset`, `cursor` or `link`")
        raise Moved(said)


async def side_by_side(fetch: Fetch, steps: list[Step], width: int) -> AsyncGenerator[Page, None]:
    """The pages of these steps in their order, `width` of them under way at a time."""
    running: list[asyncio.Task[Page]] = []
    try:
        for step in steps:
            running.append(asyncio.ensure_future(fetch(step)))
            if len(running) >= width:
                yield await running.pop(0)
        while running:
            yield await running.pop(0)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
