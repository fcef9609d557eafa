"""Files that hang on a bulletin: spreadsheets and delimited text become rows; what cannot be read is named for what it is."""

from __future__ import annotations

import hashlib
import io
import re
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import polars as pl

from connectors.formats.csv import Cut
from connectors.formats.cut import cut_of_plain
from connectors.formats.forms import Forms
from connectors.formats.plain import Document, Former, Plain, Widened, heading_line
from connectors.web.tables import Cells
from hub.contracts.batch import LINE, ORDINAL
from hub.contracts.errors import Rejected
from hub.contracts.source import Landed

MOST_ROWS = 100_000
_WIDENINGS = 3
_TABLE_WANTED = "ask the agency to publish it as a table: .xlsx, .xls or .csv"
_WORD = "WordDocument".encode("utf-16-le")
_NO_TABLES = ((b"%PDF", "a PDF"), (b"Rar!", "a RAR archive"), (b"7z\xbc\xaf", "a 7z archive"), (b"{\\rtf", "an RTF text"), (b"\x89PNG", "a picture"))
_PAGE = re.compile(rb"<\s*(!doctype\s+html|html|head|body|table|div|script|meta)\b", re.IGNORECASE)


def is_page(body: bytes) -> bool:
    """Whether this is HTML, whatever it is called: a file named .xls often is."""
    return _PAGE.search(body[:2048]) is not None


def name_of(url: str) -> str:
    """The file's name in its address, as a hint."""
    return unquote(urlsplit(url).path.rpartition("/")[2])[:255]


def rows_of(body: bytes, name: str, forms: Forms) -> tuple[tuple[str, ...], list[Cells | None]]:
    """Headings and rows of a file, None for each row that does not have its columns. Blocking.

    Raises `Rejected` with an F-code for what cannot be read; texts, pictures and PDF are F001.
    """
    _refuse_texts(body)
    document = Document(io.BytesIO(body), len(body), name)
    former = forms.former(document)
    document.stream.seek(0)
    if former is None:
        return _read(document.stream, forms.csv.examine(document.stream, len(body)), forms)
    plain, text = _formed(former, document)
    landed = Landed(hashlib.sha256(text).hexdigest(), len(text))
    cut = cut_of_plain(plain.form, plain.titles, forms.known, landed, len(heading_line(plain.titles)), plain.evidence)
    return _read(io.BytesIO(text), cut, forms)


def _refuse_texts(body: bytes) -> None:
    for mark, what in _NO_TABLES:
        if body.startswith(mark):
            raise Rejected(f"the attachment is {what}, which holds no readable table", hint=_TABLE_WANTED, code="F001")
    word = (body.startswith(b"\xd0\xcf\x11\xe0") and _WORD in body) or (body.startswith(b"PK") and b"word/document.xml" in body)
    if word:
        raise Rejected("the attachment is a Word document, which holds no readable table", hint=_TABLE_WANTED, code="F001")


def _formed(former: Former, document: Document) -> tuple[Plain, bytes]:
    titles: tuple[str, ...] = ()
    for _ in range(_WIDENINGS):
        document.stream.seek(0)
        try:
            return _converted(former, document, titles)
        except Widened as wider:
            titles = wider.titles
    raise Rejected("the attachment's fields change from one reading to the next", hint="report this document", code="F001")


def _converted(former: Former, document: Document, titles: tuple[str, ...]) -> tuple[Plain, bytes]:
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
