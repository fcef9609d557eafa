"""Dates as agencies write them, and what can be asked of a date."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import polars as pl

from transforms.functions.reading import Reader, in_turn
from transforms.functions.spelling import half, halfwidth, missing
from transforms.nothing import EMPTY_DATES
from transforms.signature import Cell, Date, DateOutcome, Day, Given, Number, Outcome, Text, Time, Unsuitable, function

OPEN_WORDS = ("长期", "永久", "长期有效", "无固定期限", "无期限")
_FIRST = date(1000, 1, 1)
_ZERO = r"^0000[-./年]?00[-./月]?00日?(?:\s+[0:.]+)?$"
_PARTED = r"^(\d{4})\s*[-./年]\s*(\d{1,2})\s*[-./月]\s*(\d{1,2})\s*日?(?:[T\s]+\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d+)?)?)?$"
_SOLID = r"^(\d{4})(\d{2})(\d{2})(?:\d{6})?$"
_HAN = r"[〇零○一二三四五六七八九十]"
_HAN_DIGITS = dict(zip("〇零○一二三四五六七八九", "000123456789", strict=True))
_TENS = ((r"([一二三])十([一二三四五六七八九])", "${1}${2}"), (r"([一二三])十", "${1}〇"), (r"十([一二三四五六七八九])", "一${1}"), ("十", "一〇"))
_SERIALS = (20_000, 60_000)
_CODES = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}


def readers_of(formats: tuple[str, ...], needed: str, dtype: Any) -> list[Reader]:
    """One reader per format. Raises `Unsuitable` for a format that lacks a needed code or has an unknown one."""
    return [_reader(form, _checked(form, needed), dtype) for form in formats]


def _reader(form: str, width: int | None, dtype: Any) -> Reader:
    def read(texts: pl.Series) -> pl.Series:
        plain = texts.str.strip_chars()
        fitting = plain if width is None else plain.set(plain.str.len_chars() != width, None)
        return fitting.str.to_date(form, strict=False) if dtype is pl.Date else fitting.str.to_datetime(form, strict=False, time_unit="us")

    return read


def _checked(form: str, needed: str) -> int | None:
    """How long a text must be for a format without separators (`%Y%m%d`: 8), None for others, which may leave out leading zeros."""
    codes = re.findall(r"%(.?)", form)
    unknown = [c for c in codes if c not in _CODES]
    if unknown:
        raise Unsuitable(f"unknown format code %{unknown[0]} in {form!r}", "%Y %m %d %H %M %S")
    if missing_codes := [c for c in needed if c not in codes and not (c == "Y" and "y" in codes)]:
        raise Unsuitable(f"the format {form!r} has no %{missing_codes[0]}", "year_month reads a month without a day" if missing_codes == ["d"] else "%Y-%m-%d")
    if not re.search(r"%.%", form):
        return None
    return sum(_CODES[c] for c in codes) + len(re.sub(r"%.", "", form))


def read_iso(texts: pl.Series) -> pl.Series:
    """`2019-03-05`, the one spelling that most systems write."""
    return texts.str.to_date("%Y-%m-%d", strict=False)


def read_digits(texts: pl.Series) -> pl.Series:
    """Four digits, two and two, parted or not, with or without a time, full-width or not."""
    plain = half(texts).str.strip_chars()
    return read_iso(plain.str.replace(_PARTED, "${1}-${2}-${3}").str.replace(_SOLID, "${1}-${2}-${3}"))


def read_numerals(texts: pl.Series) -> pl.Series:
    """Chinese numerals: 二〇一九年三月十五日."""
    plain = texts.set(~texts.str.contains(_HAN), None)
    for pattern, digits in _TENS:
        plain = plain.str.replace_all(pattern, digits)
    return read_digits(plain.str.replace_many(list(_HAN_DIGITS), list(_HAN_DIGITS.values())))


LOOSE: list[Reader] = [read_iso, _reader("%Y/%m/%d", None, pl.Date), _reader("%Y%m%d", 8, pl.Date), read_digits, read_numerals]


def dated(text: pl.Expr, parsed: pl.Expr) -> Outcome:
    """An outcome without years before 1000 and without the dates that mean nothing; a present text that is no date is refused (R105)."""
    real = pl.when(parsed >= _FIRST).then(parsed)
    failed = real.is_null() & ~missing(text) & ~text.str.strip_chars().str.contains(_ZERO)
    return Outcome(pl.when(~real.cast(pl.Date).is_in(EMPTY_DATES)).then(real), code="R105", failed=failed)


@function(
    "date",
    "text to date: the given formats in order, or without any the usual spellings; 1900-01-01 and zero dates become null, 2099-12-31 and 9999-12-31 stay",
    label="转日期",
    examples=[
        ("2019年3月5日", "date", date(2019, 3, 5)),
        ("2019.3.5", "date", date(2019, 3, 5)),
        ("20190305", "date", date(2019, 3, 5)),
        ("2019/3/5", "date", date(2019, 3, 5)),
        ("2019-3-5 0:00:00", "date", date(2019, 3, 5)),
        ("二〇一九年三月五日", "date", date(2019, 3, 5)),
        ("2019-02-30", "date", None),
        ("1900-01-01", "date", None),
        ("2099/12/31", "date", date(2099, 12, 31)),
        ("05/03/2019", 'date("%Y-%m-%d", "%d/%m/%Y")', date(2019, 3, 5)),
    ],
)
def parse_date(value: Text, *formats: str) -> DateOutcome:
    """Date; null words are null, what is no date is refused (R105)."""
    return dated(value, in_turn(value, readers_of(formats, "Ymd", pl.Date) or LOOSE, pl.Date))


@function(
    "excel_date",
    "a spreadsheet's day number (1900 system, 20000 to 60000) to date",
    label="Excel日期序列",
    examples=[("43529", "excel_date", date(2019, 3, 5)), ("43529.0", "excel_date", date(2019, 3, 5)), ("17", "excel_date", None)],
)
def excel_date(value: Cell) -> DateOutcome:
    """Date; what is no day number is refused (R105)."""
    text = value.cast(pl.String)
    whole = halfwidth(text).str.strip_chars().str.extract(r"^(\d{5})(?:\.\d*)?$", 1).cast(pl.Int32, strict=False)
    serial = pl.when(whole.is_between(*_SERIALS)).then(whole)
    return dated(text, pl.lit(date(1899, 12, 30)) + pl.duration(days=serial))


@function(
    "year_month",
    "a month without a day to its first day",
    label="年月转日期",
    examples=[("201903", "year_month", date(2019, 3, 1)), ("2019年3月", "year_month", date(2019, 3, 1)), ("2019-13", "year_month", None)],
)
def year_month(value: Text) -> DateOutcome:
    """First day of the month; what is no month is refused (R105)."""
    plain = halfwidth(value).str.strip_chars()
    folded = plain.str.replace(r"^(\d{4})\s*[-./年]?\s*(\d{2})月?$", "${1}-${2}-01").str.replace(r"^(\d{4})\s*[-./年]\s*(\d)月?$", "${1}-0${2}-01")
    return dated(value, folded.str.to_date("%Y-%m-%d", strict=False))


@function(
    "open_end",
    "words for no end (长期, 永久, …) to 2099-12-31, the way the standard template writes it",
    label="长期有效",
    examples=[("长期", "open_end", "2099-12-31"), ("2024-05-01", "open_end", "2024-05-01")],
)
def open_end(value: Text, *words: str) -> Text:
    """Text, to be read by date next."""
    return pl.when(value.str.strip_chars().is_in([*OPEN_WORDS, *words])).then(pl.lit("2099-12-31")).otherwise(value)


@function("today", "the day of the run, local time", label="今天", examples=[(None, "today()", date(2024, 5, 6))])
def today(*, given: Given) -> Date:
    """The given moment's date."""
    return given.now.dt.date()


