"""Whose record it is: the subject that the strongest identifier of a row names."""

from __future__ import annotations

import polars as pl

from hub.contracts.batch import SUBJECT_ID
from hub.contracts.item import Field, Identifier, Item
from hub.contracts.keys import KeyRing
from hub.contracts.store import SUBJECTS_SCHEMA
from transforms.columns import each
from transforms.identifiers import USCC, id_no_18, id_no_valid, uscc_valid

LEGAL, PERSON = "legal", "person"

_USCC, _ID, _NAME = "_uscc", "_id_no", "_name"


def subject_fields(item: Item, *identifiers: Identifier) -> list[Field]:
    """Fields that name the record's subject by one of these identifiers, strongest role first."""
    ranked = [(role, field) for field in item.fields if field.identifier in identifiers for role in field.roles if role.startswith("subject.")]
    return [field for _, field in sorted(ranked, key=lambda pair: pair[0])]


def match(frame: pl.DataFrame, item: Item, keys: KeyRing) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The frame with SUBJECT_ID (null: no valid strong identifier), and the distinct subjects it names (`SUBJECTS_SCHEMA`).

    A valid USCC comes before a valid ID number. The subject's id is the keyed hash of `uscc:<code>` or `id_no:<18 characters>`; a person's
    identifier is that hash as well, and persons carry no name.
    """
    firms = subject_fields(item, Identifier.USCC, Identifier.ORG_CODE)
    uscc = frame.with_columns(_first([_valid_uscc(f) for f in firms]).alias(_USCC)).get_column(_USCC)
    persons = subject_fields(item, Identifier.ID_NO, Identifier.USCC) if uscc.has_nulls() else []
    names = item.having("subject.name")
    found = frame.select(
        uscc,
        _first([_valid_id(f) for f in persons]).alias(_ID),
        (pl.col(names[0].name) if names else pl.lit(None, pl.String)).alias(_NAME),
    )
    named = pl.coalesce(pl.concat_str(pl.lit("uscc:"), pl.col(_USCC)), pl.concat_str(pl.lit("id_no:"), pl.col(_ID)))
    found = found.with_columns(keys.hash(named).alias(SUBJECT_ID))
    return frame.with_columns(found.get_column(SUBJECT_ID)), _subjects(found)


def _first(candidates: list[pl.Expr]) -> pl.Expr:
    return pl.coalesce(candidates) if candidates else pl.lit(None, pl.String)


def _valid_uscc(field: Field) -> pl.Expr:
    value = pl.col(field.name)
    return pl.when(uscc_valid(value)).then(value)


def _valid_id(field: Field) -> pl.Expr:
    """The ID number in a field, in 18 characters; in a column of credit codes it is looked for only where there is no credit code."""
    value = pl.col(field.name) if field.identifier is Identifier.ID_NO else each(pl.col(field.name), _no_credit_code, kind=pl.String)
    longer = id_no_18(value)
    return pl.when(id_no_valid(longer)).then(longer)


def _no_credit_code(values: pl.Series) -> pl.Series:
    valid = USCC.holds(values)
    return pl.select(pl.when(~valid).then(values)).to_series() if not valid.all() else values.clear(len(values))


def _subjects(found: pl.DataFrame) -> pl.DataFrame:
    """One row per subject; the last name that the batch gives it."""
    firm = pl.col(_USCC).is_not_null()
    subjects = found.filter(pl.col(SUBJECT_ID).is_not_null()).filter(pl.col(SUBJECT_ID).is_last_distinct())
    return subjects.select(
        pl.col(SUBJECT_ID).alias("subject_id"),
        pl.when(firm).then(pl.lit(LEGAL)).otherwise(pl.lit(PERSON)).alias("kind"),
        pl.when(firm).then(pl.lit("uscc")).otherwise(pl.lit("id_no")).alias("scheme"),
        pl.when(firm).then(pl.col(_USCC)).otherwise(pl.col(SUBJECT_ID)).alias("identifier"),
        pl.when(firm).then(pl.col(_NAME)).alias("name"),
    ).select(pl.col(name).cast(kind) for name, kind in SUBJECTS_SCHEMA.items())
