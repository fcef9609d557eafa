"""Files that hang on a bulletin become rows, whatever form they have; what cannot be read is named for what it is."""

from __future__ import annotations

import hashlib
import io
from functools import partial
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import polars as pl

from connectors.formats.csv import Cut
from connectors.formats.cut import cut_of_plain
from connectors.formats.forms import Forms
from connectors.formats.kinds import kind_of
from connectors.formats.plain import Document, Former, Plain, heading_line, widened
from connectors.web.tables import Cells
from hub.contracts.batch import LINE, ORDINAL
from hub.contracts.errors import Rejected
from hub.contracts.source import Landed

MOST_ROWS = 100_000


def is_page(body: bytes, content_type: str) -> bool:
    """Whether this is HTML, whatever it is called: a file named .xls often is. Raises `Rejected` F001 for a damaged archive."""
    kind, _ = kind_of(Document(io.BytesIO(body), len(body), ""))
    return kind == "html" or (kind in ("text", "xml") and "html" in content_type.lower())


def name_of(url: str) -> str:
    """The file's name in its address, as a hint."""
    return unquote(urlsplit(url).path.rpartition("/")[2])[:255]


def rows_of(body: bytes, name: str, forms: Forms) -> tuple[tuple[str, ...], list[Cells | None]]:
    """Headings and rows of a file, None for each row that does not have its columns. Blocking.

    Raises `Rejected` with an F-code for what cannot be read; PDF, pictures and texts of a word processor are F001.
    """
    document = Document(io.BytesIO(body), len(body), name)
    former = forms.former(document)
    document.stream.seek(0)
    if former is None:
        return _read(document.stream, forms.csv.examine(document.stream, len(body)), forms)
    plain, text = widened(partial(_converted, former, document))
    if not plain.rows:
        raise Rejected("the attachment has no data row", hint="look at it; its snapshot is in landing", code="F005")
    landed = Landed(hashlib.sha256(text).hexdigest(), len(text))
    cut = cut_of_plain(plain.form, plain.titles, forms.known, landed, len(heading_line(plain.titles)), plain.evidence)
    return _read(io.BytesIO(text), cut, forms)


def _converted(former: Former, document: Document, titles: tuple[str, ...]) -> tuple[Plain, bytes]:
    document.stream.seek(0)
    text = bytearray()
    pieces = former.convert(document, titles)
    while True:
        try:
            text += next(pieces)
        except StopIteration as ended:
            return ended.value, bytes(text)


def _read(stream: BinaryIO, cut: Cut, forms: Forms) -> tuple[tuple[str, ...], list[Cells | None]]:
    rows: list[Cells | None] = []
    for block in forms.csv.blocks(stream, cut, start=cut.start, line=cut.line, first=0):
        frame = block.frame.drop(ORDINAL, LINE).with_columns(pl.all().cast(pl.String))
        rows += frame.to_dicts()
        rows += [None] * block.refused.height
        if len(rows) > MOST_ROWS:
            raise Rejected(f"the attachment has more than {MOST_ROWS:,} rows", hint="collect it as a file", code="F003")
    names = cut.names[1:] if cut.placed else cut.names
    return names, rows
