"""Identifiers: the standards' own examples, what spreadsheets do to them, and python-stdnum as the second opinion."""

from __future__ import annotations

import random
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_11_10

from transforms import identifiers

VALID_USCC = [
    "91320581MA0000A19W", "91320581MA0000B231", "91320581MA0000C387", "92320581MA0000D428", "93320581MA0000E57B", "113205810000000274",
    "12320581000000035U", "51320581000000043M", "52320581000000051D", "5332058100000006X2", "N2320581000000078K",
]  # fmt: skip
INVALID_USCC = ["91320581MA0000A19X", "91320581MAO000A19W", "91320581MA0000A19", "91320581ma0000a19w", "B1320581MA0000A19W", "", "统一社会信"]


def judged(function, values):
    return pl.DataFrame({"v": values}, schema={"v": pl.String}).select(function(pl.col("v"))).to_series().to_list()


def test_valid_credit_codes_pass_and_broken_ones_do_not():
    verdicts = judged(identifiers.uscc_valid, [*VALID_USCC, None, *INVALID_USCC])

    assert verdicts == [True] * len(VALID_USCC) + [None] + [False] * len(INVALID_USCC)


def test_lower_case_full_width_and_quoted_credit_codes_become_plain():
    written = ["91320581ma0000a19w", "９１３２０５８１ＭＡ００００Ａ１９Ｗ", "'91320581MA0000A19W", " 91320581-MA0000\u00a0A19W\u200b", "91320581MA0000A19W"]

    cleaned = judged(identifiers.uscc_clean, [*written, None, " ", ""])

    assert cleaned == ["91320581MA0000A19W"] * 5 + [None] * 3


@given(st.lists(st.text("0123456789ABCDEFGHJKLMNPQRTUWXYIO", min_size=9, max_size=9), min_size=1, max_size=20), st.sampled_from("123456789"))
def test_the_credit_code_check_agrees_with_stdnum(bodies, first):
    codes = [f"{first}1320581{body}"[:17] for body in bodies]
    codes = [code + (uscc.calc_check_digit(code) if not set(code) & set("IO") else "0") for code in codes]
    wrong = [code[:-1] + ("0" if code[-1] != "0" else "1") for code in codes]

    assert judged(identifiers.uscc_valid, codes + wrong) == [uscc.is_valid(code) for code in codes + wrong]


@pytest.mark.parametrize(
    ("code", "valid"),
    [("MA0000A19", None), ("000000027", True), ("123456788", True), ("123456789", False), ("00000006X", True), ("12345678", False)],
)
def test_organisation_codes_are_checked_by_their_last_symbol(code, valid):
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(symbol, 36) * weight for symbol, weight in zip(code[:8], weights, strict=True))
    expected = len(code) == 9 and code[-1] == "0123456789X"[-total % 11]

    verdict = judged(identifiers.org_code_valid, [code])[0]

    assert verdict == expected
    assert valid in (None, expected)


def test_the_organisation_code_lies_inside_the_credit_code():
    codes = judged(identifiers.org_code_of, ["113205810000000274", "91320581MA0000A19X", None])

    assert codes == ["000000027", None, None]


def test_registration_numbers_of_15_digits_have_a_check_digit_and_of_13_have_none():
    numbers = ["320581000000016", "320581600000010", "320581400000015", "320581000000017", "3205812101234", "32058100000001A", None]

    assert judged(identifiers.reg_no_valid, numbers) == [True, True, True, False, True, False, None]


@given(st.lists(st.text("0123456789", min_size=15, max_size=15), min_size=1, max_size=30))
def test_registration_numbers_agree_with_iso_7064(numbers):
    assert judged(identifiers.reg_no_valid, numbers) == [mod_11_10.is_valid(number) for number in numbers]


def test_id_numbers_need_a_check_symbol_and_a_day_of_the_calendar():
    numbers = ["320581190012310015", "11010519491231002X", "320581001231001", "110105194912310021", "11010519491231002x", "320581000231001", "H12345678", None]

    assert judged(identifiers.id_no_valid, numbers) == [True, True, True, False, False, False, False, None]


def test_id_numbers_agree_with_stdnum_on_check_symbol_and_birth_date():
    chance = random.Random(11643)
    numbers = [
        f"320581{chance.randrange(1900, 2030)}{chance.randrange(0, 14):02d}{chance.randrange(0, 33):02d}{chance.randrange(1000):03d}" for _ in range(3000)
    ]
    numbers = [number + (ric.calc_check_digit(number + "0") if chance.random() < 0.8 else "0") for number in numbers]

    verdicts = judged(identifiers.id_no_valid, numbers)

    assert verdicts == [ric.calc_check_digit(number) == number[-1] and is_day(number[6:14]) for number in numbers]
    assert 1000 < sum(verdicts) < 2900


def is_day(text):
    try:
        return bool(date(int(text[:4]), int(text[4:6]), int(text[6:])))
    except ValueError:
        return False


def test_fifteen_digits_become_eighteen_and_everything_else_stays():
    numbers = ["320581001231001", "11010519491231002X", "320581009931001", "abc", None]

    assert judged(identifiers.id_no_18, numbers) == ["320581190012310015", "11010519491231002X", "320581009931001", "abc", None]


@pytest.mark.parametrize("function", [identifiers.uscc_valid, identifiers.org_code_valid, identifiers.reg_no_valid, identifiers.id_no_valid])
def test_a_column_without_a_value_has_no_verdict(function):
    assert judged(function, [None, None]) == [None, None]
    assert judged(function, []) == []
