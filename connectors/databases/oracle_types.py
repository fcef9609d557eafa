"""Oracle's types: how each becomes text in the server's own words and masks, and how text becomes a value to compare with."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Literal

from connectors.databases.dialect import Column, Sort
from hub.contracts.errors import Misconfigured

Kind = Literal[
    "text",
    "national",
    "padded",
    "number",
    "double",
    "date",
    "second",
    "time",
    "fine",
    "zoned",
    "interval",
    "rowid",
    "raw",
    "clob",
    "blob",
    "long",
    "xml",
    "none",
]

LOCAL = "+08:00"
SECOND_MASK = "YYYY-MM-DD HH24:MI:SS"
MICRO_MASK = "YYYY-MM-DD HH24:MI:SS.FF6"
POINT = "NLS_NUMERIC_CHARACTERS=''.,''"
CLOB_CHARACTERS = 2_796_202  # at most 3 bytes each in UTF-8: 8 MiB
BLOB_BYTES = 4 << 20  # twice as long in hexadecimal digits

_SORTS: dict[Kind, Sort] = {
    "number": "number", "double": "number", "date": "time", "second": "time", "time": "time", "fine": "time", "zoned": "time", "raw": "binary", "blob": "binary",
    "none": "binary",
}  # fmt: skip
_PLAIN: dict[str, Kind] = {
    "VARCHAR2": "text", "VARCHAR": "text", "NVARCHAR2": "national", "CHAR": "padded", "NCHAR": "padded", "NUMBER": "number", "FLOAT": "number",
    "BINARY_DOUBLE": "double", "BINARY_FLOAT": "double", "DATE": "date", "ROWID": "rowid", "UROWID": "rowid", "RAW": "raw", "CLOB": "clob", "NCLOB": "clob",
    "BLOB": "blob", "LONG": "long", "LONG RAW": "long", "XMLTYPE": "xml",
}  # fmt: skip
_WRITTEN: dict[Kind, str] = {
    "text": "{}", "national": "{}", "double": "{}", "long": "{}",
    "padded": "RTRIM({})",
    "number": f"TO_CHAR({{}}, 'TM9', '{POINT}')",
    "date": f"TO_CHAR({{}}, '{SECOND_MASK}')",
    "second": f"TO_CHAR({{}}, '{SECOND_MASK}')",
    "time": f"TO_CHAR({{}}, '{MICRO_MASK}')",
    "fine": f"TO_CHAR(CAST({{}} AS TIMESTAMP(6)), '{MICRO_MASK}')",
    "zoned": f"TO_CHAR({{}} AT TIME ZONE '{LOCAL}', '{MICRO_MASK}')",
    "interval": "TO_CHAR({})",
    "rowid": "ROWIDTOCHAR({})",
    "raw": "RAWTOHEX({})",
    "clob": f"CASE WHEN LENGTH({{0}}) <= {CLOB_CHARACTERS} THEN {{0}} END",
    "blob": f"CASE WHEN LENGTH({{0}}) <= {BLOB_BYTES} THEN {{0}} END",
    "xml": "XMLSERIALIZE(CONTENT {} AS CLOB)",
}  # fmt: skip
_COMPARED: dict[Kind, tuple[str, str]] = {
    "text": ("{}", ":{}"),
    "national": ("{}", ":{}"),
    "padded": ("RTRIM({})", ":{}"),
    "number": ("{}", ":{}"),
    "double": ("{}", ":{}"),
    "date": ("{}", f"TO_DATE(:{{}}, '{SECOND_MASK}')"),
    "second": ("{}", f"TO_TIMESTAMP(:{{}}, '{MICRO_MASK}')"),
    "time": ("{}", f"TO_TIMESTAMP(:{{}}, '{MICRO_MASK}')"),
    "fine": ("CAST({} AS TIMESTAMP(6))", f"TO_TIMESTAMP(:{{}}, '{MICRO_MASK}')"),
    "zoned": ("{}", f"TO_TIMESTAMP(:{{}}, '{MICRO_MASK}')"),
    "rowid": ("{}", "CHARTOROWID(:{})"),
    "raw": ("{}", "HEXTORAW(:{})"),
}
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?(\.\d{1,9})?)?")
LARGE: frozenset[Kind] = frozenset(("clob", "blob", "long", "xml"))
"""Kinds whose values are fetched as large objects, and cannot be compared or hashed by the server."""


def kind_of(column: Column) -> Kind:
    """How a column is read, by the word it was declared with."""
    word = column.declared.upper()
    if word.startswith("TIMESTAMP"):
        return _time_kind(word)
    if word.startswith("INTERVAL"):
        return "interval"
    return _PLAIN.get(word.partition("(")[0].strip().rpartition(".")[2], "none")


def sort_of(declared: str) -> Sort:
    """The sort of values of a declared type."""
    return _SORTS.get(kind_of(Column("", declared, "text")), "text")


def _time_kind(word: str) -> Kind:
    if word.endswith("WITH TIME ZONE"):
        return "zoned"
    scale = re.match(r"TIMESTAMP\s*\((\d)\)", word)
    if scale is None:
        return "time"
    return "second" if scale[1] == "0" else "fine" if scale[1] in "789" else "time"


def written(column: Column, place: str) -> str:
    """SQL for a column's value as text, whatever the session is set to; floating point and binary large objects come as they are."""
    kind = kind_of(column)
    if kind == "none":
        hint = "leave the column out, or let the agency offer a view that turns it into text"
        raise Misconfigured(f"column {column.name} is {column.declared}, which cannot be read as text", hint=hint)
    return _WRITTEN[kind].format(place)


