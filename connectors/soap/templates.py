"""Arguments with placeholders: each value is escaped as its place asks for, so that no value can ever change what is around it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

from hub.contracts.errors import Misconfigured, Rejected

NAMES = ("token", "user", "password", "page", "offset", "size", "since", "until", "key", "now", "uuid")
_HOLE = re.compile(r"\{(" + "|".join(NAMES) + r")\}")
_CDATA = re.compile(r"(<!\[CDATA\[.*?\]\]>)", re.DOTALL)
_JSON_TEXT = re.compile(r'("(?:[^"\\]|\\.)*")', re.DOTALL)
_BREAK = "]]><![CDATA["
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NOT_HEADER = re.compile("[\x00-\x1f\x7f]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
_DEEPEST = 16


def holes(template: Any) -> set[str]:
    """Names of the placeholders anywhere in a template."""
    return {name for text in _texts(template) for name in _HOLE.findall(text)}


def check(template: Any) -> None:
    """Raises `ValueError` where a text that looks like XML or JSON is none, before anything is ever sent."""
    tried = dict.fromkeys(NAMES, "1")
    for text in _texts(template):
        written = _filled(text, tried)
        try:
            if _is_xml(text):
                expat.ParserCreate().Parse(written.encode(), True)
            elif _is_json(text):
                json.loads(written)
        except (expat.ExpatError, ValueError) as error:
            raise ValueError(f"this argument looks like {'XML' if _is_xml(text) else 'JSON'} and is none: {error}") from error


def filled(template: Any, values: Mapping[str, str]) -> Any:
    """The template with its values; objects and arrays keep their shape. Raises `Rejected` for a value that XML cannot hold."""
    if isinstance(template, str):
        return _filled(template, values)
    if isinstance(template, dict):
        return {name: filled(one, values) for name, one in template.items()}
    if isinstance(template, list | tuple):
        return [filled(one, values) for one in template]
    return template


def nested(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as the message has them: `a.b` is part b of a. Raises `Misconfigured` where a name is both a value and has parts."""
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        place: Any = found
        *above, last = name.split(".")
        for part in above:
            place = place.setdefault(part, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last in place:
            raise Misconfigured(f"the argument {name} is given twice", hint="an argument is a value, or has parts")
        place[last] = value
    return found


def header(template: str, values: Mapping[str, str]) -> str:
    """The value of an HTTP header. Raises `Misconfigured` for one that could end the header."""
    text = _HOLE.sub(lambda hole: _value(hole[1], values), template)
    if _NOT_HEADER.search(text):
        raise Misconfigured(
            "a value for an HTTP header holds a line break or another control character", hint="check credentials and the token that login gave"
        )
    return text


def _filled(text: str, values: Mapping[str, str]) -> str:
    if _is_xml(text):
        return "".join(_in_cdata(part, values) if part.startswith("<![CDATA[") else _in_xml(part, values) for part in _CDATA.split(text))
    if _is_json(text):
        return "".join(_in_json(part, values) for part in _JSON_TEXT.split(text))
    return _HOLE.sub(lambda hole: _carried(_value(hole[1], values)), text)


def _in_xml(text: str, values: Mapping[str, str]) -> str:
    return _HOLE.sub(lambda hole: _carried(_value(hole[1], values)).translate(_ESCAPES), text)


def _in_cdata(text: str, values: Mapping[str, str]) -> str:
    """A section cannot hold `]]>`, so it is broken after each bracket of a value; nor a carriage return, which is written outside of it."""

    def put(hole: re.Match[str]) -> str:
        value = _carried(_value(hole[1], values)).replace("]", "]" + _BREAK).replace("\r", "]]>&#13;<![CDATA[")
        return _BREAK + value if value.startswith(">") else value

    return _HOLE.sub(put, text)


def _in_json(text: str, values: Mapping[str, str]) -> str:
    inside = text.startswith('"')

    def put(hole: re.Match[str]) -> str:
        value = _value(hole[1], values)
        if not inside and value.isascii() and value.isdigit() and (value == "0" or value[0] != "0"):
            return value
        written = json.dumps(_carried(value), ensure_ascii=False)
        return written[1:-1] if inside else written

    return _HOLE.sub(put, text)


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise Misconfigured(f"{{{name}}} has no value here", hint="give the login, the credentials or the part of `read` that it belongs to")
    return values[name]


def _carried(value: str) -> str:
    if _NOT_XML.search(value):
        raise Rejected("a value holds a control character, which XML cannot carry", hint="clean the key")
    return value


def _is_xml(text: str) -> bool:
    return text.lstrip().startswith("<")


def _is_json(text: str) -> bool:
    start = text.lstrip()
    return start.startswith(("{", "[")) and not _HOLE.match(start)


def _texts(template: Any, depth: int = 0) -> list[str]:
    if depth > _DEEPEST:
        raise ValueError(f"arguments are nested deeper than {_DEEPEST} levels")
    if isinstance(template, str):
        return [template]
    parts = template.values() if isinstance(template, dict) else template if isinstance(template, list | tuple) else ()
    return [text for part in parts for text in _texts(part, depth + 1)]
