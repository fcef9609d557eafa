"""Days of the calendar as whole columns: text to date and date to text for the one spelling (YYYY-MM-DD) in which most files write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

Words = np.ndarray[Any, np.dtype[np.uint16]]

FIRST_YEAR, END_YEAR = 1800, 10_000
_WRITTEN_BYTES = 10
_NONE = 1 << 20  # larger than any index of a month

_MONTHS = np.arange(f"{FIRST_YEAR}-01", f"{END_YEAR}-01", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int32)
_LENGTHS = np.diff(_MONTHS, append=np.int32(np.datetime64(f"{END_YEAR}-01-01", "D").astype(np.int32)))


def _pairs(first: str, second: str, values: np.ndarray[Any, np.dtype[np.int32]]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """What a pair of bytes, read as a little-endian word, is worth: `values` for each of `first` before each of `second`, `_NONE` for others."""
    table = np.full(1 << 16, _NONE, np.int32)
    table[[ord(low) | ord(high) << 8 for low in first for high in second]] = values
    return table


_DIGITS = "0123456789"
_CENTURY = _pairs(_DIGITS, _DIGITS, np.arange(100, dtype=np.int32) * 1200 - FIRST_YEAR * 12)
_YEAR = _pairs(_DIGITS, _DIGITS, np.arange(100, dtype=np.int32) * 12)
_TENS = _pairs("-", "01", np.array([-1, 9], np.int32))
_ONES = _pairs(_DIGITS, "-", np.arange(10, dtype=np.int32))
_DAY = _pairs(_DIGITS, _DIGITS, np.arange(100, dtype=np.int32))


def days_written(texts: pl.Series) -> pl.Series | None:
    """Dates where every text is a day from 1800 to 9999 written YYYY-MM-DD, null for null; None where one is anything else."""
    words: Words = _words(texts)
    if len(words) != len(texts) - texts.null_count():
        return None
    months = _TENS[words[:, 2]] + _ONES[words[:, 3]]
    index = months + _YEAR[words[:, 1]] + _CENTURY[words[:, 0]]
    if not len(index) or months.min() < 0 or months.max() > 11 or index.min() < 0 or index.max() >= len(_MONTHS):
        return None
    day = _DAY[words[:, 4]]
    if day.min() < 1 or (day > _LENGTHS[index]).any():
        return None
    days = pl.Series(texts.name, _MONTHS[index] + day - 1, dtype=pl.Int32)
    if len(days) < len(texts):
        days = days.new_from_index(0, len(texts)).scatter(texts.is_null().arg_true(), None).scatter(texts.is_not_null().arg_true(), days)
    return days.cast(pl.Date)


def texts_of(days: pl.Series) -> pl.Series:
    """Dates as YYYY-MM-DD, null for null. Where they lie close together, each day is written once and looked up."""
    numbers = days.to_physical()
    first, last = _bounds(numbers)
    if last - first >= len(days):
        return days.cast(pl.String)
    spelt = pl.int_range(first, last + 1, dtype=pl.Int32, eager=True).cast(pl.Date).cast(pl.String)
    return spelt.gather(numbers - first).alias(days.name)


def _bounds(numbers: pl.Series) -> tuple[int, int]:
    """The smallest and the largest number; far apart where there is none."""
    first, last = numbers.min(), numbers.max()
    return (first, last) if isinstance(first, int) and isinstance(last, int) else (0, len(numbers))


def _words(texts: pl.Series) -> Words:
    """The texts of exactly ten bytes as rows of five byte pairs, in order."""
    cells = texts.cast(pl.Binary).bin.reinterpret(dtype=pl.Array(pl.UInt16, _WRITTEN_BYTES // 2)).drop_nulls()
    return cells.to_numpy() if len(cells) else np.zeros((0, _WRITTEN_BYTES // 2), np.uint16)
