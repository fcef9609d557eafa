"""Strict YAML 1.2 into a tree whose every node knows its line and column.

Events come from libyaml through `ruamel.yaml.clib`, scalars are resolved here by the YAML 1.2.2 core schema (section 10.3.2), so `no` and `on` are
text. Anchors, aliases, tags and further documents are refused; nesting and size are capped before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]  # re-exported from ruamel.yaml.clib, which has no types
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from config.problems import Problem

MAX_BYTES: Final = 1 << 20
MAX_NESTING: Final = 16  # of any YAML at all; the configuration's own limit of four levels is reported more kindly
MAX_LEVELS: Final = 4

_NULL = re.compile(r"|~|null|Null|NULL")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_BASED = re.compile(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?")
_SECRET_LINE = re.compile(r"secret|passw|token|credential|[a-z]_?key[\"']?\s*:|://[^\s/]*@", re.IGNORECASE)
_ESCAPE = re.compile(r"\\(?:x..|u....|U........|.)", re.DOTALL)


@dataclass(slots=True)
class Node:
    """A scalar, map or list at a place. `line` and `column` count characters from 1; `style` is libyaml's: "", "'", '"', "|" or ">"."""

    kind: str  # scalar, map, list
    line: int
    column: int
    text: str = ""
    style: str = ""
    last_line: int = 0
    keys: dict[str, Node] = field(default_factory=dict)
    entries: dict[str, Node] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)

    def data(self) -> Any:
        """Plain Python data; keys of maps are always text as written, so that code `01` keeps its zero."""
        if self.kind == "map":
            return {key: value.data() for key, value in self.entries.items()}
        if self.kind == "list":
            return [value.data() for value in self.items]
        return resolve(self.text) if self.style == "" else self.text

    def at(self, *path: str | int) -> Node:
        """The node at a path, or the deepest one on the way that exists."""
        node = self
        for part in path:
            if node.kind == "map" and str(part) in node.entries:
                node = node.entries[str(part)]
            elif node.kind == "list" and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
        return node


def resolve(text: str) -> str | int | float | bool | None:
    """Value of a plain scalar by the core schema."""
    if text in _BOOL:
        return _BOOL[text]
    if _NULL.fullmatch(text):
        return None
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


