"""Workbooks as agencies write them, read through the throw-away process."""

from __future__ import annotations

import datetime as dt
import io

import pytest

from connectors.formats.csv import CsvFormat, CsvReader
from connectors.formats.cut import cut_of_plain
from connectors.formats.excel import ExcelFormat
from connectors.formats.forms import Expected
from connectors.formats.plain import heading_line
from hub.contracts.batch import ORDINAL
from hub.contracts.errors import Rejected
from hub.contracts.headings import normalise_heading
from hub.contracts.source import Landed
from tests.unit.sample_items import KEYS, NOW, PENALTY, batch_of, good
from tests.unit.sample_workbooks import EXPECTED, GOOD, TITLES, converted, ods, plain_form, raw_xlsx, row, xls, xlsx
from transforms.intake import FeedPlan, prepare

WRITTEN = [str(cell) for cell in GOOD]


def test_a_plain_sheet_is_read_with_the_row_as_place():
    plain, rows = converted(xlsx([TITLES, GOOD, GOOD]))

    assert plain.titles == TITLES
    assert plain.rows == 2
    assert rows == [["2", *WRITTEN], ["3", *WRITTEN]]


def test_records_are_read_from_the_plain_form_with_their_row_as_line():
    plain, text = plain_form(xlsx([["标题"], TITLES, GOOD, [], ["9132", 'a"b\nc', None, 2, None]]))
    start = len(heading_line(plain.titles))
    cut = cut_of_plain("excel", plain.titles, EXPECTED.known, Landed("0" * 64, len(text)), start, plain.evidence)

    (block,) = CsvReader(CsvFormat(), EXPECTED.known).blocks(io.BytesIO(text), cut, start=start, line=2, first=0)

    assert block.frame.drop(ORDINAL).rows() == [(3, *WRITTEN), (5, "9132", 'a"b\nc', None, "2", None)]
    assert block.refused.is_empty()


def test_title_rows_notes_blank_rows_columns_and_totals_are_passed_over_and_told():
    sheet = [
        ["行政处罚信息汇总表"],
        ["填报单位：法制办", None, None, "2024年"],
        [],
        [None, *TITLES],
        [None, "1", "2", "3", "4", "5"],
        [None, *GOOD],
        [],
        [None, *GOOD],
        [None, *TITLES],
        [None, *GOOD],
        [None, "合计", None, None, 4.5],
        [None, "制表人：某某", None, "审核人：某某"],
        [None, "注：1.金额单位为万元"],
        [None, "2、日期为决定日期"],
    ]

    plain, rows = converted(xlsx(sheet))

    assert [cells[0] for cells in rows] == ["6", "8", "10"]
    assert rows[0][1:] == WRITTEN
    (part,) = plain.evidence["parts"]
    assert (part["name"], part["first"], part["rows"], part["heading"]) == ("Sheet1", 0, 3, [4, 4])
    assert part["passed"] == {
        "above": {"count": 2, "rows": [1, 2]},
        "explanation": {"count": 1, "rows": [5]},
        "empty": {"count": 1, "rows": [7]},
        "heading": {"count": 1, "rows": [9]},
        "closing": {"count": 4, "rows": [11, 12, 13, 14]},
    }


def test_a_row_that_only_looks_short_is_a_record():
    _, rows = converted(xlsx([TITLES, GOOD, [None, "常熟市乙公司"]]))

    assert rows[1] == ["3", "", "常熟市乙公司", "", "", ""]


def test_a_total_amid_the_records_is_left_to_the_checks():
    _, rows = converted(xlsx([TITLES, GOOD, ["合计", None, None, 1.5], GOOD]))

    assert [cells[1] for cells in rows] == [WRITTEN[0], "合计", WRITTEN[0]]


def test_many_rows_at_the_end_keep_their_order():
    sheet = [TITLES, *([f"{n}", *GOOD[1:]] for n in range(9000)), ["合计"]]

    plain, rows = converted(xlsx(sheet))

    assert plain.rows == 9000
    assert [cells[1] for cells in rows] == [str(n) for n in range(9000)]
    assert [cells[0] for cells in rows] == [str(n + 2) for n in range(9000)]


def test_a_merged_heading_of_two_rows_is_read_by_its_lower_or_both_parts():
    known = frozenset(map(normalise_heading, ("统一社会信用代码", "行政相对人名称", "处罚机关名称", "决定日期")))

    def merge(book):
        book.active.merge_cells("A1:B1")
        book.active.merge_cells("E1:E2")

    sheet = [["行政相对人", None, "处罚机关", None, "决定日期"], ["统一社会信用代码", "名称", "名称", "电话", None], ["9132", "甲", "乙", "110", "2024-01-01"]]

    plain, rows = converted(xlsx(sheet, change=merge), expected=Expected("A0030-F06-01", "A0030", known))

    assert plain.titles == ("统一社会信用代码", "行政相对人名称", "处罚机关名称", "处罚机关/电话", "决定日期")
    assert rows == [["3", "9132", "甲", "乙", "110", "2024-01-01"]]
    assert plain.evidence["parts"][0]["heading"] == [1, 2]


