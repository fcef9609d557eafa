"""What is no crash and must not lose anything either: an orderly stop under load, a frozen process, a second hub on the same home."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.life import finish, living
from tests.faults.police import Police
from tests.faults.town import Town
from tests.faults.verdict import check

pytestmark = pytest.mark.faults


def test_an_orderly_stop_under_load_ends_within_half_a_minute_and_loses_nothing(tmp_path: Path, police: Police, seed: int) -> None:
    town = Town(tmp_path, police.url, seed)
    town.drop(10_000)

    with living(town, 0) as life:
        life.until("load.acked", times=4)
        status = life.end(signal.SIGTERM, seconds=30)
        steps = life.steps()
    finish(town, 1)

    assert (status, "Traceback" in life.told()) == (0, False), life.told()
    assert steps.count("collect.settled") < 40, "everything was read before the stop"
    check(town, police)


def test_a_hub_that_was_frozen_goes_on_and_keeps_its_home_meanwhile(tmp_path: Path, police: Police, seed: int) -> None:
    town = Town(tmp_path, police.url, seed)
    town.drop(5_000)

    with living(town, 0) as first:
        first.until("load.acked")
        first.process.send_signal(signal.SIGSTOP)
        with living(town, 1, "--once") as second:
            refused = second.wait()
        first.process.send_signal(signal.SIGCONT)
        first.until("load.acked", times=20)
        stopped = first.end(signal.SIGTERM, seconds=30)
    finish(town, 2)

    assert (refused, stopped) == (2, 0)
    assert "a hub is already running in" in second.told()
    assert second.steps() == []
    check(town, police)
