"""Text of fixed column widths, made into its plain form and read from there."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.formats.fixed import FixedFormat, FixedFormer
from connectors.formats.plain import Plain
from hub.contracts.batch import LINE, ORDINAL
from hub.contracts.errors import Rejected
from tests.unit.xml_reading import Dribble, converted, expected, frame_of, refused

COLUMNS: list[dict[str, Any]] = [{"name": "uscc", "width": 6}, {"name": "名称", "width": 12}, {"name": "date", "width": 8}]
LINES = [("913205", "常熟某公司", "20240305"), ("913206", 'A "B", C', ""), ("", "苏州", "20240306")]


def fixed(content: bytes, stream: io.BytesIO | None = None, **options: Any) -> tuple[bytes, Plain]:
    return converted(FixedFormer(FixedFormat(**{"columns": COLUMNS, **options}), expected()), content, stream)


def cells(text: bytes, plain: Plain) -> list[tuple[str, ...]]:
    return [tuple(cell or "" for cell in row) for row in frame_of(text, plain).drop(ORDINAL, LINE).rows()]


def in_bytes(lines: Sequence[tuple[str, ...]], encoding: str, end: bytes = b"\n") -> bytes:
    widths = [column["width"] for column in COLUMNS]
    return b"".join(b"".join(cell.encode(encoding).ljust(width) for cell, width in zip(line, widths, strict=True)) + end for line in lines)


def in_characters(lines: Sequence[tuple[str, ...]]) -> str:
    return "".join("".join(cell.ljust(column["width"]) for cell, column in zip(line, COLUMNS, strict=True)) + "\n" for line in lines)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_widths_count_bytes(encoding: str, end: bytes) -> None:
    lines = [("913205", "常熟公司", "20240305"), *LINES[1:]]

    text, plain = fixed(in_bytes(lines, encoding, end))

    assert cells(text, plain) == lines
    assert plain.titles == ("uscc", "名称", "date")
    assert plain.evidence["encoding"] == encoding


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-8-sig"])
def test_widths_count_characters(encoding: str) -> None:
    text, plain = fixed(in_characters(LINES).encode(encoding), unit="characters")

    assert cells(text, plain) == LINES


def test_lines_keep_their_numbers_and_blank_ones_are_none() -> None:
    content = b"title\n\n" + in_bytes(LINES[:1], "gb18030") + b"\r\n" + b" " * 26 + b"\n" + in_bytes(LINES[1:], "gb18030").rstrip(b"\n") + b"\n\x1a"

    text, plain = fixed(content, skip=1)

    assert frame_of(text, plain)[LINE].to_list() == [3, 6, 7]
    assert plain.rows == 3


def test_the_last_line_needs_no_line_end() -> None:
    text, plain = fixed(in_bytes(LINES, "gb18030")[:-1])

    assert cells(text, plain) == LINES


@pytest.mark.parametrize("unit", ["bytes", "characters"])
def test_a_line_of_another_length_is_set_aside_with_its_text(unit: str) -> None:
    good = in_characters([("913205", "Changshu", "20240305")])

    text, plain = fixed((good + 'too "short"\n' + good + good[:-1] + "x\n").encode(), unit=unit)

    assert [row[0] for row in cells(text, plain)] == ["913205", "913205"]
    assert refused(text, plain) == [("R100", 2, 'too "short"'), ("R100", 4, good[:-1] + "x")]
    assert plain.evidence["other lengths"] == {"11": 1, "27": 1}
    assert plain.rows == 4


def test_a_width_that_cuts_a_character_in_two_sets_its_line_aside() -> None:
    good = in_bytes(LINES[:1], "gb18030")
    cut = "12345常熟      20240305 ".encode("gb18030")
    assert len(cut) == len(good) - 1 - 2
    cut = cut + b"  \n"

    text, plain = fixed(good + cut + good)

    assert cells(text, plain) == [LINES[0], LINES[0]]
    assert [(code, line) for code, line, _ in refused(text, plain)] == [("R100", 2)]


def test_a_separator_inside_a_line_never_moves_a_cell() -> None:
    good = in_bytes(LINES[:1], "gb18030")

    text, plain = fixed(good + good.replace(b"9132", b"9\x1f32"))

    assert cells(text, plain) == LINES[:1]
    assert [(code, line) for code, line, _ in refused(text, plain)] == [("R100", 2)]


def test_blanks_stay_where_they_are_wanted() -> None:
    text, plain = fixed(in_bytes(LINES[:1], "gb18030"), trim=False)

    assert cells(text, plain) == [("913205", "常熟某公司  ", "20240305")]


@pytest.mark.parametrize(("content", "code"), [(in_characters(LINES).encode()[:40] + b"\n", "F006"), (b"short\nlines\n", "F006"), (b"\xff\xfea\0\n\0", "F002")])
def test_what_fits_nowhere_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(Rejected) as raised:
        fixed(content)

    assert raised.value.code == code


@pytest.mark.parametrize("unit", ["bytes", "characters"])
@pytest.mark.parametrize("bad", [b"\xff\xff", b"\0\0"])
def test_bytes_that_are_no_text_are_told_with_their_line(bad: bytes, unit: str) -> None:
    good = in_bytes([("913205", "Changshu", "20240305")], "utf-8")

    with pytest.raises(Rejected, match="line 3") as raised:
        fixed(good * 2 + good.replace(b"ng", bad) + good, unit=unit)

    assert raised.value.code == "F002"
    assert "fixed block" in raised.value.hint


def test_a_line_without_end_is_refused_before_it_is_read_whole() -> None:
    with pytest.raises(Rejected, match="line 2 is longer") as raised:
        fixed(in_bytes(LINES[:1], "gb18030") + b"x" * (12 << 20))

    assert raised.value.code == "F003"


def test_an_empty_document_has_no_row() -> None:
    _, plain = fixed(b"\n \n")

    assert plain.rows == 0


@pytest.mark.parametrize("columns", [[], [{"name": "a", "width": 0}], [{"name": "a", "width": 1}, {"name": "a", "width": 2}]])
def test_columns_that_make_no_sense_are_refused_when_the_feed_is_loaded(columns: list[dict[str, object]]) -> None:
    with pytest.raises(ValidationError):
        FixedFormat.model_validate({"columns": columns})


CELL = st.text(st.sampled_from("常熟镕aZ09\"',|;<€𠮷 "), max_size=4).map(str.strip)


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(st.tuples(CELL, CELL, CELL).filter(any), min_size=1, max_size=9),
    encoding=st.sampled_from(["utf-8", "gb18030"]),
    unit=st.sampled_from(["bytes", "characters"]),
    most=st.integers(1, 40),
)
def test_whatever_is_written_is_read(lines: Sequence[tuple[str, ...]], encoding: str, unit: str, most: int) -> None:
    wide = [{"name": name, "width": 16} for name in "abc"]
    rows = [[cell + " " * (16 - (len(cell) if unit == "characters" else len(cell.encode(encoding)))) for cell in line] for line in lines]
    content = "".join("".join(row) + "\r\n" for row in rows).encode(encoding)
    stream = Dribble(content)
    stream.most = most

    text, plain = fixed(content, stream, columns=wide, unit=unit, encoding=encoding)

    assert cells(text, plain) == lines
