"""Every statement that is sent to an Oracle server, word for word."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from connectors.databases import oracle_statements as made
from connectors.databases.dialect import Ask, Column, Place, Relation
from connectors.databases.oracle_names import relation_named
from connectors.databases.oracle_types import sort_of
from hub.contracts.errors import Misconfigured

TYPES = {
    "ID": "NUMBER(20)", "MC": "VARCHAR2(200 CHAR)", "JE": "NUMBER", "RQ": "DATE", "GXSJ": "TIMESTAMP(6)", "XM": "CHAR(10)", "BZ": "CLOB", "ZW": "RAW(16)",
    "DB": "BINARY_DOUBLE", "TZ": "TIMESTAMP(6) WITH TIME ZONE", "NS": "TIMESTAMP(9)", "S0": "TIMESTAMP(0)", "IV": "INTERVAL DAY(2) TO SECOND(6)",
    "NV": "NVARCHAR2(50)", "BL": "BLOB", "LG": "LONG", "XT": "SYS.XMLTYPE", "RI": "ROWID", "SG": "MDSYS.SDO_GEOMETRY",
}  # fmt: skip
PENALTY = Relation("V_QY", tuple(Column(name, declared, sort_of(declared)) for name, declared in TYPES.items()), ("ID",), "QZJ")
QUERY = Relation("reviewed", (Column("ID", "NUMBER", "number"), Column("MC", "VARCHAR2(200)", "text")), ("ID",), "", "SELECT id, mc FROM qzj.v_qy")
NUMBER = "TO_CHAR(r.\"{}\", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')"
ID, JE = NUMBER.format("ID"), NUMBER.format("JE")
MICRO = "'YYYY-MM-DD HH24:MI:SS.FF6'"


def sql(ask: Ask, version: int = 19) -> str:
    return made.reading(ask, version).sql


def test_every_type_becomes_text_under_its_own_mask() -> None:
    columns = tuple(name for name in TYPES if name != "SG")

    found = sql(Ask(PENALTY, columns))

    assert found == (
        f'SELECT {ID} AS C1, r."MC" AS C2, {JE} AS C3, TO_CHAR(r."RQ", \'YYYY-MM-DD HH24:MI:SS\') AS C4, TO_CHAR(r."GXSJ", {MICRO}) AS C5, '
        'RTRIM(r."XM") AS C6, CASE WHEN LENGTH(r."BZ") <= 2796202 THEN r."BZ" END AS C7, RAWTOHEX(r."ZW") AS C8, r."DB" AS C9, '
        f'TO_CHAR(r."TZ" AT TIME ZONE \'+08:00\', {MICRO}) AS C10, TO_CHAR(CAST(r."NS" AS TIMESTAMP(6)), {MICRO}) AS C11, '
        'TO_CHAR(r."S0", \'YYYY-MM-DD HH24:MI:SS\') AS C12, TO_CHAR(r."IV") AS C13, r."NV" AS C14, '
        'CASE WHEN LENGTH(r."BL") <= 4194304 THEN r."BL" END AS C15, r."LG" AS C16, XMLSERIALIZE(CONTENT r."XT" AS CLOB) AS C17, '
        'ROWIDTOCHAR(r."RI") AS C18, CASE WHEN LENGTH(r."BZ") > 2796202 THEN 1 END AS L1, CASE WHEN LENGTH(r."BL") > 4194304 THEN 1 END AS L2 '
        'FROM "QZJ"."V_QY" r'
    )


def test_going_on_behind_a_time_and_an_id() -> None:
    ask = Ask(PENALTY, ("ID", "MC"), order=("GXSJ", "ID"), after=Place(("GXSJ", "ID"), ("2026-11-24 08:00:00", "12")), limit=500)

    found = made.reading(ask, 19)

    at = f"TO_TIMESTAMP(:a1, {MICRO})"
    assert found.sql == (
        f'SELECT {ID} AS C1, r."MC" AS C2 FROM "QZJ"."V_QY" r WHERE r."GXSJ" >= {at} AND (r."GXSJ" > {at} OR (r."GXSJ" = {at} AND r."ID" > :a2)) '
        'ORDER BY r."GXSJ", r."ID" FETCH FIRST :n ROWS ONLY'
    )
    assert found.binds == {"a1": "2026-11-24 08:00:00.000000", "a2": Decimal(12), "n": 500}


def test_servers_below_12_count_ordered_rows_from_without() -> None:
    found = made.reading(Ask(PENALTY, ("ID", "BZ"), order=("ID",), after=Place(("ID",), ("7",)), limit=500), 11)

    assert found.sql == (
        f'SELECT C1, C2, L1 FROM (SELECT {ID} AS C1, CASE WHEN LENGTH(r."BZ") <= 2796202 THEN r."BZ" END AS C2, '
        'CASE WHEN LENGTH(r."BZ") > 2796202 THEN 1 END AS L1 FROM "QZJ"."V_QY" r WHERE r."ID" > :a1 ORDER BY r."ID") WHERE ROWNUM <= :n'
    )
    assert found.binds == {"a1": Decimal(7), "n": 500}


def test_what_rows_are_chosen_by() -> None:
    ask = Ask(PENALTY, ("ID",), until=("RQ", "2026-11-24 08:00:00.5"), equals={"XM": "a'b", "MC": "", "ZW": "00FF"}, buckets=(frozenset({3, 1}), 256))

    found = made.counting(ask)

    assert found.sql == (
        'SELECT TO_CHAR(COUNT(*)) AS C1 FROM "QZJ"."V_QY" r WHERE RTRIM(r."XM") = :e1 AND r."MC" IS NULL AND r."ZW" = HEXTORAW(:e3) '
        f"AND r.\"RQ\" <= TO_DATE(:u, 'YYYY-MM-DD HH24:MI:SS') AND (ORA_HASH({ID}, 255) IN (:k0, :k1))"
    )
    assert found.binds == {"e1": "a'b", "e3": "00FF", "u": "2026-11-24 08:00:00", "k0": 1, "k1": 3}


def test_more_buckets_than_a_list_takes_are_several_lists() -> None:
    found = made.counting(Ask(PENALTY, ("ID",), buckets=(frozenset(range(1500)), 4096)))

    assert found.sql.count(" IN (") == 2
    assert len(found.binds) == 1500
    assert made.counting(Ask(PENALTY, ("ID",), buckets=(frozenset(), 16))).sql.endswith(" WHERE 1 = 0")


def test_sums_add_parts_of_digests() -> None:
    found = made.summing(Ask(PENALTY, ("ID", "MC", "DB"), equals={"MC": "x"}), 256, 19)

    part = "TO_CHAR(SUM(TO_NUMBER(SUBSTR(H1, {}, 15), 'XXXXXXXXXXXXXXX')), 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')"
    assert found.sql == (
        f"SELECT TO_CHAR(B) AS C1, TO_CHAR(COUNT(*)) AS C2, {part.format(1)} AS S1, {part.format(16)} AS S2 FROM "
        f'(SELECT ORA_HASH({ID}, 255) AS B, RAWTOHEX(STANDARD_HASH({ID} || CHR(31) || r."MC" || CHR(31) || TO_CHAR(r."DB"), \'SHA1\')) AS H1 '
        'FROM "QZJ"."V_QY" r WHERE r."MC" = :e1) GROUP BY B'
    )


def test_servers_below_12_add_four_hashes() -> None:
    found = made.summing(Ask(PENALTY, ("ID", "MC")), 16, 11)

    text = f'{ID} || CHR(31) || r."MC"'
    sums = ", ".join(f"TO_CHAR(SUM(H{i}), 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') AS S{i}" for i in (1, 2, 3, 4))
    hashes = ", ".join(f"ORA_HASH({text}, 4294967295, {i}) AS H{i}" for i in (1, 2, 3, 4))
    assert (
        found.sql == f'SELECT TO_CHAR(B) AS C1, TO_CHAR(COUNT(*)) AS C2, {sums} FROM (SELECT ORA_HASH({ID}, 15) AS B, {hashes} FROM "QZJ"."V_QY" r) GROUP BY B'
    )


def test_rows_wider_than_a_varchar2_are_digested_in_packs() -> None:
    wide = Relation("T", tuple(Column(f"C{i}", "VARCHAR2(1500)", "text") for i in range(4)), ("C0",))

    new, old = made.summing(Ask(wide, ("C0", "C1", "C2", "C3")), 4, 19).sql, made.summing(Ask(wide, ("C0", "C1", "C2", "C3")), 4, 11).sql

    first = 'RAWTOHEX(STANDARD_HASH(r."C0" || CHR(31) || r."C1", \'SHA1\'))'
    second = 'RAWTOHEX(STANDARD_HASH(r."C2" || CHR(31) || r."C3", \'SHA1\'))'
    assert f"RAWTOHEX(STANDARD_HASH({first} || CHR(31) || {second}, 'SHA1')) AS H1" in new
    third, fourth = 'ORA_HASH(r."C0" || CHR(31) || r."C1", 4294967295, 1)', 'ORA_HASH(r."C2" || CHR(31) || r."C3", 4294967295, 1)'
    assert f"ORA_HASH({third} || CHR(31) || {fourth}, 4294967295, 1) AS H1" in old


def test_national_text_is_digested_alone() -> None:
    relation = Relation("T", (Column("A", "NCHAR(10)", "text"), Column("B", "VARCHAR2(10)", "text"), Column("C", "NVARCHAR2(10)", "text")), ("B",))

    found = made.summing(Ask(relation, ("A", "B", "C")), 4, 19).sql

    alone = "RAWTOHEX(STANDARD_HASH({}, 'SHA1'))"
    first, last = alone.format('RTRIM(r."A")'), alone.format('r."C"')
    assert alone.format(f'r."B" || CHR(31) || {first} || CHR(31) || {last}') + " AS H1" in found


def test_a_status_is_written_where_it_is_still_the_expected_one() -> None:
    assert made.marking(PENALTY, "MC", "ID", empty=False) == 'UPDATE "QZJ"."V_QY" SET "MC" = :value WHERE "ID" = :id AND "MC" = :expected'
    assert made.marking(PENALTY, "MC", "XM", empty=True) == 'UPDATE "QZJ"."V_QY" SET "MC" = :value WHERE RTRIM("XM") = :id AND "MC" IS NULL'
    with pytest.raises(Misconfigured):
        made.marking(QUERY, "MC", "ID", empty=False)


def test_a_reviewed_query_stands_in_brackets() -> None:
    assert sql(Ask(QUERY, ("ID",), order=("ID",))) == f'SELECT {ID} AS C1 FROM (SELECT id, mc FROM qzj.v_qy) r ORDER BY r."ID"'


def test_no_name_ends_its_quotation() -> None:
    hostile = Relation('T"; DROP TABLE x; --', (Column('A" FROM DUAL --', "NUMBER", "number"),), (), 'S"')

    found = sql(Ask(hostile, ('A" FROM DUAL --',)))

    assert found.endswith(' AS C1 FROM "S"""."T""; DROP TABLE x; --" r')
    assert 'r."A"" FROM DUAL --"' in found


