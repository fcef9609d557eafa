"""RabbitMQ's own process is killed under a living hub, which finds its way back by itself."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from random import Random

import pytest

from tests.faults.conftest import Effort
from tests.faults.life import finish, living
from tests.faults.police import Police
from tests.faults.test_hub_dies import FILE_ROWS, LONGEST, vhost
from tests.faults.town import Town
from tests.faults.verdict import Tally, check
from tests.servers import RabbitServer

_BACK = 120.0  # seconds that the hub may need after RabbitMQ answers again: its longest wait is 30


@pytest.mark.faults
@pytest.mark.server
@pytest.mark.timeout(3600)
@pytest.mark.xdist_group("rabbit-faults")
def test_the_hub_survives_every_death_of_rabbitmq(tmp_path: Path, police: Police, rabbit: RabbitServer, effort: Effort, seed: int, chance: Random) -> None:
    town = Town(tmp_path, police.url, seed, broker=vhost(rabbit, f"broker-{seed}"))
    tally = Tally()

    with living(town, 0) as life:
        for _ in range(effort.rabbit):
            town.keep_busy(1, FILE_ROWS)
            life.until("load.acked", times=life.steps().count("load.acked") + 1)
            time.sleep(chance.uniform(0, LONGEST))  # the moment of death: chance, no synchronisation
            rabbit.kill()
            tally.bereft(town, life.steps())
            rabbit.start()
            town.keep_busy(1, FILE_ROWS)
            before = life.steps()
            life.until("collect.settled", times=before.count("collect.settled") + 1, seconds=_BACK)
            life.until("load.acked", times=before.count("load.acked") + 1, seconds=_BACK)
        status = life.end(signal.SIGTERM, seconds=30)
    finish(town, 1)

    assert status == 0
    check(town, police, tally)
    print(tally.table(town))
    assert tally.deaths.total() == effort.rabbit
