"""Every function does what its examples say, and the table describes itself."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from transforms.expression import FUNCTIONS, compile_expression, describe, describe_text
from transforms.signature import Example, Function
from transforms.terms import DTYPES

MOMENT = datetime(2024, 5, 6, 7, 8, 9)
PIPED = [pytest.param(e, id=f"{f.name}-{i}") for f in FUNCTIONS.values() if f.piped for i, e in enumerate(f.examples) if e.value is not None]
EXAMPLES = [pytest.param(f, e, id=f"{f.name}-{i}") for f in FUNCTIONS.values() for i, e in enumerate(f.examples)]


def type_of(value: Any) -> str:
    words = {bool: "bool", int: "number", float: "number", datetime: "time", date: "date"}
    return words.get(type(value), "text")


def outcome(value: Any, call: str, *, piped: bool = True) -> Any:
    kind = type_of(value)
    compiled = compile_expression(f"value | {call}" if piped else call, {"value": kind}).at(MOMENT)
    given = Decimal(str(value)) if kind == "number" else value
    found = pl.DataFrame({"value": [given, None]}, schema={"value": DTYPES[kind]}).select(compiled.expr).to_series()[0]
    return float(found) if isinstance(found, Decimal) else found


@pytest.mark.parametrize("repeated", [1, 5])
@pytest.mark.parametrize("example", PIPED)
def test_repeated_values_fare_alike_and_missing_ones_are_never_reported(example: Example, repeated: int) -> None:
    kind = type_of(example.value)
    compiled = compile_expression(f"value | {example.call}", {"value": kind}).at(MOMENT)
    given = Decimal(str(example.value)) if kind == "number" else example.value
    frame = pl.DataFrame({"value": [given, None] * repeated}, schema={"value": DTYPES[kind]})

    found = frame.select(compiled.expr).to_series().to_list()
    failed = [frame.with_columns(lost.alias("lost")).filter(pl.col("value").is_null() & pl.col("lost")).height for _, lost in compiled.failures]
    unmapped = [frame.with_columns(text.alias("text")).filter(pl.col("value").is_null() & pl.col("text").is_not_null()).height for _, text in compiled.unmapped]

    assert found == found[:2] * repeated
    assert not any((*failed, *unmapped))


@pytest.mark.parametrize(("function", "example"), EXAMPLES)
def test_a_function_does_what_its_example_says(function: Function, example: Example) -> None:
    found = outcome(example.value, example.call, piped=not example.call.startswith(("now()", "today()")))

    assert found == example.result


def column(text: str, *values: str | None) -> list[Any]:
    compiled = compile_expression(text, {"value": "text"}).at(MOMENT)
    return pl.DataFrame({"value": values}, schema={"value": pl.String}).select(compiled.expr).to_series().to_list()


def test_every_function_is_explained_in_both_languages_and_shown() -> None:
    described = [describe(function) for function in FUNCTIONS.values()]

    assert len(described) >= 25
    assert all(d["help"] and d["examples"] and d["signature"].count(d["name"]) for d in described)
    assert all(any("\u4e00" <= c <= "\u9fff" for c in d["label"]) for d in described)
    assert len({d["label"] for d in described}) == len(described)


def test_a_function_is_described_with_its_parameters() -> None:
    described = describe(FUNCTIONS["money"])

    assert described["signature"] == "value: text or number | money(unit: text = '元', to: text = '元') -> number"
    assert [p["name"] for p in described["parameters"]] == ["value", "unit", "to"]
    assert {"value": "2万元", "call": "money", "result": 20000} in described["examples"]


def test_a_function_is_described_in_lines_for_the_terminal() -> None:
    lines = describe_text(FUNCTIONS["year_month"]).splitlines()

    assert lines[0] == "value: text | year_month() -> date"
    assert "    '201903' | year_month  →  2019-03-01" in lines


def test_one_column_holds_many_spellings_of_a_date() -> None:
    spellings = [
        "2019-03-05",
        "２０１９-３-５",
        "2019.3.5",
        None,
        "无",
        "二〇一九年十月二十一日",
        "一九九九年十二月三十日",
        "2019年10月5日 8:00",
        "2019112",
        "201935",
        "2019-13-01",
    ]

    found = column("value | date", *spellings)

    assert found == [
        date(2019, 3, 5),
        date(2019, 3, 5),
        date(2019, 3, 5),
        None,
        None,
        date(2019, 10, 21),
        date(1999, 12, 30),
        date(2019, 10, 5),
        None,
        None,
        None,
    ]


def test_a_format_without_separators_wants_all_its_digits() -> None:
    found = column('value | date("%Y%m%d")', "20190305", "2019112")

    assert found == [date(2019, 3, 5), None]


@pytest.mark.parametrize(
    ("written", "yuan"),
    [
        ("壹拾贰万叁仟肆佰伍拾陆元柒角捌分", "123456.78"),
        ("玖仟玖佰玖拾玖亿玖仟玖佰玖拾玖万元整", "999999990000"),
        ("十万元", "100000"),
        ("一百零八元", "108"),
        ("２．５万元", "25000"),
        ("3百万", "3000000"),
        ("1,234,567.89", "1234567.89"),
        ("-100", "-100"),
        ("1.2亿元", "120000000"),
        ("人民币伍佰元整", "500"),
        ("￥0.01", "0.01"),
        ("RMB2,000元整", "2000"),
    ],
)
def test_an_amount_is_read_exactly_however_it_is_written(written: str, yuan: str) -> None:
    found = column("value | money", written)

    assert found == [Decimal(yuan)]


@pytest.mark.parametrize("written", ["罚", "元", "万元", "12,34元", "1.2.3", "2万3", "3.2E+17", "9" * 40, "九九", "１２个"])
def test_what_is_no_amount_is_not_guessed(written: str) -> None:
    compiled = compile_expression("value | money", {"value": "text"})
    frame = pl.DataFrame({"value": ["1", written]})

    found = frame.select(compiled.expr).to_series()

    assert found.to_list() == [Decimal(1), None]
    failed = compiled.failed(frame, found)
    assert failed is not None
    assert failed.to_list() == [None, "R104"]


def test_names_keep_what_belongs_to_them() -> None:
    found = column("value | clean_name", "张  三", "诸葛 亮", "诸葛 孔 明", "Tom  Li", "阿依·古丽", "A.B有限公司", "\u200b王五\ufeff", "　")

    assert found == ["张三", "诸葛亮", "诸葛 孔 明", "Tom  Li", "阿依·古丽", "A.B有限公司", "王五", None]


def test_codes_are_read_from_lists_and_the_unknown_is_reported_with_counts() -> None:
    lists = {"penalty_class": {"1": "警告", "2": "罚款", "3": "没收违法所得和非法财物"}}
    compiled = compile_expression('处罚类别 | code("penalty_class", "简易罚款=2", multi=True)', codes=lists)
    frame = pl.DataFrame({"处罚类别": ["警告；罚款", "2", "简易罚款", "拘役、警告", "拘役", "没收", None, "", "没收违法所得和非法财物"]})

    found = frame.select(compiled.expr).to_series().to_list()

    assert found == ["1;2", "2", "2", None, None, None, None, None, "3"]
    assert compiled.reports == ("penalty_class",)
    assert compiled.unmapped_values(frame) == {"penalty_class": {"拘役": 2, "没收": 1}}


def test_a_report_without_a_code_list_is_named_after_its_column() -> None:
    compiled = compile_expression('col("处罚 类别") | trim | code("警告=1", default="9")')
    frame = pl.DataFrame({"处罚 类别": ["警告", "拘役"]})

    assert frame.select(compiled.expr).to_series().to_list() == ["1", "9"]
    assert compiled.unmapped_values(frame) == {"处罚 类别": {"拘役": 1}}


def test_arithmetic_is_exact_and_one_poisoned_row_does_not_fail_its_batch() -> None:
    compiled = compile_expression("a * b / 3 + 0.1", {"a": "number", "b": "number"})
    frame = pl.DataFrame(
        {"a": [Decimal(3), Decimal(10) ** 17, None], "b": [Decimal(2), Decimal(10) ** 17, Decimal(1)]}, schema={"a": DTYPES["number"], "b": DTYPES["number"]}
    )

    found = frame.select(compiled.expr).to_series()

    assert found.to_list() == [Decimal("2.1"), None, None]
    failed = compiled.failed(frame, found)
    assert failed is not None
    assert failed.to_list() == [None, "R104", None]


def test_dividing_by_nothing_gives_nothing() -> None:
    compiled = compile_expression("a / b", {"a": "number", "b": "number"})

    found = pl.DataFrame({"a": [6, 6], "b": [4, 0]}).select(compiled.expr).to_series()

    assert found.to_list() == [Decimal("1.5"), None]


def test_a_hostile_pattern_is_linear_on_a_hundred_thousand_characters() -> None:
    found = column(r'value | extract(r"((a+)+)$")', "a" * 100_000 + "b", "a" * 100_000)

    assert found == [None, "a" * 100_000]
