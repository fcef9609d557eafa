"""Choosing between values: what to take when something is missing or a condition holds."""

from __future__ import annotations

import polars as pl

from transforms.signature import AnyValue, Bool, Same, function


@function(
    "coalesce", "the first value that is present", label="取首个非空", examples=[(None, 'coalesce(None, "乙", "丙")', "乙"), ("甲", 'coalesce("乙")', "甲")]
)
def coalesce(value: Same, *others: Same) -> Same:
    """The first that is not null."""
    return pl.coalesce(value, *others)


@function("default", "this value where there is none", label="默认值", examples=[(None, 'default("0")', "0"), ("1", 'default("0")', "1")])
def default(value: Same, other: Same) -> Same:
    """`other` where null."""
    return pl.coalesce(value, other)


@function("null_if", "nothing where the value is one of these", label="等于则转空", examples=[("0", 'null_if("0", "00")', None), (3, "null_if(0)", 3)])
def null_if(value: Same, unwanted: Same, *others: Same) -> Same:
    """Null where equal to one of the values."""
    hit = pl.any_horizontal([(value == u).fill_null(False) for u in (unwanted, *others)])
    return pl.when(~hit).then(value)


@function(
    "if_else",
    "one value where the condition holds, another where it does not or cannot be told",
    label="条件取值",
    examples=[(True, 'if_else("法人", "自然人")', "法人"), (False, 'if_else("法人", None)', None)],
)
def if_else(condition: Bool, then: Same, otherwise: Same) -> Same:
    """`then` where true, else `otherwise`."""
    return pl.when(condition).then(then).otherwise(otherwise)


@function(
    "when",
    "keep the value where the condition holds, otherwise nothing",
    label="满足条件时",
    examples=[("甲", "when(True)", "甲"), ("甲", 'when("甲" == "乙")', None)],
)
def when(value: Same, condition: Bool) -> Same:
    """The value or null."""
    return pl.when(condition).then(value)


@function("is_null", "whether the value is missing", label="为空", examples=[(None, "is_null", True), ("a", "is_null", False)])
def is_null(value: AnyValue) -> Bool:
    """True or false, never null."""
    return value.is_null()


@function("not_null", "whether the value is present", label="不为空", examples=[("a", "not_null", True)])
def not_null(value: AnyValue) -> Bool:
    """True or false, never null."""
    return value.is_not_null()


@function(
    "between", "whether the value lies between two others, both included", label="介于", examples=[(5, "between(0, 10)", True), (11, "between(0, 10)", False)]
)
def between(value: Same, low: Same, high: Same) -> Bool:
    """Boolean, null where one of the three is null."""
    return (value >= low) & (value <= high)


@function("least", "the smallest or earliest of the values that are present", label="取最小", examples=[(5, "least(3, 9)", 3)])
def least(value: Same, *others: Same) -> Same:
    """Minimum, leaving out nulls."""
    return pl.min_horizontal(value, *others)


@function("greatest", "the largest or latest of the values that are present", label="取最大", examples=[(5, "greatest(3, 9)", 9)])
def greatest(value: Same, *others: Same) -> Same:
    """Maximum, leaving out nulls."""
    return pl.max_horizontal(value, *others)
