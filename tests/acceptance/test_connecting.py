"""Testing a live connection without side effects, and keeping a disguised sample of it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.city.command import PERSON_HEADING, Hub, command, firm_row, person_row
from tests.city.configuration import agency_yaml
from tests.city.identities import citizen, firm


def tree(place: Path) -> list[str]:
    """Everything below a directory."""
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


def test_a_folder_that_is_not_there_yet_is_named_and_not_created(hub: Hub) -> None:
    answer = hub("check", "A0001.firms")

    assert answer.code == 3
    assert "it is created when the hub first runs" in answer.out
    assert not (hub.home / "in").exists()


def test_every_layer_of_a_good_connection_is_fine_and_nothing_moves(hub: Hub) -> None:
    hub.drop("firms", "a.csv", [firm_row(n) for n in range(1, 20)])
    hub.drop("persons", "b.csv", [person_row(1)])
    before = tree(hub.home)

    findings = hub.ask("check", "A0001")

    assert {(f["feed"], f["fine"]) for f in findings} == {("A0001.firms", True), ("A0001.persons", True)}
    assert [f["layer"] for f in findings if f["feed"] == "A0001.firms"] == ["reach", "sample", "rows"]
    assert "19 of 19 rows of a sample would pass" in [f["said"] for f in findings]
    assert tree(hub.home) == before


def test_rows_that_would_be_refused_are_counted_by_code(hub: Hub) -> None:
    hub.drop("firms", "a.csv", [firm_row(1), firm_row(2, code="1"), firm_row(3, code="2")])

    answer = hub("check", "A0001.firms")

    assert answer.code == 1
    assert "R111 2" in answer.out
    assert "run_hub.py record A0001.firms" in answer.out.replace("\n", " ")


def test_a_name_that_nobody_has_gets_the_nearest_one(hub: Hub) -> None:
    answer = hub("check", "A0001.firm")

    assert answer.code == 2
    assert "did you mean A0001.firms?" in answer.err


def test_a_recorded_sample_names_nobody_and_still_tries_the_same_rules(hub: Hub) -> None:
    rows = [person_row(1, "钱样甲"), person_row(2, "孙样乙"), person_row(3, "孙样乙", code=citizen(3)[:-1] + ("1" if citizen(3)[-1] != "1" else "2"))]
    hub.drop("persons", "b.csv", "\n".join([PERSON_HEADING, *rows, ""]))

    kept = hub.ask("record", "A0001.persons")

    text = Path(kept["file"]).read_text("utf-8")
    said = [json.loads(line) for line in text.splitlines()]
    assert not any(secret in text for secret in ("钱样甲", "孙样乙", citizen(1), citizen(2), citizen(3)[:-1]))
    assert said[1]["姓名"] == said[2]["姓名"] != said[0]["姓名"]
    assert (kept["passed"], kept["rejected"]) == (2, {"R114": 1})
    assert said[0]["罚款金额（元）"] == "100"


def test_a_recorded_sample_is_a_test_of_the_configuration(hub: Hub) -> None:
    hub.drop("firms", "a.csv", [firm_row(1), firm_row(2, code=firm(2)[:-1] + "I")])
    kept = hub.ask("record", "A0001.firms")
    agency = hub.config / "agencies/A0001.yaml"
    agency.write_text(agency_yaml() + kept["test"] + "\n", encoding="utf-8")

    answer = command("test", "--config", str(hub.config))
    twice = hub("record", "A0001.firms")

    assert answer.code == 0, answer.out + answer.err
    assert twice.code == 2
    assert "never overwritten" in twice.err
