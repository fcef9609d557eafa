"""Looking at a whole column before working on it: most columns of most files need nothing, and finding that out is cheap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

Columnwise = Callable[[pl.Series], pl.Series]


def each(values: pl.Expr, *functions: Columnwise, kind: Any) -> pl.Expr:
    """Functions of a whole column, one after the other, as an expression of type `kind`."""

    def chained(column: pl.Series) -> pl.Series:
        for function in functions:
            column = function(column)
        return column

    return values.map_batches(chained, return_dtype=kind, is_elementwise=True)


def repaired(values: pl.Series, odd: pl.Series, repair: Columnwise) -> pl.Series:
    """The same column with only its odd values repaired; `odd` is Boolean, null counts as fine."""
    if not odd.any():
        return values
    return values.clone().scatter(odd.arg_true(), repair(values.filter(odd)))


def emptied(values: pl.Series, unwanted: pl.Series) -> pl.Series:
    """The same column with null in place of unwanted values."""
    if not unwanted.any():
        return values
    return pl.select(pl.when(~unwanted.fill_null(value=False)).then(values).alias(values.name)).to_series()
