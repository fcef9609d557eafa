"""PostgreSQL as an agency's database: the contract, its own types, and what goes wrong on a real server."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import pytest

from connectors.databases.dialect import Ask, Database, Place
from connectors.databases.postgres import PostgresDatabase, cells_of
from connectors.databases.settings import PostgresConfig
from hub.contracts.errors import Misconfigured
from tests.contract.database_contract import DatabaseContract, cells
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


class PostgresTables(DatabaseContract):
    """How the tests fill an agency's database on PostgreSQL."""

    name_most = 63

    @pytest.fixture(autouse=True)
    def _server(self, server: PostgresServer) -> None:
        self.server = server
        self.name = server.database()

    def database(self, **more: Any) -> Any:
        return PostgresDatabase(PostgresConfig.model_validate({**self.server.settings(self.name), **more}))

    def stranger(self) -> Any:
        return self.database(user="nobody_of_that_name")

    def nowhere(self) -> Any:
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


class TestPostgresDatabase(PostgresTables):
    def test_names_are_found_in_lower_case_as_postgresql_would(self, db: Database) -> None:
        self.make_table("ztb_qyxx", {"id": "id"}, [(1,)])

        assert db.relation("ZTB_QYXX").name == "ztb_qyxx"
        assert db.relation("ZTB_QYXX", "PUBLIC").schema == "public"

    def test_views_and_tables_of_every_kind_are_relations(self, db: Database) -> None:
        self.run(
            "CREATE SCHEMA qz",
            "CREATE TABLE qz.whole (id bigint, at date, name text) PARTITION BY RANGE (at)",
            "CREATE TABLE qz.part PARTITION OF qz.whole FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
            "INSERT INTO qz.whole VALUES (1, '2026-05-01', '甲')",
            "CREATE VIEW qz.seen AS SELECT id, name FROM qz.whole",
            "CREATE MATERIALIZED VIEW qz.kept AS SELECT id, name FROM qz.whole",
            "CREATE EXTENSION IF NOT EXISTS file_fdw",
            "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
            "CREATE FOREIGN TABLE qz.far (id bigint, name text) SERVER files OPTIONS (program 'echo 1,甲', format 'csv')",
            "GRANT USAGE ON SCHEMA qz TO hub; GRANT SELECT ON ALL TABLES IN SCHEMA qz TO hub",
        )

        for name in ("whole", "seen", "kept", "far"):
            assert cells(db.read(Ask(db.relation(name, "qz"), ("id", "name")))) == [("1", "甲")], name

    def test_without_a_primary_key_a_unique_one_of_columns_that_are_never_null_serves(self, db: Database) -> None:
        self.run(
            "CREATE TABLE a (id bigint, b text NOT NULL, c int NOT NULL, UNIQUE (id), UNIQUE (c, b))",
            "CREATE TABLE b (id bigint, c bigint NOT NULL)",
            "CREATE UNIQUE INDEX ON b (c) WHERE c > 0",
            "CREATE UNIQUE INDEX ON b ((c + 1))",
        )

        assert db.relation("a").key == ("c", "b")
        assert db.relation("b").key == ()

    def test_every_type_has_a_text_without_loss(self, db: Database) -> None:
        self.run(
            "CREATE DOMAIN money_yuan AS numeric(18,2)",
            "CREATE TYPE kind AS ENUM ('一般', '严重')",
            """CREATE TABLE t (i smallint, n numeric, d money_yuan, r real, f double precision, m money, o boolean, c char(6), y bytea, u uuid, j jsonb, a text[],
            z timestamptz, ts timestamp(0), tm time, k kind, iv interval, ip inet)""",
            """INSERT INTO t VALUES (-3, 12345678901234567890.10, 7.50, 0.1, 1e22, '12.30', true, 'ab', '\\x00ff', '00000000-0000-0000-0000-00000000000a',
            '{"名": [1, null]}', '{"甲,乙",NULL}', '2026-11-24 00:30:00+00', '2026-11-24 08:00:00', '08:30', '严重', '1 day 02:00', '10.0.0.1')""",
            "INSERT INTO t (f, n, r) VALUES ('NaN', 'NaN', 1e-7)",
            "GRANT SELECT ON t TO hub",
        )
        relation = db.relation("t")

        rows = cells(db.read(Ask(relation, tuple(column.name for column in relation.columns))))

        assert rows[0] == (
            "-3", "12345678901234567890.10", "7.50", "0.1", "10000000000000000000000", "12.30", "true", "ab", "00ff", "00000000-0000-0000-0000-00000000000a",
            '{"名": [1, null]}', '{"甲,乙",NULL}', "2026-11-24 08:30:00", "2026-11-24 08:00:00", "08:30:00", "严重", "1 day 02:00:00", "10.0.0.1",
        )  # fmt: skip
        assert (rows[1][4], rows[1][1], rows[1][3]) == ("NaN", "NaN", "0.0000001")
        assert relation.columns[2].declared == "numeric(18,2)"
        assert {column.name: column.sort for column in relation.columns if column.sort != "text"} == {
            "i": "number", "n": "number", "d": "number", "r": "number", "f": "number", "m": "number", "y": "binary", "z": "time", "ts": "time",
        }  # fmt: skip

    def test_places_of_every_sort_are_compared_in_their_own_order(self, db: Database) -> None:
        self.run(
            "CREATE TABLE t (id int, f double precision, z timestamptz, y bytea, n numeric, d date)",
            "INSERT INTO t SELECT i, i / 10.0, timestamptz '2026-11-24 00:00+00' + i * interval '1 h', decode(lpad(to_hex(i), 2, '0'), 'hex'), i * 1000.5, "
            "date '2026-01-01' + i FROM generate_series(1, 30) AS i",
            "GRANT SELECT ON t TO hub",
        )
        relation = db.relation("t")

        for name in ("id", "f", "z", "y", "n", "d"):
            ninth = cells(db.read(Ask(relation, (name,), equals={"id": "9"})))[0][0]
            later = Ask(relation, ("id",), order=(name,), after=Place((name,), (ninth or "",)))
            assert [row[0] for row in cells(db.read(later))] == [str(i) for i in range(10, 31)], name

    def test_a_query_cannot_leave_its_brackets(self, db: Database, table: str) -> None:
        self.filled(table, 3)

        for sql in (f"SELECT 1 AS a) AS q LIMIT 0; DELETE FROM {table}; SELECT (1", f"SELECT 1) AS q; DROP TABLE {table}; --", "SELECT 1 AS a, 2 AS a"):
            with pytest.raises(Misconfigured):
                db.query("reviewed", sql)
        assert db.count(self.ask(db, table)) == 3

    def test_a_query_may_hold_percent_signs_colons_and_a_remark(self, db: Database, table: str) -> None:
        self.filled(table, 12)
        relation = db.query("of_ten", f"SELECT id, name, 'a:b %s'::text AS note FROM {table} WHERE name LIKE '%1%' -- 以1开头")

        found = cells(db.read(Ask(relation, ("id", "note"), order=("id",))))

        assert found == [(number, "a:b %s") for number in ("1", "10", "11", "12")]

    def test_nothing_can_be_written_by_a_query(self, db: Database, table: str) -> None:
        self.filled(table, 3)
        self.run(f"CREATE FUNCTION wipe() RETURNS bigint LANGUAGE sql AS 'DELETE FROM {table}; SELECT 1::bigint'")
        relation = db.query("reviewed", "SELECT wipe() AS id")

        with pytest.raises(Misconfigured) as refused:
            cells(db.read(Ask(relation, ("id",))))

        assert refused.value.code == "25006"
        assert db.count(self.ask(db, table)) == 3

    def test_stopping_early_keeps_the_view_of_a_snapshot(self, db: Database, table: str) -> None:
        self.make_table(table, {"id": "id", "name": "text", "note": "long"}, [(i, f"企业{i}", "长" * 500) for i in range(1, 5_001)])
        db.begin()

        stream = db.read(self.ask(db, table))
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        self.put(table, "name", "改", 1)
        with pytest.raises(Misconfigured):
            db.relation("no_such_table")
        seen = cells(db.read(self.ask(db, table, "name", order=("id",), limit=1)))
        db.end()

        assert seen == [("企业1",)]

    def test_text_of_a_database_without_an_encoding_is_read_as_it_most_likely_is(self) -> None:
        name = f"{self.name}_plain"
        self.server.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        with self.server.connect(name) as connection:
            connection.execute(r"CREATE TABLE t AS SELECT 1 AS id, convert_from('\xc6f3d2b5'::bytea, 'SQL_ASCII') AS raw")
            connection.execute("GRANT SELECT ON t TO hub")

        with closing(self.database(database=name)) as database:
            database.begin()
            found = cells(database.read(Ask(database.relation("t"), ("id", "raw"))))
            odd = database.oddities()

        assert found == [("1", "企业")]
        assert odd.said == {"not_utf8": 1}

    def test_refusals_say_what_to_do(self, table: str) -> None:
        self.run(f"CREATE TABLE {table} (id int)")
        cases = {"28P01": {"user": "nobody_here"}, "3D000": {"database": "nirgends"}}

        for code, wrong in cases.items():
            with closing(self.database(**wrong)) as database, pytest.raises(Misconfigured) as refused:
                database.server()
            assert refused.value.hint
            assert refused.value.code in (code, "")
        with closing(self.database()) as database, pytest.raises(Misconfigured) as refused:
            database.count(Ask(database.relation(table), ("id",)))
        assert refused.value.code == "42501"


def test_cells_of_a_line_are_those_of_any_reader() -> None:
    for line in (b"1\x1f\x1f\n", b'"a\nb"\x1f"x""y"\x1f""\n', b'"\x1f"\x1f1\n', b"\n", b'"a"\n', b'\x1f"b"\x1f\n'):
        expected = [cell or None for row in csv.reader(io.StringIO(line.decode(), newline=""), delimiter="\x1f") for cell in row] or [None]
        assert list(cells_of(line)) == expected
