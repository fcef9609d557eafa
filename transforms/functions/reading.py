"""Reading texts as values in turns: each reader sees only what those before it could not read, so that odd spellings cost only themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

Reader = Callable[[pl.Series], pl.Series]


def in_turn(text: pl.Expr, readers: list[Reader], dtype: Any) -> pl.Expr:
    """The first reading of each text, null where no reader knows it. Readers work on whole series: texts in, values of `dtype` (or null) out."""

    def read(texts: pl.Series) -> pl.Series:
        found = readers[0](texts).cast(dtype)
        for reader in readers[1:]:
            left = (found.is_null() & texts.is_not_null()).arg_true()
            if left.is_empty():
                break
            found = found.scatter(left, distinctly(texts.gather(left), reader, dtype))
        return found

    return text.map_batches(read, return_dtype=dtype, is_elementwise=True)


def distinctly(texts: pl.Series, work: Reader, dtype: Any) -> pl.Series:
    """Work done once per distinct text, where texts repeat."""
    distinct = texts.unique()
    if 2 * len(distinct) > len(texts):
        return work(texts).cast(dtype)
    return texts.replace_strict(distinct, work(distinct).cast(dtype), return_dtype=dtype)


def by_column(text: pl.Expr, work: Reader) -> pl.Expr:
    """Texts rewritten by a function of whole series."""
    return text.map_batches(work, return_dtype=pl.String, is_elementwise=True)


def matching(texts: pl.Series, pattern: str, rewrite: Reader) -> pl.Series:
    """The texts with those that match the pattern rewritten; the others cost a look only."""
    hits = texts.str.contains(pattern).arg_true()
    return texts if hits.is_empty() else texts.clone().scatter(hits, rewrite(texts.gather(hits)))


def filled(texts: pl.Series) -> pl.Series:
    """Empty text is null."""
    return texts.set(texts == "", None)


def series_of(texts: pl.Series, rewrite: Callable[[pl.Expr], pl.Expr]) -> pl.Series:
    """An expression applied to a series."""
    return texts.to_frame("text").select(rewrite(pl.col("text"))).to_series()
