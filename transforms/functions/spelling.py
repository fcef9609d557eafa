"""Spelling of texts: spaces, widths, brackets, and the words that agencies write for nothing."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from transforms.functions.reading import by_column, filled, matching
from transforms.nothing import NULL_WORDS
from transforms.signature import Text, Unsuitable, function

_NOTHING = ("", *NULL_WORDS)
_WIDE = [chr(c) for c in range(0xFF01, 0xFF5F)] + ["\u3000"]
_NARROW = [chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F)] + [" "]
_CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060\ufeff]"
_SPACES = r"[\s\u00a0\u3000]+"
_ROUND, _SQUARE = ("()", "（）"), ("[]", "［］", "〔〕", "【】")
_NAME_SIGNS = {**dict.fromkeys("•‧・∙⋅･", "·"), "(": "（", ")": "）"}
_DOTTED = r"(\p{Han})\.(\p{Han})"
_SPACED = r"^\p{Han}\s*\p{Han}(?:\s*\p{Han})?$"
_PLACEHOLDER = r"^(?i:0{6,}X?|1{6,}|2{6,}|3{6,}|4{6,}|5{6,}|6{6,}|7{6,}|8{6,}|9{6,}|123456(?:789(?:0(?:12345(?:678?)?)?)?)?|测试\d*|test\d*)$"


def half(texts: pl.Series) -> pl.Series:
    """Full-width ASCII as half-width."""
    return matching(texts, "[\uff01-\uff5e\u3000]", lambda wide: wide.str.replace_many(_WIDE, _NARROW))


def bare(texts: pl.Series) -> pl.Series:
    """Without outer spaces, controls and zero-width characters; empty is null."""
    return filled(matching(texts, _CONTROLS, lambda odd: odd.str.replace_all(_CONTROLS, "")).str.strip_chars())


def _named(texts: pl.Series) -> pl.Series:
    names = bare(half(texts)).str.replace_many(list(_NAME_SIGNS), list(_NAME_SIGNS.values()))
    for _ in range(2):  # 阿.买.提: the second dot's left neighbour belongs to the first hit
        names = matching(names, _DOTTED, lambda dotted: dotted.str.replace_all(_DOTTED, "${1}·${2}"))
    return matching(names, _SPACED, lambda spaced: spaced.str.replace_all(r"\s+", ""))


def missing(value: pl.Expr) -> pl.Expr:
    """Whether a text is null, blank or a null word."""
    return value.is_null() | value.str.strip_chars().is_in(_NOTHING)


@function(
    "trim",
    "remove spaces at both ends, and control and zero-width characters anywhere; empty becomes null",
    label="去首尾空格",
    examples=[("  常熟市 ", "trim", "常熟市"), ("　", "trim", None)],
)
def trim(value: Text) -> Text:
    """Text without outer spaces, controls and zero-width characters; empty text is null."""
    return by_column(value, bare)


@function(
    "collapse_spaces", "make one space of any run of spaces, tabs and line ends", label="合并空格", examples=[("常熟 \t\r\n 市", "collapse_spaces", "常熟 市")]
)
def collapse_spaces(value: Text) -> Text:
    """Text with single spaces only, none outside."""
    return value.str.replace_all(_SPACES, " ").str.strip_chars()


@function("remove_spaces", "remove every space, tab and line end", label="去空格", examples=[("张　 三", "remove_spaces", "张三")])
def remove_spaces(value: Text) -> Text:
    """Text without any space."""
    return value.str.replace_all(_SPACES, "")


@function(
    "halfwidth",
    "full-width letters, digits, signs and spaces to half-width; other characters stay",
    label="全角转半角",
    examples=[("９１３２Ａ（甲）", "halfwidth", "9132A(甲)")],
)
def halfwidth(value: Text) -> Text:
    """U+FF01..U+FF5E and U+3000 folded to ASCII."""
    return by_column(value, half)


@function("fullwidth", "half-width letters, digits, signs and spaces to full-width", label="半角转全角", examples=[("A(1)", "fullwidth", "Ａ（１）")])
def fullwidth(value: Text) -> Text:
    """Printable ASCII unfolded to U+FF01..U+FF5E and U+3000."""
    return value.str.replace_many(_NARROW, _WIDE)


@function("upper", "letters to upper case", label="转大写", examples=[("ma0000a19w", "upper", "MA0000A19W")])
def upper(value: Text) -> Text:
    """Upper case."""
    return value.str.to_uppercase()


@function("lower", "letters to lower case", label="转小写", examples=[("CF_XDR", "lower", "cf_xdr")])
def lower(value: Text) -> Text:
    """Lower case."""
    return value.str.to_lowercase()


@function(
    "null_words",
    "words for nothing (无, 暂无, 不详, NULL, \\N, /, -, …) to null, with further words of your own",
    label="空值词转空",
    examples=[("暂无", "null_words", None), ("待定", 'null_words("待定")', None), ("无锡", "null_words", "无锡")],
)
def null_words(value: Text, *words: str) -> Text:
    """Null where the whole text, trimmed, is a null word."""
    return pl.when(~value.str.strip_chars().is_in([*_NOTHING, *words])).then(value)


@function(
    "placeholders",
    "filler such as 000000, 111111, 999999999999999999, 123456789012345, 测试 to null",
    label="占位值转空",
    examples=[
        ("000000000000000000", "placeholders", None),
        ("00000000000000000X", "placeholders", None),
        ("91320581MA0000A19W", "placeholders", "91320581MA0000A19W"),
    ],
)
def placeholders(value: Text) -> Text:
    """Null where the text is filler (at least six times the same digit, a counting-up number, a test word)."""
    return pl.when(~placeholder(value)).then(value)


def placeholder(value: pl.Expr) -> pl.Expr:
    """Whether a text is filler: Boolean, null for null."""
    return value.str.strip_chars().str.contains(_PLACEHOLDER)


@function(
    "strip_quote",
    "remove the quotation mark or tab that a spreadsheet puts before a number",
    label="去前导引号",
    examples=[("'320581000000016", "strip_quote", "320581000000016")],
)
def strip_quote(value: Text) -> Text:
    """Text without leading ', ’, ` and tab."""
    return value.str.strip_chars_start("'‘’`\t")


@function(
    "brackets",
    "write brackets one way: （） or () changes round ones, 〔〕 [] 【】 square ones",
    label="统一括号",
    examples=[("常熟(市)", "brackets", "常熟（市）"), ("常信办[2024]17号", 'brackets("〔〕")', "常信办〔2024〕17号")],
)
def brackets(value: Text, to: str = "（）") -> Text:
    """Brackets of one family unified to the pair `to`."""
    family: Sequence[str] = next((f for f in (_ROUND, _SQUARE) if to in f), ())
    if not family:
        raise Unsuitable(f"{to!r} is no pair of brackets", "one of （） () 〔〕 【】 [] ［］")
    others = [pair for pair in family if pair != to]
    return value.str.replace_many([c for pair in others for c in pair], [c for _ in others for c in to])


@function(
    "clean_name",
    "a name as it is written officially: dots to ·, round brackets to （）, no spaces inside 张 三, no stray controls",
    label="规范名称",
    examples=[
        ("张 三", "clean_name", "张三"),
        ("阿卜杜拉•买买提．江", "clean_name", "阿卜杜拉·买买提·江"),
        ("常熟某某(集团)有限公司 ", "clean_name", "常熟某某（集团）有限公司"),
    ],
)
def clean_name(value: Text) -> Text:
    """A person's or firm's name in one spelling; empty text is null."""
    return by_column(value, _named)
