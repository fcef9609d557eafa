"""The quick way through JSON Lines gives what the careful one gives, or declines."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.formats.json_lines import Lines, blocks_of
from connectors.formats.json_rows import plain_rows

KEYS = ("代码", "a.b", "$x{1}", "c d", "[^")


def careful(raw: bytes) -> bytes:
    return b"".join(plain_rows([Lines(raw, 7).read()], KEYS)).split(b"\n", 1)[1]


values = (
    st.text(max_size=8) | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.lists(st.integers(), max_size=2)
)


@given(st.lists(st.tuples(*[values] * len(KEYS)), min_size=1, max_size=6), st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_it_is_the_same_or_it_declines(rows: list[tuple[Any, ...]], ascii_only: bool, tight: bool) -> None:
    separators = (",", ":") if tight else (", ", ": ")
    raw = b"\n".join(json.dumps(dict(zip(KEYS, row, strict=True)), ensure_ascii=ascii_only, separators=separators).encode("utf-8", "replace") for row in rows)

    quick = Lines(raw, 7).quickly(KEYS)

    assert quick is None or quick == (careful(raw), len(rows))


@pytest.mark.parametrize("value", ['"x"', '""', "null", "true", "-0.5e+10", "12345678901234567890123", '"a,b|c\'d"', '"$1 ${2}"', '"𠮷"'])
def test_flat_lines_are_taken(value: str) -> None:
    raw = "\n".join('{"代码": 1, "a.b": ' + value + "}" for _ in range(3)).encode()

    assert Lines(raw, 7).quickly(KEYS) == (careful(raw), 3)


@pytest.mark.parametrize(
    "line",
    [
        '{"代码": 1, "代码": 2}',
        '{"a.b": 1, "代码": 2}',
        '{"代码": 1}',
        '{"代码": 1, "a.b": 2, "new": 3}',
        '{"代码": 01, "a.b": 1}',
        '{"代码": NaN, "a.b": 1}',
        '{"代码": 1, "a.b": "\t"}',
        '{"代码": 1, "a.b": "\x1f"}',
        '{"代码": 1, "a.b": "\\n"}',
        '{"代码": 1, "a.b": [1]}',
        '{"代码": 1, "a.b": {"c": 1}}',
        '{"代码": 1, "a.b": 1,}',
        '{"代码": 1, "a.b": 1} x',
        '{"代码": 1, "a.b": "x',
        "",
        "[]",
    ],
)
def test_anything_else_is_left_to_care(line: str) -> None:
    raw = f'{{"代码": 1, "a.b": 2}}\n{line}\n{{"代码": 3, "a.b": 4}}'.encode()

    assert Lines(raw, 1).quickly(KEYS) is None


def test_lines_keep_their_numbers_over_all_blocks() -> None:
    raw = b"".join(b'{"n": %d}\n' % i for i in range(60_000))

    blocks = list(blocks_of(io.BytesIO(raw)))
    made = [block.quickly(("n",)) for block in blocks]

    assert len(blocks) > 1
    assert b"".join(one[0] for one in made if one) == b"".join(b"%d\x1f%d\n" % (i + 1, i) for i in range(60_000))
