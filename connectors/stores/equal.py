"""Equality of a column and a value where a system does not compare its large texts with `=`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Equal(FunctionElement[bool]):
    """Of two clauses: a text of any length, and a value."""

    inherit_cache = True
    type = Boolean()


@compiles(_Equal)
def _plainly(element: _Equal, compiler: SQLCompiler, **options: Any) -> str:
    column, value = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = {value}"


@compiles(_Equal, "oracle")
def _at_oracle(element: _Equal, compiler: SQLCompiler, **options: Any) -> str:
    column, value = element.clauses
    if not isinstance(column.type.dialect_impl(compiler.dialect), Text):
        return _plainly(element, compiler, **options)
    return f"DBMS_LOB.COMPARE({compiler.process(column, **options)}, {compiler.process(value, **options)}) = 0"


def equal(column: Column[Any], value: Any) -> ColumnElement[bool]:
    """That a column holds a value; None stands for nothing. Oracle refuses `=` for CLOB (ORA-00932)."""
    if value is not None and isinstance(column.type, Text):
        return _Equal(column, literal(value, column.type))
    found: ColumnElement[bool] = column == value
    return found
