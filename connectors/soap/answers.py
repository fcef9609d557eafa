"""The records in an answer, whether its message holds them itself, or a text of XML or JSON in it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from connectors.formats import strict_json
from connectors.soap.markup import cells, children, local, parse, text_of
from hub.contracts.errors import Misconfigured

Row = dict[str, str | None]
_CDATA = ("<![CDATA[", "]]>")
_CALLED = "the text in the answer"


@dataclass(frozen=True, slots=True)
class Told:
    """A whole answer: `text` where the message holds one (None in place of nothing), and the `tree` of what it says, None where it is no such thing."""

    text: str | None
    tree: Any


def told(message: Element, kind: str, at: str | None) -> Told:
    """What a message says. Raises `Rejected` F001 for a text that looks like XML or JSON and is damaged, `Misconfigured` where `at` leads nowhere."""
    if kind == "fields":
        return Told(None, message)
    text = _text(message, at)
    if text is None or kind == "text":
        return Told(text, None)
    inner = text.strip()
    while inner.startswith(_CDATA[0]) and inner.endswith(_CDATA[1]):
        inner = inner[len(_CDATA[0]) : -len(_CDATA[1])].strip()
    if kind == "xml" and inner.startswith("<"):
        root = parse(inner.encode(), called=_CALLED, encoding="utf-8")  # a decoded text, whatever encoding it still declares
        above = Element("above")
        above.append(root)
        return Told(inner, above)
    if kind == "json" and inner.startswith(("{", "[")):
        return Told(inner, strict_json.parse(inner.encode(), called=_CALLED))
    return Told(inner, None)


def rows_at(tree: Any, path: str) -> list[Row] | None:
    """The records at a path, each a row of text; None where nothing on the way to them is there."""
    parts = [] if path == "." else path.split("/")
    if isinstance(tree, Element):
        parents = _elements(tree, parts[:-1])
        return [cells(row) for parent in parents for row in children(parent, parts[-1])] if parts and parents else None
    found = _value(tree, parts)
    if found is _MISSING:
        return None
    records = found if isinstance(found, list) else [] if found is None else [found]
    if not all(isinstance(record, Mapping) for record in records):
        raise Misconfigured(f"what stands at {path} are no records", hint="correct `rows`: it leads to a list of objects")
    return [dict(strict_json.flat(record)) for record in records]


def text_at(tree: Any, path: str) -> str | None:
    """The text at a path, None where there is none."""
    parts = [] if path == "." else path.split("/")
    if not isinstance(tree, Element):
        found = _value(tree, parts)
        return strict_json.cell(found) if found is not _MISSING and not isinstance(found, dict | list) else None
    named = parts.pop()[1:] if parts and parts[-1].startswith("@") else ""
    leaf = next(iter(_elements(tree, parts)), None)
    if leaf is None:
        return None
    return leaf.get(named) if named else (text_of(leaf) or "").strip() or None


_MISSING = object()


def _value(tree: Any, parts: list[str]) -> Any:
    for part in parts:
        if not isinstance(tree, Mapping) or part not in tree:
            return _MISSING
        tree = tree[part]
    return tree


def _elements(tree: Element, parts: list[str]) -> list[Element]:
    found = [tree]
    for part in parts:
        found = [child for one in found for child in children(one, part)]
    return found


def _text(message: Element, at: str | None) -> str | None:
    """The text that the message holds: at its path, or the only leaf there is."""
    if at is not None:
        leaf = next(iter(_elements(message, [] if at == "." else at.split("/"))), None)
        if leaf is None:
            raise Misconfigured(f"the answer has no {at}", hint=f"correct `at`; it has {_names(message)}")
    else:
        leaves = [one for one in message.iter() if not len(one)]
        if len(leaves) != 1:
            raise Misconfigured("the answer holds more than one text", hint=f"say which with `at`; it has {_names(message)}")
        leaf = leaves[0]
    if len(leaf):
        raise Misconfigured("the answer holds elements where a text should be", hint="say `answer: fields`")
    return text_of(leaf)


def _names(message: Element) -> str:
    return ", ".join(dict.fromkeys(local(child) for child in message)) or "nothing"
