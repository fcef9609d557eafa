"""Places in a JSON document: names joined by dots, forgiving about letter case as the published samples are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_TOTALS = ("total", "totalCount", "dataCount", "totalNum", "totalElements", "recordCount")
_DOUBTFUL = ("count", "records")  # with some systems the rows of this page only
_LEVELS = 4


def found_at(document: Any, path: str) -> Any:
    """The value at a path, None where there is none. A number picks from an array; the empty path is the document itself."""
    for name in path.split(".") if path else ():
        if isinstance(document, dict):
            document = document[name] if name in document else _alike(document, name)
        elif isinstance(document, list) and name.isdigit() and int(name) < len(document):
            document = document[int(name)]
        else:
            return None
    return document


def _alike(document: Mapping[str, Any], name: str) -> Any:
    folded = name.casefold()
    return next((value for key, value in document.items() if key.casefold() == folded), None)


def arrays(document: Any, path: str = "", level: int = 0) -> Iterator[tuple[str, list[Any]]]:
    """Every array that may hold rows (objects only, or nothing), with its path; outer ones first."""
    if isinstance(document, list):
        if all(isinstance(one, dict) for one in document):
            yield path, document
    elif isinstance(document, dict) and level < _LEVELS:
        inner = [(f"{path}.{name}" if path else name, value) for name, value in document.items()]
        for where, value in sorted(inner, key=lambda pair: not isinstance(pair[1], list)):
            yield from arrays(value, where, level + 1)


def is_null(document: Any, path: str) -> bool:
    """Whether the path leads to an explicit null: with many systems an empty list, or what is around it."""
    for name in path.split("."):
        if not isinstance(document, dict) or name not in document:
            return False
        document = document[name]
        if document is None:
            return True
    return False


def usual_total(document: Any, rows_at: str, rows: int) -> int | None:
    """The number of all rows under one of its usual names, beside the `rows` of this page or in an object around them."""
    parts = rows_at.split(".") if rows_at else []
    for depth in range(len(parts), -1, -1):
        around = found_at(document, ".".join(parts[:depth]))
        if not isinstance(around, dict):
            continue
        for name in (*_TOTALS, *_DOUBTFUL):
            found = whole(found_at(around, name))
            if found is not None and found >= rows and not (name in _DOUBTFUL and found == rows > 0):
                return found
    return None


def whole(value: Any) -> int | None:
    """A number of rows, None where it is no such thing."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16 else None


def nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """Members named `a.b` as objects inside each other."""
    made: dict[str, Any] = {}
    for name, value in flat.items():
        *outer, last = name.split(".")
        place = made
        for part in outer:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                inner = place[part] = {}
            place = inner
        place[last] = value
    return made
