"""Logs: one event is one line, whatever an agency writes."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from hub.contracts.observer import Observer
from monitoring.logs import FIELD_CHARACTERS, LogListener, configure, safe_text

NAUGHTY = [
    "two\nlines",
    "carriage\rreturn",
    'a quote " and a brace }',
    "esc \x1b[2J clears the screen",
    "next line \x85 of C1",
    "line separator \u2028 and paragraph separator \u2029",
    "right to left \u202e override",
    "isolate \u2066 and \u2069",
    "zero width \u200b and mark \ufeff",
    "nul \x00 byte",
    "a lone surrogate \ud800 here",
    '{"level": "error", "event": "forged"}',
    "企业名称（常熟）有限公司",
    "😀 emoji",
]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure(stream)
    yield stream
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("text", NAUGHTY)
def test_whatever_is_logged_stays_on_one_line(stream: io.StringIO, text: str) -> None:
    observer = Observer(LogListener())

    observer.tell("stumbled", text, reason=text, nested={text: [text]})

    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["event"] == "stumbled"
    assert not any(sign in lines[0] for sign in "\x00\r\x1b\x85\u2028\u2029\u202e\u2066\u2069\u200b\ufeff")


def test_a_library_that_logs_by_itself_is_made_safe_too(stream: io.StringIO) -> None:
    log = logging.getLogger("some.library")

    log.warning("lost connection to %s", "host\nforged line")

    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["event"] == "lost connection to host\\u000aforged line"


@pytest.mark.parametrize("number", ["320581199003071234", "32058119900307123X", "320581900307123"])
def test_a_citizens_number_is_withheld(stream: io.StringIO, number: str) -> None:
    observer = Observer(LogListener())

    observer.tell("stumbled", "A0030.penalty", reason=f"row of {number} failed", numbers=[int(number[:17] + "4")] if len(number) == 18 else [])

    assert number[:17] not in stream.getvalue()
    assert "[withheld]" in stream.getvalue()


def test_batch_ids_and_firms_codes_are_shown() -> None:
    text = "batch 0a1b320581199003071234cdef567890 of 91320581MA1MXYZ123"

    assert safe_text(text) == text


def test_a_huge_field_is_cut() -> None:
    shown = safe_text("长" * 1_000_000)

    assert len(shown) < FIELD_CHARACTERS + 50
    assert "1000000 characters" in shown


def test_facts_cannot_take_the_place_of_the_lines_own_fields(stream: io.StringIO) -> None:
    observer = Observer(LogListener())

    observer.tell("settled", "A0030.penalty", event="forged", level="critical", read=3)

    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["fact_event"], line["read"]) == ("settled", "info", "forged", 3)


def test_what_stops_a_route_is_an_error(stream: io.StringIO) -> None:
    observer = Observer(LogListener())

    observer.tell("stopped", "A0030.penalty", reason="wrong password")

    assert json.loads(stream.getvalue())["level"] == "error"