@function("day", "the date of a time", label="取日期", examples=[(None, "now() | day", date(2024, 5, 6))])
def day(value: Day) -> Date:
    """Date part."""
    return value.cast(pl.Date)


@function("year", "the year of a date or time", label="年份", examples=[(date(2019, 3, 5), "year", 2019)])
def year(value: Day) -> Number:
    """Whole number."""
    return value.dt.year().cast(pl.Int64)


@function("month", "the month of a date or time", label="月份", examples=[(date(2019, 3, 5), "month", 3)])
def month(value: Day) -> Number:
    """1 to 12."""
    return value.dt.month().cast(pl.Int64)


@function(
    "days_between",
    "days from one date to another, negative where the other is earlier",
    label="相差天数",
    examples=[(date(2019, 3, 5), 'days_between("2019-03-12")', 7)],
)
def days_between(value: Date, until: Date) -> Number:
    """Whole days."""
    return (until - value).dt.total_days()


@function(
    "add_days",
    "a date so many days later",
    label="加天数",
    examples=[(date(2019, 2, 27), "add_days(3)", date(2019, 3, 2)), (date(2019, 3, 2), "add_days(-3)", date(2019, 2, 27))],
)
def add_days(value: Date, days: int) -> Date:
    """Date shifted by `days`, within 100,000 days either way."""
    if abs(days) > 100_000:
        raise Unsuitable("days go from -100000 to 100000")
    return value + pl.duration(days=days)


@function(
    "add_months",
    "a date so many months later; the 31st becomes the month's last day",
    label="加月数",
    examples=[(date(2024, 1, 31), "add_months(1)", date(2024, 2, 29)), (date(2019, 3, 5), "add_months(60)", date(2024, 3, 5))],
)
def add_months(value: Date, months: int) -> Date:
    """Date shifted by `months`, within 2,400 months either way."""
    if abs(months) > 2_400:
        raise Unsuitable("months go from -2400 to 2400")
    return value.dt.offset_by(f"{months}mo")


@function("format_date", "a date or time as text", label="日期转文本", examples=[(date(2019, 3, 5), 'format_date("%Y/%m/%d")', "2019/03/05")])
def format_date(value: Day, form: str) -> Text:
    """Text in the format."""
    _checked(form, "")
    return value.dt.to_string(form)


@function("day_time", "a date as a time at midnight", label="日期转时间", examples=[("2019-03-05", "date | day_time | text", "2019-03-05 00:00:00")])
def day_time(value: Date) -> Time:
    """Midnight, local."""
    return value.cast(pl.Datetime("us"))
