"""Documents made into their plain form by a former, and read from there as batches are."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import polars as pl

from connectors.formats.csv import Block, CsvFormat, CsvReader
from connectors.formats.cut import cut_of_plain
from connectors.formats.forms import Expected
from connectors.formats.plain import Document, Former, Plain, Widened, heading_line
from connectors.formats.xml import XmlFormat, XmlFormer
from hub.contracts.batch import LINE, ORDINAL, RAW
from hub.contracts.headings import normalise_heading
from hub.contracts.source import Landed

KNOWN = ("doc_no", "name", "uscc", "决定日期")


def expected(*known: str) -> Expected:
    return Expected("A0030-F06-01", "A0030", frozenset(map(normalise_heading, known or KNOWN)))


class Dribble(io.BytesIO):
    """A stream that gives at most `most` bytes at a time."""

    most = 1

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.most if size is None or size < 0 else min(size, self.most))


def converted(former: Former, content: bytes, stream: io.BytesIO | None = None, titles: tuple[str, ...] = ()) -> tuple[bytes, Plain]:
    """The plain form in one piece; begun again with all headings where a record has more of them."""
    pieces = []
    converting = former.convert(Document(stream or io.BytesIO(content), len(content), "document"), titles)
    try:
        while True:
            pieces.append(next(converting))
    except StopIteration as ended:
        plain: Plain = ended.value
        return b"".join(pieces), plain
    except Widened as wider:
        return converted(former, content, io.BytesIO(content), wider.titles)


def xml(content: bytes | str, stream: io.BytesIO | None = None, known: tuple[str, ...] = (), **options: Any) -> tuple[bytes, Plain]:
    raw = content.encode() if isinstance(content, str) else content
    return converted(XmlFormer(XmlFormat(**options), expected(*known)), raw, stream)


def rows(content: bytes | str, **options: Any) -> list[dict[str, str]]:
    """Records of an XML document as the hub reads them, without what is nothing."""
    text, plain = xml(content, **options)
    return [{name: cell for name, cell in row.items() if cell is not None and name not in {ORDINAL, LINE}} for row in frame_of(text, plain).rows(named=True)]


def frame_of(text: bytes, plain: Plain) -> pl.DataFrame:
    return pl.concat([block.frame for block in _blocks(text, plain)])


def refused(text: bytes, plain: Plain) -> list[tuple[str, int, str]]:
    """Code, place and text of the rows that cannot be read."""
    return [(code, line, raw) for block in _blocks(text, plain) for code, line, raw in block.refused.select("code", "line", RAW).rows()]


def _blocks(text: bytes, plain: Plain) -> list[Block]:
    reader = CsvReader(CsvFormat(), frozenset())
    landed = Landed(hashlib.sha256(text).hexdigest(), len(text))
    cut = cut_of_plain(plain.form, plain.titles, frozenset(), landed, len(heading_line(plain.titles)), plain.evidence)
    return list(reader.blocks(io.BytesIO(text), cut, start=cut.start, line=cut.line, first=0))
