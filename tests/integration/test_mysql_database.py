"""MySQL pulls against a real MariaDB: what every database promises, and what only this family does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import pytest

from connectors.databases.dialect import Ask, Place
from connectors.databases.mysql import MysqlDatabase
from connectors.databases.settings import MysqlConfig
from hub.contracts.errors import Misconfigured
from tests.contract.database_contract import DatabaseContract, cells
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


@pytest.fixture
def name(server: MariaServer) -> str:
    return server.database()


def opened(server: MariaServer, name: str, **more: Any) -> MysqlDatabase:
    return MysqlDatabase(MysqlConfig.model_validate(dict(server.settings(name)) | more))


def whole(db: MysqlDatabase, table: str, *columns: str, **more: Any) -> Ask:
    relation = db.relation(table)
    return Ask(relation, columns or tuple(column.name for column in relation.columns), **more)


def test_zero_dates_are_nothing_and_counted_and_half_dates_stay(server: MariaServer, name: str) -> None:
    server.execute(
        "SET sql_mode=''",
        "CREATE TABLE t (id INT PRIMARY KEY, d DATE, at DATETIME, ts TIMESTAMP NULL, note VARCHAR(20))",
        "INSERT INTO t VALUES (1,'0000-00-00','0000-00-00 00:00:00','0000-00-00 00:00:00','a'),(2,'2024-00-00','0000-00-00 00:00:00',NULL,'b'),"
        "(3,'2024-02-29','2024-02-29 01:02:03','2024-02-29 01:02:03','c')",
        database=name,
    )
    with closing(opened(server, name)) as db:
        db.begin()

        found = cells(db.read(whole(db, "t", order=("id",))))
        odd = db.oddities().said

    assert found[0] == ("1", None, None, None, "a")
    assert found[1] == ("2", "2024-00-00", None, None, "b")
    assert found[2][1:3] == ("2024-02-29", "2024-02-29 01:02:03")
    assert odd == {"zero_dates": {"d": 1, "at": 2, "ts": 1}}


def test_every_type_becomes_text_without_loss(server: MariaServer, name: str) -> None:
    columns = {
        "u": ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"),
        "z": ("INT(8) ZEROFILL", "7", "7"),
        "b": ("BIT(10)", "b'1000000001'", "513"),
        "y": ("YEAR", "2024", "2024"),
        "t": ("TIME(3)", "'-838:59:59.5'", "-838:59:59.000"),
        "j": ("JSON", '\'{"a": "值"}\'', '{"a": "值"}'),
        "e": ("ENUM('甲','乙') CHARACTER SET gbk", "'乙'", "乙"),
        "s": ("SET('a','b')", "'a,b'", "a,b"),
        "x": ("BLOB", "x'00FF1F0A'", "00FF1F0A"),
        "third": ("DOUBLE", "0.1e0+0.2e0", "0.30000000000000004"),
        "huge": ("DOUBLE", "1.5e20", "150000000000000000000"),
        "tiny": ("DOUBLE", "-2.5e-7", "-0.00000025"),
        "f": ("FLOAT", "0.1", "0.1"),
        "g": ("FLOAT", "16777215", "16777215"),
        "at": ("DATETIME(3)", "'2024-01-02 03:04:05.120'", "2024-01-02 03:04:05.120000"),
        "l": ("VARCHAR(9) CHARACTER SET latin1", "'é'", "é"),
        "w": ("VARCHAR(9) CHARACTER SET utf8mb3", "'常熟'", "常熟"),
        "k": ("VARCHAR(9) CHARACTER SET gbk", "'常熟'", "常熟"),
        "made": ("INT AS (y + 1)", "DEFAULT", "2025"),
    }
    written = ", ".join(f"{column} {kind}" for column, (kind, _, _) in columns.items())
    server.execute(
        "SET sql_mode=''", f"CREATE TABLE t ({written})", f"INSERT INTO t VALUES ({', '.join(value for _, value, _ in columns.values())})", database=name
    )

    with closing(opened(server, name)) as db:
        relation = db.relation("t")
        found = {column: cells(db.read(Ask(relation, (column,))))[0][0] for column in columns if column != "t"}
        together = cells(db.read(Ask(relation, tuple(columns))))[0]

    assert found == {column: text for column, (_, _, text) in columns.items() if column != "t"}
    assert together[4] is not None
    assert together[4].startswith("-838:59:59")


def gbk_table(server: MariaServer, name: str, *values: bytes) -> None:
    rows = ",".join(f"({at}, _binary x'{value.hex()}')" for at, value in enumerate(values, 1))
    server.execute("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(60) CHARACTER SET latin1)", f"INSERT INTO t VALUES {rows}", database=name)


def test_gbk_in_latin1_is_read_as_gbk_and_what_is_none_is_told(server: MariaServer, name: str) -> None:
    gbk_table(server, name, "常熟市\x1f企业".encode("gbk"), b"plain", b"\xb3\xa3\xca", "常熟".encode("gbk") + b"\xff", "㐂".encode("gb18030"))
    with closing(opened(server, name, text_is="gbk")) as db:
        db.begin()

        found = cells(db.read(whole(db, "t", order=("id",))))
        behind = cells(db.read(whole(db, "t", equals={"name": "常熟市\x1f企业"})))
        odd = db.oddities().said

    assert found[:2] == [("1", "常熟市\x1f企业"), ("2", "plain")]
    assert [row[1] for row in found[2:4]] == ["常\ufffd", "常熟\ufffd"]
    assert found[4][1] == "㐂"
    assert behind == found[:1]
    assert odd == {"no_gbk": {"name": 2}}


def test_latin1_that_looks_like_gbk_is_shown_with_the_way_out(server: MariaServer, name: str) -> None:
    gbk_table(server, name, *(f"常熟市第{i}公司".encode("gbk") for i in range(20)))
    with closing(opened(server, name)) as db:
        db.begin()

        list(db.read(whole(db, "t")))
        odd = db.oddities().said

    assert odd == {"latin1_that_looks_like_gbk": {"columns": ["name"], "hint": "write text_is: gbk at the source"}}


def test_latin1_of_europe_looks_like_no_gbk(server: MariaServer, name: str) -> None:
    gbk_table(server, name, "Société Générale".encode("latin1"), "Müller".encode("latin1"))
    with closing(opened(server, name)) as db:
        found = cells(db.read(whole(db, "t", "name", order=("id",))))
        odd = db.oddities().said

    assert found == [("Société Générale",), ("Müller",)]
    assert odd == {}


def test_a_page_that_the_server_cuts_short_is_read_row_by_row(server: MariaServer, name: str) -> None:
    server.execute("CREATE TABLE t (id INT PRIMARY KEY, note LONGTEXT)", database=name)
    server.execute("INSERT INTO t SELECT seq, REPEAT(CHAR(64 + seq % 26), IF(seq > 480, 1000000, 10)) FROM seq_1_to_500", database=name)
    with closing(opened(server, name)) as db:
        pieces = list(db.read(whole(db, "t", order=("id",))))

    found = [line.split(b"\x1f") for piece in pieces for line in piece.lines.splitlines()]
    assert [int(row[0]) for row in found] == list(range(1, 501))
    assert [len(row[1]) for row in found[478:482]] == [10, 10, 1_000_000, 1_000_000]
    assert max(len(piece.lines) for piece in pieces) < 4 << 20


def test_a_partitioned_table_comes_in_the_order_that_was_asked_for(server: MariaServer, name: str) -> None:
    server.execute("CREATE TABLE t (id INT PRIMARY KEY) PARTITION BY HASH(id) PARTITIONS 4", "INSERT INTO t SELECT seq FROM seq_1_to_3000", database=name)
    with closing(opened(server, name)) as db:
        found = cells(db.read(whole(db, "t", order=("id",))))

    assert [row[0] for row in found] == [str(i) for i in range(1, 3001)]


def test_a_row_longer_than_the_server_may_send_is_misconfigured(server: MariaServer, name: str) -> None:
    server.execute("CREATE TABLE t (id INT, a LONGTEXT, b LONGTEXT)", "INSERT INTO t VALUES (1, REPEAT('a', 40000000), REPEAT('b', 40000000))", database=name)
    with closing(opened(server, name)) as db, pytest.raises(Misconfigured, match="max_allowed_packet"):
        list(db.read(whole(db, "t")))


def test_a_view_is_read_like_a_table(server: MariaServer, name: str) -> None:
    server.execute("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(9))", "INSERT INTO t VALUES (1,'a')", "CREATE VIEW v AS SELECT * FROM t", database=name)
    with closing(opened(server, name)) as db:
        relation = db.relation("v")
        found = cells(db.read(Ask(relation, ("id", "name"), order=("id",))))

        server.execute("DROP TABLE t", database=name)
        with pytest.raises(Misconfigured, match="view"):
            list(db.read(Ask(relation, ("id", "name"))))

    assert (relation.key, found) == ((), [("1", "a")])


def test_a_query_knows_the_character_sets_of_its_columns(server: MariaServer, name: str) -> None:
    gbk_table(server, name, "常熟".encode("gbk"))
    with closing(opened(server, name, text_is="gbk")) as db:
        relation = db.query("q", "SELECT id, name, CAST('2024-01-01 00:00:00.5' AS DATETIME(6)) AS at, x'00FF' AS raw FROM t WHERE name LIKE '%' -- all")
        found = cells(db.read(Ask(relation, ("id", "name", "at", "raw"))))

    assert found == [("1", "常熟", "2024-01-01 00:00:00.500000", "00FF")]


def test_going_on_behind_the_largest_ids_loses_none(server: MariaServer, name: str) -> None:
    top = 2**64 - 1
    server.execute("CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY)", f"INSERT INTO t VALUES ({top - 2}), ({top - 1}), ({top})", database=name)
    with closing(opened(server, name)) as db:
        relation = db.relation("t")
        found = cells(db.read(Ask(relation, ("id",), order=("id",), after=Place(("id",), (str(top - 2),)))))
        marked = db.count(Ask(relation, ("id",), equals={"id": str(top - 1)}))

    assert found == [(str(top - 1),), (str(top),)]
    assert marked == 1


def test_no_option_lets_the_server_read_files_or_the_driver_run_statements(server: MariaServer, name: str) -> None:
    for option in ("local_infile", "init_command", "read_default_file", "unix_socket", "ssl_disabled"):
        with pytest.raises(ValueError, match="not allowed"):
            opened(server, name, options={option: "1"})
