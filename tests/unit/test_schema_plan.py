"""What is planned when a catalogue changes, without a server: shapes of columns, steps and refusals, and the state's own additions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Integer, MetaData, Numeric, String, Table, Text, create_engine
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from connectors.stores.schema import SchemaPlan, plan_tables
from connectors.stores.shapes import NARROWER, WIDER, difference, shape_of
from connectors.stores.tables import OWN_TABLES, item_table
from hub.contracts.errors import Misconfigured
from hub.contracts.item import Field, Identifier, Item, Kind
from hub.migrating import addable, bring_up
from tests.contract.store_batches import PENALTY

POSTGRES, MYSQL, SQLITE = postgresql.dialect(), mysql.dialect(), sqlite.dialect()  # type: ignore[no-untyped-call]
AT = "'2026-01-01 00:00:00'"


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def changed(**kinds: Field | None) -> Item:
    """The penalty item with fields replaced (or left out: None), and new ones at the end."""
    kept = [kinds.get(field.name, field) for field in PENALTY.fields]
    new = [field for name, field in kinds.items() if name not in PENALTY.by_name]
    return replace(PENALTY, fields=tuple(field for field in [*kept, *new] if field is not None))


def planned(connection: Connection, item: Item, *, rows: int = 1) -> SchemaPlan:
    """What is planned for an item after the penalty item's table was made and holds rows."""
    item_table(PENALTY).create(connection)
    for number in range(rows):
        connection.exec_driver_sql(
            "INSERT INTO a0030_f06_01 (record_id, row_hash, arrival, feed, batch_id, ordinal, status, first_seen, updated_at, id_no, text)"
            f" VALUES ('r{number}', 'h', 1, 'f', 'b', 0, 0, {AT}, {AT}, 'sealed', 'kept')"
        )
    return plan_tables(connection, [item_table(item)], {item.table: item}, addable)


@pytest.mark.parametrize(
    ("dialect", "now", "wanted", "found"),
    [
        (POSTGRES, String(100), String(200), WIDER),
        (POSTGRES, String(100), Text(), WIDER),
        (POSTGRES, String(200), String(100), NARROWER),
        (POSTGRES, Text(), Text(), ""),
        (POSTGRES, Integer(), BigInteger(), WIDER),
        (POSTGRES, BigInteger(), Numeric(18, 2), WIDER),
        (POSTGRES, Numeric(18, 2), Numeric(18, 4), WIDER),
        (POSTGRES, Numeric(10, 2), Numeric(18, 2), WIDER),
        (MYSQL, mysql.VARCHAR(100), mysql.TEXT(), WIDER),
        (MYSQL, mysql.TEXT(), mysql.MEDIUMTEXT(), WIDER),
        (MYSQL, mysql.BLOB(), mysql.LONGBLOB(), WIDER),
        (MYSQL, mysql.TINYINT(1), Boolean(), ""),
        (MYSQL, mysql.MEDIUMTEXT(), mysql.TEXT(), NARROWER),
        (SQLITE, String(10), String(20), ""),
        (SQLITE, Integer(), BigInteger(), ""),
    ],
)
def test_a_column_is_widened_only_where_everything_stored_still_fits(dialect: Dialect, now: TypeEngine[object], wanted: TypeEngine[object], found: str) -> None:
    assert difference(shape_of(now, dialect), shape_of(wanted, dialect)) == found


def test_equal_catalogues_plan_nothing(connection: Connection) -> None:
    for table in (item_table(PENALTY), *OWN_TABLES):
        table.create(connection)

    plan = plan_tables(connection, [item_table(PENALTY), *OWN_TABLES], {PENALTY.table: PENALTY}, addable)

    assert plan == SchemaPlan()


def test_a_new_field_is_a_column_and_a_new_sealed_field_two(connection: Connection) -> None:
    plan = planned(connection, changed(tel=Field("tel", "电话", length=20), other_id=Field("other_id", "证件", identifier=Identifier.ID_NO)))

    assert [step.words.split("（")[0].split(",")[0] for step in plan.steps] == ["add column tel", "add column other_id", "add column other_id_hash"]
    assert plan.refused == plan.kept == []


