"""What goes wrong with an Oracle server in the middle of a pull, met by the real driver at the emulator; and its types, from end to end."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import oracledb
import pytest
from pydantic import SecretStr

from connectors.databases import oracle_statements as made
from connectors.databases.dialect import Ask, Place
from connectors.databases.oracle import OracleDatabase
from connectors.databases.settings import OracleConfig, ThickMode
from hub.contracts.errors import Misconfigured, Unavailable
from tests.contract.database_contract import cells
from tests.oracle_emulator import OracleEmulator

ROWS = 25_000
TYPES = {
    "ID": "NUMBER(20)", "JE": "NUMBER", "JB": "NUMBER(12,2)", "XM": "CHAR(10)", "MC": "VARCHAR2(200 CHAR)", "NV": "NVARCHAR2(50)", "RQ": "DATE", "SJ": "TIMESTAMP(6)",
    "S0": "TIMESTAMP(0)", "NS": "TIMESTAMP(9)", "ZW": "RAW(16)", "DB": "BINARY_DOUBLE", "BZ": "CLOB",
    "TZ": "TIMESTAMP(6) WITH TIME ZONE",
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the driver leaves sockets that it gives up to the collector
Opener = Callable[..., OracleDatabase]


@pytest.fixture(scope="module")
def oracle() -> Iterator[OracleEmulator]:
    with OracleEmulator() as emulator:
        emulator.execute("CREATE TABLE V_QY (ID NUMBER(20) PRIMARY KEY, MC VARCHAR2(200), FLAG VARCHAR2(2))")
        emulator.executemany("INSERT INTO V_QY VALUES (:1, :2, :3)", [(i, f"企业{i}", "0") for i in range(1, ROWS + 1)])
        yield emulator


@pytest.fixture
def opened(oracle: OracleEmulator) -> Iterator[Opener]:
    """Opens databases at the emulator, with other settings where they are given."""
    held: list[OracleDatabase] = []

    def open_one(*, wait: Callable[[float], None] = lambda _: None, patience: float = 30.0, **other: Any) -> OracleDatabase:
        held.append(OracleDatabase(OracleConfig(**{**oracle.settings(), **other}), wait=wait, patience=patience, chance=lambda: 0.5))
        return held[-1]

    yield open_one
    oracle.faults.clear()
    for database in held:
        database.close()
    gc.collect()


def whole(database: OracleDatabase) -> Ask:
    return Ask(database.relation("V_QY"), ("ID", "MC"), order=("ID",))


def test_a_wrong_password_is_tried_once_however_many_feeds_there_are(oracle: OracleEmulator, opened: Opener) -> None:
    asked = oracle.logins

    for _ in range(4):
        with pytest.raises(Misconfigured) as refused:
            opened(password="wrong-for-all-feeds").server()
        assert refused.value.code == "ORA-01017"

    assert oracle.logins - asked <= 1
    assert "ten minutes" in refused.value.hint
    assert opened().server().startswith("Oracle Database 19.")


@pytest.mark.parametrize(("code", "kind"), [(28000, Misconfigured), (28001, Misconfigured), (1033, Unavailable)])
def test_an_account_that_is_locked_or_a_server_that_starts(oracle: OracleEmulator, opened: Opener, code: int, kind: type[Exception]) -> None:
    oracle.faults.fail(code, "login")

    with pytest.raises(kind) as refused:
        opened().server()

    assert refused.value.code == f"ORA-{code:05d}"  # type: ignore[attr-defined]
    assert opened().server(), "it is tried anew"


def test_an_unknown_service_is_misconfigured(opened: Opener) -> None:
    with pytest.raises(Misconfigured) as unknown:
        opened(database="NO.SUCH").server()

    assert "service" in unknown.value.message


@pytest.mark.parametrize(("knobs", "code"), [({"version": (11, 2, 0, 4, 0)}, "DPY-3010"), ({"native_encryption": True}, "DPY-3001")])
def test_what_thin_mode_cannot_do_asks_for_thick(knobs: dict[str, Any], code: str) -> None:
    with OracleEmulator(**knobs) as other, closing(OracleDatabase(OracleConfig(**other.settings()))) as database, pytest.raises(Misconfigured) as refused:
        database.server()

    assert refused.value.code == code
    assert "thick" in refused.value.hint + refused.value.message


def test_a_client_library_that_is_not_there_is_misconfigured(opened: Opener) -> None:
    with pytest.raises(Misconfigured) as missing:
        opened(thick=ThickMode(lib_dir="/nonexistent/instantclient")).server()

    assert "thick" in missing.value.hint


def test_a_listener_that_never_answers_holds_one_thread_at_most() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        config = OracleConfig(host="127.0.0.1", port=silent.getsockname()[1], database="x", user="silent", password=SecretStr("x"))
        before = threading.active_count()
        for _ in range(3):
            with closing(OracleDatabase(config, patience=0.2)) as database, pytest.raises(Unavailable):
                database.server()

        assert threading.active_count() <= before + 1


def test_a_connection_cut_while_reading_is_unavailable_and_the_next_call_begins_anew(oracle: OracleEmulator, opened: Opener) -> None:
    database = opened()
    ask = whole(database)
    oracle.faults.cut("fetch", after=1)

    with pytest.raises(Unavailable) as lost:
        list(database.read(ask))

    assert "V_QY" in lost.value.message
    assert len(cells(database.read(ask))) == ROWS


def test_a_snapshot_that_is_too_old_says_so(oracle: OracleEmulator, opened: Opener) -> None:
    database = opened()
    ask = whole(database)
    oracle.faults.fail(1555, "fetch", after=1)

    with pytest.raises(Unavailable) as forgotten:
        list(database.read(ask))

    assert forgotten.value.code == "ORA-01555"
    assert "since" in forgotten.value.hint


def test_a_statement_that_takes_too_long_is_ended(oracle: OracleEmulator, opened: Opener) -> None:
    database = opened(timeout=timedelta(seconds=1))
    ask = whole(database)
    oracle.faults.wait(3600, "execute", holding="COUNT")

    with pytest.raises(Unavailable) as slow:
        database.count(ask)

    assert slow.value.code in ("DPY-4024", "ORA-01013")
    assert database.count(ask) == ROWS


def test_a_view_that_was_lost_with_its_connection_is_not_replaced_in_silence(oracle: OracleEmulator, opened: Opener) -> None:
    database = opened()
    ask = whole(database)
    database.begin()
    oracle.cut()

    with pytest.raises(Unavailable):
        database.count(ask)
    with pytest.raises(Unavailable):
        database.count(ask)
    database.end()

    assert database.count(ask) == ROWS


def test_a_server_that_was_started_again_is_found_again(oracle: OracleEmulator, opened: Opener) -> None:
    database = opened()
    ask = whole(database)
    oracle.stop()

    with pytest.raises(Unavailable):
        database.count(ask)
    with pytest.raises(Unavailable):
        database.count(ask)
    oracle.start()

    assert database.count(ask) == ROWS


def test_a_deadlock_while_marking_is_tried_again(oracle: OracleEmulator, opened: Opener) -> None:
    waited: list[float] = []
    database = opened(wait=waited.append)
    relation = database.relation("V_QY")
    oracle.faults.fail(60, "execute", times=2, holding="UPDATE")

    marked = database.mark(relation, "FLAG", "1", key="ID", keys=[str(i) for i in range(1, 1501)], expected="0")

    assert marked == 1500
    assert len(waited) == 2
    assert waited[1] > waited[0]


def test_a_deadlock_that_stays_is_unavailable_and_nothing_is_written(oracle: OracleEmulator, opened: Opener) -> None:
    database = opened()
    relation = database.relation("V_QY")
    oracle.faults.fail(60, "execute", after=1, times=100, holding="UPDATE")

    with pytest.raises(Unavailable):
        database.mark(relation, "FLAG", "7", key="ID", keys=[str(i) for i in range(2000, 4001)], expected="0")

    assert database.count(Ask(relation, ("ID",), equals={"FLAG": "7"})) == 0


def test_a_reading_session_cannot_write(opened: Opener) -> None:
    database = opened()
    database.begin()

    session = database._ready()

    with pytest.raises(oracledb.DatabaseError, match="ORA-01456"):
        session.cursor().execute("DELETE FROM V_QY")


def test_a_table_renamed_and_a_column_dropped_are_misconfigured(oracle: OracleEmulator, opened: Opener) -> None:
    oracle.execute("CREATE TABLE GONE (ID NUMBER, MC VARCHAR2(10))")
    database = opened()
    relation = database.relation("GONE")
    oracle.execute("ALTER TABLE GONE DROP COLUMN MC")

    with pytest.raises(Misconfigured) as column:
        list(database.read(Ask(relation, ("ID", "MC"))))
    oracle.execute("DROP TABLE GONE")
    with pytest.raises(Misconfigured) as table:
        list(database.read(Ask(relation, ("ID",))))

    assert (column.value.code, table.value.code) == ("ORA-00904", "ORA-00942")
    assert "MC" in column.value.message


def test_names_are_found_as_oracle_finds_them(oracle: OracleEmulator, opened: Opener) -> None:
    oracle.execute('CREATE TABLE "Mixed" (ID NUMBER)')
    oracle.execute("CREATE SYNONYM S_QY FOR V_QY")
    oracle.execute("CREATE VIEW V_VIEW AS SELECT ID, MC FROM V_QY")
    database = opened()

    lower, synonym, view, exact, folded = (database.relation(name) for name in ("v_qy", "s_qy", "v_view", "Mixed", "MIXED"))

    assert (lower.name, lower.schema, lower.key) == ("V_QY", oracle.user.upper(), ("ID",))
    assert synonym == lower == database.relation("V_QY", oracle.user)
    assert (view.name, view.key, [column.declared for column in view.columns]) == ("V_VIEW", (), ["NUMBER(20)", "VARCHAR2(200)"])
    assert exact.name == folded.name == "Mixed"
    with pytest.raises(Misconfigured) as missing:
        database.relation("V_QYY")
    assert "V_QY" in missing.value.hint


def test_every_type_arrives_as_text_without_loss(oracle: OracleEmulator, opened: Opener) -> None:
    oracle.execute(f"CREATE TABLE TYPES ({', '.join(f'{name} {declared}' for name, declared in TYPES.items())})")
    places = ":1, :2, :3, :4, :5, :6, TO_DATE(:7, 'YYYY-MM-DD HH24:MI:SS'), " + ", ".join(
        f"TO_TIMESTAMP(:{i}, 'YYYY-MM-DD HH24:MI:SS.FF9')" for i in (8, 9, 10)
    )
    moment = "2026-11-24 08:09:10.123456789"
    row = (
        12345678901234567890,
        "-0.05",
        "100.5",
        "张",
        "名 称",
        "全称",
        "1949-10-01 00:00:00",
        moment,
        moment,
        moment,
        "00FF",
        0.1,
        "长" * 5000,
        "2026-11-24 00:00:00.5 +00:00",
    )
    oracle.execute(f"INSERT INTO TYPES VALUES ({places}, HEXTORAW(:11), :12, :13, TO_TIMESTAMP_TZ(:14, 'YYYY-MM-DD HH24:MI:SS.FF TZH:TZM'))", *row)
    database = opened()
    relation = database.relation("types")

    (found,) = cells(database.read(Ask(relation, tuple(TYPES))))

    assert [column.declared for column in relation.columns] == list(TYPES.values())
    assert found == (
        "12345678901234567890", "-0.05", "100.5", "张", "名 称", "全称", "1949-10-01 00:00:00", "2026-11-24 08:09:10.123457", "2026-11-24 08:09:10",
        "2026-11-24 08:09:10.123457", "00FF", "0.1", "长" * 5000, "2026-11-24 08:00:00.500000",
    )  # fmt: skip


def test_stretches_of_servers_below_12_hold_the_same_rows(oracle: OracleEmulator, opened: Opener) -> None:
    database = opened()
    ask = Ask(database.relation("V_QY"), ("ID", "MC"), order=("ID",), after=Place(("ID",), ("100",)), limit=5)

    new = cells(database.read(ask))
    old = made.reading(ask, 11)
    with closing(oracledb.connect(user=oracle.user, password=oracle.password, dsn=oracle.dsn)) as session, session.cursor() as cursor:
        rows = cursor.execute(old.sql, old.binds).fetchall()

    assert "ROWNUM" in old.sql
    assert rows == new
    assert [row[0] for row in new] == ["101", "102", "103", "104", "105"]


def test_sums_see_a_change_in_a_large_object(oracle: OracleEmulator, opened: Opener) -> None:
    oracle.execute("CREATE TABLE LARGE (ID NUMBER PRIMARY KEY, BZ CLOB)")
    oracle.executemany("INSERT INTO LARGE VALUES (:1, :2)", [(i, "长" * 9000 + str(i)) for i in range(1, 101)])
    database = opened()
    ask = Ask(database.relation("LARGE"), ("ID", "BZ"))
    before, same = database.sums(ask, 8), database.sums(ask, 8)

    oracle.execute("UPDATE LARGE SET BZ = :1 WHERE ID = 7", "长" * 4000 + "短" + "长" * 4999 + "7")
    after = database.sums(ask, 8)

    assert before == same
    assert sum(rows for rows, _ in before.values()) == 100
    (changed,) = [bucket for bucket in after if after[bucket] != before[bucket]]
    assert "7" in {row[0] for row in cells(database.read(Ask(ask.relation, ("ID",), buckets=(frozenset({changed}), 8))))}


def test_cx_oracle_is_understood_and_said(opened: Opener) -> None:
    database = opened(driver="cx_oracle")

    server = database.server()

    assert "write driver: oracledb" in server
    assert "write driver: oracledb" in str(database.oddities().said["driver"])
    assert "cx_oracle" not in opened().server()