def test_columns_that_cannot_be_text_or_in_order_are_said() -> None:
    for ask in (
        Ask(PENALTY, ("SG",)),
        Ask(PENALTY, ("ID",), order=("BZ",)),
        Ask(PENALTY, ("GONE",)),
        Ask(PENALTY, ("ID",), equals={"ID": "many"}),
        Ask(PENALTY, ("ID",), until=("GXSJ", "yesterday")),
    ):
        with pytest.raises(Misconfigured) as said:
            sql(ask)
        assert said.value.hint
        assert "yesterday" not in said.value.message


def dictionary(tables: list[tuple[str, str]], synonyms: list[tuple[str | None, ...]]) -> Callable[[made.Statement, str], list[tuple[Any, ...]]]:
    """What the server's dictionary answers."""
    return lambda statement, doing: list(tables) if statement.sql == made.NAMED else list(synonyms) if statement.sql == made.SYNONYMS else []


def test_a_name_that_may_mean_several_tables_is_said() -> None:
    rows = dictionary([("QZJ", "Qy"), ("QZJ", "QY")], [])

    with pytest.raises(Misconfigured, match=r"QZJ\.Qy, QZJ\.QY"):
        relation_named(rows, "qy", "qzj", "db")
    with pytest.raises(Misconfigured, match=r"no columns of QZJ\.QY"):
        relation_named(rows, "QY", "QZJ", "db")