def test_all_sheets_with_the_heading_are_read_under_all_their_titles():
    second = [TITLES[::-1], GOOD[::-1]]
    third = [[*TITLES[:3], "备注"], [*GOOD[:3], "补"]]

    plain, rows = converted(xlsx([["填表说明"], ["请按要求填写"]], [TITLES, GOOD, GOOD], second, third, names=["说明", "一", "二", "三"]))

    assert plain.titles == (*TITLES, "备注")
    assert rows == [["2", *WRITTEN, ""], ["3", *WRITTEN, ""], ["2", *WRITTEN, ""], ["2", *WRITTEN[:3], "", "", "补"]]
    assert [(part["name"], part["first"], part["rows"]) for part in plain.evidence["parts"]] == [("一", 0, 2), ("二", 2, 1), ("三", 3, 1)]
    assert plain.evidence["passed_over"] == [{"name": "说明", "why": "heading"}]


def test_a_hidden_sheet_is_read_only_when_it_is_asked_for():
    def hide(book):
        book.worksheets[0].sheet_state = "hidden"

    content = xlsx([TITLES, GOOD, GOOD], [TITLES, GOOD], names=["旧", "新"], change=hide)

    default, _ = converted(content)
    named, _ = converted(content, ExcelFormat(sheet="旧"))
    everything, _ = converted(content, ExcelFormat(hidden=True))

    assert default.evidence["passed_over"] == [{"name": "旧", "why": "hidden"}]
    assert [default.rows, named.rows, everything.rows] == [1, 2, 3]


def test_sheets_are_named_by_name_or_number():
    content = xlsx([TITLES, GOOD], [TITLES, GOOD, GOOD], names=["一", "二"])

    by_number, _ = converted(content, ExcelFormat(sheet=2))
    by_both, _ = converted(content, ExcelFormat(sheet=("二", 1)))

    assert (by_number.rows, by_both.rows) == (2, 3)
    assert [part["name"] for part in by_both.evidence["parts"]] == ["二", "一"]


def test_a_sheet_that_is_not_there_is_named():
    with pytest.raises(Rejected, match=r"no sheet '三'.*一") as caught:
        converted(xlsx([TITLES, GOOD], names=["一"]), ExcelFormat(sheet="三"))

    assert caught.value.code == "F006"


def test_a_fixed_heading_row_is_obeyed():
    plain, rows = converted(xlsx([TITLES, GOOD, TITLES, GOOD]), ExcelFormat(heading=3))

    assert plain.evidence["parts"][0]["heading"] == [3, 3]
    assert [cells[0] for cells in rows] == ["4"]


def test_wanted_titles_are_written_even_where_no_sheet_has_them():
    plain, rows = converted(xlsx([TITLES[:2], GOOD[:2]]), titles=("决定日期",))

    assert plain.titles == ("决定日期", *TITLES[:2])
    assert rows == [["2", "", *WRITTEN[:2]]]


def test_no_known_heading_refuses_the_workbook():
    with pytest.raises(Rejected) as caught:
        converted(xlsx([["甲", "乙"], ["1", "2"]]))

    assert caught.value.code == "F006"


def test_a_sheet_that_begins_far_below_keeps_its_row_numbers():
    _, rows = converted(raw_xlsx(row(500, *TITLES[:3]) + row(501, "a", "b", "c")))

    assert rows == [["501", "a", "b", "c"]]


def test_dates_numbers_and_truths_are_written_plainly():
    cells = [dt.date(2019, 3, 5), dt.datetime(2019, 3, 5, 12, 30, 5), dt.time(9, 5), 12, 0.1, True, 99999999999999, -0.0000001, 1e14 + 0.5]
    heading = [*TITLES, "a", "b", "c", "d"]

    _, rows = converted(xlsx([heading, cells]))

    assert rows == [["2", "2019-03-05", "2019-03-05 12:30:05", "09:05:00", "12", "0.1", "TRUE", "99999999999999", "-0.0000001", "100000000000000.5"]]


def test_odd_cells_keep_their_meaning():
    cells = '<c r="A2" s="1"><v>0</v></c><c r="B2" s="3"><v>1.5</v></c><c r="C2" t="inlineStr"><is><t xml:space="preserve"> a_x000D_b\n"c" </t></is></c>'
    also = '<row r="3"><c r="A3" s="1"><v>43529</v></c></row>'

    _, rows = converted(raw_xlsx(row(1, *TITLES[:3]) + f'<row r="2">{cells}</row>{also}'))

    assert rows == [["2", "1899-12-30", "36:00:00", ' a\rb\n"c" '], ["3", "2019-03-05", "", ""]]


