"""The plain form (规范文本) of a document that is no delimited text: UTF-8, a heading line, cells between 0x1F, quoted as in RFC 4180.

The first cell of each line is the place of the record in its document (the row of a sheet, the line of an XML element, the number of an object),
so that people are told where to look. It is landed beside the document, and read from then on like any delimited text.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol, TypeVar

import polars as pl

from hub.contracts.errors import Rejected

SEPARATOR = "\x1f"
PLACE = "place"
PIECE = 256 << 10
UNREAD_MOST = 256 << 10
"""Characters of a record that cannot be read which are kept beside its reason; landing has it whole."""

T = TypeVar("T")
_WIDENINGS = 3
_RISKY = frozenset('"\n\r' + SEPARATOR)


@dataclass(frozen=True, slots=True)
class Plain:
    """What a conversion found: the form ("excel"), headings, rows written, and JSON-able evidence (sheet, encodings, members, what was passed over)."""

    form: str
    titles: tuple[str, ...]
    rows: int
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """One landed document: `stream` is seekable and holds `size` plain bytes; `name` is what the sender called it, and only a hint."""

    stream: BinaryIO
    size: int
    name: str


class Widened(Rejected):
    """A record has headings that were not announced: convert again with all of `titles`."""

    def __init__(self, titles: Sequence[str]) -> None:
        super().__init__("a record has other fields than those before it", hint="the conversion begins again with all of them")
        self.titles = tuple(titles)


class Former(Protocol):
    """One kind of document, made into its plain form. Blocking; called in a worker thread. Memory stays bounded whatever the document."""

    form: str

    def convert(self, document: Document, titles: Sequence[str] = ()) -> Generator[bytes, None, Plain]:
        """Pieces of the plain form, heading line first, and at the end what was found.

        `titles` are headings that must be among those written (after `Widened`). Raises `Rejected` with an F-code for a document that cannot be read.
        """


def widened(attempt: Callable[[tuple[str, ...]], T]) -> T:
    """What `attempt` makes of the headings it is given: none at first, and all of them when it raised `Widened`."""
    titles: tuple[str, ...] = ()
    for _ in range(_WIDENINGS):
        try:
            return attempt(titles)
        except Widened as wider:
            titles = wider.titles
    raise Rejected("the document's fields change from one reading to the next", hint="report this document", code="F001")


def heading_line(titles: Sequence[str]) -> bytes:
    """The first line of a plain form."""
    return line((PLACE, *titles))


def line(cells: Iterable[str | None]) -> bytes:
    """One line of a plain form; None and "" are both nothing."""
    return (SEPARATOR.join(_cell(cell) for cell in cells) + "\n").encode()


def _cell(cell: str | None) -> str:
    if not cell:
        return ""
    return cell if _RISKY.isdisjoint(cell) else '"' + cell.replace('"', '""') + '"'


def unread_line(place: int, text: str, columns: int) -> bytes:
    """A record that cannot be read as `columns` cells, in a line of another shape: its reader sets it aside as R100, with its place and text."""
    text = text.replace("\0", "\\0").encode(errors="backslashreplace").decode()[:UNREAD_MOST] or "…"
    return line((str(place), text) if columns != 1 else (text,))


def lines_of(frame: pl.DataFrame) -> bytes:
    """Lines of a whole frame of text columns, whose first column is the place; much quicker than `line` by line."""
    frame = frame.select(pl.when(pl.all() != "").then(pl.all()))
    text: str = frame.write_csv(separator=SEPARATOR, include_header=False, quote_style="necessary", null_value="")
    return text.encode()


def distinct(titles: Iterable[str]) -> tuple[str, ...]:
    """Headings as they are written into a plain form: trimmed, in order, without repeats."""
    return tuple(dict.fromkeys(title.strip() for title in titles))
