"""A feed reads an agency's MariaDB through the whole hub: rows reach the store, deletes withdraw, and the status column says what became of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.city.command import Hub
from tests.city.configuration import agency_yaml
from tests.city.identities import firm
from tests.databases import PASSWORD, MariaServer

TABLE = """CREATE TABLE honour (tongid BIGINT PRIMARY KEY AUTO_INCREMENT, `统一社会信用代码` VARCHAR(255), `企业名称` VARCHAR(255), `荣誉名称` VARCHAR(255),
    `认定日期` VARCHAR(255), opt_type CHAR(1), tong_time DATETIME, clzt VARCHAR(2) DEFAULT '0', zjxy VARCHAR(20) DEFAULT '某教')"""
WRONG = firm(3)[:-1] + ("0" if firm(3)[-1] != "0" else "1")


@pytest.fixture(scope="module")
def server() -> Iterator[MariaServer]:
    with MariaServer() as running:
        yield running


class Agency:
    """Its database, and the hub whose first feed reads from it."""

    def __init__(self, hub: Hub, server: MariaServer, **read: Any) -> None:
        self.hub, self.server, self.name = hub, server, server.database()
        self.run(TABLE)
        settings = {**server.settings(self.name), "password": "${env:AGENCY_DB}"}
        text = agency_yaml().replace("{folder: {path: in/firms}}", json.dumps({"mysql": settings}))
        text = text.replace('{from: firms, files: "*.csv", ready: {marker: .ok}}', json.dumps({"from": "firms", "table": "honour", **read}))
        text = text.replace("    limits: {rejected: 50%}", "    when: {every: 1h}\n    limits: {rejected: 50%}", 1)
        text = text[: text.index("tests:")]
        (hub.config / "agencies/A0001.yaml").write_text(text)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """As the agency."""
        return self.server.execute(*statements, database=self.name)

    def add(self, code: str, operation: str = "I", honour: str = "守合同") -> None:
        """A row as its middleware writes it."""
        values = f"'{code}', '企业', '{honour}', '2025-03-05', '{operation}', NOW()"
        self.run(f"INSERT INTO honour (`统一社会信用代码`, `企业名称`, `荣誉名称`, `认定日期`, opt_type, tong_time) VALUES ({values})")

    def stored(self) -> list[tuple[Any, ...]]:
        """Codes and status of the store's rows."""
        return self.hub.sql("ent", "SELECT uscc, status FROM a0001_f08_01 ORDER BY uscc")


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENCY_DB", PASSWORD)


def test_new_rows_are_stored_and_deletes_withdraw(hub: Hub, server: MariaServer) -> None:
    agency = Agency(hub, server, since={"time": "tong_time", "id": "tongid"})
    agency.add(firm(1))
    agency.add(firm(2))
    first = hub.once()

    agency.add(firm(1), "D")
    second = hub.once()

    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert agency.stored() == [(firm(1), 1), (firm(2), 0)]
    assert hub.counts() == {"read": 3, "inserted": 2, "withdrawn": 1}


def test_the_status_column_says_what_became_of_each_row(hub: Hub, server: MariaServer) -> None:
    agency = Agency(hub, server, done={"column": "clzt"})
    for code in (firm(1), WRONG, firm(2)):
        agency.add(code)

    hub.once()

    assert agency.run("SELECT clzt FROM honour ORDER BY tongid") == [("1",), ("2",), ("1",)]
    assert hub.counts() == {"read": 3, "rejected": 1, "inserted": 2}
    agency.run(f"UPDATE honour SET `统一社会信用代码` = '{firm(3)}', clzt = '0' WHERE tongid = 2")
    hub.once()
    assert agency.run("SELECT clzt FROM honour ORDER BY tongid") == [("1",), ("1",), ("1",)]
    assert agency.stored() == [(firm(1), 0), (firm(2), 0), (firm(3), 0)]


def test_a_connection_is_tried_layer_by_layer(hub: Hub, server: MariaServer) -> None:
    agency = Agency(hub, server)
    agency.add(firm(1))

    found = hub.ask("check", "A0001.firms")

    assert [one["layer"] for one in found][:4] == ["reach", "authenticate", "shape", "sample"]
    assert all(one["fine"] for one in found), found
    assert "zjxy" in found[2]["said"]


def test_what_was_pulled_is_read_again_from_landing(hub: Hub, server: MariaServer) -> None:
    agency = Agency(hub, server)
    agency.add(firm(1))
    hub.once()
    agency.run("DROP TABLE honour")

    answer = hub("feed", "replay", "A0001.firms", "--arrival", "1", "--because", "试")
    hub.once()

    assert answer.code == 0, answer.out + answer.err
    assert agency.stored() == [(firm(1), 0)]
