"""The pipe language: one line of text, checked and typed, becomes a Polars expression."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from transforms.functions import FUNCTIONS
from transforms.grammar import ExpressionError, Source
from transforms.lowering import Lowering
from transforms.signature import Given, describe, describe_text
from transforms.terms import DTYPES

NOW = "_now"  # Datetime("us"), naive local time; read by today() and now() until `Compiled.at` puts a moment in its place

__all__ = ["FUNCTIONS", "NOW", "Compiled", "ExpressionError", "compile_expression", "describe", "describe_text"]


@dataclass(frozen=True, eq=False)
class Compiled:
    """A compiled expression.

    `expr` reads the columns in `columns`, spelt as in the text, and gives one value a row of `type` (text String, number Decimal(38, 10),
    date Date, time Datetime("us"), bool Boolean). `reports` are the labels of `unmapped`: per code mapping the source text that the list
    does not know, null elsewhere. `failures` are (rule code, true where a present value could not be converted).
    """

    text: str
    expr: pl.Expr
    type: str
    columns: tuple[str, ...]
    reports: tuple[str, ...] = ()
    unmapped: tuple[tuple[str, pl.Expr], ...] = ()
    failures: tuple[tuple[str, pl.Expr], ...] = ()
    timed: bool = False
    _again: Callable[[Mapping[str, str], datetime | None], Compiled] = field(repr=False, kw_only=True)
    _names: Mapping[str, str] = field(default_factory=dict, repr=False, kw_only=True)
    _now: datetime | None = field(default=None, repr=False, kw_only=True)

    def renamed(self, names: Mapping[str, str]) -> Compiled:
        """The same expression over other column names: spelling in the text to name in the frame; names left out stay."""
        return self._again(names, self._now)

    def at(self, now: datetime) -> Compiled:
        """The same expression at a moment (naive, local): `today()` and `now()` become literals instead of the column `NOW`."""
        return self._again(self._names, now) if self.timed else self

    def failed(self, frame: pl.DataFrame, result: pl.Series) -> pl.Series | None:
        """Which rows lost a value: String series with the rule code (R104, R105) where `result` (this expression over `frame`) is null because a
        present value could not be converted, null elsewhere; None where there is no such row. Looks at rows without a result only.
        """
        if not self.failures or not result.null_count():
            return None
        rows = pl.Series("row", range(0), dtype=pl.UInt32) if frame.is_empty() else result.is_null().arg_true()
        codes = pl.coalesce(pl.when(failed).then(pl.lit(code)) for code, failed in self.failures)
        found = frame[rows].with_columns(codes.alias("_code")).get_column("_code")
        if found.null_count() == found.len():
            return None
        return pl.Series("code", [None], dtype=pl.String).new_from_index(0, frame.height).scatter(rows, found)

    def unmapped_values(self, frame: pl.DataFrame, limit: int = 50) -> dict[str, dict[str, int]]:
        """Per report the source texts that the code list does not know, with their counts, most frequent first."""
        found: dict[str, dict[str, int]] = {}
        for label, text in self.unmapped:
            values = (
                frame.lazy()
                .select(text.alias("value"))
                .drop_nulls()
                .group_by("value")
                .len()
                .sort(["len", "value"], descending=[True, False])
                .limit(limit)
                .collect()
            )
            if values.height:
                found[label] = dict(values.iter_rows())
        return found


def compile_expression(
    text: str,
    columns: Mapping[str, str] | None = None,
    *,
    codes: Mapping[str, Mapping[str, str]] | None = None,
    expect: str | None = None,
) -> Compiled:
    """Compile one expression.

    `columns` maps the known names to their types (text, number, date, time, bool); None stands for headings that are not known beforehand:
    every name is a text column. `codes` holds code lists (name to code to label). `expect` is the type that the result must have.
    Raises `ExpressionError` with the character offset, and nothing else, whatever the text.
    """
    source = Source(text)
    lists = dict(codes or {})

    def build(names: Mapping[str, str], now: datetime | None) -> Compiled:
        moment = pl.col(NOW) if now is None else pl.lit(now, dtype=pl.Datetime("us"))
        lowering = Lowering(source, columns, Given(lists, moment), names)
        term = lowering.build(source.tree)
        if term.type == "list":
            raise ExpressionError("a list is no value of a field", offset=source.offset(source.tree), hint='add | pick(1) or | join(";")')
        if expect is not None and term.type not in (expect, "null"):
            hint = f"add | {expect}" if expect in FUNCTIONS else "write a comparison" if expect == "bool" else ""
            raise ExpressionError(f"the expression gives {term.type}, but {expect} is needed", offset=source.offset(source.tree), hint=hint)
        return Compiled(
            text=text,
            expr=term.expr,
            type=term.type,
            columns=tuple(lowering.columns),
            reports=tuple(label for label, _ in lowering.unmapped),
            unmapped=tuple(lowering.unmapped),
            failures=tuple(lowering.failures),
            timed=lowering.timed,
            _again=build,
            _names=names,
            _now=now,
        )

    return _proven(build({}, None), columns)


def _proven(compiled: Compiled, columns: Mapping[str, str] | None) -> Compiled:
    """Run it once over an empty frame, so that whatever Polars itself refuses is known now."""
    schema = {name: DTYPES["text" if columns is None else columns[name]] for name in compiled.columns}
    try:
        pl.DataFrame(schema={**schema, NOW: DTYPES["time"]}).select(compiled.expr)
    except pl.exceptions.PolarsError as error:
        raise ExpressionError(f"the expression cannot be run: {str(error).splitlines()[0]}", hint="check the types and patterns") from None
    return compiled
