"""Keyed hashes of key and content: equal for equal meaning, different for every difference that counts."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest

from hub.contracts.batch import OP, STATUS
from tests.unit.sample_items import KEYS, OTHER_KEYS, PENALTY
from transforms.cleaning import dtype_of
from transforms.hashing import SEPARATOR, canonical, hashes, record_id

ROW = {
    "xdr_name": "常熟（虞山）有限公司", "uscc": "91320581MA0000A19W", "doc_no": "常环罚〔2024〕1号", "penalty_class": "2", "fine_wan": Decimal("2.500000"),
    "decision_date": date(2024, 3, 5), "src_update_time": datetime(2024, 3, 6, 1, 2, 3), OP: "U", STATUS: 0,
}  # fmt: skip


def hashed(keys=KEYS, **changes):
    row = {**ROW, **changes}
    schema = {**{field.name: dtype_of(field) for field in PENALTY.fields}, OP: pl.String, STATUS: pl.Int8}
    frame = pl.DataFrame({name: [row.get(name)] for name in schema}, schema=schema)
    return hashes(frame, PENALTY, keys).row(0)


def test_hashes_are_32_hex_digits_and_the_same_each_time():
    first, again = hashed(), hashed()

    assert first == again
    assert all(len(value) == 32 and set(value) <= set("0123456789abcdef") for value in first)


def test_the_record_id_is_the_hash_of_item_and_key():
    assert hashed()[0] == KEYS.hash_text(SEPARATOR.join(["A0030-F06-01", "常环罚(2024)1号", "91320581MA0000A19W"]))


def test_another_key_ring_gives_other_hashes():
    mine, other = hashed(), hashed(keys=OTHER_KEYS)

    assert mine[0] != other[0]
    assert mine[1] != other[1]


@pytest.mark.parametrize(
    "same",
    [
        {"doc_no": "常环罚（２０２４）1号"},
        {"doc_no": "常环罚[2024]1号"},
        {"xdr_name": "常熟(虞山)有限公司"},
        {"fine_wan": Decimal("2.5")},
        {"batch_no": "20240305"},
        {"op_flag": "I"},
    ],
)
def test_spelling_and_transport_make_no_other_record_and_no_other_row(same):
    assert hashed(**same) == hashed()


@pytest.mark.parametrize(
    "change",
    [
        {"fine_wan": Decimal("2.51")},
        {"fine_wan": None},
        {"facts": "未按规定排放"},
        {"decision_date": date(2024, 3, 6)},
        {"src_update_time": datetime(2024, 3, 6, 1, 2, 4)},
        {OP: "D"},
        {STATUS: 1},
        {"xdr_name": "常熟（虞山）责任有限公司"},
    ],
)
def test_other_content_keeps_the_record_and_changes_the_row(change):
    record, row = hashed(**change)

    assert record == hashed()[0]
    assert row != hashed()[1]


def test_a_value_in_a_neighbouring_field_is_another_row():
    assert hashed(facts="甲", legal_rep=None)[1] != hashed(facts=None, legal_rep="甲")[1]


def test_the_first_alternative_of_a_key_that_is_present_counts():
    by_code, by_number = hashed(reg_no="320581000000016"), hashed(uscc=None, reg_no="320581000000016")

    assert by_code[0] == hashed()[0]
    assert by_number[0] not in (None, by_code[0])


def test_a_missing_part_of_the_key_leaves_no_record_id():
    assert hashed(doc_no=None)[0] is None
    assert hashed(uscc=None, reg_no=None)[0] is None


@pytest.mark.parametrize(("value", "text"), [("100", "100"), ("0", "0"), ("2.50", "2.5"), ("0.000001", "0.000001"), ("-3.10", "-3.1")])
def test_decimals_are_written_without_trailing_zeros(value, text):
    frame = pl.DataFrame({"fine_wan": [Decimal(value)]}, schema={"fine_wan": pl.Decimal(18, 6)})

    assert frame.select(canonical(PENALTY.by_name["fine_wan"], PENALTY)).item() == text


def test_rows_hash_alike_whatever_stands_around_them():
    frame = pl.DataFrame({"doc_no": ["a", "b", "c"], "uscc": ["1", "2", "3"], "reg_no": [None, None, None]}, schema_overrides={"reg_no": pl.String})

    whole = frame.select(record_id(PENALTY, KEYS)).to_series()
    parts = pl.concat([frame[:1].select(record_id(PENALTY, KEYS)), frame[1:].select(record_id(PENALTY, KEYS))]).to_series()

    assert whole.to_list() == parts.to_list()
    assert whole.n_unique() == 3


def test_what_a_whole_batch_says_alike_hashes_as_in_a_row_of_its_own():
    rows = [{**ROW, "doc_no": number, "facts": facts, "org_code": None, "cases": 3} for number, facts in [("a", None), ("b", "x"), ("c", None), ("c", None)]]
    schema = {**{field.name: dtype_of(field) for field in PENALTY.fields}, OP: pl.String, STATUS: pl.Int8}
    frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)

    together = hashes(frame, PENALTY, KEYS)
    alone = pl.concat([hashes(frame[at : at + 1], PENALTY, KEYS) for at in range(len(rows))])
    alike = hashes(frame[2:], PENALTY, KEYS)

    assert together.equals(alone)
    assert alike.equals(alone[2:])


def test_no_rows_have_no_hashes():
    schema = {**{field.name: dtype_of(field) for field in PENALTY.fields}, OP: pl.String, STATUS: pl.Int8}

    found = hashes(pl.DataFrame(schema=schema), PENALTY, KEYS)

    assert found.shape == (0, 2)
