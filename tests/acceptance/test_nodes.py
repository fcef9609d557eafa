"""A hub over four processes: items load in parallel, each in order; what one process leaves the others take up, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.city.identities import firm
from tests.city.nodes import Node, ask, nodes_at
from tests.databases import PASSWORD, USER, PostgresServer
from tests.servers import RabbitServer, wait_until

pytestmark = [pytest.mark.server, pytest.mark.faults]

ITEMS = [f"A0001-F0{n}-01" for n in range(1, 5)]
_LONG_S = 90.0

_ITEM = """\
item: {code}
name: 信用信息{code}
level: open
key: uscc + honor_name
fields:
  - {{name: uscc, title: 统一社会信用代码, length: 18, need: M, check: uscc, role: subject.1}}
  - {{name: org_name, title: 企业名称, length: 200, need: M, role: subject.name}}
  - {{name: honor_name, title: 荣誉名称, length: 200, need: M, role: key}}
"""
_FEED = """\
  feed{n}: {{item: {code}, read: {{from: drop{n}, files: "*.csv", ready: {{marker: .ok}}}}}}
"""


class SpreadCity:
    """Four feeds of four items, one share of all of them, on servers."""

    def __init__(self, place: Path, postgres: PostgresServer, rabbit: RabbitServer) -> None:
        self.config, self.home = place / "city", place / "home"
        self.home.mkdir(parents=True)
        self.database = postgres.database()
        self._postgres = postgres
        url = postgres.url(self.database).replace(PASSWORD, "${env:CITY_DB}")
        queues = rabbit.url.replace("guest:guest", "guest:${env:CITY_MQ}")
        stores = "".join(f"  {name}: {url}\n" for name in ("ent", "psn", "gov", "fin"))
        self._write("hub.yaml", f'city: 样城\nstate: {url}\nbroker: "{queues}"\nstores:\n{stores}')
        self._write("agencies.yaml", "agencies:\n  - {code: A0001, name: 工商局}\n  - {code: A0011, name: 人民法院}\n")
        for code in ITEMS:
            self._write(f"catalogue/{code}.yaml", _ITEM.format(code=code))
        feeds = "".join(_FEED.format(n=n, code=code) for n, code in enumerate(ITEMS))
        drops = "".join(f"  drop{n}: {{folder: {{path: in/{n}}}}}\n" for n in range(len(ITEMS)))
        share = f"  all:\n    items: [{', '.join(ITEMS)}]\n    to: A0011\n    fields: [uscc, org_name]\n    deliver: {{folder: {{path: out}}}}\n"
        self._write("agencies/A0001.yaml", f"agency: {{code: A0001, name: 工商局}}\nsources:\n{drops}feeds:\n{feeds}shares:\n{share}")
        self.dropped = 0

    def _write(self, name: str, text: str) -> None:
        path = self.config / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def drop(self, number: int, rows: int, version: str) -> None:
        """One file for each feed, all with the same records."""
        lines = ["统一社会信用代码,企业名称,荣誉名称", *(f"{firm(i)},常熟市示例{i}号{version}有限公司,守合同" for i in range(rows))]
        for feed in range(len(ITEMS)):
            folder = self.home / "in" / str(feed)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:04}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
            (folder / f"{number:04}.csv.ok").touch()
            self.dropped += rows

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = ask(self.config, self.home, "status")
        return answer

    def proof(self) -> dict[str, Any]:
        answer: dict[str, Any] = ask(self.config, self.home, "reconcile")
        return answer

    def holders(self, kind: str) -> dict[str, list[str]]:
        """Who holds the leases of a kind of route, by node."""
        return {n["node"]: held for n in self.status()["nodes"] if (held := [name for name in n["holds"] if name.startswith(kind)])}

    def stored(self) -> list[tuple[str, int]]:
        """Names stored, with how many items have them; asked of PostgreSQL, not of the hub."""
        union = " UNION ALL ".join(f"SELECT org_name FROM {code.lower().replace('-', '_')}" for code in ITEMS)
        query = f"SELECT org_name, count(*) FROM ({union}) AS names GROUP BY 1 ORDER BY 1"
        login: Mapping[str, Any] = {"host": "127.0.0.1", "port": self._postgres.port, "user": USER, "password": PASSWORD, "dbname": self.database}
        with psycopg.connect(**login) as connection:
            return [(str(name), int(n)) for name, n in connection.execute(query)]  # type: ignore[call-overload]

    def wait(self) -> dict[str, Any]:
        """Until everything dropped is accounted for; the proof of it."""
        proof: dict[str, Any] = {}

        def whole() -> bool:
            proof.clear()
            proof.update(self.proof())
            return bool(proof["counts"]["read"] >= self.dropped and proof["balanced"])

        wait_until(whole, _LONG_S, "everything is loaded", every=0.5)
        return proof


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def rabbit() -> Iterator[RabbitServer]:
    with RabbitServer() as server:
        yield server


@pytest.fixture
def city(tmp_path: Path, postgres: PostgresServer, rabbit: RabbitServer) -> SpreadCity:
    return SpreadCity(tmp_path, postgres, rabbit)


FOUR = {"collector": "collect", "load_1": "load", "load_2": "load", "front": "share,deliver,gateway,console"}


def _spread(city: SpreadCity) -> bool:
    return {name: len(held) for name, held in city.holders("load:").items()} == {"load-1": 2, "load-2": 2}


def test_four_processes_carry_everything_and_none_that_dies_takes_anything_along(city: SpreadCity) -> None:
    with nodes_at(city.config, city.home, **FOUR) as nodes:
        wait_until(lambda: _spread(city), _LONG_S, "both loaders have their part", every=0.5)
        for number in range(6):
            city.drop(number, 40, f"第{number}版")
        nodes["load-1"].kill()
        nodes["collector"].kill()
        for number in range(6, 9):
            city.drop(number, 40, f"第{number}版")
        nodes["collector"].start()

        proof = city.wait()

        assert city.holders("load:") == {"load-2": [f"load:{code}" for code in ITEMS]}, "the dead loader's items were taken over"
        assert proof["counts"]["read"] == city.dropped == 9 * 40 * 4
        assert proof["counts"]["inserted"] == 40 * 4, "nothing twice"
        assert [n for _, n in city.stored()] == [4] * 40
        assert all("第8版" in name for name, _ in city.stored()), "the last file of each item came last"

        nodes["load-1"].start()
        wait_until(lambda: _spread(city), _LONG_S, "a loader that joins is given its part", every=0.5)
        city.drop(9, 40, "第9版")
        city.wait()

        assert all("第9版" in name for name, _ in city.stored())
        share = city.status()["shares"][0]
        wait_until(lambda: city.status()["shares"][0]["waiting"] == 0, _LONG_S, "everything is delivered", every=0.5)
        assert share["dead"] == 0
        assert {node.stop() for node in nodes.values()} == {0}


def test_a_process_that_hung_for_a_while_finds_its_items_taken_and_changes_nothing(city: SpreadCity) -> None:
    with nodes_at(city.config, city.home, **FOUR) as nodes:
        wait_until(lambda: _spread(city), _LONG_S, "both loaders have their part", every=0.5)
        city.drop(0, 30, "第0版")
        nodes["load-1"].freeze()
        city.drop(1, 30, "第1版")
        wait_until(lambda: len(city.holders("load:").get("load-2", [])) == 4, _LONG_S, "the other loader takes over", every=0.5)
        nodes["load-1"].thaw()

        proof = city.wait()

        assert proof["differences"] == []
        assert proof["counts"]["inserted"] == 30 * 4
        assert all("第1版" in name for name, _ in city.stored())


def test_roles_need_parts_that_processes_can_share(tmp_path: Path) -> None:
    from tests.city.command import Hub

    hub = Hub(tmp_path)

    answer = hub("run", "--once", "--roles", "load")

    assert answer.code != 0
    assert "state, broker, stores.ent" in answer.err
    assert "amqp://" in answer.err


def test_only_one_process_may_bear_a_nodes_name(city: SpreadCity) -> None:
    with nodes_at(city.config, city.home, one="collect"):
        twin = Node("one", "load", city.config, city.home)

        with pytest.raises(RuntimeError, match="already running"):
            twin.start()
        twin.kill()
