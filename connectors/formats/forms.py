"""What kind of document it is: told by its first bytes, or by the feed; everything but delimited text is made into its plain form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from connectors.formats.archive import ArchiveFormat, ArchiveFormer
from connectors.formats.csv import CsvFormat, CsvReader
from connectors.formats.excel import ExcelFormat, ExcelFormer
from connectors.formats.fixed import FixedFormat, FixedFormer
from connectors.formats.json import JsonFormat, JsonFormer
from connectors.formats.kinds import Kind, kind_of
from connectors.formats.plain import Document, Former
from connectors.formats.xml import XmlFormat, XmlFormer
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Misconfigured, Rejected

_CALLED = {"csv": "delimited text", "excel": "a workbook", "xml": "XML", "json": "JSON", "fixed": "text of fixed widths"}
_FITTING: dict[str, frozenset[Kind]] = {
    "csv": frozenset(("text", "json")),
    "excel": frozenset(("excel",)),
    "xml": frozenset(("xml", "text")),
    "json": frozenset(("json", "text")),
    "fixed": frozenset(("text", "json", "xml")),
}
"""Kinds that a form takes: what is only told by its first sign may still be what the feed says."""

_HINT = "ask the agency for a spreadsheet, delimited text, XML or JSON, or correct what the feed says of its files"
_HINTS: dict[Kind, str] = {
    "html": "whoever fetched the file got a page instead: an expired login, an error, or an export that is HTML under another name",
    "fault": "the system that wrote it could not answer; ask the agency to send it again",
}


class FileFormat(EndpointConfig):
    """How the documents of a feed are written: found by itself, unless one of these says more."""

    csv: CsvFormat | None = Field(default=None, description="Delimited text.")
    excel: ExcelFormat | None = Field(default=None, description="Spreadsheets.")
    xml: XmlFormat | None = Field(default=None, description="XML.")
    json_: JsonFormat | None = Field(default=None, alias="json", description="JSON documents, or JSON Lines.")
    fixed: FixedFormat | None = Field(default=None, description="Text of fixed column widths.")
    archive: ArchiveFormat | None = Field(default=None, description="ZIP or gzip around any of these.")

    def of(self, form: str) -> EndpointConfig | None:
        """What is said about a form, by its YAML key."""
        said: EndpointConfig | None = getattr(self, "json_" if form == "json" else form)
        return said

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.csv, self.excel, self.xml, self.json_, self.fixed].count(None) < 4:
            raise ValueError("give at most one of csv, excel, xml, json, fixed")
        return self


@dataclass(frozen=True, slots=True)
class Expected:
    """What a feed's documents are about: codes of item and agency, and the item's headings, normalised."""

    item: str
    agency: str
    known: frozenset[str]


class Forms:
    """Finds the former of a document. `csv` reads delimited text, and every plain form."""

    def __init__(self, options: FileFormat, expected: Expected) -> None:
        self._options = options
        self._expected = expected
        self.known = expected.known
        self.csv = CsvReader(options.csv or CsvFormat(), expected.known)
        self._said = next((one for one in ("csv", "excel", "xml", "json", "fixed") if options.of(one) is not None), None)

    def former(self, document: Document) -> Former | None:
        """Who makes this document into its plain form; None for delimited text, which is read as it is. Blocking.

        Raises `Rejected` F001, which says what it is, for a document that is not what the feed says, or of no kind that can be read; `Misconfigured`
        where a library for it is not installed.
        """
        kind, called = kind_of(document)
        if kind in ("zip", "gzip"):
            return ArchiveFormer("zip" if kind == "zip" else "gzip", self._options.archive or ArchiveFormat(), self._expected, self.former, self.csv)
        form = self._form(kind)
        if form is None:
            wanted = f"where the feed expects {_CALLED[self._said]}" if self._said else "which cannot be read"
            raise Rejected(f"the document is {called}, {wanted}", hint=_HINTS.get(kind, _HINT), code="F001")
        try:
            return self._made(form)
        except ImportError as error:
            extra = {"xml": "web"}.get(form, form)
            raise Misconfigured(f"{called} needs a library that is not installed", hint=f"pip install credit-hub[{extra}]") from error

    def _form(self, kind: Kind) -> str | None:
        """The reader for a kind of document under what the feed says; None where they do not fit."""
        if self._said is None:
            return {"text": "csv", "json": "json", "xml": "xml", "excel": "excel"}.get(kind)
        return self._said if kind in _FITTING[self._said] else None

    def _made(self, form: str) -> Former | None:
        if form == "excel":
            return ExcelFormer(self._options.excel or ExcelFormat(), self._expected)
        if form == "xml":
            return XmlFormer(self._options.xml or XmlFormat(), self._expected)
        if form == "json":
            return JsonFormer(self._options.json_ or JsonFormat(), self._expected)
        if form == "fixed" and self._options.fixed is not None:
            return FixedFormer(self._options.fixed, self._expected)
        return None
