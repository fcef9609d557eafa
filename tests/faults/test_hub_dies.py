"""The hub is killed at random moments under load, again and again, and loses nothing, doubles nothing, and needs nobody."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest

from tests.faults.conftest import Effort
from tests.faults.life import finish, living
from tests.faults.police import Police
from tests.faults.town import Town
from tests.faults.verdict import Tally, check
from tests.servers import RabbitServer

pytestmark = pytest.mark.faults

FILE_ROWS = 6_000  # twelve batches
LONGEST = 0.6  # seconds from a life's first settled batch to its death, at most


def live_and_die(town: Town, kills: int, chance: Random) -> Tally:
    """So many lives, each killed after its first settled batch while more waits, and a last one that ends by itself."""
    tally = Tally()
    for number in range(kills):
        town.keep_busy(1, FILE_ROWS)
        with living(town, number) as life:
            life.until("collect.settled")
            time.sleep(chance.uniform(0, LONGEST))  # the moment of death: chance, no synchronisation
            life.end()
            tally.died(town, life.steps(), town.root / "scratch")
    finish(town, kills)
    return tally


@pytest.mark.timeout(3600)
def test_deaths_at_any_moment_lose_nothing_and_double_nothing(tmp_path: Path, police: Police, effort: Effort, seed: int, chance: Random) -> None:
    town = Town(tmp_path, police.url, seed)

    tally = live_and_die(town, effort.hub_on_embedded, chance)

    check(town, police, tally)
    print(tally.table(town))
    assert tally.deaths.total() == effort.hub_on_embedded
    assert len(tally.deaths) >= 6, "the deaths did not spread over the steps"
    assert tally.recognised, "no batch came again unchanged"


@pytest.mark.server
@pytest.mark.timeout(3600)
@pytest.mark.xdist_group("rabbit-faults")
def test_deaths_beside_rabbitmq_lose_nothing_and_double_nothing(
    tmp_path: Path, police: Police, rabbit: RabbitServer, effort: Effort, seed: int, chance: Random
) -> None:
    town = Town(tmp_path, police.url, seed, broker=vhost(rabbit, f"deaths-{seed}"))

    tally = live_and_die(town, effort.hub_on_rabbit, chance)

    check(town, police, tally)
    print(tally.table(town))
    assert tally.deaths.total() == effort.hub_on_rabbit
    assert len(tally.deaths) >= 3, "the deaths did not spread over the steps"


def vhost(server: RabbitServer, name: str) -> str:
    """The broker setting for a virtual host of the test's own."""
    server.control("add_vhost", name)
    server.control("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
    return f'"amqp://guest:${{env:MQ_PASSWORD}}@127.0.0.1:{server.port}/{name}"'
