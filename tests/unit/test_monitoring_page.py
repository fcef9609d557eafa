"""The console page, as text: languages, numbers and what is missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.contracts.batch import FATE_WORDS
from hub.contracts.share import WITHHELD
from monitoring.page import CONSOLE, LANGUAGES, choose_language, render
from monitoring.view import FEED_STATES, SHARE_STATES
from tests.acceptance.sample_view import busy_city, empty_city

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def shape(words: Any) -> Any:
    return {key: shape(entry) for key, entry in sorted(words.items())} if isinstance(words, dict) else type(words).__name__


@pytest.mark.parametrize(
    ("wanted", "accept", "language"),
    [
        (None, "", "zh-CN"),
        (None, "zh-TW,zh;q=0.9,en;q=0.8", "zh-CN"),
        (None, "en-GB,en;q=0.9", "en"),
        (None, "fr-FR,en;q=0.5", "en"),
        (None, "fr", "zh-CN"),
        ("en", "zh-CN", "en"),
        ("zh", "en", "zh-CN"),
        ("tlh", "en", "zh-CN"),
    ],
)
def test_the_page_speaks_the_readers_language(wanted: str | None, accept: str, language: str) -> None:
    assert choose_language(wanted, accept) == language


def test_both_languages_have_the_same_words() -> None:
    catalogues = [json.loads((CONSOLE / f"{language}.json").read_text("utf-8")) for language in LANGUAGES]

    assert shape(catalogues[0]) == shape(catalogues[1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_closed_word_has_a_translation(language: str) -> None:
    words = json.loads((CONSOLE / f"{language}.json").read_text("utf-8"))

    assert set(words["fate"]) == {"read", *FATE_WORDS, "in_flight"}
    assert set(words["reasons"]) == set(WITHHELD)
    assert set(words["states"]) >= {*FEED_STATES, *SHARE_STATES, "succeeded", "failed"}


def test_a_run_that_does_not_balance_says_how_much_is_missing() -> None:
    html = render(busy_city(), {"state": True}, language="en", now=NOW)

    assert "3 off" in html


def test_a_decision_shows_the_command_to_type() -> None:
    html = render(busy_city(), {"state": True}, language="en", now=NOW)

    assert "run_hub.py feed release A0030.penalty --because &#34;say why&#34;" in html
    assert "run_hub.py feed refuse A0030.penalty --because &#34;say why&#34;" in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_hub_explains_what_to_do(language: str) -> None:
    html = render(empty_city(), {"state": True}, language=language, now=NOW)

    assert "run_hub.py init" in html
    assert "run_hub.py reconcile" in html


def test_an_unready_hub_says_why() -> None:
    html = render(empty_city(), {"state": True, "broker": "connection refused"}, language="en", now=NOW)

    assert "Not accepting data" in html
    assert "connection refused" in html


def test_the_part_is_the_page_without_its_head() -> None:
    whole = render(busy_city(), {"state": True}, language="zh-CN", now=NOW)
    part = render(busy_city(), {"state": True}, language="zh-CN", now=NOW, part=True)

    assert "<head>" not in part
    assert part.strip() in whole
