"""Coded values: labels to codes and back, several codes in one cell, and a report of what the list does not know."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import polars as pl

from transforms.functions.reading import by_column, distinctly, filled, series_of
from transforms.signature import Given, Outcome, Text, TextOutcome, Unsuitable, function

SEPARATOR = ";"
_CUT = "\x1f"
_BETWEEN = r"\s*[、；;,，|和]\s*"


@function(
    "split_codes",
    "several values in one cell (、；;,， or 和 between them) joined by ;",
    label="多值规范",
    examples=[("警告；罚款、没收", "split_codes", "警告;罚款;没收")],
)
def split_codes(value: Text) -> Text:
    """The values joined by `;`; nothing left is null."""
    joined = value.str.replace_all(_BETWEEN, SEPARATOR).str.replace_all(";{2,}", SEPARATOR).str.strip_chars(" ;")
    return pl.when(joined != "").then(joined)


@function(
    "code",
    'label or code to code, by a code list or by pairs "label=code"; what is unknown becomes the default, or null, and is reported; multi=True maps each of several values in one cell',
    label="代码映射",
    examples=[
        ("罚款", 'code("警告=1", "罚款=2")', "2"),
        ("2", 'code("警告=1", "罚款=2")', "2"),
        ("拘役", 'code("警告=1", default="9")', "9"),
        ("警告、罚款", 'code("警告=1", "罚款=2", multi=True)', "1;2"),
    ],
)
def code(value: Text, *lists: str, default: str | None = None, multi: bool = False, given: Given) -> TextOutcome:
    """The code of a label; codes stay."""
    known: dict[str, str] = {}
    for pairs in _tables(lists, given.codes):
        known |= {label: code for code, label in reversed(list(pairs.items()))} | {code: code for code in pairs}
    return _mapped(value, known, default, multi, _name(lists))


@function("label", 'code or label to label, by a code list or by pairs "label=code"', label="代码转名称", examples=[("2", 'label("警告=1", "罚款=2")', "罚款")])
def label(value: Text, *lists: str, default: str | None = None, multi: bool = False, given: Given) -> TextOutcome:
    """The label of a code; labels stay."""
    known: dict[str, str] = {}
    for pairs in _tables(lists, given.codes):
        known |= {label: label for label in pairs.values()} | dict(pairs)
    return _mapped(value, known, default, multi, _name(lists))


def _name(lists: tuple[str, ...]) -> str:
    return next((name for name in lists if "=" not in name), "")


def _tables(lists: tuple[str, ...], codes: Mapping[str, Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Every list as code to label; pairs written in the expression come last, so they win."""
    if not lists:
        raise Unsuitable("a code list or pairs are needed", 'code("penalty_class") or code("警告=1", "罚款=2")')
    named = [name for name in lists if "=" not in name]
    for name in named:
        if name not in codes:
            near = difflib.get_close_matches(name, list(codes), n=1, cutoff=0.5)
            raise Unsuitable(f"unknown code list {name!r}", f"did you mean {near[0]}?" if near else 'pairs are written "label=code"')
    pairs = [pair.rpartition("=") for pair in lists if "=" in pair]
    tables: list[Mapping[str, str]] = [codes[name] for name in named]
    return [*tables, *({code.strip(): text.strip()} for text, _, code in pairs)]


def _mapped(value: pl.Expr, known: Mapping[str, str], default: str | None, multi: bool, name: str) -> Outcome:
    clean = by_column(value, lambda texts: filled(texts.str.strip_chars()))
    if multi:
        found = by_column(clean, lambda texts: distinctly(texts, lambda cells: _joined(cells, known), pl.String))
        strange = by_column(clean, lambda texts: distinctly(texts, lambda cells: _strange(cells, known), pl.String))
    else:
        found = clean.replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.String)
        strange = pl.when(found.is_null()).then(clean)
    if default is not None:
        return Outcome(pl.when(found.is_null() & clean.is_not_null()).then(pl.lit(default)).otherwise(found), unmapped=strange, label=name)
    return Outcome(found, unmapped=strange, label=name)


def _parts(cells: pl.Series, known: Mapping[str, str]) -> pl.Series:
    """The single values of each cell; a cell that is known as a whole is one value, whatever stands in it."""
    whole = series_of(cells, lambda cell: pl.when(cell.is_in(list(known))).then(cell).otherwise(split_codes(cell).str.replace_all(SEPARATOR, _CUT)))
    return whole.str.split(_CUT)


def _joined(cells: pl.Series, known: Mapping[str, str]) -> pl.Series:
    """The codes of each cell in order, each once, joined by `;`; null where one of its values is unknown."""
    codes = _parts(cells, known).list.eval(pl.element().replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.String))
    return codes.list.unique(maintain_order=True).list.join(SEPARATOR, ignore_nulls=False)


def _strange(cells: pl.Series, known: Mapping[str, str]) -> pl.Series:
    """The values of each cell that are unknown, joined by `;`; null where there are none."""
    return filled(_parts(cells, known).list.eval(pl.element().filter(~pl.element().is_in(list(known)))).list.join(SEPARATOR))
