"""PostgreSQL as an agency's database: the contract, its own types, and what goes wrong on a real server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from connectors.databases.postgres import PostgresDatabase
from connectors.databases.settings import PostgresConfig
from tests.contract.database_contract import DatabaseContract
from tests.databases import PostgresServer
from tests.servers import free_ports

TYPES = {
    "id": "bigint", "text": "varchar(255)", "long": "text", "number": "numeric(38,10)", "big": "numeric(38)", "date": "date", "time": "timestamp",
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class TestPostgresDatabase(DatabaseContract):
    name_most = 63
    digits = 28

    @pytest.fixture(autouse=True)
    def _server(self, server: PostgresServer) -> None:
        self.server = server
        self.name = server.database()

    def database(self, **more: Any) -> PostgresDatabase:
        return PostgresDatabase(PostgresConfig.model_validate({**self.server.settings(self.name), **more}))

    def stranger(self) -> PostgresDatabase:
        return self.database(user="nobody_of_that_name")

    def nowhere(self) -> PostgresDatabase:
        return self.database(port=free_ports(1)[0])

    def make_table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], key: Sequence[str] = ("id",)) -> None:
        parts = [f"{quoted(column)} {TYPES[sort]}" for column, sort in columns.items()]
        parts += [f"PRIMARY KEY ({', '.join(map(quoted, key))})"] if key else []
        self.run(f"CREATE TABLE {quoted(name)} ({', '.join(parts)})", f"GRANT ALL ON {quoted(name)} TO hub")
        self.insert(name, rows)

    def insert(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            with self.server.connect(self.name) as connection, connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {quoted(name).replace('%', '%%')} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)

    def put(self, name: str, column: str, value: Any, number: int) -> None:
        with self.server.connect(self.name) as connection:
            connection.execute(f"UPDATE {quoted(name)} SET {quoted(column)} = %s WHERE id = %s", (value, number))

    def remove(self, name: str, number: int) -> None:
        self.run(f"DELETE FROM {quoted(name)} WHERE id = {number}")

    def run(self, *sql: str) -> list[tuple[Any, ...]]:
        return self.server.execute(*sql, database=self.name)
