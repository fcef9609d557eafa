"""XML documents, streamed; any record path."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from connectors.formats import elements, prolog
from connectors.formats.elements import Element, Leaves, RecordPath
from connectors.formats.plain import PIECE, Document, Plain, Widened, heading_line
from connectors.formats.prolog import Encoding
from connectors.formats.xml_rows import Look, Rows
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Rejected
from hub.contracts.headings import normalise_heading

if TYPE_CHECKING:
    from connectors.formats.forms import Expected

LOOKED = 128 << 10
MOST_LINES = 65_535  # libxml2 knows no exact line beyond
_EMBEDDED = {"tablecode": ("item", "F007"), "departmentcode": ("agency", "F008")}


def _path(text: str) -> str:
    if text:
        RecordPath.parse(text)
    return text


class XmlFormat(EndpointConfig):
    """XML documents, streamed; any record path."""

    rows: Annotated[str, AfterValidator(_path)] = Field(
        default="", description="Where a record's element is: `DATAS/DATA` from the root on, `//DATA` anywhere; found by the item's headings when left out."
    )
    attributes: bool | Literal["auto"] = Field(
        default="auto", description="Whether attributes are fields too; by itself where records have no elements, or the item knows an attribute's name."
    )
    encoding: Literal["auto", "utf-8", "gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be"] = Field(
        default="auto", description="Character set, where a document declares the wrong one and its bytes do not say so either."
    )


class XmlFormer:
    """Makes XML into its plain form. A field is named `outer.inner` where elements are nested, and `name_2` where it is repeated; prefixes are ignored.

    Raises `Rejected`: F001 (not well-formed, cut short, DOCTYPE), F002 (encoding), F003 (a cell over 1 MiB, a record over 8 MiB), F006 (headings unknown, more
    than 2,000 of them, no record), F007 and F008 (made for another item, by another agency).
    """

    form = "xml"

    def __init__(self, options: XmlFormat, expected: Expected) -> None:
        from connectors.formats import markup  # needs lxml, which is an extra and slow to load

        self._markup = markup
        self._options = options
        self._expected = expected

    def convert(self, document: Document, titles: Sequence[str] = ()) -> Generator[bytes, None, Plain]:
        """Pieces of the plain form; the place of a row is the line of its element, or its number where records share a line, or lines are many."""
        if document.size == 0:
            raise Rejected("the document is empty", hint="ask the agency to send it again", code="F005")
        encoding = prolog.encoding_of(document.stream, self._options.encoding)
        look = self._look(document, encoding)
        rows = Rows(tuple(dict.fromkeys((*titles, *look.titles))), look)
        yield heading_line(rows.titles)
        for group in self._markup.groups(prolog.content(document.stream, encoding), look.path):
            rows.add(group.records, flat=group.flat)
            if rows.waiting >= PIECE:
                piece = rows.take()
                if not rows.unknown:
                    yield piece
        if rows.unknown:
            raise Widened((*rows.titles, *rows.unknown))
        if rows.waiting:
            yield rows.take()
        if not rows.written and look.elsewhere:
            raise Rejected(f"nothing at {look.path}; the item's fields are at {look.elsewhere}", hint="correct `xml: {rows: …}`", code="F006")
        return Plain(self.form, rows.titles, rows.written, _evidence(encoding, look, rows))

    def _look(self, document: Document, encoding: Encoding) -> Look:
        root = self._markup.beginning(prolog.content(document.stream, encoding), LOOKED)
        if root is None:
            raise Rejected("there is no element in the document", hint="ask the agency to send it again", code="F001")
        known, named = self._expected.known, self._options.rows
        path = RecordPath.parse(named) if named else elements.likeliest(root, known)
        self._check_codes(root, path)
        records = elements.at(root, path)
        count = self._options.attributes if self._options.attributes != "auto" else elements.has_attributes(records, known)
        attributes = known if count else None
        found = dict.fromkeys(title for record in records for title, _ in Leaves(record, attributes))
        by_line = len({record.sourceline for record in records[:2]}) == len(records[:2]) and prolog.lines(document.stream, MOST_LINES) < MOST_LINES
        return Look(path, tuple(found), attributes, by_line, elements.known_at(root, known) if named and not records else "")

    def _check_codes(self, root: Element, path: RecordPath) -> None:
        """The standard template's own codes of item and agency, where a document has them outside of its records."""
        for name, text in elements.outside(root, path):
            what, code = _EMBEDDED.get(normalise_heading(name), ("", ""))
            if what and text.strip() and text.strip() != getattr(self._expected, what):
                raise Rejected(
                    f"{name} says that the document is for another {what}", hint="use the standard template of this item; nothing was taken over", code=code
                )


def _evidence(encoding: Encoding, look: Look, rows: Rows) -> dict[str, Any]:
    found = {"encoding": encoding.encoding, "declared": encoding.declared or "nothing", "basis": encoding.basis, "records at": str(look.path)}
    extra = {"attributes": True} if look.attributes is not None else {}
    return found | {"place": "line" if look.by_line else "number"} | extra | ({"empty records": rows.empty} if rows.empty else {})
