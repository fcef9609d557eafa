"""A call of a function: which argument belongs to which parameter, and whether it fits."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from transforms.grammar import Source, nearest
from transforms.signature import Function, Parameter
from transforms.terms import Term, agreed, as_type

_KINDS: dict[str, type] = {"text": str, "whole number": int, "True or False": bool}


@dataclass(frozen=True, slots=True)
class Arguments:
    """A call's arguments: constants by position or keyword, and the value terms in the order in which the function takes them.

    `slots` holds, per position, a value term or a constant; `words` the keyword arguments alike.
    """

    slots: list[Term | Any]
    words: dict[str, Term | Any]
    same: str  # the type that the "same" parameters share, "null" where all are null

    @property
    def values(self) -> list[Term]:
        """The value terms in order."""
        return [a for a in (*self.slots, *self.words.values()) if isinstance(a, Term)]

    def filled(self, values: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments with the value terms replaced."""
        rest = iter(values)
        slots = [next(rest) if isinstance(a, Term) else a for a in self.slots]
        return slots, {w: next(rest) if isinstance(a, Term) else a for w, a in self.words.items()}


def arguments(source: Source, found: Function, place: ast.expr, positional: list[Term], keywords: dict[str, Term]) -> Arguments:
    """Match terms to parameters and check their types. Raises `ExpressionError` at the argument that does not fit."""
    slots, words = _matched(source, found, place, positional, dict(keywords))
    alike = agreed(source, [t for p, t in (*slots, *words) if p.types == ("same",) and t is not None], f"used together in {found.name}")
    same = iter(alike)

    def fit(parameter: Parameter, term: Term | None) -> Term | Any:
        if term is None:
            return parameter.default
        if parameter.constant:
            return _constant(source, found, parameter, term)
        return next(same) if parameter.types == ("same",) else as_type(source, term, parameter.types, found.name)

    shared = next((t.type for t in alike if t.type != "null"), "null")
    return Arguments([fit(p, t) for p, t in slots], {p.name: fit(p, t) for p, t in words}, shared)


def _matched(
    source: Source, found: Function, place: ast.expr, positional: list[Term], keywords: dict[str, Term]
) -> tuple[list[tuple[Parameter, Term | None]], list[tuple[Parameter, Term | None]]]:
    places = [p for p in found.parameters if not p.keyword]
    open_ended = bool(places) and places[-1].variadic
    if len(positional) > len(places) and not open_ended:
        raise source.error(f"{found.name} takes at most {len(places)} arguments, not {len(positional)}", positional[-1].node, found.signature)
    slots: list[tuple[Parameter, Term | None]] = [(places[min(i, len(places) - 1)], term) for i, term in enumerate(positional)]
    slots += [(p, keywords.pop(p.name, None)) for p in places[len(positional) :] if not p.variadic]
    words = [(p, keywords.pop(p.name)) for p in found.parameters if p.keyword and p.name in keywords]
    for word, term in keywords.items():
        raise source.error(f"{found.name} has no argument {word!r}", term.node, nearest(word, [p.name for p in found.parameters]) or found.signature)
    for parameter, given in slots:
        if given is None and parameter.required:
            raise source.error(f"{found.name} misses the argument {parameter.name!r}", place, found.signature)
    return slots, [*words]


def _constant(source: Source, found: Function, parameter: Parameter, term: Term) -> Any:
    (kind,) = parameter.types
    if term.is_constant and term.constant is None and parameter.default is None and not parameter.required and not parameter.variadic:
        return None
    if not term.is_constant or type(term.constant) is not _KINDS[kind]:
        raise source.error(f"{found.name} takes a constant {kind} as {parameter.name!r}", term.node, found.signature)
    return term.constant