def test_a_synonym_behind_a_database_link_is_said() -> None:
    rows = dictionary([], [("PUBLIC", "QY", "QZJ", "T_QY", "FAR.AWAY")])

    with pytest.raises(Misconfigured, match=r"database link FAR\.AWAY"):
        relation_named(rows, "qy", "HUB", "db")


def test_statements_that_never_change() -> None:
    assert made.SESSION == (
        "ALTER SESSION SET TIME_ZONE = '+08:00' NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS' NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6'"
        " NLS_NUMERIC_CHARACTERS = '.,' NLS_SORT = BINARY NLS_COMP = BINARY"
    )
    assert made.READ_ONLY == "SET TRANSACTION READ ONLY"
    assert made.CLOCK == "SELECT TO_CHAR(SYSTIMESTAMP, 'YYYY-MM-DD HH24:MI:SS.FF6') AS C1 FROM DUAL"
    assert made.SCHEMA == "SELECT SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') AS C1 FROM DUAL"
    assert made.NAMED == (
        "SELECT DISTINCT OWNER, OBJECT_NAME FROM ALL_OBJECTS WHERE UPPER(OWNER) = UPPER(:owner) AND UPPER(OBJECT_NAME) = UPPER(:name)"
        " AND OBJECT_TYPE IN ('TABLE', 'VIEW', 'MATERIALIZED VIEW')"
    )
    assert made.NAMES == (
        "SELECT DISTINCT OBJECT_NAME FROM ALL_OBJECTS WHERE UPPER(OWNER) = UPPER(:owner) AND OBJECT_TYPE IN ('TABLE', 'VIEW', 'MATERIALIZED VIEW')"
        " AND ROWNUM <= 5000"
    )
    assert made.SYNONYMS == (
        "SELECT OWNER, SYNONYM_NAME, TABLE_OWNER, TABLE_NAME, DB_LINK FROM ALL_SYNONYMS"
        " WHERE (UPPER(OWNER) = UPPER(:owner) OR OWNER = 'PUBLIC') AND UPPER(SYNONYM_NAME) = UPPER(:name)"
    )
    assert made.COLUMNS == (
        "SELECT COLUMN_NAME, DATA_TYPE, DATA_LENGTH, CHAR_LENGTH, CHAR_USED, DATA_PRECISION, DATA_SCALE FROM ALL_TAB_COLUMNS"
        " WHERE OWNER = :owner AND TABLE_NAME = :name ORDER BY COLUMN_ID"
    )
    assert made.KEY == (
        "SELECT k.COLUMN_NAME FROM ALL_CONSTRAINTS c JOIN ALL_CONS_COLUMNS k ON k.OWNER = c.OWNER AND k.CONSTRAINT_NAME = c.CONSTRAINT_NAME"
        " WHERE c.OWNER = :owner AND c.TABLE_NAME = :name AND c.CONSTRAINT_TYPE = 'P' AND c.STATUS = 'ENABLED' ORDER BY k.POSITION"
    )
