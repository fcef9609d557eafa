"""Workbooks of all kinds, some of them written by hand because no program would write them so."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

import openpyxl

from connectors.formats.excel import ExcelFormat, ExcelFormer
from connectors.formats.excel_process import Limits
from connectors.formats.forms import Expected
from connectors.formats.plain import Document, Plain
from connectors.formats.records import lay_out, split
from hub.contracts.headings import normalise_heading

TITLES = ("统一社会信用代码", "企业名称", "处罚文号", "罚款金额", "决定日期")
KNOWN = frozenset(map(normalise_heading, TITLES))
EXPECTED = Expected("A0030-F06-01", "A0030", KNOWN)
GOOD = ("91320581MA0000A11X", "常熟市甲公司", "常罚〔2024〕1号", 1.5, "2024-03-05")
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DATES = (
    f'<styleSheet xmlns="{_MAIN}"><numFmts count="1"><numFmt numFmtId="170" formatCode="[h]:mm:ss"/></numFmts>'
    '<cellXfs count="4"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="21"/><xf numFmtId="170"/></cellXfs></styleSheet>'
)


def converted(
    content: bytes, options: ExcelFormat | None = None, *, expected: Expected = EXPECTED, titles: Sequence[str] = (), limits: Limits | None = None
) -> tuple[Plain, list[list[str]]]:
    """What the conversion said, and the cells of each line, place first."""
    plain, text = plain_form(content, options, expected=expected, titles=titles, limits=limits)
    return plain, _cells(text)[1:]


def plain_form(
    content: bytes, options: ExcelFormat | None = None, *, expected: Expected = EXPECTED, titles: Sequence[str] = (), limits: Limits | None = None
) -> tuple[Plain, bytes]:
    """What the conversion said, and the whole plain form."""
    pieces, text = ExcelFormer(options or ExcelFormat(), expected, limits).convert(Document(io.BytesIO(content), len(content), "a"), titles), b""
    while True:
        try:
            text += next(pieces)
        except StopIteration as ended:
            return ended.value, text


def _cells(text: bytes) -> list[list[str]]:
    layout = lay_out(text, 0x1F, quote=True, final=True)
    return [split(text[begin:end], 0x1F, quote=True) for begin, end in zip(layout.starts.tolist(), layout.ends.tolist(), strict=True)]


def xlsx(*sheets: Sequence[Sequence[Any]], names: Sequence[str] = (), change: Callable[[openpyxl.Workbook], None] = lambda book: None) -> bytes:
    """A workbook as openpyxl writes it, a list of rows per sheet; `change` may do anything else to it."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for at, rows in enumerate(sheets):
        sheet = book.create_sheet(names[at] if names else f"Sheet{at + 1}")
        for row in rows:
            sheet.append(list(row))
    change(book)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def raw_xlsx(rows: str, *, parts: Mapping[str, str | bytes] | None = None, before: str = "") -> bytes:
    """A workbook of one sheet whose XML is given: what stands inside `sheetData`, and other parts of the package."""
    sheet = f'<?xml version="1.0" encoding="UTF-8"?>{before}<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    relations = "".join(
        f'<Relationship Id="rId{n}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for n, kind, target in ((1, "worksheet", "worksheets/sheet1.xml"), (2, "styles", "styles.xml"), (3, "sharedStrings", "sharedStrings.xml"))
    )
    root = f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    written: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{root}</Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets><sheet name="数据" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{relations}</Relationships>',
        "xl/styles.xml": _DATES,
        "xl/sharedStrings.xml": f'<sst xmlns="{_MAIN}"/>',
        "xl/worksheets/sheet1.xml": sheet,
        **(parts or {}),
    }
    return zipped(written)


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """A ZIP of these members."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED)
    return target.getvalue()


def row(number: int, *cells: str) -> str:
    """A row of a raw sheet: cells are XML, or text."""
    written = [
        cell if cell.startswith("<c") else f'<c r="{chr(65 + at)}{number}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>' for at, cell in enumerate(cells)
    ]
    return f'<row r="{number}">{"".join(written)}</row>'


def ods(rows: Sequence[Sequence[str]], extra: str = "", *, kind: str = "spreadsheet", manifest: str = "") -> bytes:
    """An OpenDocument sheet; a cell is text, or the attributes of a cell without content. `extra` are rows in XML."""
    names = {"office": "office:1.0", "table": "table:1.0", "text": "text:1.0"}
    spaces = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{urn}"' for name, urn in names.items())
    spaces += ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
    body = "".join("<table:table-row>" + "".join(map(_ods_cell, cells)) + "</table:table-row>" for cells in rows) + extra
    table = f'<office:body><office:spreadsheet><table:table table:name="数据">{body}</table:table></office:spreadsheet></office:body>'
    return zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {spaces}>{table}</office:document-content>',
            "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">{manifest}</manifest:manifest>',
        }
    )


def _ods_cell(cell: str) -> str:
    if cell.startswith("office:"):
        return f"<table:table-cell {cell}/>"
    return f'<table:table-cell office:value-type="string"><text:p>{escape(cell)}</text:p></table:table-cell>' if cell else "<table:table-cell/>"


def xls(rows: Sequence[Sequence[Any]], *, locked: bool = False, stream: str = "Workbook") -> bytes:
    """A workbook of Excel 97 ([MS-XLS] in [MS-CFB]) with text, numbers, and errors given as bytes of one."""
    cells = b"".join(_xls_cell(r, c, value) for r, line in enumerate(rows) for c, value in enumerate(line) if value is not None)
    sheet = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0x0DBB, 1996, 0, 6)) + cells + _record(0x000A, b"")
    name = struct.pack("<IBBBB", 0, 0, 0, 2, 1) + "数据".encode("utf-16-le")
    head = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0x0DBB, 1996, 0, 6))
    if locked:
        head += _record(0x002F, struct.pack("<HHH", 1, 1, 1) + bytes(48))
    head += _record(0x0042, struct.pack("<H", 1200))
    start = len(head) + 4 + len(name) + 4
    bound = _record(0x0085, struct.pack("<I", start) + name[4:])
    return _compound(stream, head + bound + _record(0x000A, b"") + sheet)


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def _xls_cell(r: int, c: int, value: Any) -> bytes:
    place = struct.pack("<HHH", r, c, 0)
    if isinstance(value, bytes):
        return _record(0x0205, place + value + b"\1")
    if isinstance(value, str):
        return _record(0x0204, place + struct.pack("<HB", len(value), 1) + value.encode("utf-16-le"))
    return _record(0x0203, place + struct.pack("<d", value))


def _compound(name: str, content: bytes) -> bytes:
    """A compound file of one stream of at least 4096 bytes: header, one sector of the allocation table, one of the directory, the stream."""
    content = content.ljust(max(4096, -(-len(content) // 512) * 512), b"\0")
    sectors = len(content) // 512
    fat = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, sectors + 2), 0xFFFFFFFE]
    assert len(fat) <= 128, "one sector of the table is enough for a sample"
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0) + struct.pack("<109I", 0, *[0xFFFFFFFF] * 108)
    directory = _entry("Root Entry", 5, 1, 0xFFFFFFFE, 0) + _entry(name, 2, 0xFFFFFFFF, 2, len(content)) + bytes(256)
    return header + struct.pack("<128I", *fat, *[0xFFFFFFFF] * (128 - len(fat))) + directory + content


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    raw = (name + "\0").encode("utf-16-le")
    return raw.ljust(64, b"\0") + struct.pack("<HBBIII", len(raw), kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child) + bytes(36) + struct.pack("<III", start, size, 0)
