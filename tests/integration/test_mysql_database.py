"""MySQL pulls against a real MariaDB: what every database promises, and what only this family does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from connectors.databases.mysql import MysqlDatabase
from connectors.databases.settings import MysqlConfig
from tests.contract.database_contract import DatabaseContract
from tests.databases import MariaServer
from tests.servers import free_ports

pytestmark = pytest.mark.server
_TYPES = {"id": "BIGINT", "text": "VARCHAR(400)", "long": "LONGTEXT", "number": "DECIMAL(40,10)", "big": "DECIMAL(38,0)", "date": "DATE", "time": "DATETIME(6)"}


@pytest.fixture(scope="module")
def server() -> Iterator[MariaServer]:
    with MariaServer() as running:
        yield running


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


class TestMysqlDatabase(DatabaseContract):
    """The promises, kept by a real server."""

    digits = 28
    nul = True

    @pytest.fixture(autouse=True)
    def _at(self, server: MariaServer) -> None:
        self.server = server
        self.name = server.database()

    def settings(self, **more: Any) -> MysqlConfig:
        return MysqlConfig.model_validate(dict(self.server.settings(self.name)) | more)

    def database(self) -> MysqlDatabase:
        return MysqlDatabase(self.settings())

    def stranger(self) -> MysqlDatabase:
        return MysqlDatabase(self.settings(password="another"))

    def nowhere(self) -> MysqlDatabase:
        return MysqlDatabase(self.settings(port=free_ports(1)[0]))

    def make_table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], key: Sequence[str] = ("id",)) -> None:
        parts = [f"{quoted(column)} {_TYPES[sort]}" for column, sort in columns.items()]
        keys = [f"PRIMARY KEY ({', '.join(map(quoted, key))})"] if key else []
        self.server.execute(f"CREATE TABLE {quoted(name)} ({', '.join(parts + keys)}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", database=self.name)
        self.insert(name, rows)

    def insert(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            with self.server.connect(self.name) as connection, connection.cursor() as cursor:
                table = quoted(name).replace("%", "%%")
                cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[0]))})", [tuple(row) for row in rows])

    def put(self, name: str, column: str, value: Any, number: int) -> None:
        with self.server.connect(self.name) as connection, connection.cursor() as cursor:
            cursor.execute(f"UPDATE {quoted(name)} SET {quoted(column)} = %s WHERE id = %s", (value, number))

    def remove(self, name: str, number: int) -> None:
        self.server.execute(f"DELETE FROM {quoted(name)} WHERE id = {int(number)}", database=self.name)