def test_steps_run_as_they_are_printed_and_leave_nothing_to_do(connection: Connection) -> None:
    wanted = changed(tel=Field("tel", "电话"), months=Field("months", "月数", Kind.NUMBER, scale=2))
    plan = planned(connection, wanted)

    for statement in [sql for step in plan.steps for sql in step.sql]:
        connection.exec_driver_sql(statement)

    assert plan_tables(connection, [item_table(wanted)], {wanted.table: wanted}, addable) == SchemaPlan()
    assert connection.exec_driver_sql("SELECT record_id, text, tel FROM a0030_f06_01").all() == [("r0", "kept", None)]


@pytest.mark.parametrize(
    ("item", "column"),
    [
        (changed(months=Field("months", "月数")), "months"),
        (changed(fine=Field("fine", "罚款", Kind.NUMBER)), "fine"),
        (changed(fine=Field("fine", "罚款", Kind.NUMBER, scale=1)), "fine"),
        (changed(decided=Field("decided", "决定日期", Kind.TIME)), "decided"),
        (changed(text=Field("text", "内容", identifier=Identifier.ID_NO)), "text_hash"),
        (changed(id_no=Field("id_no", "身份证号")), "id_no"),
    ],
    ids=["another kind", "no digits after the point", "fewer of them", "date to time", "to be sealed", "no longer sealed"],
)
def test_what_would_lose_or_bare_data_is_refused_with_a_way_out(connection: Connection, item: Item, column: str) -> None:
    plan = planned(connection, item)

    assert [(refusal.table, refusal.column) for refusal in plan.refused] == [(PENALTY.table, column)]
    assert all(refusal.reason and refusal.hint for refusal in plan.refused)
    assert plan.steps == []


def test_a_field_that_the_catalogue_drops_stays_and_is_said(connection: Connection) -> None:
    plan = planned(connection, changed(text=None))

    assert (plan.steps, plan.refused, plan.kept) == ([], [], ["a0030_f06_01.text: kept, no longer filled"])


def test_a_field_may_become_sealed_while_no_row_is_stored(connection: Connection) -> None:
    plan = planned(connection, changed(text=Field("text", "内容", identifier=Identifier.ID_NO)), rows=0)

    assert [step.words for step in plan.steps] == ["add column text_hash, text"]


def test_a_table_and_an_index_that_are_missing_are_made(connection: Connection) -> None:
    OWN_TABLES[0].create(connection)
    indexed = next(table for table in OWN_TABLES if table.indexes)
    indexed.create(connection)
    connection.exec_driver_sql(f"DROP INDEX {next(iter(indexed.indexes)).name}")

    plan = plan_tables(connection, [indexed, item_table(PENALTY)], {}, addable)

    assert [(step.table, step.words.split()[1]) for step in plan.steps] == [(indexed.name, "index"), (PENALTY.table, "the")]


def old_and_new(*columns: Column[object]) -> tuple[MetaData, MetaData]:
    """A table of an earlier version, and the same with more columns."""
    old, new = MetaData(), MetaData()
    Table("kept", old, Column("id", Integer, primary_key=True))
    table = Table("kept", new, Column("id", Integer, primary_key=True), *columns)
    if columns:
        Index("kept_by", table.c[columns[0].name])
    return old, new


def test_the_state_s_tables_get_columns_and_indexes_that_an_earlier_version_had_not(connection: Connection) -> None:
    old, new = old_and_new(
        Column("where", String(8), nullable=False, default="x'y"), Column("done", Boolean, nullable=False, default=False), Column("at", Text)
    )
    old.create_all(connection)
    connection.exec_driver_sql("INSERT INTO kept VALUES (1)")

    done = bring_up(connection, new)

    assert done == ["added column where to kept", "added column done to kept", "added column at to kept", "added index kept_by to kept"]
    assert connection.exec_driver_sql("SELECT * FROM kept").all() == [(1, "x'y", 0, None)]
    assert bring_up(connection, new) == []


def test_a_column_of_the_state_that_old_rows_cannot_have_is_misconfigured(connection: Connection) -> None:
    old, new = old_and_new(Column("must", Text, nullable=False))
    old.create_all(connection)

    with pytest.raises(Misconfigured, match="kept lacks the column must"):
        bring_up(connection, new)
