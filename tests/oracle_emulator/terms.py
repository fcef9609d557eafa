"""Pieces of expressions in SQLite's words, and Oracle's precedence for what SQLite does differently: division, times, and joining of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.types import LOBS, NUMBER, TEXT, TIMES, Type

_MOST_ARGUMENTS = 90
_COMPARING = frozenset(("=", "<>", "<", ">", "<=", ">=", "IN"))


@dataclass(frozen=True, slots=True)
class Term:
    """A piece of an expression in SQLite's words. `kind` is None for NULL; `parts` of a `||` that may grow."""

    sql: str
    kind: Type | None = None
    parts: tuple[str, ...] = ()
    many: bool = False


def folded(items: list[Term | str]) -> Term:
    """Terms and the signs and words between them as one term."""
    items = _signed(items)
    items = _reduced(items, ("*", "/"), _multiplied)
    items = _reduced(items, ("+", "-", "||"), _added)
    if len(items) == 1 and isinstance(items[0], Term):
        return items[0]
    for i, sign in enumerate(items):
        sides = items[max(i - 1, 0) : i + 2]
        if sign in _COMPARING and any(isinstance(side, Term) and side.kind and side.kind.name in LOBS for side in sides):
            raise OracleError(932, "inconsistent datatypes: expected - got CLOB")
    if any(isinstance(item, Term) and item.many for item in items) and any(item in ("<", ">", "<=", ">=") for item in items):
        raise OracleError(1796, "this operator cannot be used with lists")
    return Term(" ".join(item if isinstance(item, str) else item.sql for item in items), NUMBER)


def _signed(items: list[Term | str]) -> list[Term | str]:
    made: list[Term | str] = []
    for item in items:
        if isinstance(item, Term) and made and made[-1] in ("-", "+") and (len(made) == 1 or isinstance(made[-2], str)):
            sign = made.pop()
            made.append(Term(f"({sign}{item.sql})", item.kind))
        else:
            made.append(item)
    return made


def _reduced(items: list[Term | str], signs: Sequence[str], joined: Callable[[Term, str, Term], Term]) -> list[Term | str]:
    made: list[Term | str] = []
    for item in items:
        if isinstance(item, Term) and len(made) > 1 and made[-1] in signs and isinstance(made[-2], Term):
            sign, left = str(made.pop()), made.pop()
            assert isinstance(left, Term)
            item = joined(left, sign, item)
        made.append(item)
    return made


def _multiplied(left: Term, sign: str, right: Term) -> Term:
    return Term(f"ORA_DIVIDE({left.sql}, {right.sql})" if sign == "/" else f"({left.sql} * {right.sql})", NUMBER)


def _added(left: Term, sign: str, right: Term) -> Term:
    if sign == "||":
        parts = (*left.parts, right.sql) if 0 < len(left.parts) < _MOST_ARGUMENTS else (left.sql, right.sql)
        large = next((term.kind for term in (left, right) if term.kind and term.kind.name in LOBS), None)
        return Term(f"ORA_{'CONCAT_LOB' if large else 'CONCAT'}({', '.join(parts)})", large or TEXT, parts)
    first, second = (term.kind.name in TIMES if term.kind else False for term in (left, right))
    if second and not first and sign == "+":
        left, right, first = right, left, True
    if first:
        kind = NUMBER if sign == "-" and second else left.kind
        return Term(f"ORA_{'PLUS' if sign == '+' else 'MINUS'}({left.sql}, {right.sql})", kind)
    return Term(f"({left.sql} {sign} {right.sql})", NUMBER)
