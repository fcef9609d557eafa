"""Records and cells of delimited text: the fast way, the careful way and a plain oracle agree."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.formats import records

PIPE = ord("|")
TEXT = st.text(alphabet='ab|"\n\r 甲', max_size=40)
CELLS = st.lists(st.lists(st.text(alphabet='ab|" \n甲', max_size=6), min_size=1, max_size=4), min_size=1, max_size=8)


def plain(layout: records.Layout) -> list[tuple[int, int, int, int]]:
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in zip(layout.starts, layout.ends, layout.lines, layout.cells, strict=True)]


@settings(max_examples=400)
@given(TEXT)
def test_the_fast_way_agrees_with_the_careful_way(text: str) -> None:
    content = text.encode()

    fast = records.lay_out(content, PIPE, quote=True, final=True)
    careful = records._careful(content, PIPE, True)

    assert plain(fast) == plain(careful)
    assert (fast.used, fast.used_lines) == (careful.used, careful.used_lines)


@settings(max_examples=300)
@given(TEXT, st.integers(0, 40))
def test_cutting_anywhere_finds_the_same_records(text: str, at: int) -> None:
    content = text.encode()
    cut = content[:at].rfind(b"\n") + 1
    whole = plain(records.lay_out(content, PIPE, quote=True, final=True))

    first = records.lay_out(content[:cut], PIPE, quote=True, final=False)
    rest = records.lay_out(content[first.used :], PIPE, quote=True, final=True)

    moved = [(a + first.used, b + first.used, c + first.used_lines, d) for a, b, c, d in plain(rest)]
    assert plain(first) + moved == whole


@settings(max_examples=200)
@given(CELLS)
def test_what_a_csv_writer_wrote_comes_back(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter="|", lineterminator="\n").writerows(rows)
    content = out.getvalue().encode()

    layout = records.lay_out(content, PIPE, quote=True, final=True)

    found = [records.split(content[a:b], PIPE, quote=True) for a, b, *_ in plain(layout)]
    assert found == rows
    assert layout.cells.tolist() == [len(row) for row in rows]


def test_a_lost_quotation_mark_costs_one_line() -> None:
    content = b'a|b\n"c|d\ne|f\n"g"|h\n'

    layout = records.lay_out(content, PIPE, quote=True, final=True)

    assert layout.cells.tolist() == [2, records.STRAY, 2, 2]


def test_a_quoted_record_longer_than_a_mebibyte_is_not_believed() -> None:
    content = b'"' + b"x\n" * (records.QUOTED_MAX // 2) + b'"|b\nc|d\n'

    layout = records.lay_out(content, PIPE, quote=True, final=True)

    assert layout.cells[0] == records.STRAY
    assert layout.cells[-1] == 2


@pytest.mark.parametrize("final", [True, False])
def test_an_open_cell_waits_for_more_unless_nothing_follows(final: bool) -> None:
    content = b'a|b\n"c|\nd'[: None if final else 8]

    layout = records.lay_out(content, PIPE, quote=True, final=final)

    assert layout.used == (len(content) if final else 4)
    assert layout.cells.tolist() == ([2, records.STRAY, 1] if final else [2])
