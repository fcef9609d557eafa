"""What is late and what never arrived, as an operator sees it."""

from __future__ import annotations

import contextlib
import sqlite3

from tests.city.command import Hub, command, firm_row
from tests.city.configuration import agency_yaml


def timed(hub: Hub, when: str, *, frequency: str = "每日") -> None:
    """The firms' feed reports so often, and wakes so."""
    text = agency_yaml().replace(
        'read: {from: firms, files: "*.csv", ready: {marker: .ok}}', f'read: {{from: firms, files: "*.csv", ready: {{marker: .ok}}}}\n    when: {when}', 1
    )
    (hub.config / "agencies/A0001.yaml").write_text(text)
    item = hub.config / "catalogue/A0001-F08-01.yaml"
    item.write_text(item.read_text().replace("kind: 表彰", f"kind: 表彰\nfrequency: {frequency}"))


def firms(hub: Hub) -> dict[str, object]:
    """What `status` says of the firms' feed."""
    return next(feed for feed in hub.ask("status")["feeds"] if feed["feed"] == "A0001.firms")


def aged(hub: Hub, key: str, moment: str) -> None:
    """Let a note of the feed be as old as that."""
    with contextlib.closing(sqlite3.connect(hub.home / "hub.sqlite")) as state, state:
        assert state.execute("UPDATE feed_note SET at = ? WHERE feed = 'A0001.firms' AND key = ?", (moment, key)).rowcount == 1


def test_a_feed_that_never_reported_is_overdue_once_a_whole_period_has_passed(hub: Hub) -> None:
    timed(hub, "{due: 7 workdays}", frequency="每月")
    hub.once()
    new = firms(hub)
    aged(hub, "known", "2026-01-10T08:00:00.000+08:00")

    old, shown = firms(hub), hub("status").out.replace("\n", " ")

    assert (new["reporting"], old["reporting"], old["overdue_since"], old["last_report"]) == ("waiting", "overdue", "2026-03-01T00:00", None)
    assert "A0001.firms is overdue" in shown


def test_an_arrival_settles_the_period_even_one_that_holds_nothing_new(hub: Hub) -> None:
    timed(hub, "{due: 7 workdays}", frequency="每月")
    hub.drop("firms", "a.csv", [firm_row(1)])
    hub.once()
    aged(hub, "known", "2020-01-10T08:00:00.000+08:00")
    aged(hub, "heard", "2026-01-10T08:00:00.000+08:00")
    before = firms(hub)["reporting"]
    hub.drop("firms", "b.csv", [firm_row(1)])

    hub.once()

    assert (before, firms(hub)["reporting"]) == ("overdue", "reported")


def test_new_records_after_their_deadline_are_counted_once(hub: Hub) -> None:
    timed(hub, "{due: 7 workdays after decision_date}")
    old, young = firm_row(1, day="2026-03-02"), firm_row(2, day="2099-01-01")
    hub.drop("firms", "a.csv", [old, firm_row(3, day="2026-03-03")])
    hub.once()
    hub.drop("firms", "b.csv", [old, firm_row(3, day="2026-03-03"), firm_row(4, day="2026-03-04"), young])

    hub.once()

    assert firms(hub)["late"] == 3
    assert "3 new records came after their deadline" in hub("status").out.replace("\n", " ")


def test_metrics_tell_overdue_feeds_and_late_records(hub: Hub) -> None:
    timed(hub, "{due: 1 workday}", frequency="每月")
    hub.drop("firms", "a.csv", [firm_row(1, day="2026-03-02")])
    hub.once()
    aged(hub, "known", "2020-01-10T08:00:00.000+08:00")
    aged(hub, "heard", "2026-01-10T08:00:00.000+08:00")

    with hub.running() as running:
        running.get("/")
        _, text = running.get("/metrics")
        _, page = running.get("/")

    assert 'credit_hub_feed_overdue{feed="A0001.firms"} 1.0' in text
    assert 'credit_hub_feed_late_records{feed="A0001.firms"} 1.0' in text
    assert "超时未报" in page or "overdue" in page


def test_a_feed_in_its_quiet_window_begins_nothing_until_a_person_asks(hub: Hub) -> None:
    timed(hub, '{every: 1s, quiet: ["00:00-12:00", "12:00-24:00"]}')
    hub.drop("firms", "a.csv", [firm_row(1)])

    with hub.running() as running:
        hub("status")
        hub("status")
        before = running.events("settled")
        hub("feed", "collect", "A0001.firms", "--because", "急件")
        from tests.servers import wait_until

        wait_until(lambda: running.events("loaded") != [], 30, "the feed is read and loaded")

    assert before == []
    assert hub.counts() == {"read": 1, "inserted": 1}


def test_a_deadline_needs_a_date_to_count_from(hub: Hub) -> None:
    timed(hub, "{due: 7 workdays after org_name}")

    answer = command("lint", "--config", str(hub.config))

    assert answer.code == 1
    assert "has no date field org_name" in answer.out + answer.err
    assert "7 workdays after decision_date" in answer.out + answer.err


def test_a_year_has_only_days_that_there_are(hub: Hub) -> None:
    (hub.config / "calendar.yaml").write_text("years:\n  2027:\n    holidays: [10-01..10-07, 02-30]\n")

    answer = command("lint", "--config", str(hub.config))

    assert answer.code == 1
    assert "calendar.yaml:3" in answer.out + answer.err
