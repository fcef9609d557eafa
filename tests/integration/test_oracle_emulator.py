"""The emulated Oracle is held to what the real driver asks of a server: what it gets wrong here, tests of the hub would take for the truth."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import oracledb
import polars as pl
import pytest
from sqlalchemy import Column, Date, Engine, Index, Integer, MetaData, Numeric, String, Table, Text, create_engine, func, inspect, select
from sqlalchemy.exc import IntegrityError

from hub.contracts.address import address_of
from tests.oracle_emulator import OracleEmulator

PENALTIES = (
    'CREATE TABLE PENALTY (ID NUMBER(10) PRIMARY KEY, NAME VARCHAR2(20 CHAR) NOT NULL, AMOUNT NUMBER(12,2), "Mixed" VARCHAR2(10),'
    " DAY DATE DEFAULT SYSDATE, AT TIMESTAMP(6), CODE CHAR(5), NOTE CLOB, RAW_ID RAW(16), RATE BINARY_DOUBLE, BIG NUMBER)"
)
FILLED = "INSERT INTO PENALTY (ID, NAME, AMOUNT) VALUES (:1, :2, :3)"


@pytest.fixture
def db() -> Iterator[OracleEmulator]:
    with OracleEmulator() as running:
        running.execute(PENALTIES)
        yield running


@pytest.fixture
def session(db: OracleEmulator) -> Iterator[oracledb.Connection]:
    connection = login(db)
    with closing(connection):
        yield connection


@pytest.fixture(scope="module")
def still() -> Iterator[oracledb.Connection]:
    """A session on a server where nothing is changed for good."""
    with OracleEmulator() as running:
        running.execute(PENALTIES)
        with closing(login(running)) as connection:
            yield connection


def login(db: OracleEmulator, **other: str) -> oracledb.Connection:
    return oracledb.connect(**{"user": db.user, "password": db.password, "dsn": db.dsn, **other})


def fill(db: OracleEmulator, rows: int) -> None:
    db.executemany(FILLED, [(i, f"名{i}", Decimal(i) / 4) for i in range(1, rows + 1)])


def code_of(call: Callable[[], object]) -> str:
    """The code of the error that a call ends with: the server's own where the driver wraps it."""
    with pytest.raises(oracledb.Error) as caught:
        call()
    return f"{caught.value.args[0].full_code}"


def one(session: oracledb.Connection, expression: str, **binds: object) -> object:
    with session.cursor() as cursor:
        return cursor.execute(f"SELECT {expression} FROM DUAL", binds).fetchone()[0]


def test_a_wrong_password_and_an_unknown_user_are_told_alike(db: OracleEmulator) -> None:
    assert code_of(lambda: login(db, password="wrong")) == "ORA-01017"
    assert code_of(lambda: login(db, user="nobody")) == "ORA-01017"
    assert login(db).version == "19.3.0.0.0"


def test_an_unknown_service_a_refusal_and_a_locked_account_have_their_codes(db: OracleEmulator) -> None:
    with pytest.raises(oracledb.OperationalError, match=r"DPY-6001|ORA-12514"):
        login(db, dsn=f"127.0.0.1:{db.port}/NOWHERE")
    db.refuse = 12516
    with pytest.raises(oracledb.OperationalError, match="12516"):
        login(db)
    db.refuse = 0
    db.faults.fail(12520, "connect")
    with pytest.raises(oracledb.OperationalError, match="12520"):
        login(db)
    db.locked.add("hub")
    assert code_of(lambda: login(db)) == "ORA-28000"


@pytest.mark.parametrize(("options", "told"), [({"version": (11, 2, 0, 4, 0)}, "DPY-3010"), ({"native_encryption": True}, "DPY-3001")])
def test_what_the_thin_driver_cannot_do_it_says(options: dict[str, object], told: str) -> None:
    with OracleEmulator(**options) as db, pytest.raises(oracledb.Error, match=told):  # type: ignore[arg-type]
        login(db)


@pytest.mark.parametrize("version", [(12, 1, 0, 2, 0), (12, 2, 0, 1, 0), (18, 4, 0, 0, 0), (21, 3, 0, 0, 0)])
def test_every_version_speaks_its_own_form_of_messages(version: tuple[int, ...]) -> None:
    with OracleEmulator(version=version) as db, closing(login(db)) as session:
        assert session.version == ".".join(map(str, version))
        assert one(session, "TO_CHAR(:a) || :b", a=5, b="x") == "5x"


