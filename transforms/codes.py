"""Coded cells: labels become codes, several codes in one cell become one spelling, and what a code list does not know is found."""

from __future__ import annotations

import polars as pl

from hub.contracts.item import Field
from transforms.columns import Columnwise

JOINED = ";"
_SEPARATORS = r"\s*[、；;,，/|和]\s*"
_KEPT = "\x1e"  # stands for a separator that belongs to a label


def _code_of(field: Field) -> dict[str, str]:
    """Every spelling that means a code: the code itself and its label."""
    return {**{label: code for code, label in field.codes.items()}, **{code: code for code in field.codes}}


def coded(field: Field, values: pl.Series, tidy: Columnwise) -> pl.Series:
    """Labels to codes; in a `multi` field `警告；罚款` becomes `1;2`. What is unknown stays as `tidy` leaves it.

    Works on distinct spellings: a column of codes has few.
    """
    codes = list(field.codes)
    odd = ~values.is_in(codes)
    if not odd.any():
        return values
    meaning = _code_of(field)
    written = values.filter(odd).unique().drop_nulls()
    tidied = tidy(written)
    plain = _split(tidied, meaning) if field.multi else tidied.replace(list(meaning), list(meaning.values()))
    return values.replace(written, plain)


def _split(written: pl.Series, meaning: dict[str, str]) -> pl.Series:
    """Several codes or labels in one cell, whatever stands between them."""
    joint = sorted((label for label in meaning if pl.Series([label]).str.contains(_SEPARATORS).item()), key=len, reverse=True)
    marks = [f"{_KEPT}{at}{_KEPT}" for at in range(len(joint))]
    marked = written.str.replace_many(joint, marks, leftmost=True) if joint else written
    parts = marked.str.replace_all(_SEPARATORS, JOINED).str.strip_chars(JOINED).str.split(JOINED)
    known = {**meaning, **{mark: meaning[label] for mark, label in zip(marks, joint, strict=True)}}
    element = pl.element().replace(list(known), list(known.values()))
    frame = parts.alias("parts").to_frame()
    return frame.select(pl.col("parts").list.eval(element).list.unique(maintain_order=True).list.join(JOINED)).to_series()


def known_codes(field: Field) -> Columnwise:
    """Whether each cell holds codes of the list only: Boolean, null for null."""
    codes = list(field.codes)

    def function(values: pl.Series) -> pl.Series:
        known = values.is_in(codes)
        if not field.multi or known.all():
            return known
        written = values.filter(~known).unique()
        frame = written.alias("cell").to_frame()
        good = frame.filter(pl.col("cell").str.split(JOINED).list.eval(pl.element().is_in(codes)).list.all()).to_series()
        return known | values.is_in(good.implode())

    return function
