"""Every function does what its examples say, and the table describes itself."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from transforms.expression import FUNCTIONS, compile_expression, describe, describe_text
from transforms.lowering import DTYPES
from transforms.signature import Example, Function

MOMENT = datetime(2024, 5, 6, 7, 8, 9)
EXAMPLES = [pytest.param(f, e, id=f"{f.name}-{i}") for f in FUNCTIONS.values() for i, e in enumerate(f.examples)]


def type_of(value: Any) -> str:
    words = {bool: "bool", int: "number", float: "number", datetime: "time", date: "date"}
    return words.get(type(value), "text")


def outcome(value: Any, call: str, piped: bool = True) -> Any:
    kind = type_of(value)
    compiled = compile_expression(f"value | {call}" if piped else call, {"value": kind}).at(MOMENT)
    given = Decimal(str(value)) if kind == "number" else value
    found = pl.DataFrame({"value": [given, None]}, schema={"value": DTYPES[kind]}).select(compiled.expr).to_series()[0]
    return float(found) if isinstance(found, Decimal) else found


@pytest.mark.parametrize(("function", "example"), EXAMPLES)
def test_a_function_does_what_its_example_says(function: Function, example: Example) -> None:
    found = outcome(example.value, example.call, function.piped and not example.call.startswith("now()"))

    assert found == example.result