def test_every_type_comes_back_as_it_was_bound(session: oracledb.Connection) -> None:
    at = datetime(2026, 2, 28, 23, 59, 59, 123456)
    row = (1, "名", Decimal("-1234567.89"), "m", datetime(1949, 10, 1, 8), at, "ab", "长" * 9000, b"\0\xff", -2.5e-10, 10**37 + 1)
    with session.cursor() as cursor:
        cursor.setinputsizes(
            None, None, None, None, oracledb.DB_TYPE_DATE, oracledb.DB_TYPE_TIMESTAMP, None, oracledb.DB_TYPE_CLOB, None, oracledb.DB_TYPE_BINARY_DOUBLE
        )
        cursor.execute(f"INSERT INTO PENALTY VALUES ({', '.join(f':{i}' for i in range(1, 12))})", row)
        cursor.execute("SELECT * FROM PENALTY")
        found = cursor.fetchone()

    assert found[7].read() == row[7]
    assert (*found[:2], Decimal(str(found[2])), *found[3:6], found[6], *found[8:]) == (*row[:6], "ab   ", *row[8:])


def test_a_result_is_described_as_its_columns_were_declared(session: oracledb.Connection) -> None:
    with session.cursor() as cursor:
        cursor.execute('SELECT ID, NAME, AMOUNT, AT, CODE, "Mixed" AS "m", COUNT(*) OVER (), TO_CHAR(DAY, \'YYYY\') Y FROM PENALTY')

        described = [(each.name, each.type_code.name, each.precision, each.scale, each.null_ok) for each in cursor.description]

    assert described == [
        ("ID", "DB_TYPE_NUMBER", 10, 0, False), ("NAME", "DB_TYPE_VARCHAR", None, None, False), ("AMOUNT", "DB_TYPE_NUMBER", 12, 2, True),
        ("AT", "DB_TYPE_TIMESTAMP", 0, 6, True), ("CODE", "DB_TYPE_CHAR", None, None, True), ("m", "DB_TYPE_VARCHAR", None, None, True),
        ("COUNT(*)OVER()", "DB_TYPE_NUMBER", 0, -127, True), ("Y", "DB_TYPE_VARCHAR", None, None, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "number", ["0", "-1", "100", "0.1", "-0.05", "99999999999999999999999999999999999999", "-1E-10", "1E+120", "12345678901234567890.0123456789"]
)
def test_a_number_loses_nothing_either_way(still: oracledb.Connection, number: str) -> None:
    value = Decimal(number)
    with still.cursor() as cursor:
        cursor.execute("INSERT INTO PENALTY (ID, NAME, BIG) VALUES (1, 'a', :v)", v=value)
        assert cursor.execute("SELECT ID FROM PENALTY WHERE BIG = :v", v=value).fetchall() == [(1,)]
        assert Decimal(cursor.execute("SELECT TO_CHAR(BIG, 'TM9') FROM PENALTY").fetchone()[0]) == value
    still.rollback()


def test_rows_come_in_as_many_fetches_as_are_asked_for(db: OracleEmulator, session: oracledb.Connection) -> None:
    fill(db, 5000)
    with session.cursor() as cursor:
        cursor.arraysize, cursor.prefetchrows = 700, 3

        found = cursor.execute("SELECT ID, NAME, AMOUNT FROM PENALTY ORDER BY ID").fetchall()

    assert found == [(i, f"名{i}", i / 4) for i in range(1, 5001)]


def test_the_types_that_only_old_tables_have_are_read_as_well(db: OracleEmulator, session: oracledb.Connection) -> None:
    db.execute("CREATE TABLE OLD (L LONG, N NVARCHAR2(20), Z TIMESTAMP(3) WITH TIME ZONE, I INTERVAL DAY(2) TO SECOND(6), B BLOB, F FLOAT, C NCHAR(4))")
    beijing = timezone(timedelta(hours=8))
    row = ("long text", "国", datetime(2026, 1, 2, 3, 4, 5, tzinfo=beijing), timedelta(days=-1, seconds=1, microseconds=5), b"\0" * 40_000, 0.25, "ab")
    db.execute("INSERT INTO OLD VALUES (:1, :2, :3, :4, :5, :6, :7)", *row)
    with session.cursor() as cursor:
        found = cursor.execute("SELECT L, N, Z, I, B, F, C FROM OLD").fetchone()

        assert (*found[:2], *found[3:4], found[4].read(), *found[5:]) == (*row[:2], *row[3:6], "ab  ")
        assert cursor.execute("SELECT TO_CHAR(Z AT TIME ZONE '+00:00', 'YYYY-MM-DD HH24:MI TZH') FROM OLD").fetchone() == ("2026-01-01 19:04 +00",)


def test_arrow_batches_reach_polars_with_large_objects_as_text(db: OracleEmulator, session: oracledb.Connection) -> None:
    fill(db, 300)
    db.execute("UPDATE PENALTY SET NOTE = 'n' || ID WHERE ID < 250")

    batches = [pl.DataFrame(batch) for batch in session.fetch_df_batches("SELECT ID, NAME, NOTE FROM PENALTY WHERE ID > :a ORDER BY ID", {"a": 10}, size=128)]

    frame = pl.concat(batches)
    assert frame["ID"].to_list() == list(range(11, 301))
    assert frame["NOTE"].to_list() == [f"n{i}" if i < 250 else None for i in range(11, 301)]


def test_an_array_of_binds_tells_which_row_failed(session: oracledb.Connection) -> None:
    with session.cursor() as cursor:
        cursor.executemany(FILLED, [(1, "a", 1), (1, "b", 1), (2, "c" * 21, 1), (3, "d", 1)], batcherrors=True, arraydmlrowcounts=True)

        assert [(error.full_code, error.offset) for error in cursor.getbatcherrors()] == [("ORA-00001", 1), ("ORA-12899", 2)]
        assert cursor.getarraydmlrowcounts() == [1, 0, 0, 1]
        assert code_of(lambda: cursor.executemany(FILLED, [(4, "e", 1), (3, "f", 1)])) == "ORA-00001"


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM NOWHERE", "ORA-00942"), ('SELECT * FROM "penalty"', "ORA-00942"), ("SELECT NOTHING FROM PENALTY", "ORA-00904"), ('SELECT "mixed" FROM PENALTY', "ORA-00904"),
        ("SELECT MIXED FROM PENALTY", "ORA-00904"), ("SELECT NO_SUCH(ID) FROM PENALTY", "ORA-00904"), ("SELECT 1", "ORA-00923"), ("SELECT ID FROM PENALTY WHERE", "ORA-00936"),
        ("INSERT INTO PENALTY (ID) VALUES (1)", "ORA-01400"), ("INSERT INTO PENALTY (ID, NAME) VALUES (1, '')", "ORA-01400"), ("INSERT INTO PENALTY (ID, NAME) VALUES (1)", "ORA-00947"),
        ("INSERT INTO PENALTY (ID, NAME, AMOUNT) VALUES (1, 'a', 99999999999)", "ORA-01438"), ("INSERT INTO PENALTY (ID, NAME) VALUES ('x', 'a')", "ORA-01722"),
        ("INSERT INTO PENALTY (ID, NAME, DAY) VALUES (1, 'a', 'today')", "ORA-01861"), ("CREATE TABLE PENALTY (A NUMBER)", "ORA-00955"),
        ("SELECT TO_DATE('2026-13-01', 'YYYY-MM-DD') FROM DUAL", "ORA-01843"), ("SELECT 1/0 FROM DUAL", "ORA-01476"), ("SELECT ROWNUM FROM PENALTY WHERE ROWNUM < 3 ORDER BY ID", "ORA-03001"),
        ("SELECT ID FROM PENALTY WHERE NOTE = 'x'", "ORA-00932"), ("SELECT ID FROM PENALTY ORDER BY NOTE", "ORA-00932"),
        ("SELECT RPAD('x', 3000) || RPAD('y', 1001) FROM DUAL", "ORA-01489"), (f"SELECT ID FROM PENALTY WHERE ID IN ({', '.join(['1'] * 1001)})", "ORA-01795"),
        ("CREATE TABLE WIDE (A VARCHAR2(4001))", "ORA-00910"), (f"CREATE TABLE {'L' * 129} (A NUMBER)", "ORA-00972"), ("SELECT ID FROM PENALTY WHERE (ID, NAME) > (1, 'a')", "ORA-01796"),
        ("SELECT (1 FROM DUAL", "ORA-00907"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_the_code_that_it_has_at_oracle(still: oracledb.Connection, sql: str, code: str) -> None:
    with still.cursor() as cursor:
        assert code_of(lambda: cursor.execute(sql).fetchall() if sql.startswith("SELECT") else cursor.execute(sql)) == code


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("NVL('', 'nothing')", "nothing"), ("'a' || NULL || 'b'", "ab"), ("TO_CHAR(0.5)", ".5"), ("TO_CHAR(-1234.5, 'FM999990.00')", "-1234.50"), ("7 / 2", 3.5),
        ("TO_NUMBER('FF', 'XX')", 255), ("LENGTH('')", None), ("DECODE(2, 1, 'a', 2, 'b', 'c')", "b"), ("RTRIM('ab  ')", "ab"), ("SUBSTR('abcde', -2)", "de"),
        ("TO_CHAR(DATE '2026-03-05' + 1/24, 'YYYY-MM-DD HH24:MI')", "2026-03-05 01:00"), ("DATE '2026-03-05' - DATE '2026-03-01'", 4),
        ("TO_CHAR(TIMESTAMP '2026-03-05 00:00:01.25' - INTERVAL '2' SECOND, 'HH24:MI:SS.FF3')", "23:59:59.250"), ("CASE WHEN NULL = NULL THEN 1 ELSE 2 END", 2),
        ("TO_CHAR(TO_DATE('05-MAR-26', 'DD-MON-RR'), 'FMYYYY-MM-DD')", "2026-3-5"), ("RAWTOHEX(STANDARD_HASH('a', 'SHA1'))", "86F7E437FAA5A7FCE15D1DDCB9EAEAEA377667B8"),
        ("TO_CHAR(FROM_TZ(TIMESTAMP '2026-01-01 00:00:00', '+00:00') AT TIME ZONE '+08:00', 'HH24 TZR')", "08 +08:00"), ("GREATEST(1, 3, 2)", 3),
        ("TO_CHAR(12345678901234567890123456789012345678, 'TM9')", "12345678901234567890123456789012345678"), ("MOD(-7, 3)", -1), ("ROUND(2.5)", 3), ("TRUNC(-2.7)", -2),
        ("CAST('abc' AS VARCHAR2(2))", "ab"), ("INSTR('hub', 'b')", 3), ("EXTRACT(MONTH FROM DATE '2026-03-05')", 3), ("SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')", "HUB"),
    ],
)  # fmt: skip
def test_functions_give_what_they_give_at_oracle(still: oracledb.Connection, expression: str, value: object) -> None:
    assert one(still, expression) == value


