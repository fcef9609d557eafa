"""Oracle as a database that is pulled: the real driver against the emulator, and against a server where HUB_TEST_ORACLE_DSN names one."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, ClassVar

import oracledb
import pytest

from connectors.databases.dialect import Database
from connectors.databases.oracle import OracleDatabase
from connectors.databases.settings import OracleConfig
from tests.contract.database_contract import DatabaseContract
from tests.oracle_emulator import OracleEmulator

SORTS = {
    "id": "NUMBER(20)", "text": "VARCHAR2(400)", "long": "CLOB", "number": "NUMBER", "big": "NUMBER(38)", "date": "DATE", "time": "TIMESTAMP(6)",
}  # fmt: skip
DSN = os.environ.get("HUB_TEST_ORACLE_DSN", "")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def login(settings: Mapping[str, Any]) -> oracledb.Connection:
    """A session of the agency's own."""
    return oracledb.connect(
        host=settings["host"], port=settings["port"], service_name=settings["database"], user=settings["user"], password=settings["password"]
    )


class OracleContract(DatabaseContract):
    """What is the same on the emulator and on a server."""

    settings: ClassVar[dict[str, Any]] = {}
    made: ClassVar[list[str]] = []
    nul = True

    def database(self, **other: Any) -> Database:
        return OracleDatabase(OracleConfig(**{**self.settings, "tls": "off", "because": "a test", **other}))

    def stranger(self) -> Database:
        return self.database(password="not-the-password")

    def nowhere(self) -> Database:
        with closing(socket.socket()) as taken:
            taken.bind(("127.0.0.1", 0))
            return self.database(host="127.0.0.1", port=taken.getsockname()[1])

    def make_table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], key: Sequence[str] = ("id",)) -> None:
        cells = [f"{quoted(column)} {SORTS[sort]}" for column, sort in columns.items()]
        primary = [f"PRIMARY KEY ({', '.join(map(quoted, key))})"] if key else []
        with closing(login(self.settings)) as session, session.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {quoted(name)} ({', '.join(cells + primary)})")
        self.made.append(name)
        self.insert(name, rows)

    def insert(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        with closing(login(self.settings)) as session, session.cursor() as cursor:
            places = ", ".join(f":{i}" for i in range(1, len(rows[0]) + 1))
            cursor.setinputsizes(*(_bound(column) for column in zip(*rows, strict=True)))
            cursor.executemany(f"INSERT INTO {quoted(name)} VALUES ({places})", [tuple(row) for row in rows])
            session.commit()

    def put(self, name: str, column: str, value: Any, number: int) -> None:
        self._write(f"UPDATE {quoted(name)} SET {quoted(column)} = :v WHERE {quoted('id')} = :n", v=value, n=number)

    def remove(self, name: str, number: int) -> None:
        self._write(f"DELETE FROM {quoted(name)} WHERE {quoted('id')} = :n", n=number)

    def _write(self, sql: str, **binds: Any) -> None:
        with closing(login(self.settings)) as session, session.cursor() as cursor:
            cursor.execute(sql, binds)
            session.commit()

    def plain_query(self, name: str) -> str:
        return f'SELECT "id", "name" FROM {quoted(name)}'

    def sort_of_date(self) -> str:
        return "time"


def _bound(values: Sequence[Any]) -> Any:
    if any(hasattr(value, "hour") for value in values):
        return oracledb.DB_TYPE_TIMESTAMP
    longest = max((len(value.encode()) for value in values if isinstance(value, str)), default=0)
    return oracledb.DB_TYPE_CLOB if longest > 4000 else None


@pytest.fixture(scope="module")
def emulator() -> Iterator[OracleEmulator]:
    with OracleEmulator() as running:
        yield running


@pytest.fixture(scope="module")
def offered() -> Iterator[dict[str, Any]]:
    found = re.fullmatch(r"([^/]+)/(.+)@([^/:]+):(\d+)/(.+)", DSN)
    assert found is not None, "write user/password@host:port/service"
    user, password, host, port, service = found.groups()
    settings = {"host": host, "port": int(port), "database": service, "user": user, "password": password}
    yield settings
    with closing(login(settings)) as session, session.cursor() as cursor:
        for name in OracleContract.made:
            with suppress(oracledb.DatabaseError):
                cursor.execute(f"DROP TABLE {quoted(name)} PURGE")


class TestOnTheEmulator(OracleContract):
    """tests/oracle_emulator, over a connection of this machine."""

    @pytest.fixture(autouse=True)
    def server(self, emulator: OracleEmulator) -> None:
        OracleContract.settings = emulator.settings()


@pytest.mark.skipif(not DSN, reason="no Oracle server: HUB_TEST_ORACLE_DSN=user/password@host:port/service is not set; only the emulator was tested")
class TestOnAServer(OracleContract):
    """A server that somebody offers: its account may create tables in its own schema."""

    @pytest.fixture(autouse=True)
    def server(self, offered: dict[str, Any]) -> None:
        OracleContract.settings = offered
