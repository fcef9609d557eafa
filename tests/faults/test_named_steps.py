"""The hub dies right after each named step of the promise, once; the next life finishes the work."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.faults.life import ROOT, finish, living
from tests.faults.police import Police
from tests.faults.town import Town
from tests.faults.verdict import check
from tests.servers import requires

pytestmark = pytest.mark.faults

STEPS = sorted(
    {name for folder in ("hub", "routes") for path in (ROOT / folder).glob("*.py") for name in re.findall(r'failpoint\("([a-z._]+)"\)', path.read_text())}
)
LEGS = sorted({step.partition(".")[0] for step in STEPS})
ROWS = 1_000  # two batches at each of the two desks


def test_every_step_from_the_file_to_the_receipt_has_a_name() -> None:
    assert LEGS == ["answer", "collect", "deliver", "intake", "load", "share"]
    assert len(STEPS) >= 16


@pytest.mark.parametrize("leg", LEGS)
def test_death_right_after_each_step_of_a_leg_is_made_good_by_the_lives_that_follow(tmp_path: Path, police: Police, leg: str) -> None:
    steps = [step for step in STEPS if step.startswith(f"{leg}.")]
    town = Town(tmp_path, police.url, seed=len(leg))
    died: list[tuple[int, str, int]] = []

    for number, step in enumerate(steps):
        town.drop(ROWS)
        with living(town, number, "--once", failpoints=f"{step}:kill@2") as life:
            status = life.wait()
            died.append((status, life.steps()[-1], life.steps().count(step)))
    finish(town, len(steps))

    assert died == [(-signal.SIGKILL, step, 2) for step in steps]
    check(town, police)


def test_death_between_the_renames_of_a_claim_is_made_good_by_the_lives_that_follow(tmp_path: Path, police: Police) -> None:
    requires("strace", "it ends the hub at a system call")
    town = Town(tmp_path, police.url, seed=5)
    died: list[int] = []

    # The first rename of a new home is its key ring's; then each thread's second and third: the data file and its marker.
    for number, which in enumerate((1, 2, 3)):
        town.drop(ROWS)
        calls = "rename,renameat,renameat2"
        strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={which}"]
        with living(town, number, "--once", under=strace) as life:
            died.append(life.wait())
    finish(town, len(died))

    assert died == [-signal.SIGKILL] * 3
    check(town, police)
