"""Regular expressions from configuration: linear time only, in the dialect that RE2 and Polars share."""

from __future__ import annotations

import polars as pl
import re2

from transforms.signature import Bool, Text, Unsuitable, function

_LONGEST = 500
_MEMORY = 1 << 20


def linear(pattern: str) -> int:
    """Number of groups of a pattern that RE2 and Polars both accept. Raises `Unsuitable` with the reason otherwise."""
    if not 0 < len(pattern) <= _LONGEST:
        raise Unsuitable(f"a pattern has 1 to {_LONGEST} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        groups = int(re2.compile(pattern, options).groups)
        pl.select(pl.lit("").str.contains(pattern))
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        raise Unsuitable(f"not a pattern: {reason}", "RE2 syntax: no look-around, no back references") from None
    except pl.exceptions.PolarsError:
        raise Unsuitable("not a pattern that the column engine knows", "keep to the syntax that RE2 and Rust's regex share") from None
    return groups


@function(
    "extract",
    "the part that a pattern (RE2) finds: its first group, or the group with that number; null where it finds nothing",
    label="正则提取",
    examples=[("罚款2000元", r'extract(r"(\d+)元")', "2000"), ("a1b2", r'extract(r"[a-z]\d", 0)', "a1"), ("x", r'extract(r"\d")', None)],
)
def extract(value: Text, pattern: str, group: int | None = None) -> Text:
    """What the group matched in the first hit."""
    groups = linear(pattern)
    wanted = min(groups, 1) if group is None else group
    if not 0 <= wanted <= groups:
        raise Unsuitable(f"the pattern has {groups} groups, so there is no group {wanted}")
    return value.str.extract(pattern, wanted)


@function("remove", "remove everything that a pattern (RE2) finds", label="正则删除", examples=[("常熟 (市)", r'remove(r"\s|[()]")', "常熟市")])
def remove(value: Text, pattern: str) -> Text:
    """Text without the hits; nothing left is null."""
    linear(pattern)
    rest = value.str.replace_all(pattern, "")
    return pl.when(rest != "").then(rest)


@function(
    "replace_pattern",
    "replace everything that a pattern (RE2) finds; ${1} stands for its first group",
    label="正则替换",
    examples=[("2019第17号", r'replace_pattern(r"^(\d{4})第", "〔${1}〕")', "〔2019〕17号")],
)
def replace_pattern(value: Text, pattern: str, new: str) -> Text:
    """Text with the hits replaced."""
    linear(pattern)
    return value.str.replace_all(pattern, new)


@function(
    "matches",
    "whether the whole text fits a pattern (RE2)",
    label="正则匹配",
    examples=[("320581", r'matches(r"\d{6}")', True), ("3205811", r'matches(r"\d{6}")', False)],
)
def matches(value: Text, pattern: str) -> Bool:
    """Boolean, null for null."""
    linear(pattern)
    return value.str.contains(rf"\A(?:{pattern})\z")
