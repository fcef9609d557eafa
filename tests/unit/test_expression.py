"""The pipe language: what it accepts, what it refuses and where, and what it never does."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from transforms.expression import FUNCTIONS, NOW, Compiled, ExpressionError, compile_expression
from transforms.grammar import MAX_DEPTH, MAX_LENGTH

MOMENT = datetime(2024, 5, 6, 7, 8, 9)
TYPES = {"name": "text", "amount": "number", "decided": "date", "updated": "time", "person": "bool", "罚款金额": "number"}


def results(text: str, frame: pl.DataFrame, columns: dict[str, str] | None = None) -> list[Any]:
    compiled = compile_expression(text, columns).at(MOMENT)
    return frame.with_columns(compiled.expr.alias("result")).get_column("result").to_list()


def refusal(text: str, columns: dict[str, str] | None = None, **how: Any) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, columns, **how)
    return caught.value


def attempt(text: str) -> Compiled | ExpressionError:
    try:
        return compile_expression(text, TYPES)
    except ExpressionError as error:
        return error


def test_a_pipe_gives_its_value_as_the_first_argument() -> None:
    frame = pl.DataFrame({"名称": [" ab "]})

    assert results('名称 | trim | concat("!") | upper', frame) == results('upper(concat(trim(名称), "!"))', frame) == ["AB!"]


def test_a_heading_keeps_its_own_spelling() -> None:
    compiled = compile_expression('concat(代码＿1, col("罚款金额（元）"), Ｎａｍｅ)')

    assert compiled.columns == ("代码＿1", "罚款金额（元）", "Ｎａｍｅ")


def test_columns_can_be_called_otherwise_in_the_frame() -> None:
    compiled = compile_expression('col("名称") | trim | concat(代码)').renamed({"名称": " 名 称 "})

    found = pl.DataFrame({" 名 称 ": ["甲 "], "代码": ["1"]}).select(compiled.expr).to_series().to_list()

    assert found == ["甲1"]
    assert compiled.columns == ("名称", "代码")


def test_the_moment_is_passed_in() -> None:
    compiled = compile_expression("decided <= today()", TYPES)
    frame = pl.DataFrame({"decided": [date(2024, 5, 6), date(2024, 5, 7)]})

    assert frame.select(compiled.at(MOMENT).expr).to_series().to_list() == [True, False]
    assert frame.with_columns(pl.lit(MOMENT).alias(NOW)).select(compiled.expr).to_series().to_list() == [True, False]


def test_renaming_and_the_moment_go_together() -> None:
    compiled = compile_expression("decided == today()", TYPES).at(MOMENT).renamed({"decided": "决定日期"})

    assert pl.DataFrame({"决定日期": [date(2024, 5, 6)]}).select(compiled.expr).to_series().to_list() == [True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amount < 1000", [True, False, None]),
        ("0 <= amount < 1000.5", [True, False, None]),
        ("amount in (10, 2000)", [True, True, None]),
        ("amount not in (10, 20)", [False, True, None]),
        ('name == "甲" or amount > 5', [True, True, None]),
        ('not (name == "甲")', [False, True, None]),
        ('decided >= "2024-01-01"', [True, False, None]),
        ('"2024-01-01" <= decided <= today()', [True, False, None]),
        ('decided in ("2024-05-01", "2024-05-02")', [True, False, None]),
        ("amount * 2 + 1 == 21", [True, False, None]),
        ("-amount == -10", [True, False, None]),
        ("name | is_null", [False, False, True]),
        ('(name | default("丙")) in ["丙"]', [False, False, True]),
        ('updated >= "2024-05-01 08:00:00"', [True, False, None]),
        ("(updated | day) == decided", [True, True, None]),
    ],
)
def test_conditions_say_true_false_or_unknown(text: str, expected: list[bool | None]) -> None:
    frame = pl.DataFrame(
        {
            "name": ["甲", "乙", None],
            "amount": [Decimal(10), Decimal(2000), None],
            "decided": [date(2024, 5, 1), date(2023, 5, 1), None],
            "updated": [datetime(2024, 5, 1, 9), datetime(2023, 5, 1), None],
        }
    )

    assert results(text, frame, TYPES) == expected


@pytest.mark.parametrize("text", ['"甲"', "1 + 2", '"2019-3-5" | date', '"a" | trim | clean_name', 'coalesce("a" | trim | upper, name)'])
def test_constants_fill_the_column(text: str) -> None:
    found = results(text, pl.DataFrame({"name": ["x", "y", "z"]}), TYPES)

    assert len(found) == 3
    assert found[0] is not None
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    ("text", "offset", "part"),
    [
        ("名称 | trimm", 5, "unknown function 'trimm'"),
        ("  名称 |  trimm", 8, "unknown function 'trimm'"),
        ("名称\n  | trimm", 7, "unknown function 'trimm'"),
        ("名称 | trim |", 11, "not an expression"),
        ("罚款金额（元） | trim", 4, "not an expression"),
        ("名称 ｜ trim", 3, "not an expression"),
        ("", 0, "empty"),
        ("名称 # | trim", 3, "comment"),
        ("名称.strip()", 0, "attribute is not part of the language"),
        ("trim()(名称)", 0, "only functions of the table"),
        ("名称 | lambda x: x", 5, "not an expression"),
        ("[x for x in 名称]", 0, "list comp is not part of the language"),
        ("名称[0]", 0, "subscript is not part of the language"),
        ("名称 if True else 1", 0, "if exp is not part of the language"),
        ('f"{名称}"', 0, "joined str is not part of the language"),
        ("名称 ** 2", 0, "operator Pow"),
        ("~名称", 0, "operator Invert"),
        ("名称 | 3", 5, "after | a function is expected"),
        ("trim(*名称)", 5, "starred is not part of the language"),
        ("trim(**名称)", 0, "one by one"),
        ("(名称, 1)", 0, "a list of values belongs after `in`"),
        ('名称 in "abc"', 6, "after `in` comes a list of constants"),
        ("名称 in (代码, 1)", 7, "after `in` comes a list of constants"),
        ("名称 == None", 6, "cannot be compared"),
        ("名称 is None", 6, "cannot be compared"),
        ("b'x'", 0, "constant of type bytes"),
        ("1e40", 0, "18 digits"),
        ("1" * 30, 0, "18 digits"),
        ('"\\b"', 0, "control character"),
        ("col(名称)", 0, "col takes one heading in quotes"),
    ],
)
def test_what_is_no_part_of_the_language_is_refused_at_its_place(text: str, offset: int, part: str) -> None:
    error = refusal(text)

    assert part in error.message
    assert error.offset == offset


@pytest.mark.parametrize(
    ("text", "offset", "part"),
    [
        ("name > 5", 7, "text and number cannot be compared"),
        ("amount | trim", 0, "trim takes text, but this is number"),
        ("name + 1", 0, "text cannot be added"),
        ("decided + 1", 0, "takes no arithmetic"),
        ("name and person", 0, "and takes bool"),
        ("not amount", 4, "not takes bool"),
        ('decided <= "next week"', 11, "not a date"),
        ("decided < updated", 10, "date and time cannot be compared"),
        ("person < True", 0, "cannot be compared like this"),
        ('amount | default("0")', 17, "cannot be used together in default"),
        ("person | if_else(name, 1)", 23, "cannot be used together in if_else"),
        ("name | split(name)", 13, "split takes a constant text as 'sep'"),
        ("name | left(True)", 12, "left takes a constant whole number"),
        ('name | split(",")', 0, "a list is no value"),
        ("name | trim(1)", 12, "takes at most 1 arguments"),
        ("name | left", 7, "misses the argument 'n'"),
        ('name | money(einheit="元")', 21, "no argument 'einheit'"),
        ("name | today", 7, "nothing can be piped into today"),
        ("name | money(to='两')", 7, "unknown unit"),
        (r'name | extract(r"(?=a)")', 7, "not a pattern"),
        (r'name | extract(r"(a)\1")', 7, "not a pattern"),
        (r'name | extract("a(b)", 2)', 7, "no group 2"),
        ('name | date("%Y-%m")', 7, "has no %d"),
        ('name | date("%Y-%m-%q")', 7, "unknown format code"),
        ('name | code("nope")', 7, "unknown code list"),
        ("name | code", 7, "code list or pairs"),
    ],
)
def test_types_and_arguments_are_checked_before_any_row_is_read(text: str, offset: int, part: str) -> None:
    error = refusal(text, TYPES)

    assert part in error.message
    assert error.offset == offset
    assert error.hint or "18 digits" in error.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("decidet", "did you mean decided?"),
        ("罚款 金额", "col("),
        ('col("罚款 金额")', "did you mean 罚款金额?"),
        ("decided <= today", "write today()"),
        ("name | hafwidth", "did you mean halfwidth?"),
        ('name | money(unti="元")', "did you mean unit?"),
        ("name | code('penalty_clas')", "did you mean penalty_class?"),
        ("amount > name", "write value | number"),
    ],
)
def test_the_nearest_right_name_is_offered(text: str, hint: str) -> None:
    error = refusal(text, TYPES, codes={"penalty_class": {"1": "警告"}})

    assert hint in error.hint


def test_the_result_must_have_the_expected_type() -> None:
    error = refusal("name | trim", TYPES, expect="number")

    assert error.message == "the expression gives text, but number is needed"
    assert error.hint == "add | number"
    assert compile_expression("name | number", TYPES, expect="number").type == "number"
    assert compile_expression("None", TYPES, expect="number").type == "null"


def test_length_and_depth_are_bounded() -> None:
    long = refusal("a" * (MAX_LENGTH + 1))
    deep = refusal("a" + " | trim" * (MAX_DEPTH + 1))
    brackets = refusal("(" * 1_000 + "a" + ")" * 1_000)
    signs = refusal("-" * (MAX_LENGTH - 1) + "1")

    assert "characters" in long.message
    assert f"more than {MAX_DEPTH} levels deep" in deep.message
    assert brackets.message
    assert signs.message


@pytest.mark.parametrize(
    "step", [" | trim", " | clean_name", ' | null_if("a", "b")', " | date | text", ' | default("b")', ' | money | text | code("1=2", multi=True)']
)
def test_a_long_chain_grows_with_its_length_only(step: str) -> None:
    steps = (MAX_DEPTH - 2) // step.count("|")

    compiled = compile_expression("name" + step * steps, TYPES)

    assert len(compiled.expr.meta.root_names()) < 100


def test_a_lost_value_is_told_from_a_missing_one() -> None:
    compiled = compile_expression("coalesce(a | date, a | excel_date)")
    frame = pl.DataFrame({"a": ["2019-03-05", "43529", "soon", None, "无", " ", "2019-02-30"]})
    found = frame.select(compiled.expr).to_series()

    failed = compiled.failed(frame, found)

    assert found.to_list() == [date(2019, 3, 5), date(2019, 3, 5), None, None, None, None, None]
    assert failed is not None
    assert failed.to_list() == [None, None, "R105", None, None, None, "R105"]


def test_nothing_lost_is_nothing_to_report() -> None:
    compiled = compile_expression("a | number")
    frame = pl.DataFrame({"a": ["1", "无", None]})

    assert compiled.failed(frame, frame.select(compiled.expr).to_series()) is None
    assert compiled.failed(frame.clear(), frame.clear().select(compiled.expr).to_series()) is None


WORDS = [
    *FUNCTIONS,
    *TYPES,
    "col",
    "(",
    ")",
    "|",
    ",",
    '"',
    "'",
    "==",
    "<",
    "in",
    "not",
    "and",
    "or",
    "-",
    "+",
    "*",
    "/",
    "1",
    "2.5",
    "None",
    "True",
    "[",
    "]",
    "=",
    "#",
    " ",
    "%Y",
    '"%Y"',
    "lambda",
    ":",
    "r'\\d'",
    "（",
    "\x00",
    "\\",
    "{",
    "}",
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join), st.lists(st.sampled_from(WORDS), max_size=10).map("".join)))
@example("\ud800")
@example('"\\ud800"')
@example("\x00")
@example("{}".format("9" * 3_999))
@example("1e999999999")
@example('name | extract("' + "(a{1000}){1000}" + '")')
@example('name | lpad(4000, "é") | lpad(4000)')
@example("a" * MAX_LENGTH)
@example("decided | add_days(99999)")
@example("(" * 199)
def test_any_text_compiles_or_is_refused_with_a_place(text: str) -> None:
    found = attempt(text)

    if isinstance(found, ExpressionError):
        assert found.message
        assert 0 <= found.offset <= len(text)
    else:
        assert set(found.columns) <= set(TYPES)


PIPES = st.sampled_from([f"{f.name}({e.call.partition('(')[2]}" if "(" in e.call else e.call for f in FUNCTIONS.values() for e in f.examples if f.piped])
VALUES = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.text("０1２3.,-/年月日万元贰拾（） ·", max_size=12),
    st.from_regex(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}( \d:\d\d)?", fullmatch=True),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.lists(PIPES, min_size=1, max_size=3), st.lists(VALUES, min_size=1, max_size=5))
def test_whatever_a_cell_holds_a_compiled_expression_runs_and_keeps_its_rows(pipes: list[str], values: list[str | None]) -> None:
    try:
        compiled = compile_expression(" | ".join(["value", *pipes]), {"value": "text"}).at(MOMENT)
    except ExpressionError:  # the types of neighbours in a random chain need not fit
        assume(False)
    frame = pl.DataFrame({"value": values}, schema={"value": pl.String})

    whole = frame.with_columns(compiled.expr.alias("result")).get_column("result")
    halves = [frame[i : i + 1].with_columns(compiled.expr.alias("result")).get_column("result") for i in range(len(values))]

    assert whole.to_list() == [value for half in halves for value in half.to_list()]
