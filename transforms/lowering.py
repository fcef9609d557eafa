"""From a syntax tree to a typed Polars expression: names, constants, operators and calls, each checked as it is built."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import polars as pl

from hub.contracts.headings import normalise_heading
from transforms.calls import Arguments, arguments
from transforms.functions import FUNCTIONS
from transforms.functions.numbers import NUMBER, added, decimal, divided, multiplied, subtracted
from transforms.grammar import Source, nearest
from transforms.signature import Function, Given, Outcome, Unsuitable
from transforms.terms import Term, agreed, as_type, once

_LARGEST = Decimal(10) ** 18
_ARITHMETIC: dict[type[ast.operator], Callable[[pl.Expr, pl.Expr], pl.Expr]] = {ast.Add: added, ast.Sub: subtracted, ast.Mult: multiplied, ast.Div: divided}
_CAN_OVERFLOW = (ast.Mult, ast.Div)
_COMPARISONS: dict[type[ast.cmpop], Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}


class Lowering:
    """Builds one expression and remembers what it used and what it has to report."""

    def __init__(self, source: Source, columns: Mapping[str, str] | None, given: Given, names: Mapping[str, str]) -> None:
        self.columns: dict[str, None] = {}
        self.failures: list[tuple[str, pl.Expr]] = []
        self.unmapped: list[tuple[str, pl.Expr]] = []
        self.timed = False
        self._source = source
        self._known = columns
        self._given = given
        self._names = names
        self._kinds: dict[type[ast.expr], Callable[[Any], Term]] = {
            ast.Name: self._name,
            ast.Constant: self._constant,
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._logic,
            ast.Compare: self._comparison,
            ast.Call: self._call,
        }

    def build(self, node: ast.expr) -> Term:
        """The term of a node. Raises `ExpressionError` at the place of the fault."""
        kind = self._kinds.get(type(node))
        if kind is None:
            raise self._source.error("a list of values belongs after `in`", node)
        return kind(node)

    def _name(self, node: ast.Name) -> Term:
        return self._column(self._source.spelling(node), node)

    def _column(self, name: str, node: ast.expr) -> Term:
        if self._known is not None and name not in self._known:
            called = f"write {name}()" if name in FUNCTIONS and not FUNCTIONS[name].piped else ""
            raise self._source.error(f"unknown column {name!r}", node, called or _nearest_column(name, self._known))
        self.columns[name] = None
        type_ = "text" if self._known is None else self._known[name]
        column = pl.col(self._names.get(name, name))
        return Term(decimal(column) if type_ == "number" else column, type_, node)

    def _constant(self, node: ast.Constant, sign: int = 1) -> Term:
        value = node.value
        if value is None:
            return Term(pl.lit(None), "null", node, None)
        if isinstance(value, bool):
            return Term(pl.lit(value), "bool", node, value)
        if isinstance(value, str):
            if any(ord(c) < 32 and c not in "\t\r\n" for c in value):
                raise self._source.error("a text holds a control character", node, r'a pattern with backslashes is written r"\d+"')
            if any("\ud800" <= c <= "\udfff" for c in value):
                raise self._source.error("a text holds half of a surrogate pair", node)
            return Term(pl.lit(value), "text", node, value)
        if isinstance(value, int | float):
            return self._number(node, sign)
        raise self._source.error(f"a constant of type {type(value).__name__} is not part of the language", node, "use text, numbers, True, False, None")

    def _number(self, node: ast.Constant, sign: int) -> Term:
        try:
            value = sign * (Decimal(node.value) if isinstance(node.value, int) else Decimal(self._source.spelling(node)))
            fits = abs(value) < _LARGEST and value == round(value, 10)
        except ArithmeticError:
            fits = False
        if not fits:
            raise self._source.error("a number has at most 18 digits and 10 decimals", node)
        return Term(pl.lit(value, dtype=NUMBER), "number", node, int(value) if isinstance(node.value, int) else value)

    def _binary(self, node: ast.BinOp) -> Term:
        if isinstance(node.op, ast.BitOr):
            return self._pipe(node)
        operate = _ARITHMETIC.get(type(node.op))
        if operate is None:
            raise self._source.error(f"operator {type(node.op).__name__} is not part of the language", node, "use + - * / | and comparisons")
        sides = [self._number_of(self.build(side), node.op) for side in (node.left, node.right)]
        expr = once(operate, sides, "number")
        if isinstance(node.op, _CAN_OVERFLOW):
            self.failures.append(("R104", sides[0].expr.is_not_null() & sides[1].expr.is_not_null() & expr.is_null()))
        return Term(expr, "number", node, computed=True)

    def _number_of(self, side: Term, op: ast.operator) -> Term:
        if side.type == "text" and isinstance(op, ast.Add):
            raise self._source.error("text cannot be added", side.node, "write a | concat(b), or convert with value | number")
        if side.type in ("date", "time"):
            raise self._source.error(f"a {side.type} takes no arithmetic", side.node, "write days_between(a, b) or value | add_days(7)")
        return as_type(self._source, side, ("number",), "arithmetic")

    def _pipe(self, node: ast.BinOp) -> Term:
        right = node.right
        if isinstance(right, ast.Call) and isinstance(right.func, ast.Name):
            return self._apply(right.func, right, [self.build(node.left)])
        if isinstance(right, ast.Name):
            return self._apply(right, right, [self.build(node.left)])
        raise self._source.error("after | a function is expected", right, "value | trim | upper; put brackets around comparisons and and/or")

    def _unary(self, node: ast.UnaryOp) -> Term:
        operand = node.operand
        if isinstance(node.op, ast.Not):
            return Term(~as_type(self._source, self.build(operand), ("bool",), "not").expr, "bool", node, computed=True)
        if not isinstance(node.op, ast.USub):
            raise self._source.error(f"operator {type(node.op).__name__} is not part of the language", node, "use not, or a minus sign")
        if isinstance(operand, ast.Constant) and type(operand.value) in (int, float):
            return self._constant(operand, -1)
        return Term(-as_type(self._source, self.build(operand), ("number",), "a minus sign").expr, "number", node, computed=True)

    def _logic(self, node: ast.BoolOp) -> Term:
        word = "and" if isinstance(node.op, ast.And) else "or"
        expr, *parts = (as_type(self._source, self.build(value), ("bool",), word).expr for value in node.values)
        for part in parts:
            expr = expr & part if word == "and" else expr | part
        return Term(expr, "bool", node, computed=True)

    def _comparison(self, node: ast.Compare) -> Term:
        if isinstance(node.ops[0], ast.In | ast.NotIn) and len(node.ops) == 1:
            return self._membership(node, isinstance(node.ops[0], ast.NotIn))
        compares = [_COMPARISONS.get(type(op)) for op in node.ops]
        terms = [self.build(operand) for operand in (node.left, *node.comparators)]
        for compare, right in zip(compares, terms[1:], strict=True):
            if compare is None or "null" in (terms[0].type, right.type):
                raise self._source.error(
                    "this cannot be compared so", right.node, "write value | is_null for None; `in` takes a list of constants and stands alone"
                )
        sides = agreed(self._source, terms, "compared")
        ordered = any(not isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
        if sides[0].type == "list" or (sides[0].type == "bool" and ordered):
            raise self._source.error(f"a {sides[0].type} cannot be compared like this", sides[0].node, "a condition stands alone: write person, or not person")

        def chained(*exprs: pl.Expr) -> pl.Expr:
            parts = [compare(a, b) for compare, a, b in zip(compares, exprs, exprs[1:], strict=False) if compare is not None]
            return pl.all_horizontal(parts) if len(parts) > 1 else parts[0]

        return Term(once(chained, sides, "bool"), "bool", node, computed=True)

    def _membership(self, node: ast.Compare, absent: bool) -> Term:
        (operand,) = node.comparators
        hint = 'write x in ("a", "b"); for a part of a text x | contains("a")'
        if not isinstance(operand, ast.Tuple | ast.List) or not operand.elts:
            raise self._source.error("after `in` comes a list of constants", operand, hint)
        options = [self.build(element) for element in operand.elts]
        for option in options:
            if not option.is_constant or option.constant is None:
                raise self._source.error("after `in` comes a list of constants", option.node, hint)
        sides = agreed(self._source, [self.build(node.left), *options], "compared")

        def member(value: pl.Expr, *among: pl.Expr) -> pl.Expr:
            found = pl.any_horizontal([value == option for option in among])
            return ~found if absent else found

        return Term(once(member, sides, "bool"), "bool", node, computed=True)

    def _call(self, node: ast.Call) -> Term:
        if not isinstance(node.func, ast.Name):
            raise self._source.error("only functions of the table can be called", node.func, "value | trim")
        if self._source.spelling(node.func) == "col":
            return self._quoted_column(node)
        return self._apply(node.func, node, [])

    def _quoted_column(self, node: ast.Call) -> Term:
        if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], ast.Constant) or not isinstance(node.args[0].value, str):
            raise self._source.error("col takes one heading in quotes", node, 'write col("罚款金额（元）")')
        return self._column(self._constant(node.args[0]).constant, node)

    def _apply(self, name: ast.Name, place: ast.expr, piped: list[Term]) -> Term:
        spelt = self._source.spelling(name)
        found = FUNCTIONS.get(spelt)
        if found is None:
            raise self._source.error(f"unknown function {spelt!r}", name, nearest(spelt, FUNCTIONS))
        if piped and not found.piped:
            raise self._source.error(f"nothing can be piped into {spelt}", name, f"write {spelt}()")
        call = place if isinstance(place, ast.Call) else ast.Call(name, [], [])
        if any(k.arg is None for k in call.keywords):
            raise self._source.error("arguments are written one by one", place, found.signature)
        keywords = {k.arg: self.build(k.value) for k in call.keywords if k.arg}
        given = arguments(self._source, found, place, piped + [self.build(a) for a in call.args], keywords)
        gives = given.same if found.gives == "same" else found.gives
        return Term(self._built(found, given, place, gives), gives, place, computed=True)

    def _built(self, found: Function, given: Arguments, place: ast.expr, gives: str) -> pl.Expr:
        def run(*values: pl.Expr) -> pl.Expr | Outcome:
            slots, words = given.filled(list(values))
            built: pl.Expr | Outcome = found.build(*slots, **words, **({"given": self._given} if found.given else {}))
            return built

        def value(*values: pl.Expr) -> pl.Expr:
            built = run(*values)
            return built.expr if isinstance(built, Outcome) else built

        try:
            expr = once(value, given.values, gives)
            outcome = run(*(t.expr for t in given.values))
        except Unsuitable as error:
            raise self._source.error(f"{found.name}: {error}", place, error.hint or found.signature) from None
        if isinstance(outcome, Outcome):
            self._heard(outcome, place)
        self.timed |= found.name in ("today", "now")
        return expr

    def _heard(self, outcome: Outcome, place: ast.expr) -> None:
        if outcome.failed is not None:
            self.failures.append((outcome.code, outcome.failed))
        if outcome.unmapped is not None:
            self.unmapped.append((outcome.label or "+".join(self.columns) or self._source.spelling(place), outcome.unmapped))


def _nearest_column(name: str, known: Mapping[str, str]) -> str:
    folded = {normalise_heading(k): k for k in known}
    if (same := folded.get(normalise_heading(name))) is not None:
        return f"did you mean {same}?"
    return nearest(name, known)
