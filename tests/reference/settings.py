"""The page of settings: every key of the YAML files, read off the models that check them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from inspect import cleandoc
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from config.models import AgenciesFile, AgencyFile, CalendarFile, CodesFile, CommonFile, HubFile, ItemFile
from config.schema import json_schema
from connectors.registry import OUTLETS, SOURCES
from tests.reference.described import IDLE, SAID
from tests.reference.markdown import anchor, code, codes, document, table

_INTRODUCTION = """\
Every key of every file. [Configuration](../configuration.md) tells how they work together; `run_hub.py schema` prints the same for editors, as JSON Schema.

Durations carry their unit (`500ms`, `10s`, `2m`, `1h`, `7d`, `2w`), shares of a whole a percent sign (`5%`). Keys without a default may be left out unless they say that they must be given.
`NAME` stands for a name of your own, `-` for each entry of a list."""

_FILES: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("hub.yaml", HubFile),
    ("agencies.yaml", AgenciesFile),
    ("agencies/*.yaml", AgencyFile),
    ("catalogue/*.yaml", ItemFile),
    ("catalogue/common.yaml", CommonFile),
    ("codes/*.yaml", CodesFile),
    ("calendar.yaml", CalendarFile),
)
_FORMATS = {
    "password": "reference to a secret",
    "path": "path",
    "date": "day, such as `2026-12-31`",
    "date-time": "time, such as `2026-12-31T08:00:00`",
}
_UNITS = (("w", 604800.0), ("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0))


class Pages:
    """Walks the models from the files down; each is shown where it is met first, and linked to from everywhere else."""

    def __init__(self) -> None:
        self._schema = definitions()
        self._models = {defined(model): model for model in models()}
        self.paths: dict[str, str] = {}

    def parts(self) -> Iterator[str]:
        """Headings and tables."""
        for title, model in _FILES:
            yield f"## {title}"
            yield from self._model(defined(model), "")
            if model is AgencyFile:
                yield from self._connectors()

    def _connectors(self) -> Iterator[str]:
        for name, source in SOURCES.items():
            yield from self._model(defined(source.config), f"sources.NAME.{name}")
            yield from self._once(defined(source.read), f"feeds.NAME.read, from {name}")
        for name, outlet in OUTLETS.items():
            yield from self._model(defined(outlet.config), f"shares.NAME.deliver.{name}")

    def _once(self, name: str, path: str) -> Iterator[str]:
        """A model that several kinds may share: where it was told before, a word of it."""
        if name in self.paths:
            yield f"### {path}"
            yield f"The same keys as in {self._link(name)}."
        else:
            yield from self._model(name, path)

    def _model(self, name: str, path: str) -> Iterator[str]:
        """One model, then those that it holds."""
        self.paths[name] = path
        if path:
            yield f"### {path}"
        yield _about(self._models[name])
        keys = self._schema[name]["properties"]
        inside: dict[str, str] = {}
        for key, spec in keys.items():
            inside |= {found: self._below(path, key, spec) for found in _references(spec) if (name, key) not in _OPEN and found not in {**self.paths, **inside}}
        self.paths |= inside
        yield table(("key", "value", "default", "meaning"), [self._row(name, key, spec) for key, spec in keys.items()])
        for found, below in inside.items():
            yield from self._model(found, below)

    def _below(self, path: str, key: str, spec: Mapping[str, Any]) -> str:
        """The path of what a key holds: `feeds.NAME` for a map of names, `fields.-` for a list; the kind of source is said where another has the same."""
        outer, _, kind = path.partition(",")
        below = (f"{outer}." if outer else "") + key + {"array": ".-", "object": ".NAME"}.get(spec.get("type", ""), "")
        return f"{below},{kind}" if kind and below in self.paths.values() else below

    def _row(self, name: str, key: str, spec: Mapping[str, Any]) -> tuple[str, str, str, str]:
        model = self._models[name]
        field = next((found for own, found in model.model_fields.items() if (found.alias or own) == key), None)
        must = key in self._schema[name].get("required", ()) or field is None
        default = "must be given" if must or field is None else shown(field.get_default(call_default_factory=True))
        said = spec.get("description") or (field.description if field else "")
        return code(key), self._words(spec, name, key), default, meaning(model.__name__, key, said)

    def _words(self, spec: Mapping[str, Any], name: str = "", key: str = "") -> str:
        """A JSON Schema as words."""
        if reference := spec.get("$ref"):
            return self._link(reference.rsplit("/", 1)[1])
        if (name, key) in _OPEN:
            return _OPEN[name, key]
        if choices := spec.get("anyOf"):
            return " or ".join(dict.fromkeys(self._words(choice) for choice in choices if choice.get("type") != "null"))
        if choices := spec.get("enum", [spec["const"]] if "const" in spec else []):
            return codes(choices)
        return self._simple(spec)

    def _simple(self, spec: Mapping[str, Any]) -> str:
        match spec.get("type"):
            case "array":
                return "list " + re.sub(r"^(?!such as)", "of ", self._words(spec["items"]))
            case "object":
                return "map of names to " + self._words(_values(spec))
            case "boolean":
                return "`true` or `false`"
            case "integer" | "number" as kind:
                return ("whole number" if kind == "integer" else "number") + _bounds(spec)
            case _:
                return _text(spec)

    def _link(self, name: str) -> str:
        path = self.paths[name]
        return f"[{path or 'the file'}](#{anchor(path)})"


@cache
def definitions() -> Mapping[str, Any]:
    """What editors are told of each model."""
    found: Mapping[str, Any] = json_schema()["$defs"]
    return found


def defined(model: type[BaseModel]) -> str:
    """What the schema calls a model: its name, or its whole name where two have the same one."""
    return model.__name__ if model.__name__ in definitions() else f"{model.__module__}.{model.__name__}".replace(".", "__")


def page() -> str:
    """Every key with type, default and meaning."""
    return document("Settings", _INTRODUCTION, *Pages().parts())


def models() -> Iterator[type[BaseModel]]:
    """Every model of the configuration and of the connectors, those inside others too."""
    waiting: list[type[BaseModel]] = [model for _, model in _FILES]
    waiting += [model for kind in SOURCES.values() for model in (kind.config, kind.read)] + [kind.config for kind in OUTLETS.values()]
    seen: set[type[BaseModel]] = set()
    while waiting:
        model = waiting.pop(0)
        if model not in seen:
            seen.add(model)
            yield model
            waiting += [found for field in model.model_fields.values() for found in _inside(field.annotation)]


def meaning(name: str, key: str, described: str | None) -> str:
    """What is said for a key here, else what the model says of it; and whether it has an effect yet."""
    place = f"{name}.{key}"
    said = SAID.get(place) or described
    if not said:
        raise LookupError(f"{place} does not say what it is for: give the field a description")
    return f"{said} {IDLE[place][0]}" if place in IDLE else said


def shown(default: object) -> str:
    """A default as it would be written in YAML; nothing where leaving it out is the plain case."""
    if default is PydanticUndefined or default is None or default == "" or default == () or default == [] or default == {}:
        return ""
    if isinstance(default, BaseModel):
        given = {key: shown(value) for key, value in default if shown(value)} if default.model_fields_set else {}
        return code("{" + ", ".join(f"{key}: {value.strip('`')}" for key, value in given.items()) + "}") if given else ""
    if isinstance(default, bool):
        return code(str(default).lower())
    if isinstance(default, tuple):
        return "、".join(map(str, default))
    return code(duration(default) if isinstance(default, timedelta) else default)


def duration(length: timedelta) -> str:
    """A duration in the largest unit but weeks that leaves nothing over."""
    seconds = length.total_seconds()
    unit, size = next((unit, size) for unit, size in _UNITS[1:] if seconds % size == 0)
    return f"{seconds / size:g}{unit}"


# Maps that hold what another section describes.
_OPEN: Final = {
    ("AgencyFile", "sources"): "map of one kind each: " + ", ".join(f"[{kind}](#{anchor(f'sources.NAME.{kind}')})" for kind in SOURCES),
    ("FeedPart", "read"): "map of `from` and what its kind has: " + ", ".join(f"[{kind}](#{anchor(f'feeds.NAME.read, from {kind}')})" for kind in SOURCES),
    ("SharePart", "deliver"): "one of " + ", ".join(f"[{kind}](#{anchor(f'shares.NAME.deliver.{kind}')})" for kind in OUTLETS),
}


def _inside(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _inside(part)


def _references(spec: Any) -> Iterator[str]:
    """Names of the models that a JSON Schema refers to."""
    if isinstance(spec, dict):
        if "$ref" in spec:
            yield spec["$ref"].rsplit("/", 1)[1]
        for value in spec.values():
            yield from _references(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from _references(value)


def _values(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a map holds, whichever way its names are checked."""
    return dict(next(iter(spec["patternProperties"].values())) if "patternProperties" in spec else spec["additionalProperties"])


def _about(model: type[BaseModel]) -> str:
    """What a model says it is, without the file's name before it and what concerns only its reader."""
    said = re.sub(r"^[\w*/]+\.yaml: | What it must have.*", "", cleandoc(model.__doc__ or ""))
    return said[:1].upper() + said[1:]


def _bounds(spec: Mapping[str, Any]) -> str:
    least, above, most = spec.get("minimum"), spec.get("exclusiveMinimum"), spec.get("maximum")
    if least is not None and most is not None:
        return f", {least:,} to {most:,}"
    lower = f", at least {least:,}" if least is not None else f", more than {above:,}" if above is not None else ""
    return lower + (f", at most {most:,}" if most is not None else "")


def _text(spec: Mapping[str, Any]) -> str:
    if found := _FORMATS.get(spec.get("format", "")):
        return found
    if "network" in spec.get("format", ""):
        return "network, such as `10.1.0.0/16`"
    if examples := spec.get("examples"):
        return "such as " + codes(examples)
    if (pattern := spec.get("pattern")) and "(" not in pattern:
        return "text " + code(re.sub(r"^\^|\$$", "", pattern))
    return "text"
