"""The share and deliver legs die at every named step; the receiver gets everything, and knows a repeat by its delivery id."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.integration.receiver import Receiver
from tests.integration.sharing_city import ITEM, SHARE, SharingCity

ROOT = Path(__file__).parents[2]
RECORDS = 1_200  # three parcels


async def run_child(home: Path, url: str, failpoint: str = "") -> int:
    """Run the legs in another process, killed at `failpoint` if one is given; answers with its exit status."""
    env = os.environ | {"HUB_TESTING": "1", "HUB_FAILPOINTS": failpoint, "PYTHONPATH": str(ROOT)}
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.integration.sharing_child", str(home), url, env=env, cwd=ROOT)
    try:
        return await asyncio.wait_for(child.wait(), 60)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


@pytest.mark.parametrize(
    ("step", "calls"),
    [
        ("share.published:kill@1", 3),
        ("share.advanced:kill@1", 3),
        ("deliver.begun:kill@2", 3),
        ("deliver.handed_over:kill@2", 4),
        ("deliver.recorded:kill@2", 3),
        ("deliver.acked:kill@1", 3),
    ],
)
async def test_death_at_any_step_loses_nothing_and_repeats_only_what_was_on_its_way(tmp_path: Path, step: str, calls: int) -> None:
    async with SharingCity(tmp_path) as city:
        await city.changed(range(RECORDS))

    async with Receiver() as receiver:
        died = await run_child(tmp_path, receiver.url, step)
        lived = await run_child(tmp_path, receiver.url)

    assert (died, lived) == (-signal.SIGKILL, 0)
    bodies = {call.delivery_id: call.event for call in receiver.calls}
    assert (len(receiver.calls), len(bodies)) == (calls, 3)
    assert sorted(event["sequence"] for event in bodies.values()) == ["1", "2", "3"]
    assert len({record["record_id"] for event in bodies.values() for record in event["data"]["records"]}) == RECORDS
    async with SharingCity(tmp_path) as city:
        assert (await city.deliveries.balance(SHARE.name))[ITEM.code] == dict.fromkeys(("offered", "delivered", "recorded"), RECORDS) | dict.fromkeys(
            ("withheld", "dead", "waiting"), 0
        )
