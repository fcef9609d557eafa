"""A hub that stays: decisions reach it, its configuration changes under it, and things around it fail and come back."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.city.command import Hub, firm_row, person_row
from tests.city.configuration import agency_yaml, hub_yaml
from tests.city.identities import firm
from tests.servers import RabbitServer, wait_until


def stored(hub: Hub) -> int:
    return int(hub.sql("ent", "SELECT count(*) FROM a0001_f08_01")[0][0])


def test_a_running_hub_takes_files_decisions_and_configurations(hub: Hub) -> None:
    agency = hub.config / "agencies/A0001.yaml"
    with hub.running() as running:
        hub.drop("firms", "a.csv", [firm_row(1), firm_row(2)])
        wait_until(lambda: stored(hub) == 2, 60, "a file is stored")

        paused = hub("feed", "pause", "A0001.firms", "--because", "升级")
        hub.drop("firms", "b.csv", [firm_row(3)])
        second = hub("run", "--once")
        status = hub.ask("status")
        resumed = hub("feed", "resume", "A0001.firms", "--because", "完成")
        wait_until(lambda: stored(hub) == 3, 60, "a resumed feed reads what waited")

        good = agency.read_text()
        agency.write_text(good.replace("feeds:", "feeds:\n  broken: {item: nothing"))
        wait_until(lambda: running.events("config_refused") != [], 60, "a bad configuration is refused")
        hub.drop("firms", "c.csv", [firm_row(4)])
        wait_until(lambda: stored(hub) == 4, 60, "the old configuration goes on")

        more = "  more:\n    item: A0001-F08-01\n    read: {from: more, files: '*.csv', ready: {marker: .ok}}\n"
        agency.write_text(good.replace("  persons: {folder", "  more: {folder: {path: in/more}}\n  persons: {folder").replace("shares:", more + "\nshares:"))
        wait_until(lambda: running.events("config_taken") != [], 60, "a good configuration is taken")
        hub.drop("more", "d.csv", "统一社会信用代码,企业名称,荣誉名称\n" + f"{firm(5)},新来源,守合同\n")
        wait_until(lambda: stored(hub) == 5, 60, "a new feed works without a restart")

        page, pages = running.get("/"), {path: running.get(path)[0] for path in ("/livez", "/readyz", "/metrics")}
        chinese = running.get("/?lang=zh-CN")[1]
        proof = hub.ask("reconcile")
    code = running.stop()

    assert (paused.code, second.code, resumed.code, code) == (0, 2, 0, 0)
    assert "already running" in second.err
    assert next(f for f in status["feeds"] if f["feed"] == "A0001.firms")["state"] == "paused"
    assert running.events("config_refused")[0]["reasons"]
    assert (page[0], pages) == (200, {"/livez": 200, "/readyz": 200, "/metrics": 200})
    assert "A0001.firms" in page[1]
    assert "示例市" in chinese
    assert proof["balanced"], proof


def test_a_store_that_another_program_locks_is_waited_for(hub: Hub) -> None:
    with hub.running() as running:
        hub.drop("firms", "a.csv", [firm_row(1)])
        wait_until(lambda: stored(hub) == 1, 60, "a file is stored")
        with contextlib.closing(sqlite3.connect(hub.home / "stores/ent.sqlite")) as other:
            other.execute("BEGIN EXCLUSIVE")
            hub.drop("firms", "b.csv", [firm_row(2), firm_row(3)])
            wait_until(lambda: len(running.events("settled")) == 2, 60, "collecting goes on meanwhile")
            time.sleep(2)  # longer than any hurried writer would wait
            other.rollback()
        wait_until(lambda: stored(hub) == 3, 90, "the load goes on by itself")
        counts = hub.counts()

    assert counts == {"read": 3, "inserted": 3}
    assert running.events("stopped") == []


@pytest.fixture
def small_landing(hub: Hub) -> Iterator[Path]:
    """A landing of one mebibyte, as root may mount it."""
    place = hub.home / "landing"
    place.mkdir(parents=True)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_while_landing_is_waited_for_and_nothing_is_lost(hub: Hub, small_landing: Path) -> None:
    (hub.config / "agencies/A0001.yaml").write_text(agency_yaml(shares=""))
    noise = os.urandom(2_000_000).hex()
    rows = [firm_row(n, noise[n * 200 : n * 200 + 199]) for n in range(20_000)]
    hub.drop("firms", "large.csv", rows)

    full = hub.once()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_landing)], check=True)
    roomy = hub.once()

    assert full.code == 1
    assert "landing cannot take" in full.err
    assert roomy.code == 0, roomy.err
    assert hub.counts() == {"read": 20_000, "inserted": 20_000}


@pytest.mark.server
def test_moving_to_rabbitmq_is_one_line_and_it_may_go_away_and_return(hub: Hub, rabbit: RabbitServer) -> None:
    hub.drop("firms", "a.csv", [firm_row(1)])
    embedded = hub.once()
    address = rabbit.url.replace("guest:guest", "guest:${env:MQ_PASSWORD}")
    (hub.config / "hub.yaml").write_text(hub_yaml(broker=address))

    with hub.running(MQ_PASSWORD="guest") as running:
        hub.drop("firms", "b.csv", [firm_row(2)])
        wait_until(lambda: stored(hub) == 2, 60, "batches travel through RabbitMQ")
        rabbit.kill()
        hub.drop("firms", "c.csv", [firm_row(3)])
        wait_until(lambda: running.events("stumbled") != [], 60, "the hub notices")
        alive = running.process.poll() is None
        rabbit.start()
        wait_until(lambda: stored(hub) == 3, 120, "the hub goes on by itself")
        hub.drop("persons", "a.csv", [person_row(1)])
        wait_until(lambda: hub.sql("psn", "SELECT count(*) FROM a0001_z06_01") == [(1,)], 60, "every item goes on")
        counts = hub.counts()
        waiting = hub.ask("queue", "list")

    assert embedded.code == 0
    assert alive
    assert counts == {"read": 4, "inserted": 4}
    assert {q["queue"] for q in waiting} >= {"intake.A0001-F08-01", "share.A0001.firms-to-court"}
    assert "guest" not in hub.home.parent.joinpath("log.jsonl").read_text().replace("guest:", "")


def test_a_home_whose_path_is_too_long_for_a_socket_is_named_at_once(hub: Hub) -> None:
    hub.home = hub.home.parent / ("深" * 20) / ("x" * 90)

    answer = hub.once()

    assert answer.code == 2
    assert "too long" in answer.err
    assert "--home" in answer.err


def test_quarantine_and_preview_work_while_the_hub_runs(hub: Hub) -> None:
    (hub.config / "agencies/A0001.yaml").write_text(agency_yaml(rejected="5%"))
    with hub.running():
        hub.drop("firms", "a.csv", [firm_row(1), firm_row(2, code="91320581MA0000A19X")])
        wait_until(lambda: hub.ask("status")["feeds"][0]["state"] == "held", 60, "the run is held")
        preview = hub("preview", "A0001.firms")
        released = hub("feed", "release", "A0001.firms", "--because", "核实")
        wait_until(lambda: hub.ask("quarantine", "list") != [], 60, "the wrong row is set aside")
        (row,) = hub.ask("quarantine", "list")
        retried = hub("quarantine", "retry", str(row["id"]), "--set", f"统一社会信用代码={firm(2)}", "--because", "电话核实")
        wait_until(lambda: stored(hub) == 2, 60, "the corrected row is stored")
        proof = hub.ask("reconcile")

    assert [a.code for a in (preview, released, retried)] == [0, 0, 0]
    assert (proof["balanced"], proof["reentered"]) == (True, 1)
