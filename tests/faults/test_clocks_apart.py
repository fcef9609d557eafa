"""Two nodes whose clocks are ten minutes apart: a time of a feed is kept once, by whoever has the feed, and by its heir where nobody kept it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.city.command import Hub
from tests.city.configuration import hub_yaml
from tests.city.front_table import SECRET, FrontTable
from tests.city.nodes import Node
from tests.databases import PASSWORD, MariaServer
from tests.faults.conftest import LONG
from tests.faults.test_hub_dies import vhost
from tests.servers import RabbitServer, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.server, pytest.mark.xdist_group("rabbit-faults")]

_LONG_S = 90.0
_TO_THE_TIME_S = 23.0  # from 10:00:40 to behind 10:01
_PULLS = "SELECT count(*) FROM mysql.general_log WHERE argument LIKE 'START TRANSACTION WITH CONSISTENT SNAPSHOT%'"


@pytest.fixture
def maria() -> Iterator[MariaServer]:
    with MariaServer() as server:
        yield server


@pytest.fixture
def nodes(tmp_path: Path, maria: MariaServer, rabbit: RabbitServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Node, Node, str]]:
    """Two collectors that read one table at 10:01 and 10:11. Their clocks start at 10:00:40 and at 10:11:05. And the database of their state."""
    hub = Hub(tmp_path)
    table = FrontTable(hub, maria, when='{cron: "1,11 10 * * *"}', since={"time": "tong_time", "id": "tongid"})
    table.add([1])
    state = maria.database()
    url = maria.url(state).replace(PASSWORD, "${env:CITY_DB}")
    broker = vhost(rabbit, f"clocks-{table.name}").strip('"').replace("MQ_PASSWORD", "CITY_MQ")
    stores = "".join(f'  {store}: "{url}"\n' for store in ("ent", "psn", "gov", "fin"))
    (hub.config / "hub.yaml").write_text(hub_yaml(broker=broker) + f'state: "{url}"\nstores:\n{stores}')
    hub.home.mkdir()
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)
    maria.execute("SET GLOBAL log_output = 'TABLE'", "SET GLOBAL general_log = 1")
    pair = tuple(
        Node(name, "collect", hub.config, hub.home, clock=clock) for name, clock in (("behind", "2026-11-23 10:00:40"), ("ahead", "2026-11-23 10:11:05"))
    )
    try:
        yield pair[0], pair[1], state
    finally:
        for node in pair:
            node.kill()


@pytest.mark.skipif(not LONG, reason="waits for minutes to go by: part of `make faults`")
def test_a_time_is_kept_once_and_by_the_heir_where_nobody_kept_it(maria: MariaServer, nodes: tuple[Node, Node, str]) -> None:
    behind, ahead, state = nodes
    behind.start()
    ahead.start()

    wait_until(lambda: _ended(maria, state) == ["01"], _LONG_S, "the first time is kept by the node that has the feed")
    kept = maria.execute(_PULLS)
    behind.kill()
    wait_until(lambda: _ended(maria, state) == ["11"], _LONG_S, "the second time, which went by at the heir's clock, is caught up")
    assert ahead.stop() == 0
    again = time.monotonic()
    behind.start()  # its clock says 10:00:40 again
    wait_until(lambda: time.monotonic() - again > _TO_THE_TIME_S, _LONG_S, "the first time comes again by a clock that is behind")
    behind.stop()

    assert kept == [(1,)]
    assert maria.execute(_PULLS) == [(2,)], "what had been kept was kept again"


def _ended(maria: MariaServer, state: str) -> list[str]:
    """The minute in which the feed's latest pull came to its end, by the clock of the node that had it."""
    return [str(at)[14:16] for (at,) in maria.execute("SELECT at FROM feed_note WHERE feed = 'A0001.firms' AND `key` = 'drained'", database=state)]
