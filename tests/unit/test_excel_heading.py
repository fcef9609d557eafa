"""Where a table begins, found in the first rows of a sheet."""

from __future__ import annotations

import pytest

from connectors.formats.excel_heading import Top, codes_of, find_table
from hub.contracts.headings import normalise_heading

KNOWN = frozenset(map(normalise_heading, ("统一社会信用代码", "行政相对人名称", "罚款金额（万元）", "决定日期", "机关名称", "uscc", "xdr_name")))


def top(*rows: list[str], first: int = 0) -> Top:
    return Top(0, "数据", first, 0, max(map(len, rows)), rows)


def table(*rows: list[str], **more):
    found = find_table(top(*rows), KNOWN, **more)
    assert found is not None
    return found


def test_the_row_with_most_known_headings_wins_over_one_that_names_a_single_one():
    found = table(["决定日期：2024年"], ["决定日期", ""], ["统一社会信用代码", "决定日期"], ["9132", "2024-01-01"])

    assert (found.begin, found.after, found.titles) == (2, 3, ("统一社会信用代码", "决定日期"))


def test_one_row_is_preferred_to_two():
    found = table(["某市处罚表", ""], ["统一社会信用代码", "决定日期"], ["9132", "2024-01-01"])

    assert (found.begin, found.after) == (1, 2)


def test_three_rows_make_one_heading():
    found = table(["主体", "", "处罚", "决定日期"], ["信用代码", "", "结果", ""], ["统一社会信用代码", "行政相对人名称", "罚款金额（万元）", ""])

    assert found.titles == ("统一社会信用代码", "行政相对人名称", "罚款金额（万元）", "决定日期")
    assert (found.begin, found.after) == (0, 3)


def test_a_unit_below_a_heading_belongs_to_it():
    found = table(["统一社会信用代码", "罚款金额", "决定日期"], ["", "（万元）", ""], ["9132", "1", "2024-01-01"])

    assert found.titles == ("统一社会信用代码", "罚款金额（万元）", "决定日期")


def test_line_breaks_inside_a_heading_do_not_matter():
    found = table(["统一社会\n信用代码", "决定 \r\n 日期"], ["9132", "x"])

    assert found.titles == ("统一社会信用代码", "决定日期")


def test_columns_without_a_heading_are_left_out():
    found = table(["", "统一社会信用代码", "", "决定日期"], ["1", "9132", "", "x"])

    assert found.columns == (1, 3)


@pytest.mark.parametrize(
    ("below", "skipped"),
    [
        (["1", "2", "3"], True),
        (["0", "1", "2"], True),
        (["（必填）", "选填", "日期"], True),
        (["uscc", "xdr_name", ""], True),
        (["", "", ""], True),
        (["说明：请填写完整", "", ""], True),
        (["9132", "", ""], False),
        (["1", "甲公司", "3"], False),
        (["2", "3", "4"], False),
    ],
)
def test_a_row_that_explains_the_heading_is_no_record(below: list[str], skipped: bool):
    found = table(["统一社会信用代码", "行政相对人名称", "决定日期"], below, ["9132", "甲", "2024-01-01"])

    assert found.skip == ((1,) if skipped else ())


def test_a_heading_deep_down_is_not_looked_for_but_can_be_named():
    rows = [*([f"段落{n}"] for n in range(25)), ["统一社会信用代码", "决定日期"], ["9132", "x"]]

    assert find_table(top(*rows), KNOWN) is None
    assert table(*rows, heading=26).begin == 25


def test_a_fixed_row_outside_the_sheet_finds_nothing():
    assert find_table(top(["统一社会信用代码"], first=3), KNOWN, heading=1) is None


def test_template_labels_are_read_in_beside_and_below():
    rows = (["[tablecode]", "", "A1"], ["[DepartmentCode] = B2"], ["", "[tablecode]", "[departmentcode]"], ["", "C3", "D4"])

    found = list(codes_of(top(*rows), until=4))

    assert found == [("tablecode", "A1"), ("departmentcode", "B2"), ("tablecode", "C3"), ("departmentcode", "D4")]


def test_template_labels_are_looked_for_above_the_heading_only():
    assert list(codes_of(top(["x"], ["[tablecode]", "A1"], first=7), until=8)) == []
