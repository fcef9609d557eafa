"""Named places where a test may end the process. Without the test's two switches nothing is registered and `failpoint` does nothing."""

from __future__ import annotations

import os
import signal
from collections import Counter

_hits: Counter[str] = Counter()
_armed: dict[str, int] = {}
_trace = ""


def arm() -> None:
    """Read `HUB_FAILPOINTS` (`name:kill@n,…`) and `HUB_FAILPOINT_TRACE` (a file that gets the name of each place reached).

    Both need `HUB_TESTING=1`; anything else leaves the product without failpoints.
    """
    global _trace
    if os.environ.get("HUB_TESTING") != "1":
        return
    _trace = os.environ.get("HUB_FAILPOINT_TRACE", "")
    for entry in filter(None, os.environ.get("HUB_FAILPOINTS", "").split(",")):
        name, _, rest = entry.partition(":kill@")
        _armed[name] = int(rest or 1)


def failpoint(name: str) -> None:
    """A step of the promise, by name: `collect.opened`. A no-op in service."""
    if not _armed and not _trace:
        return
    _hits[name] += 1
    if _trace:
        with open(_trace, "a", encoding="ascii") as file:
            file.write(name + "\n")
    if _hits[name] == _armed.get(name):
        os.kill(os.getpid(), signal.SIGKILL)