def test_rows_are_counted_before_or_after_they_are_put_in_order(db: OracleEmulator, session: oracledb.Connection) -> None:
    fill(db, 10)
    with session.cursor() as cursor:
        newest = cursor.execute("SELECT * FROM (SELECT ID FROM PENALTY ORDER BY ID DESC) WHERE ROWNUM <= :n", n=3).fetchall()
        page = cursor.execute("SELECT ID FROM PENALTY ORDER BY ID OFFSET 4 ROWS FETCH NEXT 2 ROWS ONLY").fetchall()
        last = cursor.execute(
            "SELECT ID FROM PENALTY WHERE NOTE IS NULL AND ID < 9 ORDER BY AT, CASE WHEN ID = 3 THEN 0 ELSE ID END FETCH FIRST 1 ROWS ONLY"
        ).fetchall()

    assert (newest, page, last) == ([(10,), (9,), (8,)], [(5,), (6,)], [(3,)])


def test_queries_nest_join_and_unite(db: OracleEmulator, session: oracledb.Connection) -> None:
    fill(db, 6)
    db.execute("CREATE VIEW V_EVEN AS SELECT ID, NAME FROM PENALTY WHERE MOD(ID, 2) = 0")
    sql = """WITH big AS (SELECT ID, AMOUNT FROM PENALTY WHERE AMOUNT >= :least)
             SELECT v.ID, b.AMOUNT FROM V_EVEN v LEFT OUTER JOIN big b ON b.ID = v.ID
             UNION ALL SELECT -1, SUM(AMOUNT) FROM PENALTY MINUS SELECT 6, 1.5 FROM DUAL ORDER BY 1"""
    with session.cursor() as cursor:
        assert cursor.execute(sql, least=1).fetchall() == [(-1, 5.25), (2, None), (4, 1.0)]


