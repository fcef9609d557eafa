"""The workbook that tells a sender what was wrong: safe to open, and fit to be sent again."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import openpyxl
import pytest

from connectors.formats import workbook
from connectors.formats.workbook import error_workbook, error_workbook_name, write_error_workbook
from tests.unit.sample_workbooks import TITLES, converted, xlsx

HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "=cmd|' /C calc'!A0", '=HYPERLINK("http://example.invalid")']


def cells(content: bytes) -> list[list[str | None]]:
    return [[cell.value for cell in row] for row in openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows()]


def test_the_senders_columns_stand_between_row_number_and_reason():
    content = error_workbook(["名称", "文号"], [["7", "甲公司", None, "R101", "文号：不能为空"]])

    assert cells(content) == [["原行号", "名称", "文号", "错误代码", "错误原因"], ["7", "甲公司", None, "R101", "文号：不能为空"]]


def test_the_sheet_is_called_what_the_data_are():
    assert openpyxl.load_workbook(io.BytesIO(error_workbook(["a"], []))).sheetnames == ["疑问数据"]


@pytest.mark.parametrize("cell", HOSTILE)
def test_nothing_becomes_a_formula(cell: str):
    content = error_workbook(["名称"], [["1", cell, cell, cell]])

    (row,) = openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(min_row=2)
    assert [found.data_type for found in row] == ["s"] * 4
    assert all(found.value.startswith("'") for found in row[1:])
    assert {found.number_format for found in row} == {"@"}


@pytest.mark.parametrize("cell", [*HOSTILE, " 空格 ", "a\nb", 'a"b', "<&>", "_x0041_", "320581196901011234", "'引号", "a\x1fb"])
def test_what_the_sender_leaves_alone_comes_back_as_it_was(cell: str):
    content = error_workbook(list(TITLES), [["2", "9132", cell, "常罚1号", "1", "2024-03-05", "R101", "原因"]])

    plain, rows = converted(content)

    assert plain.titles == ("原行号", *TITLES, "错误代码", "错误原因")
    assert rows == [["2", "2", "9132", cell.replace("\x1f", "\ufffd"), "常罚1号", "1", "2024-03-05", "R101", "原因"]]


def test_an_apostrophe_of_the_senders_own_stays_where_the_workbook_is_not_ours():
    _, rows = converted(xlsx([TITLES, ["9132", "'=x", "a", "b", "c"]]))

    assert rows[0][2] == "'=x"


@pytest.mark.parametrize("cell", ["\x00", "a\x0bb", "\ufffe", "\ud800", "x" * 40_000])
def test_what_no_workbook_can_hold_does_not_break_it(cell: str):
    content = error_workbook(["名称"], [["1", cell, "R1", "原因"]])

    found = cells(content)[1][1]
    assert isinstance(found, str)
    assert len(found) <= 32_767


def test_a_second_round_does_not_repeat_our_columns():
    content = error_workbook(["原行号", "名称", "错误代码", "错误原因"], [["9", "2", "甲", "R101", "旧", "R111", "新"]])

    assert cells(content) == [["原行号", "名称", "错误代码", "错误原因"], ["9", "甲", "R111", "新"]]


def test_more_rows_than_a_sheet_holds_go_to_further_sheets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workbook, "ROWS", 3)

    book = openpyxl.load_workbook(io.BytesIO(error_workbook(["a"], ([str(n), "x", "R1", "y"] for n in range(7)))))

    assert {sheet.title: sheet.max_row for sheet in book} == {"疑问数据": 4, "疑问数据 (2)": 4, "疑问数据 (3)": 2}


def test_it_can_be_written_to_a_file_and_nothing_else_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    elsewhere = tmp_path / "tmp"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))

    write_error_workbook(tmp_path / "a.xlsx", ["a"], [["1", "x", "R1", "y"]])

    assert cells((tmp_path / "a.xlsx").read_bytes())[1] == ["1", "x", "R1", "y"]
    assert list(elsewhere.iterdir()) == []


def test_names():
    assert error_workbook_name("cf_20261101.xlsx") == "cf_20261101-错误数据表.xlsx"
    assert error_workbook_name("数据.csv") == "数据-错误数据表.xlsx"
