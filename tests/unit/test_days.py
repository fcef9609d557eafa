"""Days of the calendar: the fast way reads and writes what Polars reads and writes, and knows when to leave it to Polars."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.days import days_written, texts_of

FIRST, LAST = date(1800, 1, 1), date(9999, 12, 31)


def read_by_polars(texts: pl.Series) -> pl.Series:
    days = texts.str.to_date("%Y-%m-%d", strict=False)
    return days.to_frame().select(pl.when(pl.all().is_between(FIRST, LAST)).then(pl.all())).to_series()


def test_every_day_is_read_and_written():
    days = pl.date_range(FIRST, LAST, eager=True).alias("day")
    texts = days.dt.strftime("%Y-%m-%d")

    read, written = days_written(texts), texts_of(days)

    assert read is not None
    assert read.equals(days, check_dtypes=True)
    assert written.equals(texts, check_dtypes=True)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.none() | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z") | st.text("0129-/ 年", min_size=8, max_size=11), max_size=4))
def test_what_is_read_is_what_polars_reads(texts):
    column = pl.Series("day", texts, dtype=pl.String)

    read = days_written(column)

    expected = read_by_polars(column)
    if read is None:
        assert expected.drop_nulls().len() < column.drop_nulls().len() or not column.drop_nulls().len() or column.str.len_bytes().ne(10).any()
    else:
        assert read.equals(expected, check_dtypes=True, null_equal=True)


@pytest.mark.parametrize(
    "odd", ["2023-02-29", "2024-00-10", "2024-13-01", "2024-01-00", "2024-01-32", "1799-12-31", "2024-1-011", "2024/01/01", "20240101", ""]
)
def test_one_odd_text_leaves_the_column_to_others(odd):
    column = pl.Series(["2024-02-29", None, odd])

    read = days_written(column)

    assert read is None


@given(st.lists(st.none() | st.dates(), max_size=5))
def test_days_far_apart_are_written_alike(days):
    column = pl.Series("day", days, dtype=pl.Date)

    written = texts_of(column)

    assert written.to_list() == [None if day is None else day.isoformat() for day in days]
