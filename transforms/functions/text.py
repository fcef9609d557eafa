"""Cutting, joining and testing texts."""

from __future__ import annotations

import polars as pl

from transforms.signature import AnyValue, Bool, Number, Text, TextList, Unsuitable, function

_LONGEST = 4_000


def _length(n: int, least: int = 0) -> int:
    if not least <= n <= _LONGEST:
        raise Unsuitable(f"{n} is not between {least} and {_LONGEST}")
    return n


def _filled(value: pl.Expr) -> pl.Expr:
    return pl.when(value != "").then(value)


@function(
    "concat",
    "join texts in order, leaving out what is null",
    label="拼接",
    examples=[("苏", 'concat("州", "市")', "苏州市"), ("常熟", 'concat(None, "虞山", sep="-")', "常熟-虞山")],
)
def concat(value: Text, *others: Text, sep: str = "") -> Text:
    """Texts joined with `sep`; null where all are null."""
    return _filled(pl.concat_str([value, *others], separator=sep, ignore_nulls=True))


@function(
    "split", "cut a text into a list at a separator; take one part with pick, or join it again", label="拆分", examples=[("A-B-C", 'split("-") | pick(2)', "B")]
)
def split(value: Text, sep: str) -> TextList:
    """List of the parts, trimmed."""
    if not sep:
        raise Unsuitable("the separator is empty")
    return value.str.split(sep).list.eval(pl.element().str.strip_chars())


@function(
    "pick",
    "the n-th part of a list, from 1, or from the end with -1; null where there are fewer",
    label="取第几段",
    examples=[("江苏/苏州/常熟", 'split("/") | pick(-1)', "常熟"), ("江苏", 'split("/") | pick(2)', None)],
)
def pick(value: TextList, n: int) -> Text:
    """One part; empty text is null."""
    if n == 0:
        raise Unsuitable("parts are counted from 1")
    return _filled(value.list.get(n - 1 if n > 0 else n, null_on_oob=True))


@function("join", "join the parts of a list with a separator", label="合并列表", examples=[("a,b", 'split(",") | join(";")', "a;b")])
def join(value: TextList, sep: str) -> Text:
    """The parts as one text; nothing left is null."""
    return _filled(value.list.join(sep, ignore_nulls=True))


@function(
    "substring",
    "a part of the text: from the n-th character, counted from 1, so many characters",
    label="截取",
    examples=[("320581MA1", "substring(1, 6)", "320581"), ("320581MA1", "substring(7)", "MA1")],
)
def substring(value: Text, start: int, length: int | None = None) -> Text:
    """Characters `start` to `start + length - 1`; nothing left is null."""
    return _filled(value.str.slice(_length(start, 1) - 1, None if length is None else _length(length, 1)))


@function("left", "the first n characters", label="左取", examples=[("20190305", "left(4)", "2019")])
def left(value: Text, n: int) -> Text:
    """The first `n` characters."""
    return value.str.head(_length(n, 1))


@function("right", "the last n characters", label="右取", examples=[("20190305", "right(2)", "05")])
def right(value: Text, n: int) -> Text:
    """The last `n` characters."""
    return value.str.tail(_length(n, 1))


@function(
    "replace",
    "replace every occurrence of a text, taken literally",
    label="替换",
    examples=[("常熟县", 'replace("县", "市")', "常熟市"), ("a.b", 'replace(".", "")', "ab")],
)
def replace(value: Text, old: str, new: str) -> Text:
    """Text with `old` replaced by `new`; nothing left is null."""
    if not old:
        raise Unsuitable("the text to replace is empty")
    return _filled(value.str.replace_all(old, new, literal=True))


@function("lpad", "fill up on the left to n characters", label="左补齐", examples=[("7", 'lpad(3, "0")', "007")])
def lpad(value: Text, n: int, fill: str = " ") -> Text:
    """At least `n` characters."""
    if len(fill) != 1:
        raise Unsuitable("the filling is one character")
    return value.str.pad_start(_length(n), fill)


@function("zfill", "fill up with zeros on the left to n characters", label="左补零", examples=[("581", "zfill(6)", "000581")])
def zfill(value: Text, n: int) -> Text:
    """At least `n` characters."""
    return value.str.pad_start(_length(n), "0")


@function("length", "how many characters a text has", label="长度", examples=[("常熟市", "length", 3)])
def length(value: Text) -> Number:
    """Characters (not bytes)."""
    return value.str.len_chars().cast(pl.Int64)


@function("contains", "whether a text holds another, taken literally", label="包含", examples=[("警告；罚款", 'contains("罚款")', True)])
def contains(value: Text, part: str) -> Bool:
    """Boolean, null for null."""
    return value.str.contains(part, literal=True)


@function("starts_with", "whether a text starts with another", label="开头是", examples=[("320581", 'starts_with("3205")', True)])
def starts_with(value: Text, part: str) -> Bool:
    """Boolean, null for null."""
    return value.str.starts_with(part)


@function("ends_with", "whether a text ends with another", label="结尾是", examples=[("某某有限公司", 'ends_with("分公司")', False)])
def ends_with(value: Text, part: str) -> Bool:
    """Boolean, null for null."""
    return value.str.ends_with(part)


@function("text", "a number, date, time or truth value as text", label="转文本", examples=[(12.5, "text", "12.5"), (100, "text", "100")])
def text(value: AnyValue) -> Text:
    """Numbers without trailing zeros, dates `YYYY-MM-DD`, times `YYYY-MM-DD HH:MM:SS`, texts as they are read by SQL."""
    return value.cast(pl.String).str.replace(r"^(-?\d+|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d*?)0+$", "${1}${2}").str.strip_suffix(".")
