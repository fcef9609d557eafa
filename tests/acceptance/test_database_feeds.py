"""Databases that change under the hub: rows written while they are read, tables rebuilt, clocks set back, stores that keep less than they should or are locked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.city.command import Hub, firm_row
from tests.city.configuration import hub_yaml
from tests.city.front_table import SECRET, FrontTable
from tests.city.identities import firm
from tests.databases import PASSWORD, MariaServer, PostgresServer
from tests.servers import wait_until

pytestmark = [pytest.mark.server, pytest.mark.faults]

SINCE: dict[str, Any] = {"since": {"time": "tong_time", "id": "tongid"}}
_LONG_S = 90.0


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaServer]:
    with MariaServer() as server:
        yield server


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["maria", "postgres"])
def server(request: pytest.FixtureRequest) -> MariaServer | PostgresServer:
    found: MariaServer | PostgresServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)


def stands(hub: Hub) -> dict[str, str]:
    """How the first feed stands, and why."""
    (feed,) = [feed for feed in hub.ask("status")["feeds"] if feed["feed"] == "A0001.firms"]
    return {"state": feed["state"], "reason": feed["reason"]}


def test_rows_written_while_they_are_read_are_all_stored_as_they_are_in_the_end(hub: Hub, server: MariaServer | PostgresServer) -> None:
    table = FrontTable(hub, server, source={"rows_per_second": 20_000}, when="{every: 1s}", **SINCE)
    table.add(range(20_000))
    with hub.running():
        for number in range(15):
            table.run(f"UPDATE honour SET 企业名称 = '改{number}', tong_time = NOW() WHERE tongid % 1000 = {number}")
            table.add(range(20_000 + number, 20_001 + number))
            table.add([number * 1000], operation="D")

    hub.once()

    names = {code: (name, status) for code, name, status in table.stored()}
    last = dict(table.run("SELECT 统一社会信用代码, 企业名称 FROM honour ORDER BY tongid"))
    gone = {firm(number * 1000) for number in range(15)}
    assert {code: name for code, (name, _) in names.items() if code not in gone} == {code: name for code, name in last.items() if code not in gone}
    assert {code for code, (_, status) in names.items() if status} == gone
    assert stands(hub)["state"] == "idle"


def test_rows_committed_after_later_ones_are_read_once(hub: Hub, server: MariaServer | PostgresServer) -> None:
    table = FrontTable(hub, server, **SINCE)
    table.add([1])
    hub.once()

    late = "INSERT INTO honour (统一社会信用代码, 企业名称, 荣誉名称, opt_type, tong_time) VALUES ('{}', '晚', '守合同', 'I', NOW() - INTERVAL '5' MINUTE)"
    with server.connect(table.name) as writer, writer.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(late.format(firm(2)))
        table.add([3])
        hub.once()
        meanwhile = [code for code, _, _ in table.stored()]
        cursor.execute("COMMIT")
    for _ in range(2):
        hub.once()

    assert meanwhile == sorted([firm(1), firm(3)])
    assert [code for code, _, _ in table.stored()] == sorted([firm(1), firm(2), firm(3)])
    assert hub.counts() == {"read": 3, "inserted": 3}


def test_a_clock_of_the_server_that_is_set_back_hides_no_row(hub: Hub, maria: MariaServer) -> None:
    maria.execute(f"CREATE OR REPLACE USER reader IDENTIFIED BY '{PASSWORD}'", "GRANT SELECT ON *.* TO reader")
    table = FrontTable(hub, maria, source={"user": "reader"}, **SINCE)
    table.add([1])
    hub.once()

    try:
        maria.execute("SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() - 7200'")  # what the hub takes for the server's clock
        table.add([2], time="NOW() - INTERVAL 2 HOUR")
        hub.once()
        table.add([3], time="NOW() - INTERVAL 2 HOUR")
        hub.once()
    finally:
        maria.execute("SET GLOBAL init_connect = ''")
    table.add([4])
    hub.once()

    assert [code for code, _, _ in table.stored()] == sorted(firm(n) for n in (1, 2, 3, 4))
    assert hub.counts()["inserted"] == 4


@pytest.mark.parametrize(
    ("change", "repair", "said"),
    [
        ("ALTER TABLE honour RENAME COLUMN 企业名称 TO 单位名称", "ALTER TABLE honour RENAME COLUMN 单位名称 TO 企业名称", "企业名称"),
        ("ALTER TABLE honour RENAME TO honour_2026", "ALTER TABLE honour_2026 RENAME TO honour", "honour_2026"),
    ],
    ids=["column", "table"],
)
def test_a_table_that_was_rebuilt_stops_its_feed_until_it_is_repaired(
    hub: Hub, server: MariaServer | PostgresServer, change: str, repair: str, said: str
) -> None:
    table = FrontTable(hub, server, when="{every: 1s}", **SINCE)
    table.add([1])
    hub.once()

    table.add([2])
    table.run(change)
    stopped = hub.once()
    kept = stands(hub)
    with hub.running(**SECRET) as running:
        wait_until(lambda: running.events("stopped") != [], _LONG_S, "the feed is tried again and stops")
        why = stands(hub)["reason"]
        table.run(repair)
        resumed = hub("feed", "resume", "A0001.firms", "--because", "表已恢复")
        wait_until(lambda: len(table.stored()) == 2, _LONG_S, "what was written meanwhile is stored")
        after = stands(hub)

    assert stopped.code == 1
    assert (kept["state"], kept["reason"]) == ("stopped", why)
    assert said in why
    assert resumed.code == 0, resumed.err
    assert after["state"] in ("idle", "running")
    assert hub.counts()["inserted"] == 2


def on_server(hub: Hub, server: MariaServer | PostgresServer) -> str:
    """Keep the first store on a server; the name of its database."""
    name = server.database()
    url = server.url(name).replace(PASSWORD, "${env:AGENCY_DB}")
    (hub.config / "hub.yaml").write_text(hub_yaml() + f'stores:\n  ent: "{url}"\n')
    return name


def names_of(server: MariaServer | PostgresServer, store: str) -> list[str]:
    return [str(name) for (name,) in server.execute("SELECT org_name FROM a0001_f08_01 ORDER BY uscc", database=store)]


def set_aside(hub: Hub) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hub.ask("quarantine", "list")
    return found


NARROWED = {
    "too long": (MariaServer, "MODIFY org_name VARCHAR(5)", "常熟市示例一二三四五有限公司", "长度超过"),
    "too long in PostgreSQL": (PostgresServer, "ALTER org_name TYPE varchar(5)", "常熟市示例一二三四五有限公司", "长度超过"),
    "no such character": (MariaServer, "MODIFY org_name VARCHAR(200) CHARACTER SET utf8mb3", "𠮷野", "不能保存的字符"),
}


@pytest.mark.parametrize("case", NARROWED)
def test_what_a_table_cannot_keep_waits_in_quarantine_until_the_table_can(hub: Hub, case: str, request: pytest.FixtureRequest) -> None:
    kind, narrow, name, said = NARROWED[case]
    server: MariaServer | PostgresServer = request.getfixturevalue("maria" if kind is MariaServer else "postgres")
    store = on_server(hub, server)
    assert hub.once().code == 0
    with hub.running(**SECRET) as running:
        server.execute(f"ALTER TABLE a0001_f08_01 {narrow}", database=store)
        hub.drop("firms", "one.csv", [firm_row(1, "甲"), firm_row(2, name), firm_row(3, "丙")])
        wait_until(lambda: len(running.events("loaded")) > 0, _LONG_S, "the file is loaded")

    (row,) = set_aside(hub)
    narrowed = names_of(server, store)
    plan = hub.ask("store", "plan")["plan"]
    applied = hub("store", "apply", "--plan", plan)
    if case == "no such character":  # a table's character set is its owner's: no plan changes it
        server.execute("ALTER TABLE a0001_f08_01 MODIFY org_name VARCHAR(200) CHARACTER SET utf8mb4", database=store)
    retried = hub("quarantine", "retry", str(row["id"]), "--because", "列已加宽")
    hub.once()

    assert narrowed == ["甲", "丙"]
    assert said in row["reason"], row
    assert "企业名称" in str(row), row
    assert name not in str(row)
    assert applied.code == 0, applied.err
    assert retried.code == 0, retried.err
    assert sorted(names_of(server, store)) == sorted(["甲", name, "丙"])


def test_a_store_that_somebody_has_locked_is_waited_for(hub: Hub, server: MariaServer | PostgresServer) -> None:
    store = on_server(hub, server)
    hub.drop("firms", "one.csv", [firm_row(1), firm_row(2)])
    assert hub.once().code == 0
    lock = "BEGIN; LOCK TABLE a0001_f08_01 IN ACCESS EXCLUSIVE MODE" if isinstance(server, PostgresServer) else "LOCK TABLES a0001_f08_01 WRITE"

    with hub.running(**SECRET) as running:
        with server.connect(store) as holder, holder.cursor() as cursor:
            cursor.execute(lock)
            hub.drop("firms", "two.csv", [firm_row(number) for number in range(1, 6)])
            wait_until(lambda: any("load:" in told["where"] for told in running.events("stumbled")), _LONG_S, "the loader gives up for now")
        wait_until(lambda: any(told["inserted"] == 3 for told in running.events("loaded") if "inserted" in told), _LONG_S, "the file is loaded")
        stumbled = [told for told in running.events("stumbled") if "load:" in told["where"]]

    assert all("locked" in told["reason"] for told in stumbled), stumbled
    assert hub.counts() == {"read": 7, "inserted": 5, "unchanged": 2}
