"""Identifiers of firms and persons: one spelling, conversions, and whether the check symbol holds."""

from __future__ import annotations

import polars as pl

from transforms import identifiers
from transforms.functions.spelling import halfwidth
from transforms.signature import Bool, Text, function


@function(
    "uscc",
    "a unified social credit code in one spelling: half-width, upper case, no spaces or hyphens",
    label="统一社会信用代码",
    examples=[("９１３２０５８１ma0000a19w", "uscc", "91320581MA0000A19W")],
)
def uscc(value: Text) -> Text:
    """The code in one spelling, right or wrong (GB 32100-2015)."""
    return identifiers.uscc_clean(value)


@function("org_code", "an organisation code in one spelling, without hyphen", label="组织机构代码", examples=[("ma0000a1-9", "org_code", "MA0000A19")])
def org_code(value: Text) -> Text:
    """The code in one spelling (GB 11714-1997)."""
    return identifiers.org_code_clean(value)


@function(
    "org_code_of",
    "the organisation code inside a valid unified social credit code",
    label="由信用代码取机构代码",
    examples=[("91320581MA0000A19W", "org_code_of", "MA0000A19"), ("91320581MA0000A19X", "org_code_of", None)],
)
def org_code_of(value: Text) -> Text:
    """Characters 9 to 17 of a valid USCC, null otherwise."""
    return identifiers.org_code_of(identifiers.uscc_clean(value))


@function(
    "id_no",
    "an ID number in one spelling; 15 digits become 18",
    label="公民身份号码",
    examples=[("11010519491231002x", "id_no", "11010519491231002X"), ("320581001231001", "id_no", "320581190012310015")],
)
def id_no(value: Text) -> Text:
    """The number in one spelling (GB 11643-1999)."""
    return identifiers.id_no_18(identifiers.id_no_clean(value))


@function(
    "reg_no", "a business registration number in one spelling", label="工商注册号", examples=[("'３２０５８１０００００００１６", "reg_no", "320581000000016")]
)
def reg_no(value: Text) -> Text:
    """Half-width, upper case, without spaces and quotation marks; nothing left is null (GS 15-2006)."""
    clean = halfwidth(value).str.replace_all(r"[\s'’‘`]", "").str.to_uppercase()
    return pl.when(clean != "").then(clean)


@function(
    "is_uscc",
    "whether a text is a valid unified social credit code",
    label="信用代码有效",
    examples=[("91320581MA0000A19W", "is_uscc", True), ("91320581MA0000A19X", "is_uscc", False)],
)
def is_uscc(value: Text) -> Bool:
    """Boolean, null for null."""
    return identifiers.uscc_valid(identifiers.uscc_clean(value))


@function(
    "is_org_code",
    "whether a text is a valid organisation code",
    label="机构代码有效",
    examples=[("MA0000A1-9", "is_org_code", True), ("MA0000A18", "is_org_code", False)],
)
def is_org_code(value: Text) -> Bool:
    """Boolean, null for null."""
    return identifiers.org_code_valid(identifiers.org_code_clean(value))


@function(
    "is_reg_no",
    "whether a text is a valid registration number",
    label="注册号有效",
    examples=[("320581000000016", "is_reg_no", True), ("320581000000017", "is_reg_no", False)],
)
def is_reg_no(value: Text) -> Bool:
    """Boolean, null for null."""
    return identifiers.reg_no_valid(reg_no(value))


@function(
    "is_id_no",
    "whether a text is a valid ID number",
    label="身份号码有效",
    examples=[("11010519491231002X", "is_id_no", True), ("110105194912310021", "is_id_no", False)],
)
def is_id_no(value: Text) -> Bool:
    """Boolean, null for null."""
    return identifiers.id_no_valid(identifiers.id_no_clean(value))
