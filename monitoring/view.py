"""What the console and the metrics may look at. The composition of the running hub implements it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

FEED_STATES = ("idle", "running", "loading", "held", "stopped", "paused")
ROLES = ("collect", "load", "share", "deliver", "gateway", "console")
SILENT_S = 5.0
"""Seconds without a beat, of one each 2 s, after which a node is shown as silent."""
SHARE_STATES = ("idle", "delivering", "waiting", "stopped", "paused")


class View(Protocol):
    """A read-only look at one hub. Raises `Unavailable` when the state cannot be read."""

    async def status(self) -> dict[str, Any]:
        """The face of `run_hub.py status --format json`, and what only the console needs.

        `feeds`: `{feed, item, state, last_run: {state, counts, at?} | None, next}`, with `item_name` and `agency` where known; counts are of records.
        `shares`: `{share, to, state, delivered, withheld: {reason: n}, waiting, dead}`; records, but `waiting` and `dead` are deliveries.
        `queues`: `{queue, ready, unacked, oldest_s}`; messages and seconds.
        `agencies`: `{code, name}`.
        `nodes`: `{node, roles, address, version, silent_s, holds}` of each process that shares the hub; empty where it is one. `holds` are names of leases.
        `decisions`: `{feed or share, run?, reason, verb}`; `verb` is one word or several with `|` between ("release|refuse").
        `reconciliation`: the face of `run_hub.py reconcile --format json` with `at`, or None before the first.
        `city`, `version`: name of the city and version of its configuration, optional.
        """

    async def ready(self) -> dict[str, bool | str]:
        """Each thing needed to accept data durably: True where it works, otherwise False or the reason in words."""

    def metrics(self) -> bytes:
        """Prometheus text."""


Snapshot = Mapping[str, Any]
