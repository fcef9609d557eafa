"""How each type of MySQL and MariaDB becomes text without loss, and text a value of that type again.

Binary columns are written in hexadecimal (upper case). TIME is text, because it goes beyond a day. A FLOAT is written in the fewest digits that mean the
same number. A zero date is nothing, and counted; a date of which only a part is zero stays as it is.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.databases.dialect import Column, Sort
from hub.contracts.errors import Misconfigured

UTF8 = frozenset(("utf8mb4", "utf8mb3", "utf8", "ascii"))
_WORD = re.compile(r"[a-z]+[0-9]*")
_WHOLE = re.compile(r"-?[0-9]+")
_NUMBERS = frozenset(
    ("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "decimal", "numeric", "dec", "fixed", "float", "double", "real", "bit", "year", "bool")
)
_BINARY = frozenset(
    ("blob", "tinyblob", "mediumblob", "longblob", "binary", "varbinary", "vector", "geometry", "point", "linestring", "polygon", "multipoint")
) | {"multilinestring", "multipolygon", "geometrycollection"}
_TEXTS = frozenset(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"))
_BY_CODE = {
    0: "decimal", 1: "tinyint", 2: "smallint", 3: "int", 4: "float", 5: "double", 7: "timestamp", 8: "bigint", 9: "mediumint", 10: "date", 11: "time",
    12: "datetime", 13: "year", 14: "date", 16: "bit", 245: "json", 246: "decimal", 247: "enum", 248: "set", 255: "geometry",
}  # fmt: skip


def word(declared: str) -> str:
    """The type's own word: "varchar" of "varchar(255)"."""
    found = _WORD.match(declared.lower())
    return found.group() if found else ""


def sort_of(declared: str) -> Sort:
    """What a column holds, by its declared type."""
    kind = word(declared)
    if kind in _NUMBERS:
        return "number"
    if kind in ("datetime", "timestamp"):
        return "time"
    return "date" if kind == "date" else "binary" if kind in _BINARY else "text"


def declared_of(code: int, scale: int, charset: str) -> str:
    """A declared type for a column of a query, from the driver's number of its type and its character set."""
    kind = _BY_CODE.get(code) or ("varbinary" if charset == "binary" else "varchar")
    return f"{kind}({scale})" if scale and kind in ("datetime", "timestamp") else kind


def cell(name: str, column: Column, gbk: bool) -> str:
    """An expression that writes a column (`name` is quoted) as binary text: UTF-8, and the marks of `mysql_wire`. NULL is empty text."""
    return f"IF({name} IS NULL,'',{_written(name, column, gbk)})"


def _written(name: str, column: Column, gbk: bool) -> str:
    kind = word(column.declared)
    plain = f"CAST({name} AS BINARY)"
    if column.sort == "binary":
        return f"HEX({name})"
    if column.sort == "date":
        return f"IF({name}=0,x'FD',{plain})"
    if column.sort == "time":
        if "(" in column.declared:
            plain = f"IF(MICROSECOND({name})=0,LEFT({plain},19),RPAD({plain},26,'0'))"
        return f"IF({name}=0,x'FD',{plain})"
    if column.sort == "number":
        return _number(name, kind, column.declared)
    if is_gbk(column, gbk):
        return _gbk(name)
    if kind in _TEXTS and column.charset in UTF8:
        return plain
    return f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)"


def _number(name: str, kind: str, declared: str) -> str:
    if kind == "bit" or "zerofill" in declared.lower():
        return f"CAST({name}+0 AS BINARY)"
    if kind in ("float", "double", "real"):
        digits = f"CAST({name} AS CHAR)"
        if kind == "float":  # the server writes six digits, which may mean another number
            digits = f"IF({name}=0 OR ABS({digits}-{name})<=POW(2,FLOOR(LOG2(ABS({name})))-24),{digits},CAST({name}+0e0 AS CHAR))"
        return f"CAST(IF(INSTR({digits},'e'),CONCAT(x'FE4E',CAST({digits} AS BINARY)),{digits}) AS BINARY)"
    return f"CAST({name} AS BINARY)"


def is_gbk(column: Column, gbk: bool) -> bool:
    """Whether a column declared latin1 holds GBK."""
    return gbk and column.charset == "latin1"


def _gbk(name: str) -> str:
    """Bytes of latin1 read as GBK where that leads back to the same bytes; else the bytes themselves."""
    raw = f"CAST({name} AS BINARY)"
    text = f"CONVERT(CONVERT({raw} USING gbk) USING utf8mb4)"
    return f"IF(CAST(CONVERT({text} USING gbk) AS BINARY)<=>{raw},CAST({text} AS BINARY),CONCAT(CAST(x'FE47' AS BINARY),HEX({raw})))"


def bound(column: Column, text: str, gbk: bool) -> tuple[str, Any]:
    """A placeholder and the value for it, for a comparison with a column or an assignment to it. Raises `Misconfigured` for what is no such value."""
    try:
        if column.sort == "number":
            return "%s", int(text) if _WHOLE.fullmatch(text) else _decimal(text)
        if column.sort == "binary":
            return "%s", bytes.fromhex(text)
        if is_gbk(column, gbk):
            return "CONVERT(%s USING latin1)", text.encode("gb18030")
    except (ValueError, InvalidOperation) as error:
        wanted = "number" if column.sort == "number" else "text in hexadecimal" if column.sort == "binary" else "text of GBK"
        raise Misconfigured(f"column {column.name} is compared with what is no {wanted}", hint="check where: and done: of the feed") from error
    return "%s", text


def _decimal(text: str) -> Decimal:
    found = Decimal(text)
    if not found.is_finite():
        raise InvalidOperation
    return found
