"""One entry of a bulletin: its page, or the file that hangs on it, as rows. What cannot be read is set aside under its name, never left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from connectors.formats.forms import Forms
from connectors.formats.worker import Worker
from connectors.web.attachment import is_page, name_of, rows_of
from connectors.web.layout import Layout
from connectors.web.listing import Entry
from connectors.web.page import Page, Selector
from connectors.web.settings import DetailRead
from connectors.web.tables import Cells
from connectors.web.visiting import Fetched, Visit
from hub.contracts.errors import Misconfigured, Rejected
from hub.contracts.headings import normalise_heading

ENTRY = "entry"  # heading under which each row names the entry that it comes from
PAGE, HASH = "来源页面URL", "页面摘要SM3"  # headings of items that keep where a record was found
NO_TABLE, MISFIT = "no table with the item's headings", "cells do not fit the heading"


Read = tuple[Cells | None, Fetched]
"""A record, and the page or file that holds it."""


@dataclass
class Gathered:
    """Rows under the page's own headings, and why others could not be read: an unread entry is a row that has nothing but its name.

    `known` are the item's headings, normalised: where they have a place for page and digest, each row tells where it was found.
    """

    known: frozenset[str]
    rows: list[Cells] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    undeclared: int = 0  # pages in another character set than they declare

    def add(self, entry: Entry, records: Sequence[Read]) -> None:
        """Rows of one entry, each with what the list says of it and where it was found; None for one that cannot be read."""
        name = _name(entry)
        for number, (cells, fetched) in enumerate(records, 1):
            place = name if len(records) == 1 else f"{name}#{number:06d}"
            if cells is None:
                self.set_aside(place, MISFIT)
            else:
                self.rows.append({ENTRY: place} | self._origin(fetched) | (entry.cells or {}) | cells)

    def _origin(self, fetched: Fetched) -> Cells:
        return {name: text for name, text in ((PAGE, fetched.url), (HASH, fetched.sm3)) if normalise_heading(name) in self.known}

    def set_aside(self, place: str, reason: str) -> None:
        """An entry that cannot be read keeps its name, so that the checks put it into quarantine."""
        self.unread[reason] += 1
        self.rows.append({ENTRY: place})


@dataclass(frozen=True, slots=True)
class _Look:
    """A page or file with its headings and rows; `files` hang on a page."""

    fetched: Fetched
    titles: tuple[str, ...]
    rows: list[Cells | None]
    page: Page | None = None
    files: tuple[str, ...] = ()


class Detail:
    """Reads the entries of one feed. Raises `Misconfigured` for a login page, and whatever the visit raises."""

    def __init__(self, read: DetailRead, forms: Forms, worker: Worker) -> None:
        self._table = Selector(read.table) if read.table is not None else None
        self._attachment = Selector(read.attachment) if read.attachment is not None else None
        self._forms = forms
        self._worker = worker

    async def gather(self, visit: Visit, entry: Entry, layout: Layout, into: Gathered) -> None:
        """Add the rows of one entry."""
        if not entry.url:
            if entry.cells is None:
                into.set_aside(entry.place, MISFIT)
            else:
                into.rows.append(entry.cells)
            return
        try:
            records = await self._rows(visit, entry.url, layout, into)
        except Rejected as error:
            into.set_aside(_name(entry), error.message)
        else:
            into.add(entry, records)

    async def _rows(self, visit: Visit, url: str, layout: Layout, into: Gathered) -> list[Read]:
        """The records of an entry's page, of the files that hang on it, or of the file that the link leads to."""
        look = await self._worker.do(self._look, await self._fetched(visit, url))
        if look.page is not None and look.page.decoded.conflict:
            into.undeclared += 1
        if not look.files:
            return self._told(look, layout)
        files = [await self._worker.do(self._look, await self._fetched(visit, one)) for one in look.files]
        return [read for one in files for read in self._told(one, layout)]

    def _look(self, fetched: Fetched) -> _Look:
        """What was fetched, read as the page or file that it is. Blocking: either may be long."""
        if not is_page(fetched.body, fetched.content_type):
            titles, rows = rows_of(fetched.body, name_of(fetched.url), self._forms)
            return _Look(fetched, titles, rows)
        page = Page(fetched.body, fetched.content_type, fetched.url)
        found = page.found(self._table, self._forms.known)
        files = [link.url for link in page.links(self._attachment)] if self._attachment is not None else []
        return _Look(fetched, found.titles, [record.cells for record in found.records], page, tuple(dict.fromkeys(files)))

    def _told(self, look: _Look, layout: Layout) -> list[Read]:
        if look.page is not None and not look.rows:
            if look.page.guarded():
                raise Misconfigured("the site asks for a password or a 验证码 instead of showing an entry", hint="ask the agency for another way")
            raise Rejected(NO_TABLE, hint="look at the page; its snapshot is in landing")
        layout.saw("detail" if look.page is not None else "attachment", look.titles)
        return [(cells, look.fetched) for cells in look.rows]

    async def _fetched(self, visit: Visit, url: str) -> Fetched:
        if not visit.is_here(url):
            raise Rejected("the link leads to another host", hint="only the configured host is asked; give the other one a source of its own")
        fetched = await visit.fetch(url)
        if fetched.gone:
            raise Rejected("nothing is at the link's end any more", hint="tell the agency; the list still names the entry")
        return fetched


def _name(entry: Entry) -> str:
    """The entry's address on its site, or its place in the list."""
    parts = urlsplit(entry.place)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
