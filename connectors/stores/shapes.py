"""What a column can hold, as far as it decides whether one type gives way to another without losing anything."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

UNBOUNDED = 1 << 40
WIDER, NARROWER = "wider", "narrower"
_FAMILIES = {
    "text": ("VARCHAR", "VARCHAR2", "NVARCHAR", "NVARCHAR2", "CHARACTER", "CHAR", "NCHAR", "TEXT", "TINYTEXT", "MEDIUMTEXT", "LONGTEXT", "CLOB", "NCLOB"),
    "whole number": ("TINYINT", "BOOL", "SMALLINT", "MEDIUMINT", "INTEGER", "INT", "BIGINT"),
    "boolean": ("BOOLEAN",),
    "float": ("FLOAT", "DOUBLE", "REAL"),
    "number": ("NUMERIC", "DECIMAL", "NUMBER"),
    "date": ("DATE",),
    "time": ("DATETIME", "TIMESTAMP"),
    "binary": ("BLOB", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB", "BYTEA", "BINARY", "VARBINARY", "RAW"),
}
_FAMILY = {word: family for family, words in _FAMILIES.items() for word in words}
_BYTES = {"TINYINT": 1, "BOOL": 1, "SMALLINT": 2, "MEDIUMINT": 3, "INTEGER": 4, "INT": 4, "BIGINT": 8}
_CLASSES = {"TINY": 255, "": 65_535, "MEDIUM": 16_777_215, "LONG": 4_294_967_295}
"""Bytes in MySQL's four classes of long texts and blobs."""
_SPELLED = re.compile(r"([A-Z][A-Z0-9]*)[A-Z ]*(?:\((\d+)(?:,\s*(\d+))?)?")


@dataclass(frozen=True, slots=True)
class Shape:
    """A family of values; the characters, bytes or digits there is room for; and the digits after the point. Types nobody knows are their own family."""

    family: str
    size: int = UNBOUNDED
    scale: int = 0

    @property
    def said(self) -> str:
        """In words: "text of 200", "number of 18 digits, 2 after the point"."""
        if self.family == "number":
            return f"number of {self.size} digits, {self.scale} after the point"
        return self.family if self.size >= UNBOUNDED or self.family not in ("text", "binary") else f"{self.family} of {self.size}"


def shape_of(kind: TypeEngine[Any], dialect: Dialect) -> Shape:
    """The shape of a type as a database spells it, whether it was reflected or is asked for."""
    plain = kind.dialect_impl(dialect) if isinstance(kind, TypeDecorator) else kind
    spelled = str(plain.compile(dialect=dialect)).upper()
    found = _SPELLED.match(spelled)
    word, size, scale = (found[1], int(found[2] or 0), int(found[3] or 0)) if found else (spelled, 0, 0)
    family = _FAMILY.get(word, spelled)
    match family:
        case "text" | "binary":
            return Shape(family, _room(word, size, dialect.name))
        case "whole number":
            return Shape(family, 8 if dialect.name == "sqlite" else _BYTES[word])
        case "number":
            return Shape(family, size or 38, scale)
        case _:
            return Shape(family, 0)


def _room(word: str, size: int, dialect: str) -> int:
    if dialect == "sqlite":  # declared lengths bind nothing there
        return UNBOUNDED
    if dialect != "mysql" or not word.endswith(("TEXT", "BLOB")):
        return size or UNBOUNDED
    if size:
        return next(room for room in _CLASSES.values() if size <= room)
    return _CLASSES[word.removesuffix("TEXT").removesuffix("BLOB")]


def difference(now: Shape, wanted: Shape) -> str:
    """What stands between a column as it is and as it is wanted: "" nothing, `WIDER` where all that is stored still fits, `NARROWER` where a column may stay
    as wide as it is, else why the change would lose data.
    """
    if now == wanted:
        return ""
    if now.family == "whole number" and wanted.family == "number":
        return WIDER
    if now.family == "number" and wanted.family == "whole number":
        return "the digits after the point would be cut off" if now.scale else "numbers that are stored may be too large"
    if now.family != wanted.family:
        return f"{now.family} cannot become {wanted.family} without a loss"
    if wanted.scale < now.scale:
        return f"{now.scale} digits after the point would be cut to {wanted.scale}"
    return NARROWER if wanted.size < now.size else WIDER