class Document:
    """One file: its text, its tree, and what is wrong with it so far."""

    def __init__(self, file: str, raw: bytes) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.lines: list[str] = []
        self.root: Node | None = None
        text = self._decode(raw)
        if text is not None:
            self.lines = text.splitlines()
            self.root = self._tree(text)

    def report(self, place: Node | tuple[int, int], path: str, code: str, message: str, hint: str = "") -> None:
        """Add a problem at a node, or at (line, column)."""
        line, column = (place.line, place.column) if isinstance(place, Node) else place
        written = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        hidden = code == "literal-secret" or (_SECRET_LINE.search(written) and "${" not in written)
        excerpt = "" if hidden else written[:300]
        self.problems.append(Problem(self.file, line, column, path, code, message, hint, excerpt))

    def spot(self, node: Node, offset: int) -> tuple[int, int]:
        """Line and column of a character of a scalar; the scalar's start where it spans several lines."""
        if node.style in ("|", ">") or node.last_line != node.line:
            return node.line, node.column
        if node.style == "":
            return node.line, node.column + offset
        return node.line, node.column + 1 + self._written(node, offset)

    def _written(self, node: Node, offset: int) -> int:
        """How many characters the first `offset` characters of a quoted scalar take as written."""
        raw = self.lines[node.line - 1][node.column :]
        pattern = re.compile(r"''|.") if node.style == "'" else re.compile(_ESCAPE.pattern + "|.", re.DOTALL)
        return sum(len(m[0]) for m, _ in zip(pattern.finditer(raw), range(offset), strict=False))

    def _decode(self, raw: bytes) -> str | None:
        if len(raw) > MAX_BYTES:
            self.report((1, 1), "", "too-large", f"the file has {len(raw):,} bytes; at most {MAX_BYTES:,} are read", "split it")
            return None
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            column = len(raw[raw.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")) + 1
            self.report((line, column), "", "encoding", f"byte {error.start} is not UTF-8", "save the file as UTF-8")
            return None
        return text

    def _tree(self, text: str) -> Node | None:
        try:
            return _Composer(self, text).compose()
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self.report(place, "", "syntax", f"this is not YAML: {error.problem or error.context}", self._syntax_hint(place[0]))
        except YAMLError as error:
            at = getattr(error, "position", 0)
            line = text.count("\n", 0, at) + 1
            self.report((line, 1), "", "syntax", "a character that YAML does not allow", f"remove the control character near line {line}")
        return None

    def _syntax_hint(self, line: int) -> str:
        near = "\n".join(self.lines[max(0, line - 2) : line])
        if re.search(r"(?<![\"'])\$\{", near):
            return 'put references in quotes: secret: "${env:NAME}"'
        if "\t" in near:
            return "indent with spaces, never with tabs"
        return "compare the indentation and the brackets with the lines above; quote text that has : # { } [ ] , & * ! | > % @ in it"


class _Composer:
    """Builds the tree from libyaml's events."""

    def __init__(self, document: Document, text: str) -> None:
        self.document = document
        self.parser = CParser(text)
        self.build: dict[type, Callable[[Any, str, int, int], Node]] = {MappingStartEvent: self._map, SequenceStartEvent: self._list}

    def _starts(self) -> Iterator[Any]:
        """Start events of the documents in the file."""
        while self.parser.check_event():
            event = self.parser.get_event()
            if isinstance(event, DocumentStartEvent):
                yield event

    def compose(self) -> Node | None:
        """The first document's root; a second one is reported."""
        starts = self._starts()
        if next(starts, None) is None:
            return None
        root = self._node(self.parser.get_event(), "", 0, 0)
        second = next(starts, None)
        if second is not None:
            self._refuse(second, "", "several documents in one file", "split it at the --- line")
        return root

    def _refuse(self, event: Any, path: str, message: str, hint: str) -> None:
        mark = event.start_mark
        self.document.report((mark.line + 1, mark.column + 1), path, "not-allowed", message, hint)

    def _node(self, event: Any, path: str, depth: int, level: int) -> Node:
        """One node; `depth` counts whatever encloses it, `level` only the maps."""
        mark = event.start_mark
        if depth > MAX_NESTING:
            raise MarkedYAMLError(problem=f"nested deeper than {MAX_NESTING} levels", problem_mark=mark)
        if getattr(event, "anchor", None) is not None:
            self._refuse(event, path, "anchors and aliases are not allowed", "write the value out where it is needed")
        if isinstance(event, AliasEvent):
            return Node("scalar", mark.line + 1, mark.column + 1)
        if getattr(event, "tag", None) is not None:
            self._refuse(event, path, "tags are not allowed", "remove the word that starts with !")
        if isinstance(event, ScalarEvent):
            style = event.style or ""
            return Node("scalar", mark.line + 1, mark.column + 1, event.value, style, last_line=event.end_mark.line + 1)
        if isinstance(event, MappingStartEvent) and level == MAX_LEVELS + 1:
            place = (mark.line + 1, mark.column + 1)
            self.document.report(place, path, "too-deep", f"more than {MAX_LEVELS} levels", "move the innermost part up; convention needs no further nesting")
        return self.build[type(event)](event, path, depth, level)

    def _map(self, event: Any, path: str, depth: int, level: int) -> Node:
        node = Node("map", event.start_mark.line + 1, event.start_mark.column + 1)
        while not isinstance(event := self.parser.get_event(), MappingEndEvent):
            key = self._node(event, path, depth + 1, level + 1)
            inner = f"{path}.{key.text}" if path else key.text
            value = self._node(self.parser.get_event(), inner, depth + 1, level + 1)
            if key.kind != "scalar":
                self.document.report(key, path, "not-allowed", "a key must be a plain word", "quote ${…}; { and [ start a map or a list")
            elif key.text in node.entries:
                first = node.keys[key.text].line
                message = f"the key {key.text} is here a second time; the first is in line {first}"
                self.document.report(key, inner, "duplicate-key", message, "keep one of the two")
            else:
                node.keys[key.text], node.entries[key.text] = key, value
        return node

    def _list(self, event: Any, path: str, depth: int, level: int) -> Node:
        node = Node("list", event.start_mark.line + 1, event.start_mark.column + 1)
        while not isinstance(event := self.parser.get_event(), SequenceEndEvent):
            node.items.append(self._node(event, f"{path}.{len(node.items)}" if path else str(len(node.items)), depth + 1, level))
        return node
