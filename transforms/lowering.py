"""From a syntax tree to a typed Polars expression: names, constants, operators and calls, each checked as it is built."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl

from hub.contracts.headings import normalise_heading
from transforms.functions import FUNCTIONS
from transforms.functions.numbers import NUMBER, added, divided, multiplied, subtracted
from transforms.grammar import ExpressionError, Source, nearest
from transforms.signature import Function, Given, Outcome, Parameter, Unsuitable

_NO_CONSTANT = object()
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
_CONVERT = {"number": "| number", "date": "| date", "time": "| time", "text": "| text", "list": '| split(",")', "bool": "a comparison"}


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A part of the expression that has been built: its Polars expression, its type, and its value where it is a constant."""

    expr: pl.Expr
    type: str
    node: ast.expr
    constant: Any = _NO_CONSTANT

    @property
    def is_constant(self) -> bool:
        """Whether the value stands in the text."""
        return self.constant is not _NO_CONSTANT


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
        return Term(pl.col(self._names.get(name, name)), "text" if self._known is None else self._known[name], node)

    def _constant(self, node: ast.Constant, sign: int = 1) -> Term:
        value = node.value
        if value is None:
            return Term(pl.lit(None), "null", node, None)
        if isinstance(value, bool):
            return Term(pl.lit(value), "bool", node, value)
        if isinstance(value, str):
            if not value.isprintable() and any(ord(c) < 32 and c not in "\t\r\n" for c in value):
                raise self._source.error("a text holds a control character", node, r'a pattern with backslashes is written r"\d+"')
            return Term(pl.lit(value), "text", node, value)
        if isinstance(value, int | float):
            return self._number(node, sign)
        raise self._source.error(f"a constant of type {type(value).__name__} is not part of the language", node, "use text, numbers, True, False, None")

    def _number(self, node: ast.Constant, sign: int) -> Term:
        try:
            value = sign * (Decimal(node.value) if isinstance(node.value, int) else Decimal(self._source.spelling(node)))
        except InvalidOperation:
            raise self._source.error("not a number", node) from None
        if abs(value) >= _LARGEST or value != round(value, 10):
            raise self._source.error("a number has at most 18 digits and 10 decimals", node)
        return Term(pl.lit(value, dtype=NUMBER), "number", node, int(value) if isinstance(node.value, int) else value)

    def _binary(self, node: ast.BinOp) -> Term:
        if isinstance(node.op, ast.BitOr):
            return self._pipe(node)
        operate = _ARITHMETIC.get(type(node.op))
        if operate is None:
            raise self._source.error(f"operator {type(node.op).__name__} is not part of the language", node, "use + - * / | and comparisons")
        left, right = self.build(node.left), self.build(node.right)
        for side in (left, right):
            if side.type == "text" and isinstance(node.op, ast.Add):
                raise self._source.error("text cannot be added", side.node, "write a | concat(b), or convert with | number")
            if side.type in ("date", "time"):
                raise self._source.error(f"a {side.type} takes no arithmetic", side.node, "write days_between(a, b) or | add_days(7)")
        a, b = self._as(left, ("number",), "arithmetic"), self._as(right, ("number",), "arithmetic")
        expr = operate(a.expr, b.expr)
        if isinstance(node.op, _CAN_OVERFLOW):
            self.failures.append(("R104", a.expr.is_not_null() & b.expr.is_not_null() & expr.is_null()))
        return Term(expr, "number", node)

    def _pipe(self, node: ast.BinOp) -> Term:
        right = node.right
        if isinstance(right, ast.Call) and isinstance(right.func, ast.Name):
            return self._apply(right.func, right, self.build(node.left))
        if isinstance(right, ast.Name):
            return self._apply(right, None, self.build(node.left))
        raise self._source.error("after | a function is expected", right, "value | trim | upper; brackets around or and comparisons")

    def _unary(self, node: ast.UnaryOp) -> Term:
        if isinstance(node.op, ast.Not):
            return Term(~self._as(self.build(node.operand), ("bool",), "not").expr, "bool", node)
        if not isinstance(node.op, ast.USub):
            raise self._source.error(f"operator {type(node.op).__name__} is not part of the language", node, "use not, or a minus sign")
        if isinstance(node.operand, ast.Constant) and isinstance(node.operand.value, int | float) and not isinstance(node.operand.value, bool):
            return self._constant(node.operand, -1)
        return Term(-self._as(self.build(node.operand), ("number",), "a minus sign").expr.cast(NUMBER, strict=False), "number", node)

    def _logic(self, node: ast.BoolOp) -> Term:
        word = "and" if isinstance(node.op, ast.And) else "or"
        parts = [self._as(self.build(value), ("bool",), word).expr for value in node.values]
        expr = parts[0]
        for part in parts[1:]:
            expr = expr & part if word == "and" else expr | part
        return Term(expr, "bool", node)

    def _comparison(self, node: ast.Compare) -> Term:
        left = self.build(node.left)
        expr: pl.Expr | None = None
        for op, operand in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                part, right = self._membership(left, operand, isinstance(op, ast.NotIn)), left
            else:
                right = self.build(operand)
                part = self._compared(op, left, right)
            expr = part if expr is None else expr & part
            left = right
        assert expr is not None  # a comparison has an operator
        return Term(expr, "bool", node)

    def _compared(self, op: ast.cmpop, left: Term, right: Term) -> pl.Expr:
        compare = _COMPARISONS.get(type(op))
        if compare is None or "null" in (left.type, right.type):
            raise self._source.error("compare with None by is_null", right.node, "write value | is_null, or not (value | is_null)")
        a, b = self._agreed([left, right], "compared")
        if a.type == "list" or (a.type == "bool" and not isinstance(op, ast.Eq | ast.NotEq)):
            raise self._source.error(f"a {a.type} cannot be compared like this", right.node)
        return compare(a.expr, b.expr)

    def _membership(self, left: Term, operand: ast.expr, absent: bool) -> pl.Expr:
        if not isinstance(operand, ast.Tuple | ast.List):
            raise self._source.error("after `in` comes a list of constants", operand, 'write x in ("a", "b"); for a part of a text x | contains("a")')
        options = [self.build(element) for element in operand.elts]
        if not options or any(not option.is_constant or option.constant is None for option in options):
            raise self._source.error("after `in` comes a list of constants", operand, 'write x in ("a", "b")')
        agreed = self._agreed([left, *options], "compared")
        expr = pl.any_horizontal([agreed[0].expr == option.expr for option in agreed[1:]])
        return ~expr if absent else expr

    def _call(self, node: ast.Call) -> Term:
        if not isinstance(node.func, ast.Name):
            raise self._source.error("only functions of the table can be called", node.func, "value | trim")
        if self._source.spelling(node.func) == "col":
            return self._quoted_column(node)
        return self._apply(node.func, node, None)

    def _quoted_column(self, node: ast.Call) -> Term:
        if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], ast.Constant) or not isinstance(node.args[0].value, str):
            raise self._source.error("col takes one heading in quotes", node, 'write col("罚款金额（元）")')
        return self._column(node.args[0].value, node)

    def _apply(self, name: ast.Name, call: ast.Call | None, piped: Term | None) -> Term:
        spelt = self._source.spelling(name)
        found = FUNCTIONS.get(spelt)
        if found is None:
            raise self._source.error(f"unknown function {spelt!r}", name, nearest(spelt, FUNCTIONS))
        if piped is not None and not found.piped:
            raise self._source.error(f"nothing can be piped into {spelt}", name, f"write {spelt}()")
        place: ast.expr = call or name
        positional = ([piped] if piped else []) + [self.build(a) for a in (call.args if call else [])]
        keywords = {k.arg or "": self.build(k.value) for k in (call.keywords if call else [])}
        return self._result(found, place, *self._arguments(found, place, positional, keywords))

    def _arguments(
        self, found: Function, place: ast.expr, positional: list[Term], keywords: dict[str, Term]
    ) -> tuple[list[Term | None], dict[str, Term], list[Parameter]]:
        """Terms in the order of the parameters (None keeps a default), the keyword-only ones, and each positional term's parameter."""
        slots = [p for p in found.parameters if not p.keyword]
        bound: list[Term | None] = list(positional)
        owners = [slots[min(i, len(slots) - 1)] if slots else None for i in range(len(positional))]
        if len(positional) > len(slots) and not (slots and slots[-1].variadic):
            raise self._source.error(f"{found.name} takes at most {len(slots)} arguments, not {len(positional)}", positional[-1].node, found.signature)
        for slot in slots[len(positional) :]:
            if slot.variadic:
                break
            bound.append(keywords.pop(slot.name, None))
            owners.append(slot)
            if bound[-1] is None and slot.required:
                raise self._source.error(f"{found.name} misses the argument {slot.name!r}", place, found.signature)
        named = [p for p in found.parameters if p.keyword]
        for word, term in keywords.items():
            if word not in {p.name for p in named}:
                raise self._source.error(
                    f"{found.name} has no argument {word!r}", term.node, nearest(word, [p.name for p in found.parameters]) or found.signature
                )
        missing = [p.name for p in named if p.required and p.name not in keywords]
        if missing:
            raise self._source.error(f"{found.name} misses the argument {missing[0]!r}", place, found.signature)
        return bound, keywords, [o for o in owners if o is not None]

    def _result(self, found: Function, place: ast.expr, bound: list[Term | None], keywords: dict[str, Term], owners: list[Parameter]) -> Term:
        named = {p.name: p for p in found.parameters}
        pairs = [(t, p) for t, p in zip(bound, owners, strict=True) if t is not None] + [(t, named[w]) for w, t in keywords.items()]
        alike = self._agreed([t for t, p in pairs if p.types == ("same",)], f"used together in {found.name}")
        same = iter(alike)
        values = iter([self._argument(found, p, next(same) if p.types == ("same",) else t) for t, p in pairs])
        positional = [p.default if t is None else next(values) for t, p in zip(bound, owners, strict=True)]
        extra: dict[str, Any] = {word: next(values) for word in keywords}
        if found.given:
            extra["given"] = self._given
        try:
            result = found.build(*positional, **extra)
        except Unsuitable as error:
            raise self._source.error(f"{found.name}: {error}", place, error.hint or found.signature) from None
        self.timed |= found.name in ("today", "now")
        gives = (alike[0].type if alike else "null") if found.gives == "same" else found.gives
        return Term(self._heard(result, place), gives, place)

    def _heard(self, result: pl.Expr | Outcome, place: ast.expr) -> pl.Expr:
        if isinstance(result, pl.Expr):
            return result
        if result.failed is not None:
            self.failures.append((result.code, result.failed))
        if result.unmapped is not None:
            self.unmapped.append((result.label or "+".join(self.columns) or self._source.spelling(place), result.unmapped))
        return result.expr

    def _argument(self, found: Function, parameter: Parameter, term: Term) -> Any:
        if not parameter.constant:
            wanted = (term.type,) if parameter.types == ("same",) else parameter.types
            return self._as(term, wanted, found.name).expr
        (kind,) = parameter.types
        fits = {"text": str, "whole number": int, "True or False": bool}[kind]
        if not term.is_constant or not isinstance(term.constant, fits) or (fits is int and isinstance(term.constant, bool)):
            raise self._source.error(f"{found.name} takes a constant {kind} as {parameter.name!r}", term.node, found.signature)
        return term.constant

    def _as(self, term: Term, wanted: tuple[str, ...], where: str) -> Term:
        """The term as one of the wanted types; null fits all, and ISO text constants become dates and times."""
        if term.type in wanted:
            return term
        if term.type == "null":
            return Term(pl.lit(None, dtype=DTYPES[wanted[0]]), wanted[0], term.node, None)
        if isinstance(term.constant, str) and {"date", "time"} & set(wanted):
            return self._moment(term, "date" if "date" in wanted and len(term.constant) <= 10 else "time")
        words = " or ".join(wanted)
        raise self._source.error(f"{where} takes {words}, but this is {term.type}", term.node, f"write {_CONVERT.get(wanted[0], words)}")

    def _moment(self, term: Term, kind: str) -> Term:
        try:
            value = date.fromisoformat(term.constant) if kind == "date" else datetime.fromisoformat(term.constant)
            if isinstance(value, datetime) and value.tzinfo is not None:
                raise ValueError
        except ValueError:
            raise self._source.error(f"not a {kind}", term.node, 'write "2024-01-31" or "2024-01-31 08:00:00"') from None
        return Term(pl.lit(value, dtype=DTYPES[kind]), kind, term.node, value)

    def _agreed(self, terms: list[Term], how: str) -> list[Term]:
        """The terms under one type: that of the first column, else of the first constant that is not null."""
        typed = [t for t in terms if t.type != "null"]
        if not typed:
            return terms
        leader = next((t for t in typed if not t.is_constant), typed[0])
        agreed = []
        for term in terms:
            if {term.type, leader.type} == {"date", "time"} and not term.is_constant:
                raise self._source.error(f"date and time cannot be {how}", term.node, "write value | day to get the date of a time")
            if term.type not in (leader.type, "null") and not (term.is_constant and term.type == "text" and leader.type in ("date", "time")):
                hint = f"write value {_CONVERT[leader.type if leader.type != 'text' else term.type]}"
                raise self._source.error(f"{leader.type} and {term.type} cannot be {how}", term.node, hint)
            agreed.append(self._as(term, (leader.type,), how))
        return agreed


DTYPES: dict[str, Any] = {
    "text": pl.String,
    "number": NUMBER,
    "date": pl.Date,
    "time": pl.Datetime("us"),
    "bool": pl.Boolean,
    "list": pl.List(pl.String),
    "null": pl.Null,
}


def _nearest_column(name: str, known: Mapping[str, str]) -> str:
    folded = {normalise_heading(k): k for k in known}
    if (same := folded.get(normalise_heading(name))) is not None:
        return f"did you mean {same}?"
    return nearest(name, known)


__all__ = ["DTYPES", "ExpressionError", "Lowering", "Term"]
