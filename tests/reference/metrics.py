"""The page of metrics: names, labels and the words that labels may have."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from hub.contracts.batch import FATE_WORDS
from hub.contracts.observer import Fact
from hub.contracts.share import WITHHELD
from monitoring.metrics import Metrics
from monitoring.view import FEED_STATES, ROLES, Snapshot
from tests.reference.markdown import code, codes, document, table
from tests.reference.words import FACTS

_INTRODUCTION = """\
`/metrics` answers in Prometheus' text format. Names and labels never hold anything of a record, a person or a file: labels are names from the configuration, or words of the lists below.

Counters (`_total`) start at 0 with the process and count activity. Gauges show the last known status, at most a few seconds old. The ledger, not the metrics, is the account.
[Running the hub](../operations/running.md#metrics-worth-an-alarm) says which of them deserve an alarm."""

_LABELS = (
    ("`feed`, `share`, `queue`", "a name from the configuration, such as `A0030.penalty`, or a queue that is named after one"),
    ("`where`", "a feed, an item or a share; `other` for what is none of them"),
    ("`what`", "a fact, see below"),
    ("`state`", codes(FEED_STATES)),
    ("`fate` of `credit_hub_records_total`", codes(("read", *FATE_WORDS, "delivered", "withheld", "dead"))),
    ("`fate` of `credit_hub_feed_last_run_records`", codes(("read", *FATE_WORDS, "in_flight"))),
    ("`reason`", codes(WITHHELD)),
    ("`role`", codes(ROLES)),
)


def page() -> str:
    """Every metric that the hub answers with."""
    found = list(families())
    own = [family for family in found if family.name.startswith("credit_hub_")]
    process = [family for family in found if family not in own]
    facts = table(("fact", "told when"), [(code(word), meaning) for word, meaning in FACTS.items()])
    return document(
        "Metrics",
        _INTRODUCTION,
        "## The hub",
        table(("metric", "type", "labels", "meaning"), map(_row, own)),
        "## The process",
        table(("metric", "type", "labels", "meaning"), map(_row, process)),
        "## Labels",
        table(("label", "values"), _LABELS),
        "## Facts",
        "What the hub tells its listeners: the log has a line for each, with the counts and codes that belong to it.",
        facts,
    )


def families() -> Iterator[Metric]:
    """Every family, each with a sample, of a hub in which everything has happened once."""
    metrics = Metrics(lambda: _SEEN)
    metrics(Fact("settled", "A0030.penalty", {"read": 1}))
    yield from metrics.registry.collect()


def _row(family: Metric) -> tuple[str, str, str, str]:
    sample = family.samples[0]
    return code(sample.name), family.type, codes(sample.labels), family.documentation


_SEEN: Snapshot = {
    "feeds": [{"feed": "A0030.penalty", "state": "idle", "last_run": {"counts": {"read": 1, "inserted": 1}}}],
    "shares": [{"share": "A0030.penalties-to-court", "delivered": 1, "waiting": 0, "dead": 0, "withheld": {"level": 1}}],
    "queues": [{"queue": "intake.A0030-F06-01", "ready": 0, "unacked": 0, "oldest_s": 0}],
    "decisions": [],
    "reconciliation": {"balanced": True},
    "nodes": [{"node": "load-1", "roles": ["load"], "holds": ["load:A0030-F06-01"], "silent_s": 0.1, "version": ""}],
}
