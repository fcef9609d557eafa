"""Editors get one schema that knows every file, every key and every connector."""

from __future__ import annotations

from typing import Any

import pytest

from config.models import AgencyFile, FeedPart, HubFile, ItemFile, SharePart
from config.schema import TELLTALES, json_schema

SCHEMA = json_schema()


def test_it_says_which_dialect_it_is_in() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("model", [HubFile, AgencyFile, ItemFile, FeedPart, SharePart])
def test_unknown_keys_are_wrong_in_every_part(model: type) -> None:
    definition = SCHEMA["$defs"][model.__name__]

    assert definition["additionalProperties"] is False
    assert set(definition["properties"]) == set(model.model_fields)  # type: ignore[attr-defined]


def test_a_feed_must_have_item_and_read_and_knows_the_settings_of_its_source() -> None:
    feed = SCHEMA["$defs"]["FeedPart"]

    assert feed["required"] == ["item", "read"]
    assert {"from", "files", "ready", "csv"} <= set(feed["properties"]["read"]["properties"])


def test_connectors_are_offered_by_name() -> None:
    sources = SCHEMA["$defs"]["AgencyFile"]["properties"]["sources"]["additionalProperties"]["properties"]
    outlets = SCHEMA["$defs"]["SharePart"]["properties"]["deliver"]["properties"]

    assert "folder" in sources
    assert {"folder", "queue", "webhook"} <= set(outlets)


def test_each_kind_of_file_is_told_by_its_key() -> None:
    chain, asked = SCHEMA, []
    while "if" in chain:
        asked.append((chain["if"]["required"][0], chain["then"]["$ref"].rsplit("/", 1)[1]))
        chain = chain["else"]

    assert asked == [(key, model.__name__) for key, model in TELLTALES]


def test_every_reference_leads_somewhere() -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [name for value in part.values() for name in references(value)]
        return [name for value in part for name in references(value)] if isinstance(part, list) else []

    found = references(SCHEMA)

    assert found
    assert {name.removeprefix("#/$defs/") for name in found} <= set(SCHEMA["$defs"])
