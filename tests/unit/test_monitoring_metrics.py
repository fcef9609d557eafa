"""Metrics: what Prometheus reads, and what must never become a label."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from hub.contracts.observer import Observer
from monitoring.metrics import PLACES, Metrics
from tests.acceptance.sample_view import busy_city, empty_city


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, frozenset(labels.items())]


def test_records_are_counted_from_facts() -> None:
    metrics = Metrics()
    observer = Observer(metrics)

    observer.tell("settled", "A0030.penalty", read=100, refused=4)
    observer.tell("settled", "A0030.penalty", read=50, refused=1)

    assert value(metrics, "credit_hub_records_total", where="A0030.penalty", fate="read") == 150
    assert value(metrics, "credit_hub_records_total", where="A0030.penalty", fate="rejected") == 5
    assert value(metrics, "credit_hub_facts_total", where="A0030.penalty", what="settled") == 2


def test_a_batch_that_was_seen_before_is_not_counted_again() -> None:
    metrics = Metrics()
    observer = Observer(metrics)

    observer.tell("loaded", "A0030-F06-01", seen=False, inserted=7, rejected=1)
    observer.tell("loaded", "A0030-F06-01", seen=True, inserted=7, rejected=1)

    assert value(metrics, "credit_hub_records_total", where="A0030-F06-01", fate="inserted") == 7


def test_deliveries_count_what_left_and_what_stayed() -> None:
    metrics = Metrics()
    observer = Observer(metrics)

    observer.tell("delivered", "A0030.penalties-to-court", item="A0030-F06-01", records=40, withheld=2)

    assert value(metrics, "credit_hub_records_total", where="A0030.penalties-to-court", fate="delivered") == 40
    assert value(metrics, "credit_hub_records_total", where="A0030.penalties-to-court", fate="withheld") == 2


def test_a_feed_has_one_name_whoever_tells_of_it() -> None:
    metrics = Metrics()
    observer = Observer(metrics)

    observer.tell("stumbled", "feed:A0030.penalty")
    observer.tell("stumbled", "A0030.penalty")

    assert value(metrics, "credit_hub_facts_total", where="A0030.penalty", what="stumbled") == 2


def test_a_file_name_or_a_person_never_becomes_a_label() -> None:
    metrics = Metrics()
    observer = Observer(metrics)

    observer.tell("stumbled", "out/张三 320581199003071234.csv", reason="张三", name="张三")
    observer.tell("some sentence with 张三", "A0030.penalty")

    text = metrics.text().decode()
    assert "张三" not in text
    assert "320581199003071234" not in text
    assert value(metrics, "credit_hub_facts_total", where="other", what="stumbled") == 1
    assert value(metrics, "credit_hub_facts_total", where="A0030.penalty", what="other") == 1


def test_a_flood_of_names_is_bounded() -> None:
    metrics = Metrics()
    observer = Observer(metrics)

    for number in range(PLACES + 10):
        observer.tell("settled", f"feed-{number}")

    assert value(metrics, "credit_hub_facts_total", where="other", what="settled") == 10


def test_gauges_show_the_status() -> None:
    metrics = Metrics(busy_city)

    assert value(metrics, "credit_hub_feed_state", feed="A0030.penalty", state="held") == 1
    assert value(metrics, "credit_hub_feed_state", feed="A0030.penalty", state="idle") == 0
    assert value(metrics, "credit_hub_feed_imbalance_records", feed="A0041.wages") == 3
    assert value(metrics, "credit_hub_feed_imbalance_records", feed="A0030.licence") == 0
    assert value(metrics, "credit_hub_share_withheld_records", share="A0030.penalties-to-court", reason="disputed") == 3
    assert value(metrics, "credit_hub_queue_oldest_seconds", queue="share.A0022.register-to-water") == 754
    assert value(metrics, "credit_hub_decisions_waiting") == 2
    assert value(metrics, "credit_hub_reconciliation_balanced") == 1


def test_counters_end_in_total_and_gauges_do_not() -> None:
    metrics = Metrics(busy_city)
    Observer(metrics).tell("settled", "A0030.penalty", read=1)

    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name


def test_an_empty_hub_has_metrics_too() -> None:
    metrics = Metrics(empty_city)

    assert value(metrics, "credit_hub_decisions_waiting") == 0
