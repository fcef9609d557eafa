"""From what an agency wrote to a plain typed value: the cleaning that every cell gets without a line of configuration.

Most columns of most files are written plainly. `quick` reads such a column in one pass, `doubt` finds out whether that was enough, and only
a doubtful column gets the `careful` reading, which looks at the odd values alone.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from typing import Any

import polars as pl

from hub.contracts.item import Field, Kind
from transforms.codes import coded
from transforms.columns import each, emptied, repaired
from transforms.days import days_written
from transforms.expression import compile_expression
from transforms.identifiers import FULL_WIDTH, HALF_WIDTH, plain
from transforms.nothing import EMPTY_DATES, NULL_WORDS

FIRST_DAY = date(1800, 1, 1)

_NOTHING = ["", *NULL_WORDS]
_DOTS = "•・‧∙⋅．●"
_ODD = r"[\p{Cc}\p{Cf}\p{Mn}]"
_ODD_OR_LOOSE = _ODD + r"|^\s|\s$"
_ODD_NAME = r"[\p{Cc}\p{Cf}\p{Mn}\s" + _DOTS + "]"
_NO_CODE = "[^0-9A-Z]"
_REMOVED = r"[\p{Cf}\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
_BREAKS = r"[\r\n\t\u{2028}\u{2029}]+"
_SPACED_NAME = r"^\p{Han}(?:\s+\p{Han}){1,2}$"


def dtype_of(field: Field) -> Any:
    """Polars type of a field: String, Int64 or Decimal(18, scale), Date, Datetime in microseconds (local time of the city)."""
    match field.kind:
        case Kind.NUMBER:
            return pl.Decimal(18, field.scale) if field.scale else pl.Int64()
        case Kind.DATE:
            return pl.Date()
        case Kind.TIME:
            return pl.Datetime("us")
        case _:
            return pl.String()


def is_name(field: Field) -> bool:
    """Whether a field holds a name of a person or an organisation."""
    return "subject.name" in field.roles or (bool(field.personal) and field.name in ("legal_rep", "name"))


def quick(field: Field) -> pl.Expr:
    """The text column of a field as its type, right for every cell that is written plainly; nothing said is null."""
    written = pl.col(field.name)
    match field.kind:
        case Kind.NUMBER:
            return written.cast(dtype_of(field), strict=False)
        case Kind.DATE:
            return each(written, _days, kind=pl.Date)
        case Kind.TIME:
            moment = written.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
            return pl.when(moment >= datetime(FIRST_DAY.year, 1, 1)).then(moment).alias(field.name)
        case _:
            return each(written, _said, kind=pl.String)


def doubt(field: Field) -> pl.Expr:
    """Whether the quick reading of the text column can be wrong for some cell: one Boolean."""
    written = pl.col(field.name)
    if field.kind not in (Kind.TEXT, Kind.LONG):
        return pl.lit(value=False)  # a reading that failed shows as null
    if field.codes:
        return ~written.is_in(list(field.codes)).all()
    odd = _NO_CODE if field.identifier else _ODD_NAME if is_name(field) else _ODD_OR_LOOSE
    return written.str.contains(odd).any()


def careful(field: Field, written: pl.Series, read: pl.Series) -> pl.Series:
    """The text column as its type; `read` is its quick reading, and only what that may have misread is looked at again.

    Control and invisible characters go (line ends stay in long texts), codes, identifiers, numbers and dates are folded to half width, names
    get one kind of dot and lose the spaces between two or three Han characters. Dates in all spellings of the pipe language's `date` and as
    spreadsheet serials, numbers with thousands separators, rounded to the field's scale; a fraction is no whole number.
    """
    match field.kind:
        case Kind.TEXT | Kind.LONG if field.codes:
            return coded(field, written, lambda odd: tidied(field, odd))
        case Kind.TEXT | Kind.LONG:
            return tidied(field, written)
    missed = read.is_null() & written.is_not_null()
    if not missed.any():
        return read
    again = tidied(field, written.filter(missed))
    return read.scatter(missed.arg_true(), _reread(field, again))


def tidied(field: Field, written: pl.Series) -> pl.Series:
    """Text as it should have been written: String, null where nothing was said."""
    if field.identifier is not None:
        return _said(plain(written))
    text = repaired(written, written.str.contains(_ODD), _without_breaks if field.kind is not Kind.LONG else _without_controls)
    if field.codes or field.kind not in (Kind.TEXT, Kind.LONG):
        text = repaired(text, text.str.len_bytes() != text.str.len_chars(), lambda odd: odd.str.replace_many(FULL_WIDTH, HALF_WIDTH))
    if is_name(field):
        text = repaired(text, text.str.contains(_ODD_NAME), _as_name)
    return _said(text.str.strip_chars())


def without_empty_dates(values: pl.Series) -> pl.Series:
    """Dates and times with null for those that mean "nothing was entered"; open ends (2099-12-31, 9999-12-31) stay as written."""
    return emptied(values, values.dt.date().is_in(list(EMPTY_DATES)))


def _said(values: pl.Series) -> pl.Series:
    return emptied(values, values.is_in(_NOTHING))


def _days(written: pl.Series) -> pl.Series:
    plainly = days_written(written)
    if plainly is not None:
        return plainly
    days = written.str.to_date("%Y-%m-%d", strict=False)
    return emptied(days, days < FIRST_DAY)


def _without_controls(odd: pl.Series) -> pl.Series:
    return odd.str.normalize("NFC").str.replace_all("\r\n?", "\n").str.replace_all(_REMOVED, "")


def _without_breaks(odd: pl.Series) -> pl.Series:
    return odd.str.normalize("NFC").str.replace_all(_REMOVED, "").str.replace_all(_BREAKS, " ")


def _as_name(odd: pl.Series) -> pl.Series:
    dotted = odd.str.replace_all(f"[{_DOTS}]", "·").str.strip_chars()
    return repaired(dotted, dotted.str.contains(_SPACED_NAME), lambda spaced: spaced.str.replace_all(r"\s+", ""))


def _reread(field: Field, text: pl.Series) -> pl.Series:
    """Tidied text read by the functions of the pipe language, each one tried on what the ones before could not read."""
    kind = dtype_of(field)
    value = text.alias("value").to_frame()
    found = pl.Series(field.name, [None], dtype=kind).new_from_index(0, len(text))
    for reading in _readings(field):
        read = value.select(reading.cast(kind, strict=False)).to_series()
        found = found.zip_with(found.is_not_null(), read)
    if field.kind is not Kind.NUMBER:
        first: Any = FIRST_DAY if field.kind is Kind.DATE else datetime(FIRST_DAY.year, 1, 1)
        found = emptied(found, found < first)
    return found


@cache
def _reading(pipe: str, kind: str) -> pl.Expr:
    return compile_expression(f"value | {pipe}", {"value": "text"}, expect=kind).expr


def _readings(field: Field) -> list[pl.Expr]:
    if field.kind is Kind.DATE:
        return [_reading("date", "date"), _reading("excel_date", "date")]
    if field.kind is Kind.TIME:
        return [_reading("time", "time"), _reading("date", "date")]
    number = _reading("number", "number").cast(pl.Decimal(38, 9), strict=False)
    return [number if field.scale else pl.when(number == number.round(0)).then(number)]
