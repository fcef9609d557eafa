"""JSON read strictly (RFC 8259): UTF-8 only, no key twice, no NaN, no half characters, at most 64 levels, numbers exactly as they were written.

No number is ever converted, so none is too long.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Never

import numpy as np

from hub.contracts.errors import Rejected

DEPTH = 64
MARK = b"\xef\xbb\xbf"
_PIECE = 4 << 20
_ODD = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")
_HINT = "ask the agency to write strict JSON in UTF-8 (RFC 8259)"


class Number(str):
    """A number as it was written: no digit is lost, whatever its size."""

    __slots__ = ()


def parse(raw: bytes, *, called: str = "the document") -> Any:
    """One JSON document; numbers are `Number`. Raises `Rejected` F001 (no strict JSON, with line and column) or F002 (no UTF-8)."""
    raw = raw.removeprefix(MARK)
    text = decoded(raw, called)
    check_depth(raw, called)
    try:
        found = MARKED.decode(text)
        if may_hurt(raw):
            check_texts(found)
    except ValueError as error:
        raise refused(error, called) from error
    return found


def decoded(raw: bytes, called: str) -> str:
    """The text of UTF-8 bytes. Raises `Rejected` F002."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Rejected(f"{called} is not UTF-8 at byte {error.start}, line {line}; JSON is always UTF-8", hint=_HINT, code="F002") from error


def refused(error: ValueError, called: str) -> Rejected:
    """The error for a whole document that is no strict JSON. Neither keys nor values are named."""
    if isinstance(error, json.JSONDecodeError):
        return Rejected(f"{called} is not JSON: {error.msg.lower()}, line {error.lineno}, column {error.colno}", hint=_HINT, code="F001")
    return Rejected(f"{called} is not strict JSON: {error}", hint=_HINT, code="F001")


def depth_of(raw: bytes) -> int:
    """How deep arrays and objects are nested, without parsing; brackets inside of strings do not count."""
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
    codes = np.frombuffer(raw, np.uint8)
    inside, depth, deepest = 0, 0, 0
    for begin in range(0, len(codes), _PIECE):
        piece = codes[begin : begin + _PIECE]
        quotes = np.cumsum(piece == 34, dtype=np.int32) + inside
        bare = (quotes & 1) == 0
        steps = (((piece == 91) | (piece == 123)) & bare).astype(np.int8) - (((piece == 93) | (piece == 125)) & bare)
        levels = np.cumsum(steps, dtype=np.int32) + depth
        inside, depth, deepest = int(quotes[-1]) & 1, int(levels[-1]), max(deepest, int(levels.max()))
    return deepest


def check_depth(raw: bytes, called: str) -> None:
    """Raises `Rejected` F001 for a document that is nested too deep, before anything is parsed."""
    if raw.count(b"[") + raw.count(b"{") > DEPTH and depth_of(raw) > DEPTH:
        raise Rejected(f"{called} is nested deeper than {DEPTH} levels", hint="send the records as a flat array of objects", code="F001")


def may_hurt(raw: bytes) -> bool:
    """Whether strings of this document may hold half characters (see `check_texts`) or NUL."""
    return b"\\u" in raw and _ODD.search(raw) is not None


def check_texts(value: Any) -> None:
    """Raises `ValueError` where a string holds half a character (a lone surrogate)."""
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise ValueError("a string holds half a character (a lone surrogate)") from error
    elif isinstance(value, dict):
        for key, one in value.items():
            check_texts(key)
            check_texts(one)
    elif isinstance(value, list):
        for one in value:
            check_texts(one)


def cell(value: Any) -> str | None:
    """A value as the text of a cell: nothing for null, true and false as words, arrays as JSON."""
    if value is None or isinstance(value, str):
        return value
    return written(value)


def flat(record: Mapping[str, Any]) -> dict[str, str | None]:
    """One row of an object: nested objects become `outer.inner`, all else is a `cell`. Raises `ValueError` where two values meet in one name."""
    cells: dict[str, str | None] = {}
    _flatten(record, "", cells)
    return cells


def _flatten(record: Mapping[str, Any], before: str, cells: dict[str, str | None]) -> None:
    for key, value in record.items():
        name = before + key.strip()
        if isinstance(value, dict):
            _flatten(value, name + ".", cells)
            continue
        if name in cells:
            raise ValueError("two values have the same name")
        cells[name] = cell(value)


def written(value: Any) -> str:
    """A value as JSON again, its numbers as they were."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{written(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON")


MARKED = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_no_constant, object_pairs_hook=_unique)
"""Numbers can still be told from strings."""
