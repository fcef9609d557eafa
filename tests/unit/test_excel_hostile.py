"""Documents that are no workbooks, broken ones, and those made to do harm: an outcome with a code, and no process left behind."""

from __future__ import annotations

import io
import os
import random
import signal
import zipfile
from pathlib import Path

import psutil
import pytest

from connectors.formats.excel import ExcelFormat, ExcelFormer
from connectors.formats.excel_process import Limits
from connectors.formats.plain import Document
from connectors.formats.workbook import error_workbook
from hub.contracts.errors import Rejected, Unavailable
from tests.unit.sample_workbooks import EXPECTED, GOOD, TITLES, converted, ods, raw_xlsx, row, xls, xlsx, zipped

HEADING = row(1, *TITLES)
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'


def outcome(content: bytes) -> str:
    """The code that a document is refused with; empty where it is read."""
    try:
        converted(content)
    except Rejected as error:
        return error.code
    return ""


def readers():
    """The reading processes of this one; servers that other tests share are children of it, too."""
    living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if any("excel_child" in word for word in child.cmdline())]


@pytest.fixture(autouse=True)
def _no_process_is_left():
    yield
    assert readers() == []


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"", "F005", "empty"),
        (b"%PDF-1.7 ...", "F001", "PDF"),
        ("<html><table><tr><td>名称</td></tr></table></html>".encode(), "F001", "web page"),
        (b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook/>', "F001", "Excel 2003"),
        (b"a,b,c\n1,2,3\n", "F001", "no workbook"),
        (b"\x09\x04\x06\x00\x00\x04\x10\x00", "F001", "older than Excel 5"),
        (zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": "<w/>"}), "F001", "Word"),
        (zipped({"a.csv": "a,b\n"}), "F001", "ZIP"),
        (zipped({"[Content_Types].xml": "<Types/>", "xl/workbook.bin": b"\x83\x01"}), "F001", "xlsb"),
        (xls([TITLES], stream="WordDocument"), "F001", "Word"),
        (xls([TITLES], stream="EncryptedPackage"), "F001", "password"),
        (xls([TITLES], locked=True), "F001", "password"),
        (ods([TITLES], kind="text"), "F001", "Word"),
        (ods([TITLES], manifest="<manifest:encryption-data/>"), "F001", "password"),
        (xlsx([TITLES, GOOD])[:-300], "F001", "damaged"),
        (xls([TITLES, GOOD[:3]])[:1600], "F001", "damaged"),
    ],
)
def test_what_is_no_workbook_is_called_by_its_name(content: bytes, code: str, said: str):
    with pytest.raises(Rejected, match=said) as caught:
        converted(content)

    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        raw_xlsx(HEADING, before=LAUGHS),
        raw_xlsx(HEADING, parts={"xl/workbook.xml": LAUGHS + "<workbook/>"}),
        raw_xlsx(HEADING, parts={"xl/sharedStrings.xml": LAUGHS + "<sst><si><t>&c;</t></si></sst>"}),
    ],
)
def test_a_document_type_is_refused(content: bytes):
    with pytest.raises(Rejected, match=r"document type|damaged") as caught:
        converted(content)

    assert caught.value.code == "F001"


def test_a_sheet_that_claims_the_largest_size_is_read_by_what_it_holds():
    sheet = HEADING + row(2, "a", "b", "c", "d", "e")
    content = raw_xlsx("", parts={"xl/worksheets/sheet1.xml": f'<worksheet><dimension ref="A1:XFD1048576"/><sheetData>{sheet}</sheetData></worksheet>'})

    plain, _ = converted(content)

    assert plain.rows == 1


