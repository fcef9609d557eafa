"""The list of a bulletin, from its first page to its last: every entry once, and never an end that is not one."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from connectors.formats.worker import Worker
from connectors.web.layout import Layout
from connectors.web.page import Link, Page, Selector, rows_above
from connectors.web.settings import PAGE, ListRead
from connectors.web.tables import Cells, Found
from connectors.web.visiting import Fetched, Visit
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from hub.contracts.headings import normalise_heading

MOST_ENTRIES = 100_000
_CHANGED = "look at the page; its snapshot is in landing. When its new form is right, correct `list` in the feed's `read`"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: where its own page or file is ("" where the list holds all), and its cells in the list, None where they do not fit the heading."""

    url: str
    cells: Cells | None
    place: str


@dataclass
class Listed:
    """All entries, by what tells them apart, and how the list was read."""

    entries: dict[str, Entry] = field(default_factory=dict)
    repeated: int = 0
    passed: int = 0
    pages: int = 0


class Listing:
    """Reads one list. Raises `Misconfigured` for a page that holds no entry where some should be, a login page, a circle, a list that never ends."""

    def __init__(self, read: ListRead, known: frozenset[str], worker: Worker) -> None:
        self._read = read
        self._worker = worker
        self._known = known
        self._link, self._table, self._next, self._total = (_selector(one) for one in (read.link, read.table, read.next, read.total))
        self._last = _selector(read.pages) if isinstance(read.pages, str) else None

    async def entries(self, visit: Visit, layout: Layout) -> Listed:
        """Every entry of every page. Raises `Unavailable` where the page counts more or fewer of them than there are."""
        listed = Listed()
        total = None
        async for page in self.pages(visit, listed, layout):
            total = page.number(self._total) if self._total is not None else None
        if self._total is not None and total != len(listed.entries):
            said = "does not say how many entries there are" if total is None else f"counts {total} entries, {len(listed.entries)} were found"
            raise Unavailable(f"the list {said}", hint="it may have changed while it was read; if this stays, correct `total`, `link` or `next`")
        return listed

    async def pages(self, visit: Visit, listed: Listed, layout: Layout) -> AsyncGenerator[Page, None]:
        """The pages one by one; their entries are added to `listed`."""
        number, seen = self._read.first, set[str]()
        url, form = self._address(number), self._form(number, {})
        while True:
            fetched = await visit.fetch(url, form)
            with _legible(fetched):
                page, found, links = await self._worker.do(self._look, fetched)
            fresh, filled = self._take(found, links, listed, layout)
            listed.pages += 1
            if not filled:
                self._judge_empty(page, number, listed)
            yield page
            seen.add(url)
            following = self._following(page, number, fresh)
            if following is None:
                return
            if listed.pages >= self._read.most or len(listed.entries) > MOST_ENTRIES:
                raise Misconfigured(f"the list goes on after {listed.pages} pages", hint="raise `most`, or choose a shorter list with `path`")
            number, url = number + 1, following
            if not self._read.numbered and url in seen:
                raise Misconfigured("the next page is one that was read already: the list goes in a circle", hint="correct `next`")
            form = self._form(number, page.hidden())

    def _look(self, fetched: Fetched) -> tuple[Page, Found[Any], list[Link] | None]:
        """The page, its table and its links. Blocking: a page may be long."""
        page = Page(fetched.body, fetched.content_type, fetched.url)
        return page, page.found(self._table, self._known), page.links(self._link) if self._link is not None else None

    def _take(self, found: Found[Any], links: list[Link] | None, listed: Listed, layout: Layout) -> tuple[int, bool]:
        """Add a page's entries: how many are new, and whether there were any."""
        if found.titles:
            layout.saw("list", found.titles)
        listed.passed += found.passed
        entries = self._linked(links, found) if links is not None else self._written(found, listed.pages + 1)
        before = len(listed.entries)
        for entry in entries:
            listed.entries.setdefault(self._identity(entry), entry)
        fresh = len(listed.entries) - before
        listed.repeated += len(entries) - fresh
        return fresh, bool(entries)

    def _linked(self, links: list[Link], found: Found[Any]) -> list[Entry]:
        rows = {record.made_from: record.cells for record in found.records}
        cells = [next((rows[one] for one in rows_above(link.element) if one in rows), None) for link in links]
        return [Entry(link.url, beside or {}, link.url) for link, beside in zip(links, cells, strict=True)]

    def _written(self, found: Found[Any], page: int) -> list[Entry]:
        return [Entry("", record.cells, f"page {page}, row {row}") for row, record in enumerate(found.records, 1)]

    def _identity(self, entry: Entry) -> str:
        """Link and known cells: numbers of a row and counts of readers change while one reads."""
        if entry.cells is None:
            return entry.place
        cells = {name: text for name, text in entry.cells.items() if normalise_heading(name) in self._known}
        return entry.url + "\x1f" + json.dumps(cells or (entry.cells if not entry.url else {}), ensure_ascii=False, sort_keys=True)

    def _judge_empty(self, page: Page, number: int, listed: Listed) -> None:
        """An empty page is the end only where nothing said that there is one."""
        if page.guarded():
            raise Misconfigured("the site asks for a password or a 验证码 instead of showing the list", hint="ask the agency for another way")
        last = page.number(self._last) if self._last is not None else None
        ended = self._read.numbered and (self._read.pages is None or (last is not None and last + self._offset < number))
        if not listed.entries or not ended:
            wanted = f"links by {self._read.link!r}" if self._read.link else "a table with the item's headings"
            here = len(page.found(None, self._known).titles)
            raise Misconfigured(f"page {listed.pages} of the list has no entry: {wanted} expected, {here} of its headings found", hint=_CHANGED)

    def _following(self, page: Page, number: int, fresh: int) -> str | None:
        if self._next is not None:
            return page.following(self._next)
        if not self._read.numbered:
            return None
        last = self._read.pages
        if self._last is not None and (last := page.number(self._last)) is None:
            raise Misconfigured("the list does not say how many pages it has", hint="correct `pages` in the feed's `read`")
        goes_on = number < last + self._offset if isinstance(last, int) else fresh > 0
        return self._address(number + 1) if goes_on else None

    @property
    def _offset(self) -> int:
        return self._read.first - 1

    def _address(self, number: int) -> str:
        return self._read.path.replace(PAGE, str(number))

    def _form(self, number: int, hidden: Mapping[str, str]) -> dict[str, str] | None:
        if not self._read.form:
            return None
        return {**hidden, **{name: value.replace(PAGE, str(number)) for name, value in self._read.form.items()}}


@contextmanager
def _legible(fetched: Fetched) -> Iterator[None]:
    """A list that cannot be read stops the feed: nobody knows what it would have named."""
    if fetched.gone:
        raise Misconfigured("there is no list at its address", hint="correct `path`, or ask the agency where it is now")
    try:
        yield
    except Rejected as error:
        raise Misconfigured(f"the list cannot be read: {error.message}", hint=error.hint, code=error.code) from error


def _selector(text: str | None) -> Selector | None:
    return None if text is None else Selector(text)