def test_a_key_that_is_there_already_is_told_by_the_name_of_its_constraint(db: OracleEmulator, session: oracledb.Connection) -> None:
    db.execute("CREATE TABLE KEYED (A NUMBER, B NUMBER, CONSTRAINT ONE_OF_EACH UNIQUE (A, B))")
    with session.cursor() as cursor, pytest.raises(oracledb.IntegrityError, match=r"ORA-00001: unique constraint \(HUB\.ONE_OF_EACH\) violated"):
        cursor.executemany("INSERT INTO KEYED VALUES (:1, :2)", [(1, 1), (1, 2), (1, 1)])


def test_merge_writes_what_is_there_and_what_is_not(db: OracleEmulator, session: oracledb.Connection) -> None:
    fill(db, 1)
    sql = """MERGE INTO PENALTY p USING (SELECT :1 AS ID, :2 AS NAME FROM DUAL) s ON (p.ID = s.ID)
             WHEN MATCHED THEN UPDATE SET p.NAME = s.NAME WHEN NOT MATCHED THEN INSERT (ID, NAME) VALUES (s.ID, s.NAME)"""
    with session.cursor() as cursor:
        cursor.executemany(sql, [(1, "renamed"), (2, "new")])

        assert cursor.rowcount == 2
        assert cursor.execute("SELECT ID, NAME FROM PENALTY ORDER BY ID").fetchall() == [(1, "renamed"), (2, "new")]


