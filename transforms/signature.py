"""What a function of the pipe language is: its name, help, typed parameters and examples, read off one decorated Python function."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import polars as pl

TYPES = ("text", "number", "date", "time", "bool", "list", "null")

# Annotations of column parameters and results. "same" parameters of one call share one type, which is the result's type where that is "same" too.
Text = Annotated[pl.Expr, "text"]
Number = Annotated[pl.Expr, "number"]
Date = Annotated[pl.Expr, "date"]
Time = Annotated[pl.Expr, "time"]
Day = Annotated[pl.Expr, "date", "time"]
Bool = Annotated[pl.Expr, "bool"]
TextList = Annotated[pl.Expr, "list"]
Cell = Annotated[pl.Expr, "text", "number"]
AnyValue = Annotated[pl.Expr, "text", "number", "date", "time", "bool", "null"]
Same = Annotated[pl.Expr, "same"]

_CONSTANTS: dict[Any, str] = {str: "text", int: "whole number", bool: "True or False"}
_SUBJECT = TypeVar("_SUBJECT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Result of a function that has more to tell than its value.

    `failed` is true where a present value could not be converted, which `code` names (R104, R105). `unmapped` holds the source text that a
    code list does not know, null elsewhere, under the report `label` ("" lets the compiler name it after the columns).
    """

    expr: pl.Expr
    code: str = ""
    failed: pl.Expr | None = None
    unmapped: pl.Expr | None = None
    label: str = ""


TextOutcome = Annotated[Outcome, "text"]
NumberOutcome = Annotated[Outcome, "number"]
DateOutcome = Annotated[Outcome, "date"]
TimeOutcome = Annotated[Outcome, "time"]


@dataclass(frozen=True, slots=True)
class Given:
    """What an expression is given from outside: the code lists (code to label) and the moment as a Datetime expression, naive local time."""

    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    now: pl.Expr = field(default_factory=lambda: pl.col("_now"))


class Unsuitable(ValueError):
    """A constant argument that a function cannot work with; the compiler adds the place. `hint` is the way out."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: a column of one of `types`, or (`constant`) a value written in the expression."""

    name: str
    types: tuple[str, ...]
    constant: bool
    variadic: bool = False
    keyword: bool = False
    required: bool = True
    default: object = None

    @property
    def words(self) -> str:
        """How the parameter is shown in a signature: `to: text = "元"`."""
        star = "*" if self.variadic else ""
        wanted = "value" if self.types == ("same",) else "any" if len(self.types) > 4 else " or ".join(self.types)
        return f"{star}{self.name}: {wanted}" + ("" if self.required or self.variadic else f" = {self.default!r}")


@dataclass(frozen=True, slots=True)
class Example:
    """`call` applied to `value` gives `result`."""

    value: Any
    call: str
    result: Any


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """One function of the pipe language. `gives` is its result's type, "same" for the type of its values."""

    name: str
    label: str
    help: str
    parameters: tuple[Parameter, ...]
    gives: str
    examples: tuple[Example, ...]
    build: Callable[..., Any]
    given: bool

    @property
    def piped(self) -> bool:
        """Whether a value can be piped into it."""
        return bool(self.parameters) and not self.parameters[0].constant

    @property
    def signature(self) -> str:
        """`value: text | date(*formats: text) -> date`."""
        shown = [p.words for p in self.parameters]
        gives = "value" if self.gives == "same" else self.gives
        if not self.piped or self.parameters[0].variadic:
            return f"{self.name}({', '.join(shown)}) -> {gives}"
        return f"{shown[0]} | {self.name}({', '.join(shown[1:])}) -> {gives}"


FUNCTIONS: dict[str, Function] = {}


def function(name: str, help: str, *, label: str, examples: list[tuple[Any, str, Any]]) -> Callable[[_SUBJECT], _SUBJECT]:  # noqa: A002  the word of the manual
    """Enter a Python function in the table.

    Its annotations are its signature: `Text`, `Date`, … are columns, `str`, `int`, `bool` constants, a keyword `given: Given` is filled in by
    the compiler. `examples` are (value, call, result) and run as tests.
    """

    def enter(build: _SUBJECT) -> _SUBJECT:
        hints = get_type_hints(build, include_extras=True)
        found = inspect.signature(build).parameters
        if name in FUNCTIONS:
            raise ValueError(f"function {name!r} is defined twice")
        FUNCTIONS[name] = Function(
            name=name,
            label=label,
            help=help,
            parameters=tuple(_parameter(p, hints[p.name]) for p in found.values() if hints[p.name] is not Given),
            gives=get_args(hints["return"])[1],
            examples=tuple(Example(*e) for e in examples),
            build=build,
            given=Given in hints.values(),
        )
        return build

    return enter


def describe(subject: Function) -> dict[str, Any]:
    """A function as plain values for the manual: name, label, help, signature, parameters, gives, examples."""
    return {
        "name": subject.name,
        "label": subject.label,
        "help": subject.help,
        "signature": subject.signature,
        "parameters": [
            {"name": p.name, "types": ["value"] if p.types == ("same",) else list(p.types), "constant": p.constant, "required": p.required and not p.variadic}
            for p in subject.parameters
        ],
        "gives": "value" if subject.gives == "same" else subject.gives,
        "examples": [{"value": _plain(e.value), "call": e.call, "result": _plain(e.result)} for e in subject.examples],
    }


def describe_text(subject: Function) -> str:
    """A function as lines for the terminal: signature, label and help, one line per example."""
    lines = [subject.signature, f"    {subject.label}: {subject.help}"]
    for example in subject.examples:
        value = f"{_shown(example.value)} | " if subject.piped else ""
        lines.append(f"    {value}{example.call}  →  {_shown(example.result)}")
    return "\n".join(lines)


def _parameter(found: inspect.Parameter, hint: Any) -> Parameter:
    types_, constant = _column_types(hint), False
    if types_ is None:
        types_, constant = (_constant_type(hint),), True
    absent = found.default is inspect.Parameter.empty
    return Parameter(
        name=found.name,
        types=types_,
        constant=constant,
        variadic=found.kind is inspect.Parameter.VAR_POSITIONAL,
        keyword=found.kind is inspect.Parameter.KEYWORD_ONLY,
        required=absent and found.kind is not inspect.Parameter.VAR_POSITIONAL,
        default=None if absent else found.default,
    )


def _column_types(hint: Any) -> tuple[str, ...] | None:
    for candidate in _options(hint):
        if get_origin(candidate) is Annotated:
            return get_args(candidate)[1:]
    return None


def _constant_type(hint: Any) -> str:
    return next(_CONSTANTS[option] for option in _options(hint) if option in _CONSTANTS)


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else "null" if value is None else str(value)
