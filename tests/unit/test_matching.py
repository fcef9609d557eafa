"""Rows find the subject that their strongest valid identifier names."""

from __future__ import annotations

import polars as pl

from hub.contracts.batch import SUBJECT_ID
from hub.contracts.store import SUBJECTS_SCHEMA
from tests.unit.sample_items import KEYS, PENALTY, PERSON
from transforms.matching import match


def penalties(*rows):
    names = ("xdr_name", "uscc", "org_code")
    return pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], schema=dict.fromkeys(names, pl.String))


def persons(*rows):
    names = ("name", "id_no", "uscc")
    return pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], schema=dict.fromkeys(names, pl.String))


def test_a_valid_credit_code_names_a_legal_person():
    frame = penalties(("甲公司", "91320581MA0000A19W", None), ("乙公司", "91320581MA0000B231", None), ("甲公司", "91320581MA0000A19W", None))

    matched, subjects = match(frame, PENALTY, KEYS)

    first = KEYS.hash_text("uscc:91320581MA0000A19W")
    second = KEYS.hash_text("uscc:91320581MA0000B231")
    assert matched.get_column(SUBJECT_ID).to_list() == [first, second, first]
    assert subjects.schema == pl.Schema(SUBJECTS_SCHEMA)
    assert sorted(subjects.rows()) == sorted(
        [(first, "legal", "uscc", "91320581MA0000A19W", "甲公司"), (second, "legal", "uscc", "91320581MA0000B231", "乙公司")]
    )


def test_a_row_without_a_valid_identifier_is_unmatched():
    matched, subjects = match(penalties(("甲", None, None), ("乙", "91320581MA0000A19X", None)), PENALTY, KEYS)

    assert matched.get_column(SUBJECT_ID).to_list() == [None, None]
    assert subjects.is_empty()


def test_old_and_new_id_numbers_name_the_same_person_without_showing_it():
    matched, subjects = match(persons(("李四", "320581001231001", None), ("李四", "320581190012310015", None)), PERSON, KEYS)

    subject = KEYS.hash_text("id_no:320581190012310015")
    assert matched.get_column(SUBJECT_ID).to_list() == [subject, subject]
    assert subjects.rows() == [(subject, "person", "id_no", subject, None)]
    assert "320581" not in str(subjects.rows())


def test_a_credit_code_comes_before_an_id_number():
    matched, subjects = match(persons(("李四", "11010519491231002X", "92320581MA0000D428")), PERSON, KEYS)

    assert matched.get_column(SUBJECT_ID).to_list() == [KEYS.hash_text("uscc:92320581MA0000D428")]
    assert subjects.get_column("kind").to_list() == ["legal"]


def test_a_masked_id_number_names_nobody():
    matched, _ = match(persons(("李四", "3205811969****1234", None)), PERSON, KEYS)

    assert matched.get_column(SUBJECT_ID).to_list() == [None]


def test_an_id_number_in_the_column_of_credit_codes_names_a_person():
    matched, subjects = match(penalties(("李四", "11010519491231002X", None), ("甲公司", "91320581MA0000A19W", None)), PENALTY, KEYS)

    assert matched.get_column(SUBJECT_ID).to_list() == [KEYS.hash_text("id_no:11010519491231002X"), KEYS.hash_text("uscc:91320581MA0000A19W")]
    assert sorted(subjects.get_column("kind")) == ["legal", "person"]
    assert subjects.filter(kind="person").get_column("name").to_list() == [None]


def test_the_frame_keeps_its_rows_and_order():
    frame = penalties(*((f"公司{at}", "91320581MA0000A19W" if at % 2 else None, None) for at in range(50)))

    matched, _ = match(frame, PENALTY, KEYS)

    assert matched.drop(SUBJECT_ID).equals(frame)
    assert [subject is None for subject in matched.get_column(SUBJECT_ID)] == [at % 2 == 0 for at in range(50)]
