"""What fetched Oracle columns look like as lines."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Any

import polars as pl
import pytest

from connectors.databases.dialect import SEPARATOR, Column
from connectors.databases.oracle_text import PIECE, hashed, pieces
from connectors.databases.oracle_types import sort_of

LARGE = [Column("BZ", "CLOB", "text"), Column("ID", "NUMBER(9)", "number")]


def lines(declared: str, values: list[Any], dtype: Any = pl.String, odd: Counter[tuple[str, str]] | None = None) -> list[str]:
    """Cells of one column, read back as RFC 4180."""
    frame = pl.DataFrame({"C1": pl.Series(values, dtype=dtype), "L1": pl.Series([None] * len(values), dtype=pl.Float64)})
    column = Column("X", declared, sort_of(declared))
    text = b"".join(piece.lines for piece in pieces(frame, [column], Counter() if odd is None else odd)).decode()
    return [row[0] for row in csv.reader(io.StringIO(text, newline=""), delimiter=SEPARATOR, strict=True)]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (".5", "0.5"),
        ("-.05", "-0.05"),
        ("0", "0"),
        ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        ("1.0E+125", "1" + "0" * 125),
        ("-1.234567890123456789E-100", "-0." + "0" * 99 + "1234567890123456789"),
        (None, ""),
    ],
)
def test_a_number_is_plain_digits(sent: str | None, shown: str) -> None:
    assert lines("NUMBER", [sent]) == [shown]


def test_floating_point_is_its_shortest_digits() -> None:
    odd: Counter[tuple[str, str]] = Counter()

    found = lines("BINARY_DOUBLE", [0.1, 3.0, 1e22, 1e-7, float("nan"), float("-inf"), None], pl.Float64, odd)

    assert found == ["0.1", "3", "10000000000000000000000", "0.0000001", "", "", ""]
    assert odd == {("X", "no_number"): 2}
    assert lines("BINARY_FLOAT", [0.1], pl.Float32) == ["0.1"]


def test_a_time_without_fraction_has_none_and_a_zero_date_is_nothing() -> None:
    odd: Counter[tuple[str, str]] = Counter()

    found = lines("TIMESTAMP(6)", ["2026-11-24 00:00:00.000000", "2026-11-24 00:00:00.100000", "0000-00-00 00:00:00.000000", None], odd=odd)

    assert found == ["2026-11-24 00:00:00", "2026-11-24 00:00:00.100000", "", ""]
    assert odd == {("X", "zero_dates"): 1}


def test_nul_is_taken_out_and_unknown_characters_are_counted() -> None:
    odd: Counter[tuple[str, str]] = Counter()

    found = lines("VARCHAR2(20)", ["a\0b", "名\ufffd", "\0", 'q"', "a\nb"], odd=odd)

    assert found == ["ab", "名\ufffd", "", 'q"', "a\nb"]
    assert odd == {("X", "nul_taken_out"): 2, ("X", "unknown_characters"): 1}


def test_an_empty_large_object_is_nothing() -> None:
    found = b"".join(piece.lines for piece in pieces(pl.DataFrame({"C1": ["", None], "C2": ["1", "2"], "L1": [None, None]}), LARGE, Counter()))

    assert found == b"\x1f1\n\x1f2\n"


def test_bytes_are_hexadecimal_digits() -> None:
    assert lines("BLOB", [b"\x00\xff", None], pl.Binary) == ["00FF", ""]


def test_what_was_too_long_to_be_read_is_counted() -> None:
    odd: Counter[tuple[str, str]] = Counter()
    frame = pl.DataFrame({"C1": ["a", None], "L1": [None, 1.0]})

    list(pieces(frame, [Column("BZ", "CLOB", "text")], odd))

    assert odd == {("BZ", "too_long_left_out"): 1}


def test_pieces_stay_small_and_say_their_last_row() -> None:
    frame = pl.DataFrame({"C1": [str(i) for i in range(3000)], "C2": ["x" * 4000] * 3000})
    columns = [Column("ID", "NUMBER", "number"), Column("MC", "VARCHAR2(4000)", "text")]

    found = list(pieces(frame, columns, Counter()))

    assert sum(piece.rows for piece in found) == 3000
    assert len(found) > 2
    assert all(len(piece.lines) < PIECE + 10_000 for piece in found)
    assert found[-1].last == ("2999", "x" * 4000)


def test_hashes_of_rows_do_not_depend_on_their_order() -> None:
    frame = pl.DataFrame({"B": ["1", "1", "0"], "C1": ["a", None, "b"], "C2": ["x", "y", None]})

    same, other = hashed(frame.reverse()).sort("B"), hashed(frame.with_columns(C1=pl.col("C2"), C2=pl.col("C1"))).sort("B")

    assert same.equals(hashed(frame).sort("B"))
    assert same["h1"].to_list() != other["h1"].to_list()
