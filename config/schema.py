"""JSON Schema (2020-12) of the YAML files, so that editors complete and check them while they are written."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from config.connectors import Kinds, registered
from config.models import AgenciesFile, AgencyFile, CalendarFile, CodesFile, CommonFile, HubFile, ItemFile

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# Which file it is, by a key that only this kind of file must have; asked in this order.
TELLTALES: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("city", HubFile),
    ("item", ItemFile),
    ("codes", CodesFile),
    ("agencies", AgenciesFile),
    ("agency", AgencyFile),
    ("fields", CommonFile),
    ("years", CalendarFile),
)


def json_schema(*, kinds: Kinds | None = None) -> dict[str, Any]:
    """One schema for every file of a configuration: write `# yaml-language-server: $schema=…` in a file's first line, or name it in the editor."""
    kinds = kinds or registered()
    models = dict.fromkeys(model for _, model in TELLTALES)
    models |= dict.fromkeys(kind.config for kind in (*kinds.sources.values(), *kinds.outlets.values()))
    models |= dict.fromkeys(kind.read for kind in kinds.sources.values())
    references, whole = models_json_schema([(model, "validation") for model in models])
    definitions = whole["$defs"]
    refer = {model: references[model, "validation"] for model in models}
    _name_connectors(definitions, kinds, refer)
    return {"$schema": DIALECT, "title": "Credit Hub configuration", **_by_telltale(refer), "$defs": definitions}


def _by_telltale(refer: dict[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    """If the key is there, then that file; else ask for the next; at last an agency file, the one that is written most."""
    chain: dict[str, Any] = dict(refer[AgencyFile])
    for key, model in reversed(TELLTALES):
        chain = {"if": {"required": [key]}, "then": refer[model], "else": chain}
    return chain


def _name_connectors(definitions: dict[str, Any], kinds: Kinds, refer: dict[type[BaseModel], dict[str, Any]]) -> None:
    """Put the settings of every connector where `sources`, `read` and `deliver` say only "a map"."""
    sources = {name: refer[kind.config] for name, kind in kinds.sources.items()}
    outlets = {name: refer[kind.config] for name, kind in kinds.outlets.items()}
    definitions["AgencyFile"]["properties"]["sources"]["additionalProperties"] = _one_of(sources, "Settings of the source, below its kind.")
    definitions["SharePart"]["properties"]["deliver"] = _one_of(outlets, "The way out, with its settings.")
    read = definitions["FeedPart"]["properties"]["read"]
    read["required"] = ["from"]
    read["properties"] = {"from": {"type": "string", "description": "Name of a source of this agency."}} | _read_settings(definitions, kinds, refer)
    read["additionalProperties"] = False


def _one_of(choices: dict[str, dict[str, Any]], description: str) -> dict[str, Any]:
    fixed = {"type": "object", "additionalProperties": False, "minProperties": 1, "maxProperties": 1}
    return {**fixed, "properties": choices, "description": description}


def _read_settings(definitions: dict[str, Any], kinds: Kinds, refer: dict[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    """Settings that a `read` block may have, of all kinds of sources together."""
    settings: dict[str, Any] = {}
    for kind in kinds.sources.values():
        definition = definitions[refer[kind.read]["$ref"].rsplit("/", 1)[1]]
        for name, setting in definition.get("properties", {}).items():
            settings.setdefault(name, {"anyOf": []})["anyOf"].append(setting)
    return {name: found["anyOf"][0] if len(found["anyOf"]) == 1 else found for name, found in settings.items()}
