"""Nodes as people and Prometheus see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub.leases import ROLES
from monitoring import terminal, view
from monitoring.metrics import Metrics
from monitoring.page import render
from tests.acceptance.sample_view import busy_city

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def city_of_two() -> dict[str, Any]:
    status = busy_city()
    version = status.setdefault("version", "v1")
    well = {"node": "load-1", "roles": ["load"], "address": "127.0.0.1:8701", "version": version, "silent_s": 0.4, "holds": ["load:A", "load:B"]}
    odd = {"node": "front", "roles": ["gateway", "console"], "address": "127.0.0.1:8702", "version": "older", "silent_s": 7.0, "holds": []}
    return status | {"nodes": [well, odd]}


def test_roles_are_the_same_words_everywhere() -> None:
    assert view.ROLES == ROLES


@pytest.mark.parametrize(("language", "words"), [("en", ("loads", "silent: others", "another configuration")), ("zh", ("入库", "无心跳", "配置版本不同"))])
def test_the_page_shows_each_node_with_what_is_odd_about_it(language: str, words: tuple[str, ...]) -> None:
    html = render(city_of_two(), {"state": True}, language={"zh": "zh-CN"}.get(language, language), now=NOW)

    assert 'id="nodes"' in html
    assert "load-1" in html
    assert all(word in html for word in words)


def test_a_hub_of_one_process_has_no_nodes_to_show() -> None:
    html = render(busy_city(), {"state": True}, language="en", now=NOW)

    assert 'id="nodes"' not in html


def test_the_terminal_names_silent_nodes_and_other_configurations(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.nodes(city_of_two()["nodes"], "v1")

    told = capsys.readouterr().out
    assert "load-1" in told
    assert "node front has been silent for 7 s" in told
    assert "node front runs configuration older" in told


def test_nodes_are_counted_by_role_and_never_named() -> None:
    text = Metrics(city_of_two).text().decode()

    found = {(s.name, s.labels.get("role", "")): s.value for f in text_string_to_metric_families(text) for s in f.samples if "_node_" in s.name}
    assert found["credit_hub_node_count", "load"] == 1
    assert found["credit_hub_node_count", "collect"] == 0
    assert found["credit_hub_node_leases", "load"] == 2
    assert found["credit_hub_node_silent", ""] == 1
    assert found["credit_hub_node_other_configuration", ""] == 1
    assert "load-1" not in text
