"""Terms: parts of an expression that have been built, their types, and how they are brought under one type."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from transforms.functions.numbers import NUMBER
from transforms.grammar import Source

_NO_CONSTANT = object()
_CONVERT = {
    "number": "value | number",
    "date": "value | date",
    "time": "value | time",
    "text": "value | text",
    "list": 'value | split(",")',
    "bool": "a comparison",
}

DTYPES: dict[str, Any] = {
    "text": pl.String,
    "number": NUMBER,
    "date": pl.Date,
    "time": pl.Datetime("us"),
    "bool": pl.Boolean,
    "list": pl.List(pl.String),
    "null": pl.Null,
}


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A part of the expression: its Polars expression, its type, its place, and its value where it stands in the text.

    `computed` tells what costs something to evaluate from a plain column or constant.
    """

    expr: pl.Expr
    type: str
    node: ast.expr
    constant: Any = _NO_CONSTANT
    computed: bool = False

    @property
    def is_constant(self) -> bool:
        """Whether the value stands in the text."""
        return self.constant is not _NO_CONSTANT

    def word(self) -> str:
        """How an error calls it: "a constant text"."""
        return f"a constant {self.type}" if self.is_constant else self.type


def once(build: Callable[..., pl.Expr], terms: Sequence[Term], gives: str) -> pl.Expr:
    """`build` applied to the terms' expressions so that each computed one is evaluated once, however often `build` names it.

    Polars would evaluate it again for every mention, and a chain of such steps would grow exponentially.
    """
    probe = build(*(t.expr if t.is_constant else pl.col(str(i)) for i, t in enumerate(terms)))
    mentions = probe.meta.root_names()
    if not any(t.computed and mentions.count(str(i)) > 1 for i, t in enumerate(terms)):
        return build(*(t.expr for t in terms))
    inputs = {str(i): t.expr for i, t in enumerate(terms) if not t.is_constant}

    def run(columns: Sequence[pl.Series]) -> pl.Series:
        rows = next((len(c) for c in columns if len(c) != 1), 1)
        whole = [c if len(c) == rows else c.new_from_index(0, rows) for c in columns]
        return pl.DataFrame(dict(zip(inputs, whole, strict=True))).select(probe).to_series()

    return pl.map_batches(list(inputs.values()), run, return_dtype=DTYPES[gives], is_elementwise=True)


def as_type(source: Source, term: Term, wanted: tuple[str, ...], where: str) -> Term:
    """The term as one of the wanted types; null fits all, and ISO text constants become dates and times."""
    if term.type in wanted:
        return term
    if term.type == "null":
        return Term(pl.lit(None, dtype=DTYPES[wanted[0]]), wanted[0], term.node, None)
    if isinstance(term.constant, str) and {"date", "time"} & set(wanted):
        return _moment(source, term, "date" if "date" in wanted and len(term.constant) <= 10 else "time")
    raise source.error(f"{where} takes {' or '.join(wanted)}, but this is {term.type}", term.node, f"write {_CONVERT[wanted[0]]}")


def _moment(source: Source, term: Term, kind: str) -> Term:
    try:
        value = date.fromisoformat(term.constant) if kind == "date" else datetime.fromisoformat(term.constant)
        if isinstance(value, datetime) and value.tzinfo is not None:
            raise ValueError
    except ValueError:
        raise source.error(f"not a {kind}", term.node, 'write "2024-01-31" or "2024-01-31 08:00:00"') from None
    return Term(pl.lit(value, dtype=DTYPES[kind]), kind, term.node, value)


def agreed(source: Source, terms: Sequence[Term], how: str) -> list[Term]:
    """The terms under one type: that of the first that is no constant, else of the first constant that is not null."""
    typed = [t for t in terms if t.type != "null"]
    if not typed:
        return list(terms)
    leader = next((t for t in typed if not t.is_constant), typed[0])
    return [_following(source, leader, term, how) for term in terms]


def _following(source: Source, leader: Term, term: Term, how: str) -> Term:
    moment = leader.type in ("date", "time")
    if term.type in (leader.type, "null") or (moment and isinstance(term.constant, str)):
        return as_type(source, term, (leader.type,), how)
    hint = f"write {_CONVERT[leader.type if leader.type != 'text' else term.type]}"
    if moment and term.type in ("date", "time"):
        hint = "write value | day to get the date of a time"
    raise source.error(f"{leader.type} and {term.type} cannot be {how}", term.node, hint)
