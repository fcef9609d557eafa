"""What a workbook's reader does not tell: what the document really is, which cells hold an error, which formulas were never calculated.

Runs in the throw-away process, so it knows nothing but the standard library.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from typing import BinaryIO
from xml.etree import ElementTree

from connectors.formats import excel_ole

PIECE = 1 << 18
MOST_ERRORS = 100_000
MOST_SHEETS = 256
_SMALL = 16 << 20  # the list of sheets and its relations are never larger
_C = rb"(?:\w{1,20}:)?c"
_F = rb"(?:\w{1,20}:)?f"
_V = rb"(?:\w{1,20}:)?v"
_ERROR = re.compile(
    rb"<" + _C + rb"\s([^<>]*\bt=[\"']e[\"'][^<>]*)>(?:(?!</?" + _C + rb"[\s>]).){0,40000}?<" + _V + rb">\s*([^<]{1,40}?)\s*</" + _V + rb">", re.S
)
_UNSET = re.compile(
    rb"<"
    + _C
    + rb"\s([^<>]*[^<>/])>\s*<"
    + _F
    + rb"(?:\s[^<>]*)?(?:/>|>[^<]*</"
    + _F
    + rb">)\s*(?:<"
    + _V
    + rb"\s*/>|<"
    + _V
    + rb">\s*</"
    + _V
    + rb">)?\s*</"
    + _C
    + rb">"
)
_PLACE = re.compile(rb"\br=[\"']([A-Z]{1,3})(\d{1,7})[\"']")
_ODS_ERROR = re.compile(rb":value-type=[\"']error[\"']")


class Unfit(ValueError):
    """The document cannot be read; `why` is one of the words that the parent process has a sentence for."""

    def __init__(self, why: str, **detail: str | int) -> None:
        super().__init__(why)
        self.why = why
        self.detail = detail


@dataclass
class Faults:
    """Cells of one sheet, (row, column) from 0: those that hold an error with its text, and how many formulas were never calculated, with their rows."""

    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    unset: int = 0
    unset_rows: list[int] = field(default_factory=list)


class Container:
    """The file around the sheets. `kind` is xlsx, xls or ods; anything else raises `Unfit`, and so does an encrypted file."""

    def __init__(self, stream: BinaryIO) -> None:
        self.macros = self.links = False
        self._parts: dict[str, str] = {}
        head = stream.read(1024)
        stream.seek(0)
        if head.startswith(excel_ole.MAGIC):
            self.kind = "xls"
            self._xls = _xls(excel_ole.Compound(stream.read()))
        elif head.startswith(b"PK"):
            self._zip = zipfile.ZipFile(stream)
            self.kind = self._zipped()
        else:
            raise Unfit(_plain_kind(head))

    def faults(self, index: int, name: str) -> Faults:
        """What is wrong in one sheet. Takes as long as unpacking it."""
        if self.kind == "xls":
            return Faults(self._xls[index]) if index < len(self._xls) else Faults()
        part = self._parts.get(name)
        return Faults() if part is None else self._scan(part)

    def _zipped(self) -> str:
        names = self._zip.namelist()
        if len(set(names)) != len(names):
            raise Unfit("damaged")
        below = {name.split("/", 1)[0] for name in names}
        if "mimetype" in names:
            return self._open_document()
        for folder, why in (("word", "word"), ("ppt", "powerpoint")):
            if folder in below:
                raise Unfit(why)
        if "xl/workbook.bin" in names:
            raise Unfit("xlsb")
        if "xl" not in below:
            raise Unfit("zip")
        self.macros, self.links = "xl/vbaProject.bin" in names, any(name.startswith("xl/externalLinks/") for name in names)
        self._parts = self._sheet_parts({name.lower(): name for name in names})
        return "xlsx"

    def _sheet_parts(self, names: dict[str, str]) -> dict[str, str]:
        """The part that holds each worksheet, by the sheet's name."""
        book = self._small(names.get("xl/workbook.xml", ""))
        relations = self._small(names.get("xl/_rels/workbook.xml.rels", ""))
        targets = {one.get("Id", ""): one.get("Target", "") for one in relations.iter() if one.tag.endswith("}Relationship")}
        sheets = [one for one in book.iter() if one.tag.endswith("}sheet")]
        found: dict[str, str] = {}
        for sheet in sheets:
            target = next((targets.get(value, "") for key, value in sheet.items() if key.endswith("}id")), "")
            part = names.get((target.lstrip("/") if target.startswith(("/", "xl/")) else f"xl/{target}").lower())
            if part is not None:
                found[sheet.get("name", "")] = part
        return found

    def _small(self, name: str) -> ElementTree.Element:
        with self._zip.open(name) as part:
            text = part.read(_SMALL)
        if b"<!DOCTYPE" in text:
            raise Unfit("doctype")
        return ElementTree.fromstring(text)  # noqa: S314 (a document type was refused, and the process has limits)

    def _open_document(self) -> str:
        with self._zip.open("mimetype") as part:
            if b"spreadsheet" not in part.read(200):
                raise Unfit("word")
        with self._zip.open("META-INF/manifest.xml") as part:
            if b"encryption-data" in part.read(_SMALL):
                raise Unfit("locked")
        with self._zip.open("content.xml") as content:
            errors, rest = 0, b""
            while piece := content.read(PIECE):
                text = rest + piece
                errors += len(_ODS_ERROR.findall(text))
                rest = text[-20:] if not _ODS_ERROR.search(text[-40:]) else b""
                _without_doctype(text)
        if errors:
            raise Unfit("ods-errors", count=errors)
        return "ods"

    def _scan(self, name: str) -> Faults:
        found, rest = Faults(), b""
        with self._zip.open(name) as part:
            while piece := part.read(PIECE):
                text = rest + piece
                _without_doctype(text)
                end = max(text.rfind(b"</c>") + 4, text.rfind(b":c>") + 3)
                whole, rest = (text[:end], text[end:]) if end > 4 else (b"", text)
                if len(rest) > 16 * PIECE:
                    raise Unfit("damaged")
                _look(whole, found)
        return found


