"""A bulletin on its way through the whole hub: collected, quarantined, withdrawn once it has been missing for long enough."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.city.bulletin_site import BulletinSite, serve
from tests.city.command import Hub
from tests.city.identities import firm
from tests.servers import free_ports

ITEM = """\
item: A0001-F04-01
name: 经营异常名录信息
level: open
kind: 监管
key: uscc + list_date
fields:
  - {name: uscc, title: 统一社会信用代码, length: 18, need: M, check: uscc, role: subject.1}
  - {name: reg_no, title: 注册号, length: 15}
  - {name: org_name, title: 企业名称, length: 200, need: M, role: subject.name}
  - {name: list_date, title: 列入日期, type: date, need: M, role: [event_date, key]}
  - {name: list_reason, title: 列入原因, length: 2000}
  - {name: list_org, title: 列入机关, length: 100}
  - {name: remove_date, title: 移出日期, type: date}
  - {name: remove_reason, title: 移出原因, length: 2000}
  - {name: remove_org, title: 移出机关, length: 100}
  - {name: src_url, title: 来源页面URL, length: 500, role: lineage}
"""

AGENCY = """\
agency: {{code: A0001, name: 工商局}}

sources:
  site: {{web: {{url: "http://127.0.0.1:{port}", allow: [127.0.0.0/8], rate: 100/s}}}}

feeds:
  abnormal:
    item: A0001-F04-01
    read:
      from: site
      list: {{path: /list, link: table.list a, next: a.next, total: span.total}}
      detail: {{attachment: a.file}}
    when: {{every: 1h}}
    snapshot: {{after: 2}}
    limits: {{rejected: 50%, shrink: 30%}}
"""


@pytest.fixture
def site() -> Iterator[tuple[BulletinSite, int]]:
    """The bulletin board, served by a thread of its own."""
    shown, (port,), loop, up = BulletinSite(), free_ports(1), asyncio.new_event_loop(), threading.Event()

    def run() -> None:
        runner = loop.run_until_complete(serve("127.0.0.1", port, shown))
        up.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert up.wait(20)
    yield shown, port
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)


@pytest.fixture
def hub(tmp_path: Path, site: tuple[BulletinSite, int]) -> Hub:
    """A city with one feed that reads the board."""
    made = Hub(tmp_path, agency=AGENCY.format(port=site[1]))
    (made.config / "catalogue/A0001-F04-01.yaml").write_text(ITEM, encoding="utf-8")
    return made


def test_a_bulletin_is_collected_and_what_vanishes_is_withdrawn_after_two_visits(hub: Hub, site: tuple[BulletinSite, int]) -> None:
    board, port = site
    first = hub.once()
    stored = dict(hub.sql("ent", "SELECT uscc, src_url FROM a0001_f04_01"))
    board.gone.add(4)
    hub.once()
    after_one = hub.sql("ent", "SELECT uscc FROM a0001_f04_01 WHERE status = 1")
    board.firms += 1
    hub.once()
    after_two = hub.sql("ent", "SELECT uscc FROM a0001_f04_01 WHERE status = 1")

    assert first.code == 0, first.err
    assert len(stored) == 15
    assert stored[firm(1)] == f"http://127.0.0.1:{port}/detail/1"
    assert stored[firm(101)] == f"http://127.0.0.1:{port}/files/yc.xlsx"
    assert after_one == []
    assert after_two == [(firm(4),)]
    assert hub.counts()["withdrawn"] == 1


def test_an_attachment_that_is_no_table_ends_in_quarantine(hub: Hub, site: tuple[BulletinSite, int]) -> None:
    board, _ = site
    board.paper = "pdf"
    hub.once()

    found = hub.ask("quarantine", "list")

    assert hub.counts() == {"read": 13, "rejected": 1, "inserted": 12}
    assert len(found) == 1


def test_a_changed_site_stops_the_feed_and_withdraws_nothing(hub: Hub, site: tuple[BulletinSite, int]) -> None:
    board, _ = site
    hub.once()
    board.empty = True
    stopped = hub.once()

    status = json.dumps(hub.ask("status"), ensure_ascii=False)

    assert "no entry" in stopped.out + stopped.err + status
    assert hub.counts() == {"read": 15, "inserted": 15}


def test_a_live_connection_is_checked_in_layers(hub: Hub) -> None:
    checked = hub("check", "A0001")

    assert checked.code == 0, checked.out + checked.err
    assert "12" in checked.out or "entries" in checked.out