def test_what_is_not_committed_is_seen_by_nobody_else(db: OracleEmulator, session: oracledb.Connection) -> None:
    with closing(login(db)) as other, session.cursor() as cursor, other.cursor() as watching:
        cursor.execute(FILLED, (1, "a", 1))
        before = watching.execute("SELECT COUNT(*) FROM PENALTY").fetchone()
        session.commit()
        after = watching.execute("SELECT COUNT(*) FROM PENALTY").fetchone()
        cursor.execute("DELETE FROM PENALTY")
        session.rollback()

        assert (before, after, cursor.execute("SELECT COUNT(*) FROM PENALTY").fetchone()) == ((0,), (1,), (1,))


def test_a_read_only_transaction_keeps_one_view_and_writes_nothing(db: OracleEmulator, session: oracledb.Connection) -> None:
    fill(db, 2)
    with session.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        db.execute("DELETE FROM PENALTY")

        assert cursor.execute("SELECT COUNT(*) FROM PENALTY").fetchone() == (2,)
        assert code_of(lambda: cursor.execute("DELETE FROM PENALTY")) == "ORA-01456"
        session.commit()
        assert cursor.execute("SELECT COUNT(*) FROM PENALTY").fetchone() == (0,)


def test_names_of_others_need_their_owner_or_a_synonym_and_the_right() -> None:
    with OracleEmulator(users={"agency": "agency-Pass-1", "hub": "hub-Pass-1"}) as db:
        db.execute("CREATE TABLE FEED (ID NUMBER)")
        with closing(login(db, user="hub", password="hub-Pass-1")) as session, session.cursor() as cursor:
            assert code_of(lambda: cursor.execute("SELECT * FROM FEED")) == "ORA-00942"
            cursor.execute("SELECT r.ID FROM AGENCY.FEED r")
            db.execute("CREATE PUBLIC SYNONYM FEED FOR AGENCY.FEED")
            cursor.execute("SELECT FEED.ID FROM FEED")
            db.forbid("FEED", "update")
            assert code_of(lambda: cursor.execute("DELETE FROM FEED")) == "ORA-01031"


