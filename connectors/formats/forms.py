"""What kind of document it is: told by its first bytes, or by the feed; everything but delimited text is made into its plain form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from connectors.formats.archive import ArchiveFormat
from connectors.formats.csv import CsvFormat, CsvReader
from connectors.formats.excel import ExcelFormat
from connectors.formats.fixed import FixedFormat
from connectors.formats.json import JsonFormat, JsonFormer
from connectors.formats.plain import Document, Former
from connectors.formats.xml import XmlFormat
from hub.contracts.endpoint import EndpointConfig


class FileFormat(EndpointConfig):
    """How the documents of a feed are written: found by itself, unless one of these says more."""

    csv: CsvFormat | None = Field(default=None, description="Delimited text.")
    excel: ExcelFormat | None = Field(default=None, description="Spreadsheets.")
    xml: XmlFormat | None = Field(default=None, description="XML.")
    json_: JsonFormat | None = Field(default=None, alias="json", description="JSON documents, or JSON Lines.")
    fixed: FixedFormat | None = Field(default=None, description="Text of fixed column widths.")
    archive: ArchiveFormat | None = Field(default=None, description="ZIP or gzip around any of these.")

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

    def former(self, document: Document) -> Former | None:
        """Who makes this document into its plain form; None for delimited text, which is read as it is. Blocking."""
        if self._options.json_ is not None:
            return JsonFormer(self._options.json_, self._expected)
        return None
