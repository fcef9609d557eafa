"""Metrics for Prometheus: counters that hear facts, gauges read from a snapshot. Labels come from closed sets only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.contracts.batch import FATE_WORDS
from hub.contracts.observer import Fact
from hub.contracts.share import WITHHELD
from monitoring.balance import imbalance
from monitoring.view import FEED_STATES, ROLES, SILENT_S, Snapshot

disable_created_metrics()  # type: ignore[no-untyped-call]  # the start of the process says it for all of them

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PLACES = 5_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LEASES = {"collect": "feed", "load": "load", "share": "offer", "deliver": "share"}
_WORD = re.compile(r"[a-z][a-z_]{0,39}")
_RECORD_WORDS = frozenset(("read", *FATE_WORDS))
_FATES = {word: word for word in ("read", *FATE_WORDS)}
# Facts that call their records otherwise: key in the fact -> word of the label.
_COUNTED = {"settled": {"read": "read", "refused": "rejected"}, "delivered": {"records": "delivered", "withheld": "withheld"}, "dead": {"records": "dead"}}


class Metrics:
    """A registry of its own, a listener for facts, and gauges of what `snapshot` returns when Prometheus asks.

    `snapshot` must be quick and hold the last known status (see `View.status`); an empty mapping gives no gauges.
    """

    def __init__(self, snapshot: Callable[[], Snapshot] = dict) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._facts = Counter("credit_hub_facts", "Facts told by the hub since it started.", ["what", "where"], registry=self.registry)
        self._records = Counter("credit_hub_records", "Records counted by facts since the hub started.", ["where", "fate"], registry=self.registry)
        self._places: set[str] = set()
        self.registry.register(_Gauges(snapshot))
        ProcessCollector(registry=self.registry)

    def __call__(self, fact: Fact) -> None:
        """Count one fact."""
        where = self._place(fact.where)
        self._facts.labels(fact.what if _WORD.fullmatch(fact.what) else "other", where).inc()
        if fact.facts.get("seen"):
            return  # counted when it happened
        for key, word in _COUNTED.get(fact.what, _FATES).items():
            number = fact.facts.get(key)
            if isinstance(number, int) and number > 0:
                self._records.labels(where, word).inc(number)

    def _place(self, where: str) -> str:
        """The name without its kind (`feed:`). Names come from configuration; what does not look like one, and any flood of them, is `other`."""
        where = where.rpartition(":")[2]
        if where in self._places:
            return where
        if not _NAME.fullmatch(where) or len(self._places) >= PLACES:
            return "other"
        self._places.add(where)
        return where

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class _Gauges(Collector):
    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        status = self._snapshot()
        yield from _feeds(status.get("feeds", ()))
        yield from _shares(status.get("shares", ()))
        yield from _queues(status.get("queues", ()))
        yield from _nodes(status.get("nodes", ()), status.get("version", ""))
        yield GaugeMetricFamily("credit_hub_decisions_waiting", "Things that wait for a person.", value=len(status.get("decisions", ())))
        if (proof := status.get("reconciliation")) is not None:
            yield GaugeMetricFamily("credit_hub_reconciliation_balanced", "1 when the last reconciliation held, else 0.", value=int(proof["balanced"]))


def _feeds(feeds: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    state = GaugeMetricFamily("credit_hub_feed_state", "1 for the state that the feed is in.", labels=["feed", "state"])
    records = GaugeMetricFamily("credit_hub_feed_last_run_records", "Records of the feed's last run by fate.", labels=["feed", "fate"])
    overdue = GaugeMetricFamily("credit_hub_feed_overdue", "1 where nothing came in a period in which the item has to be reported, else 0.", labels=["feed"])
    late = GaugeMetricFamily("credit_hub_feed_late_records", "New records that came after their deadline.", labels=["feed"])
    missing = GaugeMetricFamily("credit_hub_feed_imbalance_records", "Records of the last run that the ledger cannot place; must be 0.", labels=["feed"])
    for feed in feeds:
        for word in FEED_STATES:
            state.add_metric([feed["feed"], word], int(feed["state"] == word))
        counts = (feed.get("last_run") or {}).get("counts") or {}
        for word, number in counts.items():
            if word in _RECORD_WORDS or word == "in_flight":
                records.add_metric([feed["feed"], word], number)
        if counts:
            missing.add_metric([feed["feed"]], imbalance(counts))
        overdue.add_metric([feed["feed"]], int(feed.get("reporting") == "overdue"))
        late.add_metric([feed["feed"]], feed.get("late", 0))
    yield from (state, records, overdue, late, missing)


def _shares(shares: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    delivered = GaugeMetricFamily("credit_hub_share_delivered_records", "Records delivered to the share's receiver.", labels=["share"])
    withheld = GaugeMetricFamily("credit_hub_share_withheld_records", "Records withheld from the receiver, by reason.", labels=["share", "reason"])
    waiting = GaugeMetricFamily("credit_hub_share_waiting_deliveries", "Deliveries not yet made.", labels=["share"])
    dead = GaugeMetricFamily("credit_hub_share_dead_deliveries", "Deliveries given up.", labels=["share"])
    for share in shares:
        delivered.add_metric([share["share"]], share["delivered"])
        waiting.add_metric([share["share"]], share["waiting"])
        dead.add_metric([share["share"]], share["dead"])
        for reason, number in share["withheld"].items():
            if reason in WITHHELD:
                withheld.add_metric([share["share"], reason], number)
    yield from (delivered, withheld, waiting, dead)


def _queues(queues: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    ready = GaugeMetricFamily("credit_hub_queue_ready_messages", "Messages that wait in the queue.", labels=["queue"])
    unacked = GaugeMetricFamily("credit_hub_queue_unacked_messages", "Messages handed out and not yet acknowledged.", labels=["queue"])
    oldest = GaugeMetricFamily("credit_hub_queue_oldest_seconds", "Age of the oldest message.", labels=["queue"])
    for queue in queues:
        ready.add_metric([queue["queue"]], queue["ready"])
        unacked.add_metric([queue["queue"]], queue["unacked"])
        if queue.get("oldest_s") is not None:
            oldest.add_metric([queue["queue"]], queue["oldest_s"])
    yield from (ready, unacked, oldest)


def _nodes(nodes: Sequence[Mapping[str, Any]], version: str) -> Iterator[Metric]:
    """Counted by role: names of nodes come and go with machines, roles do not."""
    if not nodes:
        return
    alive = GaugeMetricFamily("credit_hub_node_count", "Nodes that were heard of lately, by role.", labels=["role"])
    holds = GaugeMetricFamily("credit_hub_node_leases", "Feeds, items and shares that nodes hold, by role.", labels=["role"])
    kinds = [name.partition(":")[0] for node in nodes for name in node["holds"]]
    for role in ROLES:
        alive.add_metric([role], sum(role in node["roles"] for node in nodes))
    for role, kind in _LEASES.items():
        holds.add_metric([role], kinds.count(kind))
    yield from (alive, holds)
    silent = sum(node["silent_s"] > SILENT_S for node in nodes)
    yield GaugeMetricFamily("credit_hub_node_silent", "Nodes that are silent and not yet given up.", value=silent)
    other = sum(node["version"] != version for node in nodes)
    yield GaugeMetricFamily("credit_hub_node_other_configuration", "Nodes that run another configuration than this one.", value=other)
