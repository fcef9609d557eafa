"""Health: alive means the loop, ready means that data can be kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from monitoring.balance import imbalance, terms
from monitoring.health import STALE_AFTER_S, Heartbeat, live_report, ready_report, room_left


def test_a_loop_that_stopped_beating_is_not_alive() -> None:
    now = [100.0]
    heartbeat = Heartbeat(lambda: now[0])

    now[0] += STALE_AFTER_S + 1
    status, body = live_report(heartbeat)

    assert (status, body["live"]) == (503, False)


async def test_a_running_loop_beats() -> None:
    now = [100.0]
    heartbeat = Heartbeat(lambda: now[0])

    async with heartbeat.beating(every_s=0.001):
        now[0] += STALE_AFTER_S + 1
        async with asyncio.timeout(10):
            while not heartbeat.alive:
                await asyncio.sleep(0.001)

    assert live_report(heartbeat)[0] == 200


@pytest.mark.parametrize(
    ("checks", "status"),
    [({"state": True, "broker": True}, 200), ({"state": True, "broker": False}, 503), ({"state": True, "broker": "connection refused"}, 503), ({}, 503)],
)
def test_ready_means_that_everything_works(checks: dict[str, bool | str], status: int) -> None:
    assert ready_report(checks)[0] == status


def test_a_disk_below_its_watermark_says_so(tmp_path: Path) -> None:
    assert room_left(tmp_path, watermark=1) is True
    assert "at least" in str(room_left(tmp_path, watermark=1 << 60))
    assert "cannot be looked at" in str(room_left(tmp_path / "missing"))


def test_the_equation_names_what_is_missing() -> None:
    counts = {"read": 10, "rejected": 1, "inserted": 6, "in_flight": 2}

    assert imbalance(counts) == 1
    assert terms(counts) == [("rejected", 1), ("inserted", 6), ("in_flight", 2)]
