"""The example city is in order, and every sample file becomes what its test says."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import config
from config.loader import Loaded, load
from connectors.databases.settings import DatabaseRead
from connectors.formats.forms import FileFormat
from connectors.soap.settings import SoapConfig
from routes.preview import try_tests

CITY = Path(config.__file__).parent / "changshu"
ROOT = CITY.parent.parent
SAMPLES = sorted(path.relative_to(CITY).as_posix() for path in (CITY / "samples").glob("*/*"))


@pytest.fixture(scope="module")
def city() -> Loaded:
    return load(CITY)


@pytest.fixture(scope="module")
def tried(city: Loaded) -> dict[str, dict[str, Any]]:
    """What became of each sample, by its name."""
    return {result["given"]: result for result in asyncio.run(try_tests(city, CITY, ""))}


def test_it_has_no_problem(city: Loaded) -> None:
    assert [problem.to_text() for problem in city.problems] == []


def test_the_command_line_says_so_too() -> None:
    answer = subprocess.run([sys.executable, "run_hub.py", "lint", "--format", "json"], cwd=ROOT, capture_output=True, check=False, timeout=60)

    assert (answer.returncode, json.loads(answer.stdout)) == (0, [])


def test_it_is_a_city_of_many_agencies_and_items(city: Loaded) -> None:
    assert city.hub is not None

    full = [item for item in city.hub.items.values() if len(item.fields) >= 12]

    assert len(full) >= 16
    assert len({item.agency for item in full}) >= 8
    assert {feed.item.store for feed in city.hub.feeds.values()} == {"ent", "psn", "gov", "fin"}
    assert len(city.hub.agencies) == 39


def test_every_feed_has_a_test_with_a_sample(city: Loaded) -> None:
    assert city.hub is not None

    assert {test.feed for test in city.hub.tests} == set(city.hub.feeds)


def test_every_key_field_and_every_identifier_is_there(city: Loaded) -> None:
    assert city.hub is not None

    for item in city.hub.items.values():
        assert all(name in item.by_name for part in item.natural_key for name in part), item.code
        assert any("subject.1" in field.roles for field in item.fields), item.code


@pytest.mark.parametrize("given", SAMPLES)
def test_a_sample_becomes_what_its_test_says(city: Loaded, tried: dict[str, dict[str, Any]], given: str) -> None:
    assert city.hub is not None
    limit = city.hub.feeds[tried[given]["feed"]].limits.rejected

    found = tried[given]["found"]

    assert tried[given]["differences"] == []
    assert sum(found["rejected"].values()) <= limit * (found["passed"] + sum(found["rejected"].values()))


def test_agencies_deliver_in_every_way_and_form(city: Loaded) -> None:
    assert city.hub is not None
    feeds = city.hub.feeds.values()

    forms = {form for feed in feeds if isinstance(feed.read, FileFormat) for form in ("csv", "xml", "json", "fixed", "archive") if feed.read.of(form)}

    assert {feed.kind for feed in feeds} == {"folder", "sftp", "rest", "soap", "web", "gateway", "mysql", "oracle"}
    assert forms == {"csv", "xml", "json", "fixed", "archive"}
    assert {feed.snapshot for feed in feeds} == {0, 1, 3}


def test_databases_are_read_in_every_way(city: Loaded) -> None:
    assert city.hub is not None
    reads = [feed.read for feed in city.hub.feeds.values() if isinstance(feed.read, DatabaseRead)]

    ways = {
        "all": any(not read.partial and read.table for read in reads),
        "time and id": any(read.since and read.since.time for read in reads),
        "id": any(read.since and not read.since.time for read in reads),
        "compare": any(read.compare for read in reads),
        "status": any(read.done for read in reads),
        "query": any(read.query for read in reads),
    }

    assert len(reads) >= 7
    assert all(ways.values()), ways


def test_pinned_service_descriptions_are_those_that_lie_beside_the_configuration(city: Loaded) -> None:
    assert city.hub is not None
    services = [feed.source_config for feed in city.hub.feeds.values() if isinstance(feed.source_config, SoapConfig)]

    pinned = {(service.wsdl.as_posix(), service.digest) for service in services}

    assert len(pinned) == 2
    assert all(digest == "sha256:" + hashlib.sha256((CITY / path).read_bytes()).hexdigest() for path, digest in pinned)


def test_secrets_are_references_only(city: Loaded) -> None:
    assert city.hub is not None
    texts = "".join(path.read_text("utf-8") for path in (CITY / "agencies").glob("*.yaml"))

    written = re.findall(r"(?:password|secret|app_key|value): (\S+)", texts)

    assert len(written) >= 7
    assert all(value.startswith(('"${file:', '"${env:')) for value in written)
