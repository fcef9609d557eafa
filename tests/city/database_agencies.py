"""Agencies that are read from their databases: a MariaDB server of their own, and Oracle as it is played by a protocol responder.

Their tables are made anew each time from the day it is; what the hub has written into status columns is kept in a file and written back.
"""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tests.city.tables import MYSQL, ORACLE, Row, Table

if TYPE_CHECKING:
    from tests.databases import MariaServer
    from tests.oracle_emulator import OracleEmulator

HOST = "127.0.0.1"
PASSWORD = "Front-End-1"
READER, ORACLE_READER, SERVICE = "credit_reader", "hub_reader", "CREDIT"
MARIA_PROGRAM = "/usr/sbin/mariadbd"
_SMALL = ("innodb_buffer_pool_size=32M", "innodb_log_file_size=8M", "innodb_flush_log_at_trx_commit=0", "sql_mode=")


class _Engine(Protocol):
    port: int

    def make(self, table: Table, rows: Iterable[Row]) -> None:
        """Make a table with rows."""

    def change(self, sql: str, values: Row) -> None:
        """Run one statement whose places are %s."""

    def query(self, sql: str) -> list[Row]:
        """Ask."""

    def close(self) -> None:
        """End it."""


class MariaEngine:
    """A MariaDB server with an account that may read, and write status columns."""

    def __init__(self, port: int) -> None:
        from tests.databases import MariaServer

        self._server: MariaServer = MariaServer(*_SMALL)
        self._server.port = port
        self._server.__enter__()
        self.port = port
        self._server.execute(f"CREATE USER '{READER}'@'%' IDENTIFIED BY '{PASSWORD}'")

    def make(self, table: Table, rows: Iterable[Row]) -> None:
        database = table.name.partition(".")[0]
        self._server.execute(
            f"CREATE DATABASE IF NOT EXISTS {database}", f"GRANT SELECT ON {database}.* TO '{READER}'@'%'",
            f"CREATE TABLE {table.name} ({table.body}, PRIMARY KEY ({table.columns[0]})) CHARACTER SET {table.charset}",
        )  # fmt: skip
        if table.status:
            self._server.execute(f"GRANT UPDATE ({table.status}) ON {table.name} TO '{READER}'@'%'")
        with self._server.connect() as connection, connection.cursor() as cursor:
            places = ", ".join(["%s"] * len(table.columns))
            cursor.executemany(f"INSERT INTO {table.name} VALUES ({places})", [_as_gbk(row) if table.gbk else row for row in rows])

    def change(self, sql: str, values: Row) -> None:
        with self._server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql, values)

    def query(self, sql: str) -> list[Row]:
        return self._server.execute(sql)

    def close(self) -> None:
        self._server.__exit__(None, None, None)


class OracleEngine:
    """Oracle, emulated: it speaks the protocol, and shows nothing of what Oracle Database itself would do."""

    def __init__(self, port: int) -> None:
        from tests.oracle_emulator import OracleEmulator

        self._server: OracleEmulator = OracleEmulator(users={ORACLE_READER: PASSWORD}, service=SERVICE, port=port)
        self._server.start()
        self.port = self._server.port

    def make(self, table: Table, rows: Iterable[Row]) -> None:
        self._server.execute(f"CREATE TABLE {table.name} ({table.body})")
        places = ", ".join(f":{n}" for n in range(1, len(table.columns) + 1))
        self._server.executemany(f"INSERT INTO {table.name} VALUES ({places})", list(rows))

    def change(self, sql: str, values: Row) -> None:
        for number in range(1, len(values) + 1):
            sql = sql.replace("%s", f":{number}", 1)
        self._server.execute(sql, *values)

    def query(self, sql: str) -> list[Row]:
        return self._server.execute(sql)

    def close(self) -> None:
        self._server.close()


class DatabaseAgency:
    """One server with its tables. `place` keeps its port and what was written into status columns, for the next time."""

    def __init__(self, kind: str, place: Path) -> None:
        self._tables = MYSQL if kind == "mysql" else ORACLE
        self._begin: Callable[[int], _Engine] = MariaEngine if kind == "mysql" else OracleEngine
        self._kept = place / f"{kind}.json"
        self._engine: _Engine | None = None
        self._later = False
        self._marks: dict[str, dict[str, str]] = {}

    def start(self, port: int) -> int:
        """Start it where it was before, else on `port`, else on a free one, because the hub goes by the address; tables are those of the first day."""
        kept: dict[str, Any] = json.loads(self._kept.read_text("utf-8")) if self._kept.exists() else {"port": port, "marks": {}}
        self._marks = kept["marks"]
        self._engine = self._begin(next(each for each in (kept["port"], port, _free()) if each and _is_free(each)))
        for table in self._tables:
            self._engine.make(table, table.rows())
        return self._engine.port

    def turn(self, *, later: bool) -> None:
        """Let it be the first day or a later one."""
        assert self._engine is not None, "it was not started"
        if later and not self._later:
            self._later = True
            for table in self._tables:
                for sql, values in table.later():
                    self._engine.change(sql, values)
        self._restore()
        self.keep()

    def marked(self) -> dict[str, dict[str, int]]:
        """How many rows have which status, by table."""
        return {table.name: dict(sorted(Counter(self._statuses(table).values()).items())) for table in self._tables if table.status}

    def keep(self) -> None:
        """Write down the port and what the status columns say."""
        assert self._engine is not None, "it was not started"
        marks = {table.name: self._statuses(table) for table in self._tables if table.status}
        self._kept.write_text(json.dumps({"port": self._engine.port, "marks": marks}), encoding="utf-8")

    def close(self) -> None:
        """Keep that, and end it."""
        if self._engine is not None:
            try:
                self.keep()
            finally:
                self._engine.close()

    def _statuses(self, table: Table) -> dict[str, str]:
        assert self._engine is not None, "it was not started"
        return {str(key): str(status) for key, status in self._engine.query(f"SELECT {table.id}, {table.status} FROM {table.name} ORDER BY {table.id}")}

    def _restore(self) -> None:
        """Once, after the tables were made for the day."""
        assert self._engine is not None, "it was not started"
        marks, self._marks = self._marks, {}
        for table in self._tables:
            for key, status in marks.get(table.name, {}).items():
                self._engine.change(f"UPDATE {table.name} SET {table.status} = %s WHERE {table.id} = %s", (status, int(key)))


def _as_gbk(row: Row) -> Row:
    return tuple(cell.encode("gbk") if isinstance(cell, str) else cell for cell in row)


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return trial.connect_ex((HOST, port)) != 0


def _free() -> int:
    with socket.socket() as trial:
        trial.bind((HOST, 0))
        return int(trial.getsockname()[1])
