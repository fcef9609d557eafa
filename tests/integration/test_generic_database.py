"""The general way through SQLAlchemy, on PostgreSQL and MariaDB, and its statements as other dialects write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Executable
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql

from connectors.databases import generic_statements as statements
from connectors.databases.dialect import Ask, Column, Place, Relation
from connectors.databases.generic import SqlDatabase
from connectors.databases.settings import SqlConfig
from hub.contracts.errors import Misconfigured, Unavailable
from tests.contract.database_contract import DatabaseContract, cells
from tests.databases import MariaServer, PostgresServer
from tests.integration.test_postgres_database import PostgresTables
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
    with MariaServer("innodb_lock_wait_timeout=1") as running:
        yield running


class TestSqlDatabaseOnPostgres(PostgresTables):
    def database(self, **more: Any) -> Any:
        return SqlDatabase(SqlConfig.model_validate({**self.server.settings(self.name), "name": "postgresql+psycopg", **more}))


class TestSqlDatabaseOnMariaDb(DatabaseContract):
    nul = True
    name_most = 60
    names_refused = "`"  # SQLAlchemy reflects it twice in a name of MySQL, and the configuration takes none

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


DIALECTS = {"oracle": oracle.dialect(), "mssql": mssql.dialect(), "mysql": mysql.dialect(), "postgresql": postgresql.dialect()}  # type: ignore[no-untyped-call]
RELATION = Relation(
    "qy 企业",
    (Column("tongid", "NUMBER", "number"), Column("gxsj", "DATE", "time"), Column("Flag", "CHAR(1)", "text"), Column("y", "RAW", "binary")),
    ("tongid",),
    "qzk",
)


def compiled(dialect: str, statement: Executable) -> tuple[str, dict[str, Any]]:
    made = statement.compile(dialect=DIALECTS[dialect])  # type: ignore[attr-defined]
    return " ".join(str(made).split()), made.params


@pytest.mark.parametrize("dialect", DIALECTS)
def test_statements_bind_every_value_and_quote_every_name_in_other_dialects_too(dialect: str) -> None:
    place = Place(("gxsj", "tongid"), ("2026-11-24 08:00:00", "12"))
    ask = Ask(RELATION, ("tongid", "Flag"), ("gxsj", "tongid"), place, ("gxsj", "2026-11-25 00:00:00"), {"Flag": "0' OR 1=1 --"}, 500)

    sql, values = compiled(dialect, statements.rows_of(ask, ask.columns, ask.limit))
    counted, _ = compiled(dialect, statements.count(ask))
    marked, written = compiled(dialect, statements.mark(RELATION, RELATION.columns[2], "1", RELATION.columns[0], ["1", "2"], "0' OR 1=1 --"))

    assert "OR 1=1" not in sql + counted + marked
    assert {"0' OR 1=1 --", datetime(2026, 11, 24, 8), 12} <= {value for value in values.values() if not isinstance(value, list)}
    assert [1, 2] in list(written.values()) or {1, 2} <= set(map(str, written.values())) | {1, 2}
    assert "ORDER BY" in sql
    assert any(quote in sql for quote in ('"qy 企业"', "`qy 企业`", "[qy 企业]"))
    assert any(word in sql for word in ("ROWNUM", "FETCH FIRST", "TOP", "LIMIT"))


def test_a_place_is_passed_without_comparing_rows() -> None:
    ask = Ask(RELATION, ("tongid",), after=Place(("gxsj", "tongid"), ("2026-11-24 08:00:00", "12")))

    sql, _ = compiled("oracle", statements.rows_of(ask, ask.columns, None))

    assert sql.count(" OR ") == 1
    assert sql.count("IS NOT NULL") == 2


@pytest.mark.parametrize(("name", "value"), [("tongid", "x"), ("gxsj", "gestern"), ("y", "zz")])
def test_a_value_that_a_column_cannot_hold_is_misconfigured(name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as wrong:
        statements.rows_of(Ask(RELATION, ("tongid",), equals={name: value}), ("tongid",), None)

    assert name in wrong.value.message
    assert value not in wrong.value.message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None), ("", None), ("企业", "企业"), (True, "true"), (False, "false"), (10**30, "1" + "0" * 30), (0.1, "0.1"), (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"), (float("nan"), "nan"), (Decimal("1.50"), "1.50"), (Decimal("1E+3"), "1000"), (Decimal("-1E-10"), "-0.0000000001"),
        (date(1949, 10, 1), "1949-10-01"), (datetime(2026, 11, 24), "2026-11-24 00:00:00"), (datetime(2026, 11, 24, 8, 0, 0, 5), "2026-11-24 08:00:00.000005"),
        (datetime(2026, 11, 24, tzinfo=UTC), "2026-11-24 08:00:00"), (b"\x00\xff", "00ff"), (memoryview(b"a"), "61"), ({"名": [1, None]}, '{"名": [1, null]}'),
    ],
)  # fmt: skip
def test_a_value_of_a_driver_has_one_text(value: Any, text: str | None) -> None:
    assert statements.cell(value) == text


@pytest.mark.parametrize(("name", "said"), [("dm", "dmSQLAlchemy"), ("kingbase+ksycopg2", "ksycopg2"), ("no_such_dialect", "no_such_dialect")])
def test_a_dialect_that_is_not_installed_is_misconfigured_and_names_its_package(name: str, said: str) -> None:
    config = SqlConfig.model_validate({"host": "127.0.0.1", "database": "x", "user": "hub", "password": "x", "name": name})

    with closing(SqlDatabase(config)) as database, pytest.raises(Misconfigured) as missing:
        database.server()

    assert said in missing.value.hint


@pytest.fixture
def filled(maria: MariaServer) -> str:
    """A database with a table `t` of 50,000 rows."""
    name = maria.database()
    maria.execute(
        "CREATE TABLE t (id bigint PRIMARY KEY, name varchar(255), note text, flag char(1)) CHARACTER SET utf8mb4",
        "INSERT INTO t SELECT seq, CONCAT('企业', seq), REPEAT('长', 100), '0' FROM seq_1_to_50000",
        database=name,
    )
    return name


def connect(maria: MariaServer, name: str, **more: Any) -> SqlDatabase:
    pause = more.pop("pause", lambda seconds: None)
    return SqlDatabase(SqlConfig.model_validate({**maria.settings(name), "name": "mysql+pymysql", **more}), pause=pause)


def test_a_server_that_is_restarted_in_mid_read_is_unavailable_and_then_read_again(maria: MariaServer, filled: str) -> None:
    with closing(connect(maria, filled)) as database:
        ask = Ask(database.relation("t"), ("id", "name", "note"))
        stream = database.read(ask)
        next(stream)

        maria.kill()
        with pytest.raises(Unavailable):
            for _ in stream:
                pass
        with pytest.raises(Unavailable):
            database.clock()
        maria.start()

        assert sum(piece.rows for piece in database.read(ask)) == 50_000


def test_a_connection_that_is_killed_is_opened_anew_but_never_a_view_of_the_data(maria: MariaServer, filled: str) -> None:
    with closing(connect(maria, filled)) as database:
        ask = Ask(database.relation("t"), ("id",))
        database.begin()
        assert database.count(ask) == 50_000

        for (number,) in maria.execute("SELECT id FROM information_schema.processlist WHERE user = 'hub'"):
            maria.execute(f"KILL {number}")
        for _ in range(2):
            with pytest.raises(Unavailable):
                database.count(ask)
        database.begin()

        assert database.count(ask) == 50_000


@pytest.mark.parametrize("change", ["RENAME TO t_old", "DROP COLUMN name"])
def test_a_change_of_the_table_is_misconfigured(maria: MariaServer, filled: str, change: str) -> None:
    with closing(connect(maria, filled)) as database:
        ask = Ask(database.relation("t"), ("id", "name"))

        maria.execute(f"ALTER TABLE t {change}", database=filled)

        with pytest.raises(Misconfigured):
            cells(database.read(ask))


def test_rows_that_stay_locked_are_tried_again_and_unavailable_in_the_end(maria: MariaServer, filled: str) -> None:
    pauses: list[float] = []
    with maria.connect(filled) as other, other.cursor() as cursor, closing(connect(maria, filled, pause=pauses.append)) as database:
        relation = database.relation("t")
        cursor.execute("BEGIN")
        cursor.execute("UPDATE t SET name = 'x' WHERE id = 2")

        with pytest.raises(Unavailable):
            database.mark(relation, "flag", "1", key="id", keys=["1", "2"], expected="0")

    assert len(pauses) == 4
    assert maria.execute("SELECT COUNT(*) FROM t WHERE flag = '1'", database=filled) == [(0,)]


def test_what_a_query_may_not_do_is_not_done(maria: MariaServer, filled: str) -> None:
    with closing(connect(maria, filled)) as database:
        for sql in ("SELECT 1 AS a) q; DELETE FROM t; SELECT (1", "SELECT id FROM t WHERE :x = 1 AND (", "SELECT 1 AS a, 2 AS a"):
            with pytest.raises(Misconfigured):
                database.query("reviewed", sql)
        relation = database.query("reviewed", "SELECT id, 'a:b %s' AS note FROM t WHERE name LIKE '%业1' -- 一")

        assert cells(database.read(Ask(relation, ("id", "note")))) == [("1", "a:b %s")]
        assert database.count(Ask(database.relation("t"), ("id",))) == 50_000
