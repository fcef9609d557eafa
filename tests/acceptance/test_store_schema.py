"""A catalogue that changes: the tables follow as somebody has read it, on every engine, and nothing is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.city.command import ROOT, Hub, firm_row, person_row
from tests.city.configuration import FIRMS, PERSONS, hub_yaml
from tests.databases import PASSWORD, MariaServer, PostgresServer
from tests.servers import requires

STORES = ("ent", "psn", "gov", "fin")


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """What addresses refer to."""
    monkeypatch.setenv("DATABASE", PASSWORD)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaServer]:
    with MariaServer() as server:
        yield server


def amend(hub: Hub, item: str, old: str, new: str) -> None:
    """Change one item of the catalogue."""
    file = hub.config / "catalogue" / f"{item}.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def add_fields(hub: Hub) -> None:
    """A new field, a longer one, a new sealed one and more digits after the point."""
    amend(hub, FIRMS, "{name: org_name, title: 企业名称, length: 200", "{name: org_name, title: 企业名称, length: 400")
    amend(hub, FIRMS, "  - {name: inner_note", "  - {name: tel, title: 联系电话, length: 20}\n  - {name: inner_note")
    amend(hub, PERSONS, "scale: 2", "scale: 4")
    amend(hub, PERSONS, "  - {name: doc_no", "  - {name: agent_id_no, title: 代理人证件号码, length: 64, check: id_no, pii: S}\n  - {name: doc_no")


def with_records(hub: Hub) -> Hub:
    hub.drop("firms", "one.csv", [firm_row(number) for number in range(1, 6)])
    hub.drop("persons", "one.csv", [person_row(number, fine="100.25") for number in range(1, 6)])
    assert hub.once().code == 0
    return hub


def plan(hub: Hub) -> dict[str, Any]:
    found: dict[str, Any] = hub.ask("store", "plan")
    return found


def steps(found: dict[str, Any]) -> list[str]:
    """What is to be done, as the table and the first words."""
    return [f"{step['table']}: {' '.join(step['words'].split('（')[0].split(',')[0].split()[:3])}" for d in found["databases"] for step in d["steps"]]


def refusals(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(refused["table"], refused["column"]) for database in found["databases"] for refused in database["refused"]]


def test_nothing_is_to_be_done_after_a_hub_has_run(hub: Hub) -> None:
    with_records(hub)

    planned, applied = hub("store", "plan"), hub("store", "apply")

    assert (planned.code, applied.code) == (0, 0)
    assert "store apply" not in planned.out


def test_new_fields_are_planned_applied_and_filled(hub: Hub) -> None:
    with_records(hub)
    add_fields(hub)

    stopped = hub.once()
    found = plan(hub)
    applied = hub("store", "apply", "--plan", found["plan"])
    hub.drop("firms", "two.csv", "统一社会信用代码,企业名称,荣誉名称,认定日期,联系电话\n" + firm_row(7) + ",0512-1\n")
    hub.once()

    assert stopped.code == 2
    assert "run_hub.py store plan" in stopped.err
    assert steps(found) == [
        "a0001_f08_01: add column tel",
        "a0001_z06_01: widen fine",
        "a0001_z06_01: add column agent_id_no",
        "a0001_z06_01: add column agent_id_no_hash",
    ]
    assert applied.code == 0, applied.err
    assert hub("store", "plan").code == 0
    assert hub.sql("ent", "SELECT count(*), count(tel), max(tel) FROM a0001_f08_01") == [(6, 1, "0512-1")]
    assert hub.sql("psn", "SELECT count(*), min(fine) FROM a0001_z06_01") == [(5, 100.25)]
    assert hub.counts()["inserted"] == 11


@pytest.mark.server
@pytest.mark.parametrize("kind", ["postgres", "maria"])
def test_tables_on_a_server_follow_too(hub: Hub, kind: str, request: pytest.FixtureRequest) -> None:
    server: PostgresServer | MariaServer = request.getfixturevalue(kind)
    names = [server.database() for _ in range(5)]
    urls = [server.url(name).replace(PASSWORD, "${env:DATABASE}") for name in names]
    stores = "".join(f'  {store}: "{url}"\n' for store, url in zip(STORES, urls[1:], strict=True))
    state = urls[0] if kind == "postgres" else "hub.sqlite"
    (hub.config / "hub.yaml").write_text(hub_yaml() + f'state: "{state}"\nstores:\n{stores}')
    with_records(hub)
    before = hub("store", "plan")
    add_fields(hub)

    found = plan(hub)
    # What a command that died half-way had done: MariaDB ends a transaction with each such statement.
    (first, *_) = [sql for database in found["databases"] for step in database["steps"] for sql in step["sql"]]
    server.execute(first, database=names[1])
    stale = hub("store", "apply", "--plan", found["plan"])
    rest = plan(hub)
    applied = hub("store", "apply", "--plan", rest["plan"])

    assert before.code == 0, before.out
    assert {"a0001_f08_01: widen org_name", "a0001_f08_01: add column tel", "a0001_z06_01: widen fine"} <= {s.split(" from")[0] for s in steps(found)}
    assert (stale.code, steps(rest)) == (2, steps(found)[1:])
    assert applied.code == 0, applied.err
    assert hub("store", "plan").code == 0
    hub.drop("firms", "two.csv", [firm_row(7, "常熟市" + "示" * 300 + "有限公司")])
    hub.once()
    assert hub.counts() == {"read": 11, "inserted": 11}
    assert server.execute("SELECT count(*), min(fine) FROM a0001_z06_01", database=names[2]) == [(5, pytest.approx(100.25))]


def test_only_the_plan_that_was_read_is_applied(hub: Hub) -> None:
    with_records(hub)
    amend(hub, FIRMS, "  - {name: inner_note", "  - {name: tel, title: 联系电话, length: 20}\n  - {name: inner_note")
    read = plan(hub)["plan"]
    amend(hub, FIRMS, "  - {name: inner_note", "  - {name: fax, title: 传真, length: 20}\n  - {name: inner_note")

    unnamed, stale = hub("store", "apply"), hub("store", "apply", "--plan", read)

    assert (unnamed.code, stale.code) == (2, 2)
    assert "store plan" in unnamed.err
    assert f"plan {read} is not what is to be done now" in stale.err
    assert "fax" not in str(hub.sql("ent", "SELECT sql FROM sqlite_master"))


def test_what_would_lose_data_is_refused_and_the_rest_is_done(hub: Hub) -> None:
    with_records(hub)
    amend(hub, FIRMS, "{name: honor_name, title: 荣誉名称, length: 200, need: M, role: key}", "{name: honor_name, title: 荣誉名称, type: date, role: key}")
    amend(hub, FIRMS, "  - {name: inner_note, title: 内部意见, length: 500}", "  - {name: tel, title: 联系电话, length: 20}")
    amend(hub, PERSONS, "scale: 2", "scale: 0")
    amend(hub, PERSONS, "key: doc_no", "key: doc_no + id_no")

    found = plan(hub)
    applied = hub("store", "apply", "--plan", found["plan"])

    assert refusals(found) == [("a0001_f08_01", "honor_name"), ("a0001_z06_01", "fine"), ("a0001_z06_01", "")]
    assert [line for database in found["databases"] for line in database["kept"]] == ["a0001_f08_01.inner_note: kept, no longer filled"]
    assert applied.code == 1
    assert "doc_no + id_no" in applied.out
    assert hub.sql("ent", "SELECT count(*), count(honor_name), count(inner_note), count(tel) FROM a0001_f08_01") == [(5, 5, 0, 0)]


def test_files_of_a_hub_that_runs_are_left_alone(hub: Hub) -> None:
    with_records(hub)
    with hub.running():
        add_fields(hub)
        found = plan(hub)

        refused = hub("store", "apply", "--plan", found["plan"])

    assert refused.code == 2
    assert "already running" in refused.err
    assert hub("store", "apply", "--plan", found["plan"]).code == 0


@pytest.mark.faults
@pytest.mark.parametrize("which", [1, 2, 4])
def test_death_while_tables_are_changed_leaves_each_database_as_it_was_or_as_it_is_wanted(hub: Hub, which: int) -> None:
    requires("strace", "it ends the command at a system call")
    with_records(hub)
    add_fields(hub)
    wanted = plan(hub)["plan"]
    words = ["store", "apply", "--plan", wanted, "--config", str(hub.config), "--home", str(hub.home)]
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", f"inject=fdatasync,fsync:signal=KILL:when={which}"]

    died = subprocess.run([*strace, sys.executable, str(ROOT / "run_hub.py"), *words], capture_output=True, timeout=120, check=False)
    rest = plan(hub)
    applied = hub("store", "apply", "--plan", rest["plan"])

    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert len(steps(rest)) in (0, 3, 4)
    assert applied.code == 0, applied.err
    assert hub("store", "plan").code == 0
    assert hub.sql("psn", "SELECT count(*), min(fine) FROM a0001_z06_01") == [(5, 100.25)]
