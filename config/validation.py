"""Holds a part of a file against its model, and says everything that is wrong with it at its place."""

from __future__ import annotations

import copy
import typing
from collections.abc import Iterator
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from config.problems import nearest
from config.secrets import FORM, is_reference, is_secret_field
from config.syntax import Document, Node
from config.values import literal_password
from hub.contracts.endpoint import EndpointConfig

Model = TypeVar("Model", bound=BaseModel)
Loc = tuple[str | int, ...]

MAX_TURNS: Final = 8  # what is left out may leave a gap one level up, and levels are few
_MEANT: Final = {
    "string": ("must be text", 'put it in quotes: "01"'),
    "int": ("must be a whole number", "write digits only"),
    "float": ("must be a number", "write digits only"),
    "bool": ("must be true or false", "write true or false"),
    "dict": ("must be a map", "write key: value pairs"),
    "model": ("must be a map", "write key: value pairs"),
    "list": ("must be a list", "write [one, two], or one line each that starts with -"),
    "tuple": ("must be a list", "write [one, two], or one line each that starts with -"),
}


def check(document: Document, node: Node, model: type[Model], path: str, *, fixed: tuple[str, ...] = ()) -> Model | None:
    """The part as its model, or None where too much is missing.

    Reports every error. What is wrong but not needed is left out of the answer, so that one slip does not hide the next. `fixed` names keys of
    the part that belong to somebody else.
    """
    data = node.data()
    if not isinstance(data, dict):
        document.report(node, path, "wrong-type", f"{path or 'the file'} must be a map", "write key: value pairs")
        return None
    data = {key: value for key, value in data.items() if key not in fixed}
    _report_secrets(document, node, model, path)
    for turn in range(MAX_TURNS):
        try:
            return model.model_validate(data)
        except ValidationError as failed:
            wrong = _report_errors(document, node, model, path, failed) if turn == 0 else _places(node, failed)
        if () in wrong:
            return None
        data = _without(data, wrong)
    return None


def _report_errors(document: Document, node: Node, model: type[BaseModel], path: str, failed: ValidationError) -> list[Loc]:
    told: set[Loc] = set()
    for error in failed.errors(include_url=False, include_input=False, include_context=True)[:200]:
        kind, loc = str(error["type"]), tuple(error["loc"])
        real = _real(node, loc)
        if kind == "missing":
            told.add(real)
            _missing(document, node, (*real, loc[-1]), path)
        elif real not in told:
            told.add(real)
            _one(document, node, model, path, error, real)
    return _last_first(told)


def _places(node: Node, failed: ValidationError) -> list[Loc]:
    return _last_first({_real(node, tuple(error["loc"][:-1] if error["type"] == "missing" else error["loc"])) for error in failed.errors()})


def _last_first(places: set[Loc]) -> list[Loc]:
    """Later list entries and inner parts first, so that positions hold while they are taken out."""
    return sorted(places, key=lambda loc: [str(part).zfill(9) for part in loc], reverse=True)


def _one(document: Document, node: Node, model: type[BaseModel], path: str, error: Any, loc: Loc) -> None:
    kind, where = str(error["type"]), _dotted(path, loc)
    place, value = _key(node, loc), node.at(*loc)
    word = str(loc[-1]) if loc else path
    if kind == "extra_forbidden":
        document.report(place, where, "unknown-key", f"unknown key {word}", nearest(word, _keys(model, loc[:-1]), noun="keys"))
    elif error["loc"][-1:] == ("[key]",):
        document.report(
            place, where, "bad-value", f"{word} is no name that is allowed here", "start with a lower-case letter, go on with letters, digits, - and _"
        )
    elif kind == "literal_error":
        options = [part.strip(" '") for part in str(error["ctx"]["expected"]).replace(" or ", ",").split(",")]
        hint = nearest(value.text, options, noun="values") if value.kind == "scalar" else ""
        document.report(value, where, "bad-value", f"{word} must be one of {', '.join(options)}", hint)
    elif kind.endswith(("_type", "_parsing")) and kind.rsplit("_", 1)[0] in _MEANT:
        meant, hint = _MEANT[kind.rsplit("_", 1)[0]]
        document.report(value, where, "wrong-type", f"{word} {meant}", hint)
    else:
        message = str(error["msg"]).removeprefix("Value error, ")
        document.report(value, where, "bad-value", f"{word}: {message}", "")


def _missing(document: Document, node: Node, loc: Loc, path: str) -> None:
    document.report(_key(node, loc[:-1]), _dotted(path, loc), "missing-key", f"the key {loc[-1]} is missing", f"add {loc[-1]}: …")


def _real(node: Node, loc: Loc) -> Loc:
    """The part of an error's location that exists in the file: pydantic adds names of union members and `[key]`."""
    real: list[str | int] = []
    for part in loc:
        if node.kind == "map" and str(part) in node.entries:
            node = node.entries[str(part)]
        elif node.kind == "list" and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
        else:
            break
        real.append(part)
    return tuple(real)


def _key(node: Node, loc: Loc) -> Node:
    """Where to point for a key: at the key itself, or at the list entry."""
    if not loc:
        return node
    parent = node.at(*loc[:-1])
    return parent.keys.get(str(loc[-1])) or node.at(*loc)


def _dotted(path: str, loc: Loc) -> str:
    return ".".join(part for part in (path, *map(str, loc)) if part)


def _keys(model: type[BaseModel], loc: Loc) -> list[str]:
    """Keys that are right at a location of a model."""
    current: type[BaseModel] | None = model
    inside: Any = model
    for part in loc:
        if current is not None and part in current.model_fields:
            inside = current.model_fields[str(part)].annotation
        current = next(_models(inside), None)
    return [field.alias or name for name, field in current.model_fields.items()] if current else []


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models(inner)


def _without(data: dict[str, Any], wrong: list[Loc]) -> dict[str, Any]:
    """A copy without what was wrong."""
    data = copy.deepcopy(data)
    for loc in wrong:
        target: Any = data
        for part in loc[:-1]:
            target = target[int(part)] if isinstance(target, list) else target.get(part, {})
        if isinstance(target, dict):
            target.pop(loc[-1], None) if loc else None
        elif isinstance(target, list) and loc:
            del target[int(loc[-1])]
    return data


def _report_secrets(document: Document, node: Node, model: type[BaseModel], path: str) -> None:
    for key, value in node.entries.items():
        where = _dotted(path, (key,))
        if value.kind == "map":
            field = model.model_fields.get(key)
            inner = next(_models(field.annotation), None) if field else None
            _report_secrets(document, value, inner or BaseModel, where)
        elif value.kind == "scalar" and value.text and _literal(key, value.text, model):
            document.report(value, where, "literal-secret", f"{key} holds a secret that is written out", FORM)


def _literal(key: str, text: str, model: type[BaseModel]) -> bool:
    if literal_password(text):
        return True
    return issubclass(model, EndpointConfig) and key in model.model_fields and is_secret_field(key, model) and not is_reference(text)
