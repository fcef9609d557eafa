"""Points in time: local, without zone, as the agencies' systems write them."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from transforms.functions.dates import LOOSE, dated, readers_of
from transforms.functions.reading import Reader, in_turn
from transforms.functions.spelling import half
from transforms.signature import Given, Text, Time, TimeOutcome, function

MOMENT = pl.Datetime("us")
_MOMENT = r"^(\d{4})\s*[-./年]\s*(\d{1,2})\s*[-./月]\s*(\d{1,2})\s*日?[T\s]*(\d{1,2})[:时](\d{1,2})"
_SECONDS = _MOMENT + r"[:分](\d{1,2})(?:秒|\.\d+)?$"
_MINUTES = _MOMENT + r"分?$"
_SOLID = r"^(\d{4})(\d{2})(\d{2})\s?(\d{2}):?(\d{2}):?(\d{2})$"
_UTC = r"(?:Z|\+00:?00)$"
_LOCAL = r"\+08:?00$"


def _read_iso(texts: pl.Series) -> pl.Series:
    return texts.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")


def _read_digits(texts: pl.Series) -> pl.Series:
    plain = half(texts).str.strip_chars().str.replace(_LOCAL, "")
    folded = plain.str.replace(_UTC, "")
    for pattern, seconds in ((_SECONDS, "${6}"), (_MINUTES, "00"), (_SOLID, "${6}")):
        folded = folded.str.replace(pattern, "${1}-${2}-${3} ${4}:${5}:" + seconds)
    found = _read_iso(folded)
    return found.zip_with(~plain.str.contains(_UTC).fill_null(False), found.dt.offset_by("8h"))


_LOOSE: list[Reader] = [_read_iso, *readers_of(("%Y/%m/%d %H:%M:%S",), "YmdHMS", MOMENT), _read_digits, *LOOSE]


@function(
    "time",
    "text to time: the given formats in order, or without any the usual spellings; a date alone is midnight, Z becomes local time",
    label="转时间",
    examples=[
        ("2019-03-05 08:09:10", "time", datetime(2019, 3, 5, 8, 9, 10)),
        ("2019/3/5 8:09", "time", datetime(2019, 3, 5, 8, 9)),
        ("20190305080910", "time", datetime(2019, 3, 5, 8, 9, 10)),
        ("2019-03-05T00:00:00Z", "time", datetime(2019, 3, 5, 8)),
        ("2019年3月5日 8时9分10秒", "time", datetime(2019, 3, 5, 8, 9, 10)),
        ("2019-03-05", "time", datetime(2019, 3, 5)),
        ("00:00;00", "time", None),
        ("05.03.2019 08:09", 'time("%d.%m.%Y %H:%M")', datetime(2019, 3, 5, 8, 9)),
    ],
)
def parse_time(value: Text, *formats: str) -> TimeOutcome:
    """Time, naive, Asia/Shanghai; null words are null, what is no time is refused (R105)."""
    return dated(value, in_turn(value, readers_of(formats, "YmdH", MOMENT) or _LOOSE, MOMENT))


@function("now", "the moment of the run, local time", label="现在", examples=[(None, "now()", datetime(2024, 5, 6, 7, 8, 9))])
def now(*, given: Given) -> Time:
    """The given moment."""
    return given.now
