"""Tables from the catalogue, the filter of known records, and rows between their two forms."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable

from connectors.stores.known import KeyFilter, Memory
from connectors.stores.stored import journal_body, journal_rows, opened, schema_of, to_stored, withdrawn
from connectors.stores.tables import OWN_TABLES, dtype_of, item_table, table_name
from hub.contracts.errors import Rejected
from hub.contracts.item import HUB_COLUMNS
from hub.contracts.store import SUBJECTS_SCHEMA
from tests.contract.store_batches import ID_NO, KEYS, PENALTY, batch
from tests.contract.store_oracle import Said

AT = datetime(2026, 11, 1, 8)


def test_an_item_s_table_has_the_hub_s_columns_then_its_own_and_a_hash_beside_each_sealed_field() -> None:
    table = item_table(PENALTY)

    assert table.name == table_name("A0030-F06-01") == "a0030_f06_01"
    assert tuple(column.name for column in table.columns)[: len(HUB_COLUMNS)] == HUB_COLUMNS
    assert [column.name for column in table.columns][len(HUB_COLUMNS) :] == ["doc_no", "text", "fine", "months", "decided", "noted", "id_no", "id_no_hash"]
    assert [column.name for column in table.primary_key] == ["record_id"]


def test_column_types_give_the_frame_s_types() -> None:
    types = {column.name: dtype_of(column.type) for column in item_table(PENALTY).columns}

    assert {name: types[name] for name in ("doc_no", "fine", "months", "decided", "noted", "id_no_hash")} == {
        "doc_no": pl.String(),
        "fine": pl.Decimal(18, 2),
        "months": pl.Int64(),
        "decided": pl.Date(),
        "noted": pl.Datetime("us"),
        "id_no_hash": pl.String(),
    }


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect(), mysql.dialect()], ids=lambda dialect: dialect.name)  # type: ignore[no-untyped-call]
def test_every_table_can_be_written_in_every_dialect(dialect: Dialect) -> None:
    for table in (*OWN_TABLES, item_table(PENALTY)):
        assert str(CreateTable(table).compile(dialect=dialect)).strip().startswith(f"CREATE TABLE {table.name}")


def test_stored_rows_hold_no_id_number_and_open_to_what_was_said() -> None:
    said = batch([Said("k1"), Said("k2", status=2)])

    stored = to_stored(said.frame, PENALTY, said.header, KEYS, AT)

    assert dict(stored.schema) == schema_of(item_table(PENALTY))
    assert ID_NO not in stored.write_json()
    assert stored["id_no_hash"].to_list() == [KEYS.hash_text(ID_NO)] * 2
    assert opened(stored, PENALTY, KEYS).select("status", "fine", "decided", "id_no").rows() == [
        (0, Decimal("1234.50"), date(2026, 3, 5), ID_NO),
        (2, Decimal("1234.50"), date(2026, 3, 5), ID_NO),
    ]


def test_a_withdrawn_row_keeps_its_content_and_takes_the_deleting_row_s_place() -> None:
    said, deleting = batch([Said("k1", "b")]), batch([Said("k1", "other", op="D")], arrival=4, first=9)
    stored = to_stored(said.frame, PENALTY, said.header, KEYS, AT)

    gone = withdrawn(stored, deleting.frame, deleting.header, AT.replace(hour=9)).row(0, named=True)

    assert [gone[name] for name in ("text", "status", "arrival", "ordinal", "first_seen", "updated_at")] == ["b", 1, 4, 9, AT, AT.replace(hour=9)]
    assert gone["row_hash"] == KEYS.hash_text("b")


def test_a_journal_body_opens_only_at_its_own_place() -> None:
    rows = pl.DataFrame({"_op": ["insert"], "record_id": ["ab"], "text": ["x"]})
    body = journal_body(rows, "A0030-F06-01", 3, KEYS)

    assert journal_rows(body, "A0030-F06-01", 3, KEYS).row(0, named=True) == {"_record_id": "ab", "_op": "insert", "record_id": "ab", "text": "x"}
    with pytest.raises(Rejected):
        journal_rows(body, "A0030-F06-01", 4, KEYS)


@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=200))
def test_the_filter_never_denies_a_record_that_was_added(numbers: set[int]) -> None:
    ids = pl.Series([KEYS.hash_text(str(number)) for number in numbers])
    known = KeyFilter()

    known.add(ids)

    assert known.maybe(ids).all()
    assert not known.maybe(pl.Series([KEYS.hash_text("never added")])).any()


def test_memory_forgets_everything_when_somebody_else_wrote() -> None:
    subjects = pl.DataFrame([("s1", "legal", "uscc", "91320581MA0000A19W", "甲")], schema=SUBJECTS_SCHEMA, orient="row")
    memory = Memory()
    memory.check(1)
    memory.meet("t", empty=True)
    memory.stored(subjects)

    remembered = memory.unknown(subjects).height
    memory.check(2)

    assert remembered == 0
    assert memory.unknown(subjects).height == 1
    assert memory.filter("t") is None
    assert not memory.met("t")
