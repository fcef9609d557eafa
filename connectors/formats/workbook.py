"""Writes the workbook that tells a sender what was wrong: its own rows as they came, with code and reason, to be corrected and sent again.

The sheets are written as they are zipped. A library was not used on purpose: openpyxl and its like write each sheet to a file in clear first.
Every cell is text in a column of text, so that whoever corrects a number of 18 digits does not lose any.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import chain, islice
from pathlib import Path, PurePath
from typing import BinaryIO

LINE_TITLE, CODE_TITLE, REASON_TITLE = "原行号", "错误代码", "错误原因"
SHEET = "疑问数据"
ROWS = 1_048_575  # of a sheet below its heading
LONGEST = 32_767  # characters of a cell
_PIECE = 2_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SHEET_NAME = re.compile(r"[\[\]:*?/\\]")
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "_x000D_"})
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_FONT = '<font><sz val="11"/><name val="Calibri"/></font>'
_STYLES = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}"><fonts count="2">{_FONT}{_FONT.replace("<sz", "<b/><sz")}</fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="3"><xf/><xf numFmtId="49" applyNumberFormat="1"/><xf numFmtId="49" fontId="1" applyNumberFormat="1" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
Row = Sequence[str | None]


def error_workbook_name(original: str) -> str:
    """What the error workbook of a file is called: `cf_20261101.xlsx` gives `cf_20261101-错误数据表.xlsx`."""
    return f"{PurePath(original).stem}-错误数据表.xlsx"


def error_workbook(columns: Sequence[str], rows: Iterable[Row], *, sheet: str = SHEET) -> bytes:
    """The error workbook in memory; see `write_error_workbook`."""
    target = BytesIO()
    write_error_workbook(target, columns, rows, sheet=sheet)
    return target.getvalue()


def write_error_workbook(target: Path | BinaryIO, columns: Sequence[str], rows: Iterable[Row], *, sheet: str = SHEET) -> None:
    """Write 原行号, the sender's own `columns`, 错误代码 and 错误原因; each row has the cells of all of them, in this order.

    All cells are text; one that a spreadsheet might take for a formula gets an apostrophe in front, which is taken away when the workbook is sent
    again. What XML cannot hold becomes U+FFFD. More rows than a sheet can hold go to further sheets.
    """
    keep = [at for at, column in enumerate(columns, 1) if column not in (LINE_TITLE, CODE_TITLE, REASON_TITLE)]
    order = (0, *keep, len(columns) + 1, len(columns) + 2)
    heading = (LINE_TITLE, *(columns[at - 1] for at in keep), CODE_TITLE, REASON_TITLE)
    records = ([row[at] for at in order] for row in rows)
    name, names = _SHEET_NAME.sub("_", sheet)[:24], list[str]()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for part in _sheets(records):
            names.append(f"{name} ({len(names) + 1})" if names else name)
            with archive.open(f"xl/worksheets/sheet{len(names)}.xml", "w", force_zip64=True) as stream:
                for piece in _sheet(heading, part):
                    stream.write(piece.encode())
        for path, text in _frame(names):
            archive.writestr(zipfile.ZipInfo(path), text, zipfile.ZIP_DEFLATED)  # a day of its own, so that the same rows make the same bytes


def _sheets(records: Iterator[list[str | None]]) -> Iterator[Iterator[list[str | None]]]:
    """Runs of at most `ROWS` records, at least one run."""
    yield islice(records, ROWS)
    for first in records:
        yield chain([first], islice(records, ROWS - 1))


def _sheet(heading: Sequence[str], records: Iterator[list[str | None]]) -> Iterator[str]:
    yield (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft"'
        f' state="frozen"/></sheetView></sheetViews><cols><col min="1" max="{len(heading)}" width="18" style="1"/></cols><sheetData>'
    )
    yield _row(1, heading, 2)
    row = 2
    while piece := list(islice(records, _PIECE)):
        yield "".join(_row(at, cells, 1) for at, cells in enumerate(piece, row))
        row += len(piece)
    yield "</sheetData></worksheet>"


def _row(number: int, cells: Row, style: int) -> str:
    written = "".join(
        f'<c r="{_letters(column)}{number}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{_text(cell)}</t></is></c>'
        for column, cell in enumerate(cells)
        if cell
    )
    return f'<row r="{number}">{written}</row>'


def _text(cell: str) -> str:
    guarded = "'" + cell if cell.startswith(_FORMULA) else cell
    return _LOOKS_ESCAPED.sub("_x005F_", _ILLEGAL.sub("\ufffd", guarded[:LONGEST])).translate(_ESCAPED)


def _letters(column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _frame(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The parts of the package around its sheets."""
    count = range(1, len(names) + 1)
    sheets = "".join(f'<sheet name="{name.translate(_ESCAPED)}" sheetId="{n}" r:id="rId{n}"/>' for n, name in zip(count, names, strict=True))
    parts = "".join(f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_KIND}.worksheet+xml"/>' for n in count)
    related = "".join(f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in count)
    styles = f'<Relationship Id="rId{len(names) + 1}" Type="{_OFFICE}/styles" Target="styles.xml"/>'
    yield (
        "[Content_Types].xml",
        (
            f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{_KIND}.styles+xml"/>{parts}</Types>'
        ),
    )
    main = f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    yield "_rels/.rels", f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{main}</Relationships>'
    yield "xl/workbook.xml", f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets></workbook>'
    yield "xl/_rels/workbook.xml.rels", f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{related}{styles}</Relationships>'
    yield "xl/styles.xml", _STYLES