def test_a_call_that_takes_too_long_is_broken_and_the_session_lives_on(db: OracleEmulator, session: oracledb.Connection) -> None:
    fill(db, 100)
    session.call_timeout = 200
    endless = "SELECT COUNT(*) FROM PENALTY A, PENALTY B, PENALTY C, PENALTY D, PENALTY E"
    with session.cursor() as cursor:
        db.faults.wait(30, "execute")
        assert code_of(lambda: cursor.execute("SELECT 1 FROM DUAL")) == "DPY-4024"
        assert code_of(lambda: cursor.execute(endless)) == "DPY-4024"
        assert cursor.execute("SELECT 7 FROM DUAL").fetchall() == [(7,)]


def test_faults_come_at_the_call_that_they_are_meant_for(db: OracleEmulator, session: oracledb.Connection) -> None:
    fill(db, 1000)
    with session.cursor() as cursor:
        cursor.arraysize, cursor.prefetchrows = 100, 2
        db.faults.fail(1555, "fetch", after=2)
        cursor.execute("SELECT ID FROM PENALTY")
        assert len(cursor.fetchmany(102)) == 102
        assert code_of(cursor.fetchall) == "ORA-01555"
        db.faults.fail(60, holding="update")
        assert code_of(lambda: cursor.execute("UPDATE PENALTY SET AMOUNT = 0")) == "ORA-00060"
        db.faults.cut("fetch")
        assert code_of(cursor.execute("SELECT ID FROM PENALTY").fetchall) == "DPY-4011"


def test_a_server_that_stops_and_starts_keeps_what_was_committed(db: OracleEmulator, session: oracledb.Connection) -> None:
    fill(db, 3)
    db.stop()
    assert code_of(session.ping) in ("DPY-4011", "DPY-1001")
    assert code_of(lambda: login(db)) in ("DPY-6005", "DPY-6000")

    db.start()

    with closing(login(db)) as again, again.cursor() as cursor:
        assert cursor.execute("SELECT COUNT(*) FROM PENALTY").fetchone() == (3,)


def test_sqlalchemy_makes_fills_reads_and_reflects_tables(db: OracleEmulator) -> None:
    address = address_of(db.url)
    engine = create_engine(address.url(), connect_args=address.connect_args(), hide_parameters=True)
    table = Table(
        "firm", MetaData(), Column("id", Integer, primary_key=True), Column("name", String(40), nullable=False), Column("paid", Numeric(12, 2)), Column("day", Date),
        Column("note", Text), Index("by_name", "name"),
    )  # fmt: skip
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"id": i, "name": f"n{i}", "paid": Decimal("0.1") * i, "note": "长" * 3000} for i in range(1, 21)])
        with connection.begin_nested() as point:
            connection.execute(table.delete())
            point.rollback()
        assert connection.execute(select(func.sum(table.c.paid), func.max(func.length(table.c.note)))).one() == (Decimal("21.0"), 3000)
        assert connection.execute(select(table.c.id).order_by(table.c.id.desc()).limit(2).offset(1).with_for_update(read=False)).scalars().all() == [19, 18]
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(table.insert(), {"id": 1, "name": "again"})

    assert _reflected(engine) == (["id", "name", "paid", "day", "note"], ["id"], ["by_name"])


def _reflected(engine: Engine) -> tuple[list[str], list[str], list[str | None]]:
    looking = inspect(engine)
    columns = [column["name"] for column in looking.get_columns("firm")]
    found = columns, looking.get_pk_constraint("firm")["constrained_columns"], [index["name"] for index in looking.get_indexes("firm")]
    engine.dispose()
    return found


def test_it_runs_as_a_process_and_ends_with_its_input(tmp_path: Path) -> None:
    script = tmp_path / "tables.sql"
    script.write_text("CREATE TABLE T (ID NUMBER, AT DATE)\nINSERT INTO T VALUES (1, DATE '2026-11-24')\n")
    command = [sys.executable, "-m", "tests.oracle_emulator", "--script", str(script), "--release", "12.1.0.2.0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with closing(oracledb.connect(user="hub", password="hub-Pass-1", dsn=f"127.0.0.1:{port}/FREEPDB1")) as session, session.cursor() as cursor:
            found = cursor.execute("SELECT ID, AT + 1 FROM T").fetchall()
        process.communicate(timeout=10)

    assert found == [(1, datetime(2026, 11, 24) + timedelta(days=1))]
    assert process.returncode == 0
