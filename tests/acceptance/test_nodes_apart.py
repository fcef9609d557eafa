"""Nodes on two machines: homes of their own that share keys, landing and claims, so that neither sees the other's locks and doors."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_nodes import ITEMS, SpreadCity
from tests.city.identities import firm
from tests.city.nodes import Node, ask, nodes_at
from tests.databases import PostgresServer
from tests.servers import RabbitServer, free_ports, wait_until

pytestmark = [pytest.mark.server, pytest.mark.faults]

_SOON_S = 60.0


class TwoMachines:
    """A city with a worker on one machine and a gateway on the other."""

    def __init__(self, city: SpreadCity, other: Path) -> None:
        self.city = city
        self.other = other
        (self.port,) = free_ports(1)
        self._gateway()
        for shared in ("keys", "landing", "claims"):
            (city.home / shared).mkdir(mode=0o700)
            other.mkdir(exist_ok=True)
            (other / shared).symlink_to(city.home / shared)

    def _gateway(self) -> None:
        hub, agency = self.city.config / "hub.yaml", self.city.config / "agencies/A0001.yaml"
        hub.write_text(hub.read_text("utf-8") + f'gateway: {{listen: "127.0.0.1:{self.port}"}}\n', encoding="utf-8")
        text = agency.read_text("utf-8").replace("sources:\n", "sources:\n  api: {gateway: {}}\n")
        agency.write_text(text.replace("feeds:\n", f"feeds:\n  calls: {{item: {ITEMS[0]}, read: {{from: api}}}}\n"), encoding="utf-8")

    def elsewhere(self, *words: str) -> Any:
        """A command on the other machine."""
        return ask(self.city.config, self.other, *words)

    def submit(self, key: str, rows: list[str]) -> dict[str, Any]:
        body = "\n".join(["统一社会信用代码,企业名称,荣誉名称", *rows, ""]).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/csv", "Idempotency-Key": "first-1"}
        call = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/items/{ITEMS[0]}/batches", data=body, headers=headers)
        with urllib.request.urlopen(call, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def feed(self, name: str) -> dict[str, Any]:
        return next(feed for feed in self.city.status()["feeds"] if feed["feed"] == name)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoMachines]:
    place = tmp_path_factory.mktemp("apart")
    with PostgresServer() as postgres, RabbitServer() as rabbit:
        machines = TwoMachines(SpreadCity(place, postgres, rabbit), place / "other")
        with (
            nodes_at(machines.city.config, machines.city.home, worker="collect,load"),
            nodes_at(machines.city.config, machines.other, front="gateway,console"),
        ):
            wait_until(lambda: len(machines.city.holders("load:").get("worker", [])) == len(ITEMS), _SOON_S, "the worker has everything", every=0.5)
            yield machines


def test_what_one_machine_takes_the_other_collects(apart: TwoMachines) -> None:
    key = apart.elsewhere("key", "add", "A0001", "--because", "试用")["key"]

    answer = apart.submit(key, [f"{firm(1)},常熟市示例1号有限公司,守合同"])

    assert answer["receipt"]
    wait_until(lambda: (apart.feed("A0001.calls")["last_run"] or {}).get("state") == "succeeded", _SOON_S, "the submission is stored", every=0.3)
    assert apart.feed("A0001.calls")["last_run"]["counts"]["inserted"] == 1


def test_a_decision_may_be_typed_on_any_machine(apart: TwoMachines) -> None:
    paused = apart.elsewhere("feed", "pause", "A0001.feed1", "--because", "停电")
    wait_until(lambda: apart.feed("A0001.feed1")["state"] == "paused", _SOON_S, "the worker has heard it", every=0.3)
    resumed = apart.elsewhere("feed", "resume", "A0001.feed1", "--because", "恢复")
    apart.city.drop(0, 5, "第0版")
    apart.elsewhere("feed", "collect", "A0001.feed1")

    assert (paused["now"], resumed["now"]) == ("paused", "idle")
    wait_until(lambda: (apart.feed("A0001.feed1")["last_run"] or {}).get("state") == "succeeded", _SOON_S, "it is read again", every=0.3)


def test_a_name_that_is_borne_on_another_machine_is_refused(apart: TwoMachines) -> None:
    twin = Node("worker", "load", apart.city.config, apart.other)

    with suppress(RuntimeError):  # its console may answer before it is refused
        twin.start()
    wait_until(lambda: twin.ended, _SOON_S, "the twin has given up")

    assert "another process is at work as node worker" in twin.log.read_text("utf-8")
    assert {node["node"] for node in apart.city.status()["nodes"]} == {"worker", "front"}


def test_the_doctor_says_what_no_node_does(apart: TwoMachines) -> None:
    findings = apart.elsewhere("doctor")

    told = [finding["what"] for finding in findings]
    assert any(what.startswith("node worker does collect, load and holds") for what in told)
    assert [finding["what"] for finding in findings if what_is_missing(finding)] == ["no node has the role share", "no node has the role deliver"]


def what_is_missing(finding: dict[str, Any]) -> bool:
    return not finding["ok"] and "role" in finding["what"]
