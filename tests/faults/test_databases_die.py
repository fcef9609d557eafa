"""A database server that holds the hub's state and stores is killed under a living hub, and so is the hub: both find back by themselves."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.databases import MariaServer, PostgresServer
from tests.faults.conftest import Effort
from tests.faults.life import Life, finish, living
from tests.faults.police import Police
from tests.faults.test_hub_dies import LONGEST, vhost
from tests.faults.town import Town
from tests.faults.verdict import Tally, check
from tests.servers import RabbitServer

pytestmark = [pytest.mark.faults, pytest.mark.server, pytest.mark.xdist_group("rabbit-faults")]

FILE_ROWS = 2_000  # four batches
_BACK = 120.0  # seconds that the hub may need after the server answers again: its longest wait is 30
Server = MariaServer | PostgresServer


@pytest.fixture(params=[PostgresServer, MariaServer], ids=["postgres", "maria"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param() as running:
        yield running


@pytest.mark.timeout(3600)
def test_deaths_of_server_and_hub_in_turn_lose_nothing_and_double_nothing(
    tmp_path: Path, server: Server, police: Police, rabbit: RabbitServer, effort: Effort, seed: int, chance: Random
) -> None:
    kind = "postgres" if isinstance(server, PostgresServer) else "maria"
    town = Town(tmp_path, police.url, seed, broker=vhost(rabbit, f"{kind}-{seed}"), server=server)
    tally = Tally()

    for number in range(effort.database):
        with living(town, number) as life:
            _outlive(server, town, life, tally, chance)
            town.keep_busy(1, FILE_ROWS)
            life.until("collect.settled", times=life.steps().count("collect.settled") + 1)
            time.sleep(chance.uniform(0, LONGEST))  # the moment of death: chance, no synchronisation
            life.end()
            tally.died(town, life.steps(), tmp_path / "scratch")
    with living(town, effort.database) as life:
        _outlive(server, town, life, tally, chance)
        status = life.end(signal.SIGTERM, seconds=30)
    finish(town, effort.database + 1)

    assert status == 0
    check(town, police, tally)
    print(tally.table(town))
    assert tally.deaths.total() == 2 * effort.database + 1


def _outlive(server: Server, town: Town, life: Life, tally: Tally, chance: Random) -> None:
    """The server dies at work and comes back, and the hub goes on where it was."""
    town.keep_busy(1, FILE_ROWS)
    life.until("load.acked", times=life.steps().count("load.acked") + 1)
    time.sleep(chance.uniform(0, LONGEST))  # the moment of death: chance, no synchronisation
    server.kill()
    server.start()
    tally.bereft(town, life.steps())
    town.keep_busy(1, FILE_ROWS)
    before = life.steps()
    for step in ("collect.settled", "load.acked"):
        life.until(step, times=before.count(step) + 1, seconds=_BACK)
