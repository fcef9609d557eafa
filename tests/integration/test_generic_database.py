"""The general way through SQLAlchemy, on PostgreSQL and MariaDB, and its statements as other dialects write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from connectors.databases.dialect import Database
from connectors.databases.generic import SqlDatabase
from connectors.databases.settings import SqlConfig
from tests.contract import database_contract
from tests.contract.database_contract import DatabaseContract
from tests.databases import MariaServer, PostgresServer
from tests.integration import test_postgres_database
from tests.servers import free_ports

MARIA_TYPES = {
    "id": "bigint", "text": "varchar(255)", "long": "longtext", "number": "decimal(38,10)", "big": "decimal(38)", "date": "date", "time": "datetime(6)",
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaServer]:
    with MariaServer() as running:
        yield running


class TestSqlDatabaseOnPostgres(test_postgres_database.TestPostgresDatabase):
    def database(self, **more: Any) -> Any:
        return SqlDatabase(SqlConfig.model_validate({**self.server.settings(self.name), "name": "postgresql+psycopg", **more}))


class TestSqlDatabaseOnMariaDb(DatabaseContract):
    name_most = 60
    digits = 28

    @pytest.fixture(autouse=True)
    def _maria(self, maria: MariaServer) -> None:
        self.maria = maria
        self.name = maria.database()

    def database(self, **more: Any) -> SqlDatabase:
        return SqlDatabase(SqlConfig.model_validate({**self.maria.settings(self.name), "name": "mysql+pymysql", **more}))

    def stranger(self) -> SqlDatabase:
        return self.database(password="wrong")

    def nowhere(self) -> SqlDatabase:
        return self.database(port=free_ports(1)[0])

    def test_names_are_quoted(self, db: Database, table: str) -> None:
        """SQLAlchemy reflects a backtick in a name of MySQL twice, and the configuration takes none."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database_contract, "HOSTILE", tuple(name for name in database_contract.HOSTILE if "`" not in name))
            super().test_names_are_quoted(db, table)

    def make_table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], key: Sequence[str] = ("id",)) -> None:
        parts = [f"{quoted(column)} {MARIA_TYPES[sort]}" for column, sort in columns.items()]
        parts += [f"PRIMARY KEY ({', '.join(map(quoted, key))})"] if key else []
        self.maria.execute(f"CREATE TABLE {quoted(name)} ({', '.join(parts)})", database=self.name)
        self.insert(name, rows)

    def insert(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            with self.maria.connect(self.name) as connection, connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {quoted(name).replace('%', '%%')} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)

    def put(self, name: str, column: str, value: Any, number: int) -> None:
        with self.maria.connect(self.name) as connection, connection.cursor() as cursor:
            cursor.execute(f"UPDATE {quoted(name)} SET {quoted(column)} = %s WHERE id = %s", (value, number))

    def remove(self, name: str, number: int) -> None:
        self.maria.execute(f"DELETE FROM {quoted(name)} WHERE id = {number}", database=self.name)


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