def _look(text: bytes, found: Faults) -> None:
    """Find the cells that hold an error, and the formulas without a value, in whole cells of a sheet."""
    if b't="e"' in text or b"t='e'" in text:
        for cell in _ERROR.finditer(text):
            place = _PLACE.search(cell[1])
            if place is None:
                raise Unfit("unplaced")
            found.errors[int(place[2]) - 1, _column(place[1])] = cell[2].decode("utf-8", "replace")
        if len(found.errors) > MOST_ERRORS:
            raise Unfit("errors", count=MOST_ERRORS)
    if b"f>" in text or b"<f" in text:
        for cell in _UNSET.finditer(text):
            if b't="str"' in cell[1]:
                continue
            found.unset += 1
            place = _PLACE.search(cell[1])
            if place is not None and len(found.unset_rows) < 20 and int(place[2]) not in found.unset_rows[-1:]:
                found.unset_rows.append(int(place[2]))


def _without_doctype(text: bytes) -> None:
    if b"<!DOCTYPE" in text:
        raise Unfit("doctype")


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1


def _xls(compound: excel_ole.Compound) -> list[dict[tuple[int, int], str]]:
    if "EncryptedPackage" in compound.names:
        raise Unfit("locked")
    kinds = {"Workbook": "", "Book": "", "WordDocument": "word", "PowerPoint Document": "powerpoint"}
    name = next((name for name in compound.names if name in kinds), None)
    if name is None or kinds[name]:
        raise Unfit(kinds[name] if name else "ole")
    try:
        return excel_ole.faults(compound.stream(name))
    except excel_ole.Locked:
        raise Unfit("locked") from None


def _plain_kind(head: bytes) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith(b"%PDF"):
        return "pdf"
    if b"urn:schemas-microsoft-com:office:spreadsheet" in text or b"excel.sheet" in text:
        return "xml-spreadsheet"
    if text.startswith((b"<html", b"<!doctype html", b"<table", b"<meta")) or b"<html" in text:
        return "html"
    if text.startswith(b"{\\rtf"):
        return "word"
    if head[:2] in (b"\x09\x00", b"\x09\x02", b"\x09\x04"):
        return "old"
    return "xml" if text.startswith(b"<?xml") else "text"
