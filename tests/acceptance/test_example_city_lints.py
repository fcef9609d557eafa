"""The example city is in order, and every sample file becomes what its test says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

import config
from config.loader import Loaded, load
from config.resolved import FeedTest
from connectors.folder import FolderRead
from connectors.formats.csv import CsvReader
from hub.contracts.batch import Batch, Header, Origin
from hub.contracts.headings import normalise_heading
from hub.contracts.item import Item
from hub.contracts.keys import KeyRing
from transforms.intake import FeedPlan, prepare

CITY = Path(config.__file__).parent / "changshu"
ROOT = CITY.parent.parent
KEYS = KeyRing("0" * 64, {"k1": bytes(32)})
SAMPLES = sorted(path.relative_to(CITY).as_posix() for path in (CITY / "samples").glob("*/*"))


@pytest.fixture(scope="module")
def city() -> Loaded:
    return load(CITY)


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
def test_a_sample_becomes_what_its_test_says(city: Loaded, given: str) -> None:
    expected = next(test for test in _tests(city) if test.given == given)
    limit = city.hub.feeds[expected.feed].limits.rejected if city.hub else 0

    passed, rejected = _prepared(city, expected)

    assert (passed, rejected) == (expected.passed, dict(expected.rejected))
    assert sum(rejected.values()) <= limit * (passed + sum(rejected.values()))


def _tests(city: Loaded) -> tuple[FeedTest, ...]:
    assert city.hub is not None
    return city.hub.tests


def _known(item: Item) -> frozenset[str]:
    return frozenset(normalise_heading(heading) for field in item.fields for heading in (field.name, field.title, *field.aliases))


def _prepared(city: Loaded, test: FeedTest) -> tuple[int, dict[str, int]]:
    assert city.hub is not None
    feed = city.hub.feeds[test.feed]
    assert isinstance(feed.read, FolderRead)
    reader = CsvReader(feed.read.csv, _known(feed.item))
    plan = FeedPlan(feed.item, KEYS, feed.rules, feed.checks, feed.only)
    passed, rejected = 0, Counter[str]()
    path = CITY / test.given
    with path.open("rb") as stream:
        cut = reader.examine(stream, path.stat().st_size)
        for block in reader.blocks(stream, cut, start=cut.start, line=cut.line, first=0):
            header = Header("0" * 32, feed.name, feed.item.code, 1, block.first, block.rows, city.version, Origin("0", path.name, block.start, block.end))
            step = prepare(Batch(header, block.frame, block.refused, block.filtered), plan, now=datetime(2026, 11, 1))
            passed += len(step.passed)
            rejected.update(step.refused["code"].to_list())
    return passed, dict(rejected)
