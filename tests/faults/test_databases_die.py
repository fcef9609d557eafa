"""A database server that holds the hub's state and stores is killed under a living hub, and so is the hub: both find back by themselves.

Where each fault of a database is tried against a real server, [whole] where a whole hub goes through it:

* server restarted, killed or hanging in mid-pull, connection killed: `test_database_pulls` [whole], `test_mysql_faults`, `test_postgres_faults`;
* hub killed at each step of a pull, between landing and cursor, before, while and after a status is written: `test_database_pulls` [whole];
* server of state and stores killed at work, hub killed in between: here [whole]; in mid-batch: `test_mysql_store_faults`, `test_postgres_store`;
* deadlocks and serialization failures, where the whole transaction is repeated: `test_mysql_store_faults`, `test_postgres_store`, `test_mysql_faults`,
  `test_postgres_faults`; locks that somebody holds: `test_database_feeds` [whole], `test_database_outlet`;
* the answer to a commit lost: `test_mysql_store_faults`, `test_postgres_store`, `test_postgres_faults`;
* a value too long or out of range, 4-byte characters into utf8mb3: `test_database_feeds` [whole, until the row is stored], `test_mysql_store`, `test_postgres_store`;
* a table renamed, a column dropped between runs: `test_database_feeds` [whole, until it is repaired], `test_database_pull`;
* a clock that steps back: `test_database_feeds` [whole], `test_state_servers`; clocks of two nodes ten minutes apart: `test_clocks_apart` [whole];
* rows updated, inserted, deleted or committed late while they are read: `test_database_feeds` [whole], `test_database_pull`;
* a status of 0 that becomes 1 or 2, and 0 again by the agency: `test_database_feed` [whole];
* a server that only reads, or closes what is idle: `test_mysql_store_faults`, `test_postgres_store`; a statement without end: `test_mysql_faults`, `test_postgres_faults`;
* yesterday's backup brought back: `tests/acceptance/test_backup` [whole].
"""

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
