"""Where the records of a JSON document are: its outer objects are walked, its arrays of objects are counted, and one of them is chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from connectors.formats.strict_json import MARKED
from hub.contracts.errors import Rejected
from hub.contracts.headings import normalise_heading

_SPACE = re.compile(r"[ \t\n\r]*")
_LEVELS = 8
LARGE = 512 << 10
"""Characters of one object; a larger one is no row."""


@dataclass(frozen=True, slots=True)
class Found:
    """An array of records (or one record, where `array` is false) at character `start`; `matched` headings of the first one are known to the item."""

    path: str
    start: int
    array: bool
    count: int
    matched: int

    @property
    def score(self) -> tuple[int, bool, int]:
        """What is more likely to hold the records."""
        return self.matched, self.array, self.count


def find_rows(text: str, path: str, known: frozenset[str]) -> Found:
    """The records of a whole document: those at `path`, or else where most headings are known.

    Every byte is checked. Raises `json.JSONDecodeError`, and `Rejected` F001 where there is nothing of the kind.
    """
    survey = _Survey(text, known)
    end = _skip(text, survey.value(_skip(text, 0), ""))
    if end != len(text):
        raise json.JSONDecodeError("something follows the end of the document", text, end)
    if path:
        found = next((one for one in survey.found if one.path == path), None)
        if found is None:
            shown = ", ".join(f"`{one.path}`" for one in survey.found if one.array and one.path)[:200]
            raise Rejected(
                f"the document has no records at `{path}`", hint=f"correct `rows`; arrays of objects are at {shown or 'the top, or nowhere'}", code="F001"
            )
        return found
    if not survey.found:
        raise Rejected("the document holds neither an array of objects nor an object", hint='records are objects: {"field": value, …}', code="F001")
    return max(survey.found, key=lambda one: one.score)


def objects_at(text: str, found: Found) -> Iterator[Any]:
    """The records that were found, one after the other."""
    if found.array:
        yield from _elements(text, found.start)
    else:
        yield _decode(text, found.start)[0]


class _Survey:
    def __init__(self, text: str, known: frozenset[str]) -> None:
        self.found: list[Found] = []
        self._text = text
        self._known = known

    def value(self, at: int, path: str, level: int = 0) -> int:
        """Look at the value that starts here; where it ends."""
        if self._text.startswith("{", at) and level < _LEVELS:
            return self._object(at, path, level)
        if self._text.startswith("[", at) and self._text.startswith(("{", "]"), _skip(self._text, at + 1)):
            return self._array(at, path)
        return _decode(self._text, at)[1]

    def _object(self, at: int, path: str, level: int) -> int:
        place, start, names = len(self.found), at, dict[str, None]()
        at = _skip(self._text, at + 1)
        while not self._text.startswith("}", at) or names:
            name, at = _decode(self._text, at)
            if type(name) is not str or name in names or not self._text.startswith(":", at := _skip(self._text, at)):
                raise json.JSONDecodeError("a key stands twice, or is none", self._text, at)
            names[name] = None
            at = _skip(self._text, self.value(_skip(self._text, at + 1), f"{path}.{name}" if path else name, level + 1))
            if self._text.startswith("}", at):
                break
            at = _skip(self._text, _expect(self._text, at, ","))
        self.found.insert(place, Found(path, start, array=False, count=1, matched=self._matched(names)))
        return at + 1

    def _array(self, at: int, path: str) -> int:
        place, count, matched = len(self.found), 0, 0
        elements = _elements(self._text, at)
        while True:
            try:
                element = next(elements)
            except StopIteration as ended:
                self.found.insert(place, Found(path, at, array=True, count=count, matched=matched))
                return int(ended.value)
            if not count and isinstance(element, dict):
                matched = self._matched(element)
            count += 1

    def _matched(self, names: dict[str, Any]) -> int:
        return len({normalise_heading(name) for name in names} & self._known)


def _elements(text: str, at: int) -> Generator[Any, None, int]:
    """Each element of the array that starts here, a very large one as its text; where the array ends."""
    at = _skip(text, at + 1)
    if text.startswith("]", at):
        return at + 1
    while True:
        element, end = _decode(text, at)
        yield element if end - at < LARGE else text[at:end]
        at = _skip(text, end)
        if text.startswith("]", at):
            return at + 1
        at = _skip(text, _expect(text, at, ","))


def _decode(text: str, at: int) -> tuple[Any, int]:
    try:
        return MARKED.raw_decode(text, at)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise json.JSONDecodeError(str(error), text, at) from error


def _expect(text: str, at: int, sign: str) -> int:
    if not text.startswith(sign, at):
        raise json.JSONDecodeError(f"Expecting '{sign}'", text, at)
    return at + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
