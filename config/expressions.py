"""Expressions of the pipe language inside a YAML file: compiled, and their errors shown at the very character."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from config.problems import nearest
from config.syntax import Document, Node
from hub.contracts.item import Field, Item, Kind
from transforms.checks import CheckRule
from transforms.expression import Compiled, ExpressionError, compile_expression

TYPE_OF: Final = {Kind.TEXT: "text", Kind.LONG: "text", Kind.NUMBER: "number", Kind.DATE: "date", Kind.TIME: "time"}
_UNKNOWN: Final = {"unknown function": "unknown-function", "unknown column": "unknown-field"}
_ACTIONS: Final = {"warn": ("warn", "message", "code"), "reject": ("reject", "message", "code"), "fix": ("fix", "unless", "with", "message", "code")}


class Compiler:
    """Compiles expressions against the code lists of one configuration; the same text over columns of the same types is compiled once."""

    def __init__(self, codes: Mapping[str, Mapping[str, str]]) -> None:
        self._codes = codes
        self._known: dict[tuple[str, str | None, bool], list[tuple[dict[str, str], Compiled]]] = {}

    def compile(self, text: str, columns: Mapping[str, str] | None, expect: str | None) -> Compiled:
        """See `compile_expression`. Raises `ExpressionError`."""
        known = self._known.setdefault((text, expect, columns is None), [])
        for used, compiled in known:
            if columns is None or used.items() <= columns.items():
                return compiled
        compiled = compile_expression(text, columns, codes=self._codes, expect=expect)
        known.append(({} if columns is None else {name: columns[name] for name in compiled.columns}, compiled))
        return compiled


class Expressions:
    """The expressions of one file, compiled against one item."""

    def __init__(self, document: Document, item: Item, compiler: Compiler, *, doubtful: bool = False) -> None:
        self.document = document
        self.item = item
        self.compiler = compiler
        self.doubtful = doubtful  # the item is not in order: its fields and their types prove nothing
        self.types = {field.name: TYPE_OF[field.kind] for field in item.fields}

    def rule(self, node: Node, field: Field | None, path: str) -> Compiled | None:
        """A `map:` value: from the agency's headings, all text, to text or to the field's own type; an unknown field takes any."""
        compiled = self._compile(node, path, columns=None)
        if compiled is not None and field is not None and not self.doubtful and compiled.type not in ("text", "null", TYPE_OF[field.kind]):
            message = f"{field.name} is {TYPE_OF[field.kind]}, but this gives {compiled.type}"
            self.document.report(node, path, "bad-expression", message, "text is fine too: it is read as the field's type")
            return None
        return compiled

    def condition(self, node: Node, path: str) -> Compiled | None:
        """A `check:` or `only:` condition over the item's fields."""
        return self._compile(node, path, columns=self.types, expect="bool")

    def check(self, node: Node, path: str, number: int) -> CheckRule | None:
        """One line of `check:`: a condition that rejects, or a map that starts with `warn`, `reject` or `fix`."""
        code = f"X{number + 1:03d}"
        if node.kind == "scalar":
            compiled = self.condition(node, path)
            return CheckRule(node.text, compiled, "reject", code, "", self._subject(compiled), None) if compiled else None
        action = next((word for word in _ACTIONS if word in node.entries), None)
        if action is None:
            self.document.report(node, path, "missing-key", "a check is a condition, or a map with warn, reject or fix", "- warn: fine_wan < 1000")
            return None
        for key in (key for key in node.entries if key not in _ACTIONS[action]):
            self.document.report(node.keys[key], f"{path}.{key}", "unknown-key", f"unknown key {key}", nearest(key, _ACTIONS[action], noun="keys"))
        return self._fix(node, path, code) if action == "fix" else self._judge(node, path, code, action)

    def _judge(self, node: Node, path: str, code: str, action: str) -> CheckRule | None:
        compiled = self.condition(node.entries[action], f"{path}.{action}")
        if compiled is None:
            return None
        text = node.entries[action].text
        return CheckRule(text, compiled, action, _text(node, "code") or code, _text(node, "message"), self._subject(compiled), None)  # type: ignore[arg-type]

    def _fix(self, node: Node, path: str, code: str) -> CheckRule | None:
        """`{fix: valid_to, unless: valid_to >= valid_from, with: valid_from}`."""
        missing = [key for key in ("unless", "with") if key not in node.entries]
        for key in missing:
            self.document.report(node, f"{path}.{key}", "missing-key", f"the key {key} is missing", "{fix: field, unless: condition, with: expression}")
        name = node.entries["fix"].text
        if name not in self.types:
            self.document.report(node.entries["fix"], f"{path}.fix", "unknown-field", f"the item has no field {name}", nearest(name, self.types, noun="fields"))
        if missing or name not in self.types:
            return None
        unless = self.condition(node.entries["unless"], f"{path}.unless")
        with_ = self._compile(node.entries["with"], f"{path}.with", columns=self.types, expect=self.types[name])
        if unless is None or with_ is None:
            return None
        return CheckRule(node.entries["unless"].text, unless, "fix", _text(node, "code") or code, _text(node, "message"), name, with_)

    def _subject(self, compiled: Compiled) -> str:
        """The field that a condition is about: the first that it names."""
        return next((name for name in compiled.columns if name in self.types), "")

    def _compile(self, node: Node, path: str, *, columns: Mapping[str, str] | None, expect: str | None = None) -> Compiled | None:
        try:
            return self.compiler.compile(node.text, columns, expect)
        except ExpressionError as error:
            code = next((code for start, code in _UNKNOWN.items() if error.message.startswith(start)), "bad-expression")
            if not self.doubtful or code == "unknown-function":
                self.document.report(self.document.spot(node, error.offset), path, code, error.message, error.hint)
            return None


def _text(node: Node, key: str) -> str:
    return node.entries[key].text if key in node.entries else ""
