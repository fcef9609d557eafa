"""A recorded sample keeps the sort of each identity."""

from __future__ import annotations

import polars as pl

from routes.recording import _is_id_no, _is_uscc, _other
from tests.city.identities import citizen, firm


def test_an_id_number_that_could_be_a_uscc_as_well_stays_an_id_number() -> None:
    ambiguous = next(citizen(number) for number in range(1, 2000) if _is_uscc(citizen(number)))

    made = _other(ambiguous, 1)

    assert _is_id_no(made)
    assert made != ambiguous


def test_a_uscc_stays_a_uscc() -> None:
    made = _other(firm(1), 1)

    assert _is_uscc(made)
    assert pl.Series([made]).str.starts_with("91").all()