def test_error_cells_are_shown_to_the_checks():
    cells = '<c r="A2" t="e"><v>#N/A</v></c><c r="B2" t="inlineStr"><is><t>甲</t></is></c><c r="C2" t="e"><f>1/0</f><v>#DIV/0!</v></c>'

    plain, rows = converted(raw_xlsx(row(1, *TITLES[:3]) + f'<row r="2">{cells}</row>'))

    assert rows == [["2", "#N/A", "甲", "#DIV/0!"]]
    assert plain.evidence["parts"][0]["errors"] == 2


def test_a_formula_that_was_never_calculated_is_empty_and_told():
    formulas = '<c r="A2"><f>1+1</f></c><c r="B2" t="str"><f>A2</f><v></v></c><c r="C2"><f>1+2</f><v>3</v></c>'

    plain, rows = converted(raw_xlsx(row(1, *TITLES[:3]) + f'<row r="2">{formulas}</row>'))

    assert rows == [["2", "", "", "3"]]
    assert plain.evidence["parts"][0]["formulas_without_value"] == {"count": 1, "rows": [2]}


@pytest.mark.parametrize("field", ["uscc", "org_code"])
@pytest.mark.parametrize("number", [913205810000190000, 320581196901011234, 100000000000000000, 1234567890123456])
def test_a_number_too_long_for_a_spreadsheet_ends_as_damaged(field: str, number: int):
    _, ((_, written),) = converted(xlsx([["统一社会信用代码"], [number]]))

    step = prepare(batch_of([good(**{field: written})], PENALTY), FeedPlan(PENALTY, KEYS), now=NOW)

    assert step.refused["code"].to_list() == ["R117"]
    assert step.refused["field"].to_list() == [field]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        (["[tablecode]", "A0030-F06-01", "[departmentcode]", "A0030"], ""),
        (["[TableCode]：A0030-F06-01 [departmentcode]：A0030"], ""),
        (["[tablecode]", "A0030-F06-02"], "F007"),
        (["[tablecode]A0031-F03-01"], "F007"),
        (["[tablecode]"], "F007"),
        (["[departmentcode]", None, "A0031"], "F008"),
    ],
)
def test_the_codes_of_the_standard_template_must_be_ours(cells: list[str | None], code: str):
    content = xlsx([["标准模板"], cells, TITLES, GOOD])

    said = ""
    try:
        converted(content)
    except Rejected as error:
        said = error.code

    assert said == code


def test_template_codes_may_stand_below_their_labels_and_on_another_sheet():
    cover = [["[tablecode]", "[departmentcode]"], ["A0030-F06-02", "A0030"]]

    with pytest.raises(Rejected, match="A0030-F06-02") as caught:
        converted(xlsx(cover, [TITLES, GOOD]))

    assert caught.value.code == "F007"


def test_a_heading_nobody_described_is_the_fullest_row():
    plain, rows = converted(xlsx([["标题"], ["a", "b"], ["1", "2"]]), expected=Expected("A0030-F06-01", "A0030", frozenset()))

    assert plain.titles == ("a", "b")
    assert rows == [["3", "1", "2"]]


def test_an_old_workbook_is_read_with_its_errors():
    plain, rows = converted(xls([TITLES[:4], ["9132", "甲公司", 43529.0, b"\x2a"], ["9133", "乙", 0.5, 320581196901011234.0]]))

    assert rows == [["2", "9132", "甲公司", "43529", "#N/A"], ["3", "9133", "乙", "0.5", "3.2058119690101126E+17"]]
    assert plain.evidence["kind"] == "xls"


def test_an_open_document_is_read():
    content = ods(
        [TITLES[:4], ["9132", "甲公司", 'office:value-type="date" office:date-value="2019-03-05"', 'office:value-type="float" office:value="2"']],
        extra='<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>',
    )

    plain, rows = converted(content)

    assert rows == [["2", "9132", "甲公司", "2019-03-05", "2"]]
    assert plain.evidence["kind"] == "ods"


def test_an_open_document_with_error_cells_is_refused_because_they_read_as_values():
    content = ods([TITLES[:2], ["9132", 'office:value-type="float" office:value="0" calcext:value-type="error"']])

    with pytest.raises(Rejected, match="1 error cells") as caught:
        converted(content)

    assert caught.value.code == "F001"


def test_an_empty_table_has_no_rows():
    plain, rows = converted(xlsx([TITLES]))

    assert (plain.rows, rows) == (0, [])
