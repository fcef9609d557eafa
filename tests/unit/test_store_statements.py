"""Statements of stores in the dialects of servers that the tests cannot start, and column types as the catalogue declares them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects import mysql, oracle, postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from connectors.stores.tables import CONTENT, HEAD, INBOX, JOURNAL, OWN_TABLES, UNMATCHED, item_table
from hub.contracts.item import Field, Kind
from tests.contract.store_batches import PENALTY

ORACLE = oracle.dialect()  # type: ignore[no-untyped-call]
TABLE = item_table(PENALTY)


def test_oracle_gets_tables_without_a_type_that_it_lacks() -> None:
    said = "\n".join(str(CreateTable(table).compile(dialect=ORACLE)) for table in (*OWN_TABLES, TABLE))
    said += "\n".join(str(CreateIndex(index).compile(dialect=ORACLE)) for table in OWN_TABLES for index in table.indexes)

    assert not {"TEXT", "BIGINT", "DATETIME", "BOOLEAN"} & set(said.replace("(", " ").replace(",", " ").split())
    assert "record_id VARCHAR2(32 CHAR) NOT NULL" in said


@pytest.mark.parametrize(
    "statement",
    [
        select(HEAD.c.seq, HEAD.c.fence).where(HEAD.c.item == "a").with_for_update(),
        select(TABLE.c.record_id, TABLE.c.row_hash).where(TABLE.c.record_id.in_(["a", "b"])),
        select(*TABLE.columns).where(TABLE.c.record_id > "").order_by(TABLE.c.record_id).limit(10),
        select(JOURNAL).where(JOURNAL.c.item == "a", JOURNAL.c.seq > 1).order_by(JOURNAL.c.seq).limit(1),
        select(TABLE.c.record_id, INBOX.c.generation).select_from(TABLE.outerjoin(INBOX, INBOX.c.batch_id == TABLE.c.batch_id)),
        select(CONTENT.c.root).where(CONTENT.c.feed == "a"),
        insert(TABLE),
        insert(UNMATCHED),
        update(TABLE).where(TABLE.c.record_id == bindparam("known")).values(status=1),
    ],
)
def test_what_a_store_says_can_be_said_to_oracle(statement: object) -> None:
    said = str(statement.compile(dialect=ORACLE))  # type: ignore[attr-defined]

    assert "LIMIT" not in said
    assert "ON CONFLICT" not in said


def _types(field: Field) -> list[str]:
    column = item_table(replace(PENALTY, fields=(field,))).c[field.name]
    dialects = (postgresql.dialect(), mysql.dialect(), ORACLE)  # type: ignore[no-untyped-call]
    return [column.type.compile(dialect=dialect) for dialect in dialects]


@pytest.mark.parametrize(
    ("field", "types"),
    [
        (Field("f", "f", length=100), ["VARCHAR(100)", "VARCHAR(100)", "VARCHAR2(100 CHAR)"]),
        (Field("f", "f", length=500), ["VARCHAR(500)", "TEXT", "VARCHAR2(500 CHAR)"]),
        (Field("f", "f", length=20_000), ["VARCHAR(20000)", "MEDIUMTEXT", "CLOB"]),
        (Field("f", "f", Kind.LONG, length=2000), ["TEXT", "TEXT", "CLOB"]),
        (Field("f", "f"), ["TEXT", "MEDIUMTEXT", "CLOB"]),
        (Field("f", "f", Kind.NUMBER, length=10), ["BIGINT", "BIGINT", "NUMBER(19)"]),
        (Field("f", "f", Kind.NUMBER, length=10, scale=2), ["NUMERIC(10, 2)", "NUMERIC(10, 2)", "NUMERIC(10, 2)"]),
        (Field("f_id", "f", length=18, personal="S"), ["TEXT", "MEDIUMTEXT", "CLOB"]),
    ],
)
def test_a_field_s_length_binds_on_servers(field: Field, types: list[str]) -> None:
    assert _types(field) == types


def test_a_row_of_mysql_has_room_for_so_many_short_texts() -> None:
    table = item_table(replace(PENALTY, fields=tuple(Field(f"f{n}", "f", length=250) for n in range(100))))
    kinds = [table.c[f"f{n}"].type.compile(dialect=mysql.dialect()) for n in range(100)]

    assert (kinds[0], kinds[-1]) == ("VARCHAR(250)", "TEXT")
    assert 1002 * kinds.count("VARCHAR(250)") < 60_000
