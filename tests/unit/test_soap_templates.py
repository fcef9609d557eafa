"""Placeholders: whatever a value holds, it stays a value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from connectors.soap.templates import check, filled, header, holes, nested
from hub.contracts.errors import Misconfigured, Rejected

HOSTILE = ["</xml>", '"', "'", "\\", "]]>", "]]", "]", ">", "&amp;", "<!--", "{token}", "甲\n乙\r丙\t", "<![CDATA[", "-->", "%s", "\u2028"]
CARRIED = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"], include_characters="\n\t\r"), max_size=40) | st.sampled_from(HOSTILE)


@given(CARRIED)
def test_a_value_in_xml_is_read_again_as_it_was(value: str) -> None:
    template = "<R a=\"{key}\" b='{key}'>1{key}2<c><![CDATA[>{key}]]></c><d><![CDATA[x]{key}>]]></d></R>"

    root = etree.fromstring(filled(template, {"key": value}).encode())

    assert [root.get("a"), root.get("b"), root.text] == [value, value, f"1{value}2"]
    assert [root.findtext("c"), root.findtext("d")] == [f">{value}", f"x]{value}>"]


@given(CARRIED)
def test_a_value_in_json_is_read_again_as_it_was(value: str) -> None:
    template = '{"a": "x{key}y", "b": ["{key}"], "c{key}": {page}}'

    found = json.loads(filled(template, {"key": value, "page": "7"}))

    assert found == {"a": f"x{value}y", "b": [value], f"c{value}": 7}


def test_a_bare_place_in_json_takes_a_number_or_a_text() -> None:
    assert [json.loads(filled("[{key}]", {"key": value})) for value in ("12", "012", "", "1,2", "null")] == [[12], ["012"], [""], ["1,2"], ["null"]]


def test_a_plain_argument_is_left_to_the_writer_of_the_message() -> None:
    assert filled({"a": "{key}", "b": [1, True, {"c": "x{key}"}]}, {"key": "<&>"}) == {"a": "<&>", "b": [1, True, {"c": "x<&>"}]}


def test_a_value_is_never_filled_in_again() -> None:
    assert filled("<a>{key}{token}</a>", {"key": "{token}", "token": "secret"}) == "<a>{token}secret</a>"


@pytest.mark.parametrize("value", ["\x00", "\x1b", "\ud800", "\ufffe"])
@pytest.mark.parametrize("template", ["<a>{key}</a>", '{"a": "{key}"}', "{key}", "<a><![CDATA[{key}]]></a>"])
def test_what_xml_cannot_carry_is_refused_and_not_named(value: str, template: str) -> None:
    with pytest.raises(Rejected) as error:
        filled(template, {"key": f"secret{value}"})

    assert "secret" not in error.value.message


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "\x00"])
def test_a_header_cannot_be_ended_by_a_value(value: str) -> None:
    with pytest.raises(Misconfigured):
        header("Bearer {token}", {"token": value})


def test_a_place_without_a_value_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"\{token\}"):
        filled("<a>{token}</a>", {})


@pytest.mark.parametrize("template", ["<a>{page}", '{"a": {page}', "<a>&b;</a>", "<a b={page}/>", "<a><!DOCTYPE x></a>"])
def test_an_argument_that_is_damaged_is_found_before_anything_is_sent(template: str) -> None:
    with pytest.raises(ValueError, match="looks like"):
        check({"xml": template})


def test_only_known_words_are_places() -> None:
    assert holes(["{page}", {"x": "{size}{other}"}]) == {"page", "size"}
    assert filled("{other}", {}) == "{other}"


def test_names_with_a_full_stop_are_parts() -> None:
    assert nested({"q.year": 2024, "q.area.code": "320581", "x": 1}) == {"q": {"year": 2024, "area": {"code": "320581"}}, "x": 1}
    for twice in ({"q": 1, "q.a": 2}, {"q.a": 1, "q": 2}):
        with pytest.raises(Misconfigured):
            nested(twice)
