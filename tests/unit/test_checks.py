"""Each rule of the catalogue refuses exactly what it is for, and says so without the value."""

from __future__ import annotations

import pytest

from hub.contracts.batch import ORDINAL, SUBJECT_ID
from tests.unit.sample_items import GOOD_PERSON, KEYS, NOW, PENALTY, PERSON, batch_of, good
from transforms.checks import CheckRule
from transforms.expression import compile_expression
from transforms.intake import FeedPlan, prepare

TYPES = {"doc_no": "text", "fine_wan": "number", "decision_date": "date", "valid_to": "date", "facts": "text"}


def refused(step):
    return step.refused.select(ORDINAL, "code", "field").rows()


def checked(*rows, item=PENALTY, checks=()):
    return prepare(batch_of(rows, item), FeedPlan(item, KEYS, checks=checks), now=NOW)


def condition(text, **more):
    return CheckRule(text, compile_expression(text, TYPES, expect="bool"), **more)


def test_a_good_row_passes():
    step = checked(good())

    assert len(step.passed) == 1
    assert step.refused.is_empty()
    assert step.warned == {}


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"xdr_name": "  "}, "R101", "xdr_name"),
        ({"doc_no": "无"}, "R101", "doc_no"),
        ({"uscc": None}, "R101", "uscc"),
        ({"doc_no": "长" * 21}, "R103", "doc_no"),
        ({"fine_wan": "两万多"}, "R104", "fine_wan"),
        ({"cases": "1000"}, "R104", "cases"),
        ({"cases": "1.5"}, "R104", "cases"),
        ({"decision_date": "2024-02-30"}, "R105", "decision_date"),
        ({"src_update_time": "昨天"}, "R105", "src_update_time"),
        ({"decision_date": "2026-11-02"}, "R106", "decision_date"),
        ({"decision_date": "1948-12-31"}, "R106", "decision_date"),
        ({"valid_to": "2024-03-04"}, "R107", "valid_to"),
        ({"penalty_class": "拘留"}, "R108", "penalty_class"),
        ({"penalty_class": "罚款、拘留"}, "R108", "penalty_class"),
        ({"usage_scope": "9"}, "R108", "usage_scope"),
        ({"uscc": "91320581MA0000A19X"}, "R111", "uscc"),
        ({"org_code": "MA0000A10"}, "R112", "org_code"),
        ({"xdr_name": "测试企业"}, "R116", "xdr_name"),
        ({"doc_no": "#REF!"}, "R116", "doc_no"),
        ({"reg_no": "3.20581E+14"}, "R117", "reg_no"),
        ({"uscc": "9.13206E+17"}, "R117", "uscc"),
        ({"uscc": "913205810000190000"}, "R117", "uscc"),
        ({"fine_wan": "-1"}, "R118", "fine_wan"),
        ({"fine_wan": "10000.01"}, "R118", "fine_wan"),
        ({"fine_wan": ""}, "R119", "fine_wan"),
    ],
)
def test_one_defect_refuses_one_row_with_its_code(changes, code, field):
    step = checked(good(), good(**{"doc_no": "常环罚〔2024〕2号", **changes}), good(doc_no="常环罚〔2024〕3号"))

    assert refused(step) == [(1, code, field)]
    assert step.passed.frame.get_column(ORDINAL).to_list() == [0, 2]


@pytest.mark.parametrize("number", ["11010519491231002X", "110105194912310020"])
def test_an_id_number_is_checked_only_where_the_id_type_says_so(number):
    rows = [{**GOOD_PERSON, "证件号码": number, "证件类型": "身份证"}, {**GOOD_PERSON, "证件号码": "E12345678", "证件类型": "护照"}]

    step = checked(*rows, item=PERSON)

    assert refused(step) == ([] if number.endswith("X") else [(0, "R114", "id_no")])


def test_an_id_number_that_a_spreadsheet_rounded_is_called_that():
    step = checked({**GOOD_PERSON, "证件号码": "110105194912310000"}, {**GOOD_PERSON, "证件号码": "1.10105E+17"}, item=PERSON)

    assert refused(step) == [(0, "R117", "id_no"), (1, "R117", "id_no")]


def test_a_masked_id_number_is_kept():
    step = checked({**GOOD_PERSON, "证件号码": "3205811969****1234"}, item=PERSON)

    assert step.refused.is_empty()


def test_a_group_needs_one_of_its_fields():
    by_number = good(uscc=None, reg_no="320581000000016")
    placeholder = good(uscc="000000000000000000", doc_no="常环罚〔2024〕2号")

    step = checked(by_number, placeholder)

    assert [(row, code) for row, code, _ in refused(step)] == [(1, "R101")]
    assert step.passed.frame.get_column("reg_no").to_list() == ["320581000000016"]


def test_the_group_is_named_where_the_key_does_not_need_it():
    item = PENALTY.__class__(**{**{name: getattr(PENALTY, name) for name in PENALTY.__dataclass_fields__}, "natural_key": (("doc_no",),)})

    step = checked(good(uscc=None), item=item)

    assert refused(step) == [(0, "R102", "uscc")]
    assert step.refused.item(0, "reason") == "行政相对人代码_1(统一社会信用代码)、行政相对人代码_2(工商注册号)：必须填写其中一项"


def test_a_wrong_registration_number_warns_and_passes():
    step = checked(good(reg_no="320581000000017"))

    assert len(step.passed) == 1
    assert step.warned == {"R113": 1}


def test_an_optional_placeholder_becomes_nothing_and_is_counted():
    step = checked(good(reg_no="000000000000000"))

    assert step.passed.frame.get_column("reg_no").to_list() == [None]
    assert step.warned == {"R116": 1}


def test_the_gravest_reason_of_a_row_is_the_one_that_counts():
    step = checked(good(uscc="91320581MA0000A19X", penalty_class="拘留", fine_wan="多"))

    assert refused(step) == [(0, "R104", "fine_wan")]


def test_reasons_name_the_field_and_never_the_value():
    step = checked(good(uscc="91320581MA0000A19X", xdr_name="常熟市某公司"))

    reason = step.refused.item(0, "reason")
    assert "统一社会信用代码" in reason
    assert "91320581" not in reason
    assert "某公司" not in reason


def test_a_check_line_refuses_warns_or_repairs():
    late = condition("decision_date <= today()", code="X001", field="decision_date", message="决定日期在将来")
    small = condition("fine_wan < 100", action="warn", code="X002")
    fix = CheckRule(
        "valid_to >= decision_date",
        compile_expression("valid_to >= decision_date", TYPES),
        "fix",
        "X003",
        "",
        "valid_to",
        compile_expression("decision_date", TYPES),
    )
    rows = [good(), good(fine_wan="500", doc_no="2"), good(valid_to="2023-01-01", doc_no="3"), good(valid_to=None, doc_no="4")]

    step = checked(*rows, checks=(late, small, fix))

    assert step.refused.is_empty()
    assert step.warned == {"X002": 1, "X003": 1}
    assert [str(day) for day in step.passed.frame.get_column("valid_to")] == ["2099-12-31", "2099-12-31", "2024-03-05", "None"]


def test_a_check_line_says_its_own_message():
    rule = condition("fine_wan < 2", code="X001", field="fine_wan", message="罚款过高")

    step = checked(good(), checks=(rule,))

    assert step.refused.rows() == [(0, "X001", "fine_wan", "罚款过高")]


def test_a_check_of_something_unknown_is_no_breach():
    rule = condition('facts | contains("排放")', code="X001")

    step = checked(good(facts=None), checks=(rule,))

    assert len(step.passed) == 1
    assert SUBJECT_ID not in step.passed.frame.columns
