"""JSON documents and JSON Lines, read strictly and made into their plain form in blocks."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from connectors.formats import charset, strict_json
from connectors.formats.json_lines import blocks_of, decoded_line
from connectors.formats.json_rows import Block, Records, plain_rows
from connectors.formats.json_tree import Found, find_rows, objects_at
from connectors.formats.plain import Document, Plain
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Rejected

if TYPE_CHECKING:
    from connectors.formats.forms import Expected

MOST_DOCUMENT = 64 << 20
_HEAD = 256 << 10
_ROWS = 4_000
_LOOKED = 20


class JsonFormat(EndpointConfig):
    """JSON documents, or JSON Lines."""

    rows: str = Field(default="", description="Where the array of records is, as names joined by dots, like `data.list`; found by itself when left out.")
    lines: bool | Literal["auto"] = Field(default="auto", description="Whether each line is an object of its own (JSON Lines).")


class JsonFormer:
    """Makes JSON into its plain form: nested objects become headings like `outer.inner`, arrays within a record stay JSON text, null is nothing.

    What should be a record and is none becomes a row that cannot be read (R100). Raises `Rejected`: F001 (a whole document that is no strict JSON, with line
    and column), F002 (no UTF-8), F003 (a whole document over 64 MiB, a line over 8 MiB).
    """

    form = "json"

    def __init__(self, options: JsonFormat, expected: Expected) -> None:
        self._options = options
        self._known = expected.known

    def convert(self, document: Document, titles: Sequence[str] = ()) -> Generator[bytes, None, Plain]:
        """Pieces of the plain form; the place of a row is its line (JSON Lines) or its number in the array, from 1."""
        document.stream.seek(0)
        head = document.stream.read(_HEAD)
        marked = len(strict_json.MARK) if head.startswith(strict_json.MARK) else 0
        evidence: dict[str, Any] = {"encoding": "utf-8", "basis": "byte order mark EF BB BF" if marked else "JSON is always UTF-8"}
        blocks: Iterator[Block]
        if self._in_lines(head[marked:], document):
            _check_text(head[marked:])
            document.stream.seek(marked)
            blocks, evidence["lines"] = blocks_of(document.stream), True
        else:
            text, found, care = self._whole(document)
            blocks, evidence["records at"] = _in_blocks(objects_at(text, found), care), found.path or "the top"
        tally = yield from plain_rows(blocks, titles)
        return Plain(self.form, tuple(tally.titles), tally.rows, evidence | ({"unread": tally.unread} if tally.unread else {}))

    def _in_lines(self, head: bytes, document: Document) -> bool:
        if self._options.lines != "auto":
            return self._options.lines
        if self._options.rows:
            return False
        return document.name.lower().endswith((".jsonl", ".ndjson")) or looks_like_lines(head)

    def _whole(self, document: Document) -> tuple[str, Found, bool]:
        """The text of a whole document, every byte of it checked, where its records are, and whether its strings need care."""
        if document.size > MOST_DOCUMENT:
            hint = "ask for JSON Lines (one object per line), which may be of any size, or for several documents"
            raise Rejected(f"a JSON document of {document.size} bytes, more than {MOST_DOCUMENT >> 20} MiB", hint=hint, code="F003")
        document.stream.seek(0)
        raw = document.stream.read().removeprefix(strict_json.MARK)
        text = strict_json.decoded(raw, "the document")
        strict_json.check_depth(raw, "the document")
        try:
            return text, find_rows(text, self._options.rows, self._known), strict_json.may_hurt(raw)
        except ValueError as error:
            raise strict_json.refused(error, "the document") from error


def looks_like_lines(head: bytes) -> bool:
    """Whether most of the first lines are whole objects by themselves."""
    lines = [line for line in head[: head.rfind(b"\n") + 1].split(b"\n") if line.strip()][:_LOOKED]
    objects = sum(isinstance(decoded_line(line), dict) for line in lines)
    return objects * 2 >= len(lines) > 0 and (len(lines) > 1 or bool(head[head.find(b"\n") :].strip()))


def _check_text(head: bytes) -> None:
    """Raises `Rejected` F002 for a document that is written in GB 18030 throughout."""
    lines = head[: head.rfind(b"\n") + 1] or head
    if not charset.is_text(lines, "utf-8") and charset.is_text(lines, "gb18030"):
        raise Rejected("the lines are GB 18030; JSON is always UTF-8", hint="ask the agency to write UTF-8 (RFC 8259)", code="F002")


def _in_blocks(records: Iterator[Any], care: bool) -> Iterator[Records]:
    """Records of a whole document, numbered from 1."""
    number = 1
    while found := list(islice(records, _ROWS)):
        yield Records(list(range(number, number + len(found))), found, care)
        number += len(found)