def test_a_cell_in_the_farthest_corner_aborts_the_reader_and_nothing_else():
    with pytest.raises(Rejected, match="breaks its reader") as caught:
        converted(raw_xlsx(HEADING + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'))

    assert caught.value.code == "F003"


def test_a_cell_beyond_the_farthest_corner_is_damage():
    assert outcome(raw_xlsx(HEADING + '<row r="4294967295"><c r="ZZZZ4294967295"><v>1</v></c></row>')) in {"F001", "F003"}


def test_a_bomb_ends_at_the_memory_limit():
    sheet = b"<worksheet><sheetData><row><c><v>" + b" " * (100 << 20) + b"</v></c></row></sheetData></worksheet>"
    content = raw_xlsx("", parts={"xl/worksheets/sheet1.xml": sheet})

    with pytest.raises(Rejected) as caught:
        converted(content, limits=Limits(memory=96 << 20))

    assert len(content) < 1 << 20
    assert caught.value.code in {"F001", "F003"}


def test_too_many_cells_for_the_memory_refuse_the_workbook():
    with pytest.raises(Rejected) as caught:
        converted(raw_xlsx(HEADING + "<row>" + "<c><v>1</v></c>" * 16000 + "</row>" + "<row><c><v>1</v></c></row>" * 2000), limits=Limits(memory=192 << 20))

    assert caught.value.code == "F003"


def test_a_workbook_that_takes_too_long_is_refused():
    content = raw_xlsx(HEADING + "<row><c><v>1</v></c><c><v>2</v></c></row>" * 1_000_000)

    with pytest.raises(Rejected, match="1 s of processor time") as caught:
        converted(content, limits=Limits(processor=1))

    assert caught.value.code == "F003"


def test_waiting_has_an_end():
    with pytest.raises(Rejected, match="within 0 s") as caught:
        converted(xlsx([TITLES, GOOD]), limits=Limits(wait=0))

    assert caught.value.code == "F003"


def test_a_file_beyond_its_size_is_not_even_looked_at():
    with pytest.raises(Rejected, match="larger than 0 MiB") as caught:
        converted(xlsx([TITLES, GOOD]), limits=Limits(size=1000))

    assert caught.value.code == "F003"


def test_a_cell_longer_than_any_spreadsheet_allows_is_refused_with_its_row():
    with pytest.raises(Rejected, match="row 3 ") as caught:
        converted(raw_xlsx(HEADING + row(2, "a") + row(3, "x" * 32_768)))

    assert caught.value.code == "F003"


def test_more_columns_than_allowed_are_refused():
    with pytest.raises(Rejected, match="2001 columns") as caught:
        converted(xlsx([[*TITLES, *(f"c{n}" for n in range(1996))], GOOD]))

    assert caught.value.code == "F006"


def test_two_members_of_one_name_are_refused():
    target = io.BytesIO(raw_xlsx(HEADING))
    with zipfile.ZipFile(target, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")

    with pytest.raises(Rejected, match="damaged"):
        converted(target.getvalue())


@pytest.mark.parametrize("make", [lambda: xlsx([TITLES, *[GOOD] * 20]), lambda: xls([TITLES, *[GOOD[:4]] * 20]), lambda: ods([TITLES, *[WORDS] * 20])])
@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_file_is_read_or_refused(make, seed: int):
    chance, content = random.Random(seed), bytearray(make())
    for _ in range(20):
        content[chance.randrange(len(content))] = chance.randrange(256)

    assert outcome(bytes(content)) in {"", "F001", "F003", "F006"}


WORDS = [str(cell) for cell in GOOD]


def test_a_reader_killed_from_outside_is_tried_again():
    content = error_workbook(list(TITLES), (["1", *WORDS, "", ""] for _ in range(20_000)))
    pieces = ExcelFormer(ExcelFormat(), EXPECTED).convert(Document(io.BytesIO(content), len(content), "a.xlsx"))
    next(pieces)

    os.kill(readers()[0].pid, signal.SIGKILL)

    with pytest.raises(Unavailable):
        list(pieces)


def test_an_abandoned_conversion_ends_its_process():
    content = error_workbook(list(TITLES), (["1", *WORDS, "", ""] for _ in range(20_000)))
    pieces = ExcelFormer(ExcelFormat(), EXPECTED).convert(Document(io.BytesIO(content), len(content), "a.xlsx"))
    next(pieces)
    child = readers()[0]

    pieces.close()

    assert not child.is_running()


def test_the_reader_cannot_write_files_and_has_no_secrets_in_its_environment():
    content = error_workbook(list(TITLES), (["1", *WORDS, "", ""] for _ in range(20_000)))
    pieces = ExcelFormer(ExcelFormat(), EXPECTED).convert(Document(io.BytesIO(content), len(content), "a.xlsx"))
    next(pieces)
    child = readers()[0]

    limits = Path(f"/proc/{child.pid}/limits").read_text("utf-8")
    names = sorted(child.environ())
    pieces.close()

    assert [line.split()[3:5] for line in limits.splitlines() if line.startswith(("Max file size", "Max core file"))] == [["0", "0"], ["size", "0"]]
    assert names == ["LC_ALL", "MALLOC_ARENA_MAX"]
