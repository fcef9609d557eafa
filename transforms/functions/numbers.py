"""Numbers: exact decimals of at most 18 digits before the point and 10 behind it, so that no row can overflow its batch."""

from __future__ import annotations

import polars as pl

from transforms.functions.reading import in_turn
from transforms.functions.spelling import half, missing
from transforms.signature import Number, NumberOutcome, Outcome, Text, Unsuitable, function

NUMBER = pl.Decimal(38, 10)
LARGEST = 1e18
PLAIN = r"[+-]?(?:\d{1,18}|\d{1,3}(?:,\d{3}){1,5})(?:\.\d*)?"


def decimal(value: pl.Expr) -> pl.Expr:
    """A number of any kind as `NUMBER`."""
    return value.cast(NUMBER, strict=False)


def added(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    """Sum."""
    return decimal(a) + decimal(b)


def subtracted(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    """Difference."""
    return decimal(a) - decimal(b)


def multiplied(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    """Product, null where it would have more than 18 digits."""
    fits = (a.cast(pl.Float64) * b.cast(pl.Float64)).abs() < LARGEST
    return pl.when(fits).then(decimal(a)) * decimal(b)


def divided(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    """Quotient, null where the divisor is 0 or it would have more than 18 digits."""
    fits = (a.cast(pl.Float64) / b.cast(pl.Float64)).abs() < LARGEST
    return decimal(a) / pl.when(fits).then(decimal(b))


def read_plain(texts: pl.Series) -> pl.Series:
    """Texts that are plain numbers, with thousands separators or without, as `NUMBER`; everything else is null."""
    plain = texts.set(~texts.str.contains(rf"^{PLAIN}$"), None)
    return plain.str.replace_all(",", "", literal=True).str.strip_prefix("+").str.to_decimal(inference_length=0, scale=10).cast(NUMBER)


def _read_wide(texts: pl.Series) -> pl.Series:
    return read_plain(narrow(texts))


def narrow(texts: pl.Series) -> pl.Series:
    """Half-width and without any space."""
    return half(texts).str.replace_all(r"\s", "")


@function(
    "number",
    "text to number: full-width digits, thousands separators, sign; anything else is refused (R104)",
    label="转数字",
    examples=[("１，２３４.５", "number", 1234.5), ("-7", "number", -7), ("5,000000", "number", None), ("3.20581E+17", "number", None)],
)
def number(value: Text) -> NumberOutcome:
    """Exact decimal; null words are null."""
    parsed = in_turn(value, [read_plain, _read_wide], NUMBER)
    return Outcome(parsed, code="R104", failed=parsed.is_null() & ~missing(value))


@function("round", "round half away from zero (四舍五入) to so many decimals", label="四舍五入", examples=[(2.345, "round(2)", 2.35), (-2.5, "round", -3)])
def rounded(value: Number, decimals: int = 0) -> Number:
    """Rounded to 0 to 10 decimals."""
    if not 0 <= decimals <= 10:
        raise Unsuitable("decimals go from 0 to 10")
    return decimal(value).round(decimals, mode="half_away_from_zero")


@function("abs", "the number without its sign", label="绝对值", examples=[(-3, "abs", 3)])
def absolute(value: Number) -> Number:
    """Magnitude."""
    return value.abs()
