"""Pulls from real servers through the whole hub, while server, connection and hub die: nothing is read twice, nothing is missed, and every status is right."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.city.command import Hub, Running
from tests.city.front_table import SECRET, FrontTable
from tests.city.identities import firm
from tests.databases import MariaServer, PostgresServer
from tests.faults.conftest import Effort
from tests.servers import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.server]

Server = MariaServer | PostgresServer
SINCE: dict[str, Any] = {"since": {"time": "tong_time", "id": "tongid"}}
DONE: dict[str, Any] = {"done": {"column": "clzt"}}
ROWS, RATE = 20_000, 15_000  # rows, and how many of them are read in a second: a pull of all of them takes more than one
LONG_TEXT = "守合同重信用" * 30  # so that they come in several pieces
_LONG_S = 90.0


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaServer]:
    with MariaServer("default-time-zone=+08:00") as running:  # kept when it starts again
        yield running


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)


def sessions(server: Server, name: str) -> list[int]:
    """Connections of the hub to a database: ids that MariaDB ends, or processes of PostgreSQL."""
    if isinstance(server, PostgresServer):
        return [pid for (pid,) in server.execute(f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND usename = 'hub'")]
    return [found for (found,) in server.execute(f"SELECT id FROM information_schema.processlist WHERE db = '{name}' AND user = 'hub'")]


def killed(server: Server, name: str) -> None:
    server.kill()
    server.start()


def stopped(server: Server, name: str) -> None:
    server.stop()
    server.start()


def cut(server: Server, name: str) -> None:
    """Somebody ends the hub's connections, but for what has ended by itself."""
    for session in sessions(server, name):
        if isinstance(server, PostgresServer):
            server.execute(f"SELECT pg_terminate_backend({session})")
        else:
            with suppress(Exception):  # it may have ended by itself meanwhile
                server.execute(f"KILL CONNECTION {session}")


def paused(server: Server, name: str) -> None:
    """The server hangs longer than a statement may take (PostgreSQL's process that serves the hub does), and goes on as if nothing had been."""
    pids = sessions(server, name) if isinstance(server, PostgresServer) else [server.pid]
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(2 if number is signal.SIGSTOP else 0)  # how long it hangs


FAULTS: list[Callable[[Server, str], None]] = [killed, cut, stopped, paused]


def stumbles(hub: Running) -> int:
    return sum(told["where"] == "feed:A0001.firms" for told in hub.events("stumbled"))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["maria", "postgres"])
def test_a_pull_that_is_broken_begins_again_and_reads_nothing_twice(
    hub: Hub, kind: str, effort: Effort, chance: Random, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(kind)
    table = FrontTable(hub, server, source={"rows_per_second": RATE, "timeout": "30s"}, when="{every: 1s}", **SINCE)
    total = 0
    first = ("maria", "postgres").index(kind) * effort.pull  # a short history meets each fault on one of the servers

    with hub.running() as running:
        for number in range(effort.pull):
            table.add(range(total, total + ROWS), honour=LONG_TEXT)
            total += ROWS
            wait_until(lambda: bool(sessions(server, table.name)), _LONG_S, "the hub pulls", every=0.02)
            time.sleep(chance.uniform(0.1, 0.5))  # the moment of the fault: chance, no synchronisation
            FAULTS[(number + first) % len(FAULTS)](server, table.name)
            _all_stored(hub, total)
        stumbled, halted = stumbles(running), running.events("stopped")
        assert running.stop() == 0
    assert hub.once().code == 0

    assert hub.counts() == {"read": total, "inserted": total}
    assert halted == []
    assert stumbled > 0, "no fault met a pull"


def _all_stored(hub: Hub, rows: int) -> None:
    wait_until(lambda: hub.sql("ent", "SELECT count(*) FROM a0001_f08_01") == [(rows,)], _LONG_S, "all rows are stored", every=0.2)


STEPS = ("intake.landed", "intake.numbered", "intake.cut", "collect.opened", "collect.encoded", "collect.published", "collect.settled", "intake.finished",
         "load.applied", "load.copied", "answer.left")  # fmt: skip
"""From the rows' way into landing to the status that is written but not yet noted."""


def died_at(hub: Hub, step: str) -> int:
    return hub("run", "--once", HUB_TESTING="1", HUB_FAILPOINTS=f"{step}:kill@1", **SECRET).code


def test_death_at_each_step_of_a_pull_is_made_good_and_each_row_is_marked_once(hub: Hub, maria: MariaServer) -> None:
    table = FrontTable(hub, maria, **DONE)
    died: list[int] = []

    for number, step in enumerate(STEPS):
        table.add(range(10 * number, 10 * number + 10))
        died.append(died_at(hub, step))
    hub.once()
    hub.once()

    assert died == [-signal.SIGKILL] * len(STEPS)
    assert table.marks() == ["1"] * 10 * len(STEPS)
    assert hub.counts() == {"read": 10 * len(STEPS), "inserted": 10 * len(STEPS)}


@pytest.mark.parametrize("step", ["intake.landed", "intake.numbered", "intake.finished"])
def test_death_between_landing_and_cursor_reads_nothing_twice(hub: Hub, maria: MariaServer, step: str) -> None:
    table = FrontTable(hub, maria, **SINCE)
    table.add(range(10))

    died = died_at(hub, step)
    table.add(range(10, 20))
    hub.once()

    assert died == -signal.SIGKILL
    assert len(table.stored()) == 20
    assert hub.counts() == {"read": 20, "inserted": 20}


def test_death_while_the_status_is_being_written_leaves_it_to_the_next_life(hub: Hub, maria: MariaServer) -> None:
    table = FrontTable(hub, maria, when="{every: 1s}", **DONE)
    table.add(range(3))
    with maria.connect(table.name) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT clzt FROM honour WHERE tongid = 2 FOR UPDATE")
        with hub.running() as running:
            wait_until(lambda: _waits_for_a_lock(maria), _LONG_S, "the hub waits for the row")
            running.process.kill()
            running.process.wait()
        cursor.execute(f"UPDATE honour SET 统一社会信用代码 = '{firm(7)}' WHERE tongid = 2")
        cursor.execute("COMMIT")

    before = table.marks()
    hub.once()
    hub.once()

    assert before[1] == "0"
    assert table.marks() == ["1", "1", "1"]
    assert [code for code, _, _ in table.stored()] == sorted([firm(0), firm(1), firm(2), firm(7)]), "the row that was changed meanwhile was read again"
    assert hub.counts() == {"read": 4, "inserted": 4}


def _waits_for_a_lock(server: MariaServer) -> bool:
    return server.execute("SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") != [(0,)]
