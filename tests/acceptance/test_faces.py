"""The faces that other programs call: exit codes and the exact shape of what is printed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.city.command import ROOT, Hub, command, firm_row
from tests.city.configuration import agency_yaml

TERMS = ["read", "rejected", "filtered", "duplicate", "unmatched", "inserted", "updated", "unchanged", "superseded", "withdrawn", "in_flight"]


def test_init_writes_a_configuration_that_works_as_it_says(tmp_path: Path) -> None:
    written = command("init", "my-city", cwd=tmp_path)
    again = command("init", "my-city", cwd=tmp_path)

    lines = [line.split("#")[0].strip() for line in written.out.splitlines() if line.startswith("  ")]
    for line in lines:
        shell = line.replace("run_hub.py", f"{sys.executable} {ROOT / 'run_hub.py'}")
        done = subprocess.run(["sh", "-ec", shell], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert len(lines) >= 7
    assert "91320581MA0000A19W" not in done.stderr
    assert (again.code, "not empty" in again.err) == (2, True)


def test_lint_names_every_problem_with_its_place_and_exits_one(hub: Hub) -> None:
    agency = hub.config / "agencies/A0001.yaml"
    agency.write_text(agency.read_text().replace("item: A0001-Z06-01", "item: A0001-Z06-99").replace("limits:", "limit:", 1))

    as_json, as_text = command("lint", "--config", str(hub.config), "--format", "json"), command("lint", "--config", str(hub.config))

    assert (as_json.code, as_text.code) == (1, 1)
    assert len(as_json.json) >= 2
    assert all(list(p) == ["file", "line", "column", "path", "code", "message", "hint"] for p in as_json.json)
    assert {"unknown-item", "unknown-key"} <= {p["code"] for p in as_json.json}
    assert "agencies/A0001.yaml:" in as_text.out
    assert "did you mean" in as_text.out


def test_lint_of_a_fine_configuration_is_an_empty_list(hub: Hub) -> None:
    answer = command("lint", "--config", str(hub.config), "--format", "json")

    assert (answer.code, answer.json) == (0, [])


def test_schema_describes_every_file_of_a_configuration() -> None:
    schema = command("schema").json

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            return {v for k, v in node.items() if k == "$ref"} | {r for v in node.values() for r in references(v)}
        return {r for v in node for r in references(v)} if isinstance(node, list) else set()

    def resolves(reference: str) -> bool:
        node: Any = schema
        for part in reference.removeprefix("#/").split("/"):
            node = node.get(part, {})
        return bool(node)

    assert schema["$schema"].startswith("https://json-schema.org/draft/2020-12/")
    assert references(schema)
    assert {r for r in references(schema) if not resolves(r)} == set()


def test_functions_and_version_answer_in_text_and_json() -> None:
    listed, one, none, version = (
        command("functions", "--format", "json"),
        command("functions", "date"),
        command("functions", "dat"),
        command("version", "-f", "json"),
    )

    assert len(listed.json) >= 25
    assert all(f["help"] and f["examples"] for f in listed.json)
    assert "date(" in one.out
    assert none.code == 2
    assert version.json["version"]


@pytest.mark.parametrize("words", [["no-such-command"], ["run", "--no-such-option"], ["run", "--batch-rows", "7"], ["trace"], ["feed", "release"]])
def test_a_wrong_command_line_exits_two(words: list[str]) -> None:
    answer = command(*words)

    assert answer.code == 2
    assert "Usage" in answer.err


def test_what_cannot_be_reached_exits_three_and_says_what_to_do(hub: Hub) -> None:
    (hub.config / "hub.yaml").write_text('city: 示例市\nbroker: "amqp://hub:${env:MQ_PASSWORD}@127.0.0.1:1/credit"\n')

    away, secret = hub("queue", "list", MQ_PASSWORD="not-told"), hub("queue", "list")

    assert away.code == 3, away.err
    assert "way out:" in away.err
    assert "not-told" not in away.err + away.out
    assert (secret.code, "MQ_PASSWORD" in secret.err) == (2, True)


def test_a_name_that_nobody_has_is_met_with_the_nearest_one(hub: Hub) -> None:
    answers = [hub("feed", "pause", "A0001.firm", "--because", "x"), hub("share", "pause", "A0001.firms-court", "--because", "x"), hub("preview", "A0001.firm")]

    assert [a.code for a in answers] == [2, 2, 2]
    assert ["did you mean A0001.firms" in a.err for a in answers] == [True] * 3


def test_run_once_exits_one_when_something_is_held_and_stores_nothing(hub: Hub) -> None:
    (hub.config / "agencies/A0001.yaml").write_text(agency_yaml(rejected="5%"))
    hub.drop("firms", "a.csv", [firm_row(1), firm_row(2, code="91320581MA0000A19X")])

    answer, status = hub.once(), hub.ask("status")

    assert answer.code == 1
    assert (status["feeds"][0]["state"], status["feeds"][0]["last_run"]["state"]) == ("held", "held")
    assert hub.sql("ent", "SELECT count(*) FROM a0001_f08_01") == [(0,)]
    assert "release" in hub("status").out


def test_bench_measures_itself_against_the_floor() -> None:
    answer = command("bench", "--rows", "20000", "--format", "json")

    assert answer.code == 0, answer.err
    assert list(answer.json) == ["rows", "rows_per_s", "floor_rows_per_s", "ratio", "again_rows_per_s", "peak_mb"]
    assert answer.json["rows"] == 20000
    assert min(answer.json.values()) > 0


def test_help_is_there_in_under_half_a_second() -> None:
    command("--help")  # compiled modules are kept for the next start
    times = []
    for _ in range(5):
        start = time.process_time_ns(), time.perf_counter()
        assert command("--help").code == 0
        times.append(time.perf_counter() - start[1])

    assert min(times) < 0.5  # the promised bound