def compared(column: Column, place: str, bind: str) -> tuple[str, str]:
    """SQL of both sides of a comparison of a column with a bound value. Raises `Misconfigured` for kinds that have no order."""
    sides = _COMPARED.get(kind_of(column))
    if sides is None:
        raise Misconfigured(f"column {column.name} is {column.declared}: rows cannot be put in order or chosen by it", hint="name another column")
    return sides[0].format(place), sides[1].format(bind)


def value_of(column: Column, text: str) -> str | Decimal | None:
    """What is bound for a text: numbers exactly, times under their mask (a DATE holds no fraction); nothing is NULL."""
    kind = kind_of(column)
    if not text:
        return None
    if kind in ("number", "double"):
        return _number(column, text)
    if kind in ("date", "second", "time", "fine", "zoned"):
        return _moment(column, text, fraction=kind != "date")
    return text


def _number(column: Column, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise Misconfigured(f"column {column.name} holds numbers; what it is compared with is none", hint="correct the value in where, since or done")
    return number


def _moment(column: Column, text: str, *, fraction: bool) -> str:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise Misconfigured(f"column {column.name} holds times; what it is compared with is none", hint="write it as 2026-11-24 08:00:00")
    day, minutes, seconds, rest = found.groups()
    moment = f"{day} {minutes or '00:00'}{seconds or ':00'}"
    return f"{moment}.{(rest or '.0')[1:7]:0<6}" if fraction else moment


def national(column: Column) -> bool:
    """Whether it is text in the national character set, which makes all that it is joined to national too."""
    return column.declared.upper().startswith(("NCHAR", "NVARCHAR"))


def width_of(column: Column) -> int:
    """The most bytes that a column's text has in the database's character set."""
    size = re.search(r"\((\d+)", column.declared)
    kind = kind_of(column)
    if national(column):
        return 4000  # in UTF-16, with whatever it is joined to
    if kind in ("text", "padded"):
        return min(4000, int(size[1]) * (4 if "CHAR)" in column.declared else 1)) if size else 4000
    if kind == "raw":
        return 2 * int(size[1]) if size else 4000
    return 4000 if kind == "rowid" else 64
