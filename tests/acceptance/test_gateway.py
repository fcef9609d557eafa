"""An agency calls a hub that runs as a process: it submits, polls, and finds its rows in the store; a death in between takes nothing back."""

from __future__ import annotations

import asyncio
import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from config.loader import load
from routes.city import City
from routes.gateway import keys
from tests.city.command import FIRM_HEADING, Hub, Running, command, firm_row
from tests.city.configuration import hub_yaml
from tests.servers import wait_until

_AGENCY = """\
agency: {code: A0001, name: 工商局}
sources:
  api: {gateway: {rate: 600/m}}
feeds:
  firms:
    item: A0001-F08-01
    read: {from: api}
"""
_PATH = "/v1/items/A0001-F08-01/batches"


def call(running: Running, path: str, key: str, body: bytes | None = None, idempotency: str = "") -> tuple[int, dict[str, Any]]:
    """One request with the standard library alone."""
    base = running.events("listening")[-1]["address"].rstrip("/")
    headers = {"Authorization": f"Bearer {key}"} | ({"Content-Type": "text/csv", "Idempotency-Key": idempotency} if body is not None else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(base + path, data=body, headers=headers), timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


async def made_key(hub: Hub) -> str:
    """A key for the agency, made while no hub runs."""
    city = City(hub.home, load(hub.config))
    await city.open()
    try:
        return (await keys(city).add("A0001"))["key"]
    finally:
        await city.close()


def rows(*numbers: int) -> bytes:
    return "\n".join([FIRM_HEADING, *(firm_row(number) for number in numbers), ""]).encode()


def test_what_was_answered_for_is_stored_whatever_dies(tmp_path: Path) -> None:
    hub = Hub(tmp_path, hub=hub_yaml() + 'gateway: {listen: "127.0.0.1:0"}\n', agency=_AGENCY)
    key = asyncio.run(made_key(hub))

    with hub.running() as running:
        wait_until(lambda: running.events("listening") != [], 60, "the gateway listens")
        hub("feed", "pause", "A0001.firms", "--because", "升级")
        paused = call(running, _PATH, key, rows(1), "a")
        hub("feed", "resume", "A0001.firms", "--because", "完成")
        first = call(running, _PATH, key, rows(1, 2), "a")
        wait_until(lambda: call(running, first[1]["href"], key)[1]["state"] == "succeeded", 60, "it is stored")
        second = call(running, _PATH, key, rows(3), "b")
        running.process.send_signal(signal.SIGKILL)
    with hub.running() as running:
        wait_until(lambda: len(running.events("listening")) == 2, 60, "the gateway listens again")
        again = call(running, _PATH, key, rows(3), "b")
        wait_until(lambda: call(running, second[1]["href"], key)[1]["state"] == "succeeded", 60, "what was answered for is stored")
        live = running.get("/livez")[0]
    proof = hub.ask("reconcile")

    assert (paused[0], first[0], second[0]) == (503, 202, 202)
    assert again == second
    assert live == 200
    assert proof["balanced"], proof
    assert hub.sql("ent", "SELECT count(*) FROM a0001_f08_01") == [(3,)]


def test_keys_would_travel_in_clear_beyond_this_machine_unless_somebody_says_why(tmp_path: Path) -> None:
    open_to_all = Hub(tmp_path / "a", hub=hub_yaml() + 'gateway: {listen: "0.0.0.0:8701"}\n', agency=_AGENCY)
    reasoned = Hub(tmp_path / "b", hub=hub_yaml() + 'gateway: {listen: "0.0.0.0:8701", because: 政务内网有TLS代理}\n', agency=_AGENCY)

    answers = [command("lint", "--config", str(city.config)) for city in (open_to_all, reasoned)]

    assert [answer.code for answer in answers] == [1, 0]
    assert "TLS" in answers[0].out + answers[0].err
