"""How hard the fault tests try, and the chance that they try with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random, SystemRandom

import pytest

from tests.faults.police import Police

LONG = os.environ.get("CREDIT_HUB_FAULTS") == "long"


@dataclass(frozen=True)
class Effort:
    """How many processes are killed: a short history in the suite, a long one in `make faults`."""

    hub_on_embedded: int = 60 if LONG else 14
    hub_on_rabbit: int = 20 if LONG else 4
    rabbit: int = 10 if LONG else 3
    database: int = 12 if LONG else 1
    pull: int = 40 if LONG else 2


@pytest.fixture
def effort() -> Effort:
    """Numbers of kills."""
    return Effort()


@pytest.fixture
def seed() -> int:
    """A new one each time; CREDIT_HUB_SEED repeats the files and the moments of a failed run."""
    chosen = int(os.environ.get("CREDIT_HUB_SEED") or SystemRandom().randrange(10**6))
    print(f"\nCREDIT_HUB_SEED={chosen}")
    return chosen


@pytest.fixture
def chance(seed: int) -> Random:
    """Decides when to kill."""
    return Random(seed)


@pytest.fixture
def police() -> Iterator[Police]:
    """A receiver of deliveries that outlives the hub."""
    with Police() as receiver:
        yield receiver
