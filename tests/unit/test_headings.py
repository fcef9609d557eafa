"""Headings of a file find their fields, or the file is refused with the names of what is missing."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from hub.contracts.batch import LINE, ORDINAL
from hub.contracts.errors import Rejected
from tests.unit.sample_items import GOOD, PENALTY
from transforms.expression import compile_expression
from transforms.headings import bind


def test_titles_names_and_aliases_are_recognised_in_any_order():
    headings = [ORDINAL, LINE, "处罚决定日期", "CF_WSH", "uscc", "行政相对人名称", "处罚类别"]

    binding = bind(headings, PENALTY, {})

    assert binding.plain == {"decision_date": "处罚决定日期", "doc_no": "CF_WSH", "uscc": "uscc", "xdr_name": "行政相对人名称", "penalty_class": "处罚类别"}
    assert binding.ignored == ()


def test_brackets_spaces_and_full_width_letters_make_no_other_heading():
    headings = ["行政相对人代码＿1 （统一社会信用代码）", " 行政相对人名称*", "ｃｆ_ｗｓｈ", "【处罚类别】", "处罚 决定日期", "备注栏"]

    binding = bind(headings, PENALTY, {})

    assert binding.plain["uscc"] == "行政相对人代码＿1 （统一社会信用代码）"
    assert binding.plain["doc_no"] == "ｃｆ_ｗｓｈ"
    assert binding.ignored == ("备注栏",)


def test_a_rule_wins_over_a_heading_and_reads_the_frames_own_spelling():
    rules = {"decision_date": compile_expression('col("处罚 决定日期（年月日）") | date', expect="date")}
    headings = [*(heading for heading in GOOD if heading != "处罚决定日期"), "处罚决定日期", "处罚决定日期(年月日)"]

    binding = bind(headings, PENALTY, rules)

    frame = pl.DataFrame({"处罚决定日期": ["2020-01-01"], "处罚决定日期(年月日)": ["2024年3月5日"]})
    assert frame.select(binding.rules["decision_date"].expr).item() == date(2024, 3, 5)
    assert "decision_date" not in binding.plain
    assert binding.ignored == ("处罚决定日期",)
    assert "decision_date" in binding.bound


def test_missing_required_headings_are_named_with_the_nearest_ones():
    headings = ["行政相对人名称", "处罚类别", "处罚决定日", "决定书文号"]

    with pytest.raises(Rejected) as refusal:
        bind(headings, PENALTY, {})

    assert refusal.value.code == "F006"
    assert refusal.value.message.startswith("标题行内容不正确，请使用标准模板：缺少“行政处罚决定书文号”")
    for part in ("“处罚决定日期”", "至少其一", "“处罚决定日”", "“决定书文号”"):
        assert part in refusal.value.message


def test_a_rule_that_reads_a_missing_heading_refuses_the_file():
    rules = {"doc_no": compile_expression("文书编号 | trim")}

    with pytest.raises(Rejected, match="文书编号") as refusal:
        bind(list(GOOD), PENALTY, rules)

    assert refusal.value.code == "F006"


def test_of_two_headings_for_one_field_the_exact_one_wins():
    binding = bind([*GOOD, "处罚类别 "], PENALTY, {})

    assert binding.plain["penalty_class"] == "处罚类别"
    assert binding.ignored == ("处罚类别 ",)


def test_two_headings_that_are_only_alike_refuse_the_file():
    headings = [heading for heading in GOOD if heading != "处罚类别"] + ["处罚类别 ", "【处罚类别】"]

    with pytest.raises(Rejected, match="都表示“处罚类别”") as refusal:
        bind(headings, PENALTY, {})

    assert refusal.value.code == "F006"


def test_fields_that_the_hub_fills_need_no_heading():
    binding = bind(list(GOOD), PENALTY, {})

    assert not {"usage_scope", "record_status", "op_flag"} & binding.bound


def test_a_table_of_something_else_is_refused():
    with pytest.raises(Rejected, match="标题行内容不正确"):
        bind(["1", "淮海路及三个广场区域", "F8", "F9"], PENALTY, {})
