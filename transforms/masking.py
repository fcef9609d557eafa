"""Masks for personal values that leave the platform (practice of GB/T 35273-2020): enough to recognise, not enough to know."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from hub.contracts.errors import Misconfigured
from hub.contracts.item import Field, Identifier, Item

# Family names of two characters that still occur; the first two characters stay.
DOUBLE_SURNAMES = (
    "欧阳", "太史", "端木", "上官", "司马", "东方", "独孤", "南宫", "万俟", "闻人", "夏侯", "诸葛", "尉迟", "公羊", "赫连", "澹台", "皇甫", "宗政", "濮阳", "公冶",
    "太叔", "申屠", "公孙", "慕容", "仲孙", "钟离", "长孙", "宇文", "司徒", "鲜于", "司空", "闾丘", "子车", "亓官", "司寇", "巫马", "公西", "颛孙", "壤驷", "公良",
    "漆雕", "乐正", "宰父", "谷梁", "拓跋", "夹谷", "轩辕", "令狐", "段干", "百里", "呼延", "东郭", "南门", "羊舌", "微生", "公户", "公玉", "公仪", "梁丘", "公仲",
    "西门", "第五",
)  # fmt: skip

_STREET = r"^(.*?(?:街道|大街|路|街|巷|弄|镇|乡|村|里|大道))"
_ORGANISATION = r"公司|厂|店|行|部|院|社|所|局|会|中心|合作社|企业|集团|馆|场|站|学校"
_UNKNOWN = "***"


def _name(value: pl.Expr) -> pl.Expr:
    surname = pl.when(value.str.slice(0, 2).is_in(DOUBLE_SURNAMES) & (value.str.len_chars() > 2)).then(2).otherwise(1)
    return value.str.slice(0, surname) + pl.lit("*").repeat_by(pl.max_horizontal(value.str.len_chars().cast(pl.Int32) - surname, 1)).list.join("")


def _keep(value: pl.Expr, first: int, last: int, stars: int) -> pl.Expr:
    """First and last characters around stars; stars only where the text is too short to hide anything."""
    long_enough = value.str.len_chars() > first + last
    tail = value.str.slice(-last) if last else pl.lit("")
    return pl.when(long_enough).then(pl.concat_str([value.str.slice(0, first), pl.lit("*" * stars), tail])).when(value.is_not_null()).then(pl.lit(_UNKNOWN))


def _address(value: pl.Expr) -> pl.Expr:
    return pl.when(value.is_not_null()).then(pl.concat_str([value.str.extract(_STREET).fill_null(""), pl.lit(_UNKNOWN)]))


def _unless_organisation(value: pl.Expr) -> pl.Expr:
    return pl.when(value.str.contains(_ORGANISATION)).then(value).otherwise(_name(value))


MASKS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "name": _name,
    "party": _unless_organisation,
    "id_no": lambda value: _keep(value, 6, 4, 8),
    "phone": lambda value: _keep(value, 3, 4, 4),
    "account": lambda value: _keep(value, 0, 4, 4),
    "address": _address,
    "all": lambda value: pl.when(value.is_not_null()).then(pl.lit(_UNKNOWN)),
    "none": lambda value: value,
}


def mask(kind: str, value: pl.Expr) -> pl.Expr:
    """A text expression masked: `name` 张*, `party` as name unless it names an organisation, `id_no` first 6 and last 4, `phone` 138****1234,
    `account` last 4, `address` to the street, `all` nothing, `none` untouched. Null stays null. An unknown kind is `Misconfigured`.
    """
    if kind not in MASKS:
        raise Misconfigured(f"there is no mask {kind!r}", hint=f"masks: {', '.join(MASKS)}")
    return MASKS[kind](value)


def default_mask(field: Field, item: Item) -> str | None:
    """The mask of a field that nobody said anything about, None where the value is not personal.

    Names of companies and their codes are not personal; names of persons, sole traders and legal representatives are.
    """
    if field.identifier is Identifier.ID_NO or field.sealed:
        return "id_no"
    if not field.personal:
        return None
    if "subject.name" in field.roles:
        return "name" if item.subject == "Z" else "party"
    for word, kind in (("tel", "phone"), ("phone", "phone"), ("mobile", "phone"), ("account", "account"), ("address", "address"), ("id", "id_no")):
        if word in field.name.split("_"):
            return kind
    return "name" if field.name in ("name", "legal_rep") or field.name.endswith("_name") else "all"
