"""JSON documents and JSON Lines, from their bytes to rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.formats import json as json_former
from tests.unit.arrivals import KNOWN, TITLES, read, refusal


def row(number: int, **more: Any) -> dict[str, Any]:
    return {**dict(zip(TITLES, (f"9132{number:05}", f"常熟市某{number}公司", "2024-03-05"), strict=True)), **more}


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in rows)


PLAIN = [(f"9132{i:05}", f"常熟市某{i}公司", "2024-03-05") for i in range(3)]


@pytest.mark.parametrize(
    "content",
    [
        lines(*(row(i) for i in range(3))),
        lines(*(row(i) for i in range(3))).replace(b"\n", b"\r\n"),
        b"\n\n" + lines(*(row(i) for i in range(3))).rstrip(b"\n"),
        b"\xef\xbb\xbf" + lines(*(row(i) for i in range(3))),
        json.dumps([row(i) for i in range(3)], ensure_ascii=False).encode(),
        json.dumps([row(i) for i in range(3)], indent=2).encode(),
        json.dumps({"code": 200, "data": {"total": 3, "list": [row(i) for i in range(3)]}, "msg": None}, ensure_ascii=False).encode(),
    ],
    ids=["lines", "crlf", "no last newline", "mark", "array", "escapes and indents", "wrapped"],
)
async def test_records_are_found_by_themselves(content: bytes) -> None:
    found = await read(content)

    assert found.cut["form"] == "json"
    assert found.rows == PLAIN


async def test_the_place_of_a_row_is_its_line_or_its_number() -> None:
    in_lines, in_array = await read(b"\n" + lines(row(0), row(1))), await read(json.dumps([row(0), row(1)]).encode())

    assert in_lines.places == [2, 3]
    assert in_array.places == [1, 2]


async def test_the_array_with_known_headings_wins_over_a_longer_one() -> None:
    content = json.dumps({"dict": [{"k": i} for i in range(9)], "body": {"datas": [row(0)]}}).encode()

    found = await read(content)

    assert found.rows == PLAIN[:1]
    assert found.cut["found"]["records at"] == "body.datas"


async def test_rows_may_be_named_and_a_wrong_name_is_told_the_right_ones() -> None:
    content = json.dumps({"a": [row(0)], "b": {"c": [row(1), row(2)]}}).encode()

    found = await read(content, json={"rows": "b.c"})
    error = await refusal(content, json={"rows": "b.d"})

    assert found.rows == PLAIN[1:]
    assert (error.code, "`b.c`" in error.hint) == ("F001", True)


async def test_a_single_object_is_one_row() -> None:
    assert (await read(lines(row(1)))).rows == PLAIN[1:2]
    assert (await read(json.dumps({"code": 0, "data": row(1)}).encode())).rows == PLAIN[1:2]


@pytest.mark.parametrize("content", [b"[]", b'{"code":0,"data":{"list":[]}}'])
async def test_no_record_is_said(content: bytes) -> None:
    assert (await refusal(content)).code == "F005"


@pytest.mark.parametrize("number", ["12345678901234567890123", "1e400", "-0.0", "0.10", "1E+2", "9007199254740993", "1" * 5_000])
async def test_numbers_stay_as_they_were_written(number: str) -> None:
    content = lines(row(0)).replace(b'"913200000"', number.encode())

    in_lines, whole = await read(content + lines(row(1))), await read(b"[" + content.strip() + b"]")

    assert in_lines.rows[0][0] == whole.rows[0][0] == number


async def test_words_nothing_and_nested_values() -> None:
    content = lines(row(0, 有效=True, 无=None, 空="", 地址={"市": "常熟", "户": {"号": 7}}, 类别=["罚款", 3, {"x": None}]))

    found = (await read(content)).frame.drop("_ordinal", *TITLES)

    assert found.to_dicts() == [{"有效": "true", "无": None, "空": None, "地址.市": "常熟", "地址.户.号": "7", "类别": '["罚款",3,{"x":null}]'}]


async def test_cells_may_hold_any_sign() -> None:
    nasty = 'a"b\x1fc\r\nd,e|f\t☃𠮷'

    found = await read(lines(row(0), row(1, 企业名称=nasty)))

    assert found.rows[1][1] == nasty


async def test_keys_that_come_later_are_headings_too() -> None:
    rows = [row(i) for i in range(30_000)]
    rows[-1] |= {"备注": "迟到"}
    rows[20_000] |= {"电话": "0512"}

    found = await read(lines(*rows))

    assert found.cut["titles"][1:] == [*TITLES, "电话", "备注"]
    assert found.frame["备注"].to_list()[-1] == "迟到"
    assert found.frame.height == 30_000


@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        b'{"\xe7\xbb\x9f": 1, "\xe7\xbb\x9f": 2}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 01}',
        b'{"a": 1,}',
        b"{'a': 1}",
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
        b'{"a": "\xff"}',
        b'{"a": "tab\there"}',
        b'{"a": {"b": {"c": 1}}, "a.b": {"c": 2}}',
        b"[1, 2]",
        b'"text"',
        b'{"a": 1} {"b": 2}',
        b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": 1',
    ],
)
async def test_a_bad_line_does_not_hold_up_its_neighbours(bad: bytes) -> None:
    content = lines(row(0)) + bad + b"\n" + lines(row(1), row(2))

    found = await read(content)

    assert found.rows == PLAIN
    assert [place for place, _ in found.unread] == [2]


async def test_the_text_of_a_bad_line_is_kept() -> None:
    found = await read(lines(row(0)) + '{"名称": "甲",}\n'.encode())

    assert found.unread == [(2, '{"名称": "甲",}')]


async def test_a_bad_line_is_told_from_a_row_of_one_column() -> None:
    found = await read(b'{"uscc": "1"}\nbad\n{"uscc": "2"}\n', known=frozenset({"uscc"}))

    assert found.rows == [("1",), ("2",)]
    assert [text for _, text in found.unread] == ["bad"]


async def test_an_element_that_is_no_object_is_one_bad_row() -> None:
    found = await read(json.dumps([row(0), 5, row(1), None, row(2)]).encode())

    assert found.rows == PLAIN
    assert found.unread == [(2, "5"), (4, "null")]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"data": [{"a": 1}, {"a": }]}', "line 1, column 27"),
        (b'[{"a": 1},\n {"a": 1, "a": 2}]', "line 2, column 2"),
        (b'[{"a": 1}] x', "line 1, column 12"),
        (b'[{"a": 1},\n]', "line 2, column 1"),
        (b'[{"a": Infinity}]', "line 1, column 2"),
        (b'{"a": 1, "a": 2, "b": [{"c": 1}]}', "line 1, column 13"),
        (b'[{"a": 1}', "line 1, column 10"),
    ],
)
async def test_a_bad_document_is_refused_with_its_place(content: bytes, place: str) -> None:
    error = await refusal(content)

    assert error.code == "F001"
    assert place in error.message


async def test_a_document_that_is_nested_too_deep_is_refused_before_it_is_parsed() -> None:
    error = await refusal(b'{"a":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_001)

    assert (error.code, "64 levels" in error.message) == ("F001", True)


async def test_brackets_inside_of_strings_are_no_depth() -> None:
    found = await read(json.dumps([row(0, 企业名称="[{" * 500 + '\\"')]).encode())

    assert found.rows[0][1] == "[{" * 500 + '\\"'


async def test_other_character_sets_are_refused_by_name() -> None:
    in_lines = await refusal(lines(row(0), row(1)).decode().encode("gb18030"), json={"lines": True})
    whole = await refusal(json.dumps([row(0)], ensure_ascii=False).encode("gb18030"))

    assert (in_lines.code, whole.code) == ("F002", "F002")
    assert "GB 18030" in in_lines.message


async def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    long = b'{"a": "' + b"x" * (9 << 20) + b'"}\n'
    monkeypatch.setattr(json_former, "MOST_DOCUMENT", 1_000)

    line, document = await refusal(lines(row(0)) + long), await refusal(json.dumps([row(i) for i in range(50)]).encode())

    assert (line.code, document.code) == ("F003", "F003")
    assert "JSON Lines" in document.hint


async def test_a_document_cut_anywhere_is_never_taken_for_whole() -> None:
    content = json.dumps({"code": 0, "data": [row(0), row(1)]}, ensure_ascii=False).encode()

    accepted = []
    for end in range(1, len(content)):
        error = await refusal(content[:end], json={})
        accepted += [] if error.code in ("F001", "F002") else [end]

    assert accepted == []


async def test_lines_cut_anywhere_give_whole_rows_and_one_that_is_not() -> None:
    content = lines(row(0), row(1))
    second = content.index(b"\n") + 1

    for end in range(second + 1, len(content) - 2):
        found = await read(content[:end], json={"lines": True})

        assert found.rows == PLAIN[:1]
        assert len(found.unread) == 1


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(st.lists(st.lists(texts | st.none(), min_size=3, max_size=3), min_size=1, max_size=8), st.booleans())
@settings(max_examples=60, deadline=None)
async def test_what_was_written_is_read(rows: list[list[str | None]], escaped: bool) -> None:
    objects = [dict(zip(TITLES, cells, strict=True)) for cells in rows]
    content = b"".join(json.dumps(one, ensure_ascii=escaped).encode() + b"\n" for one in objects)

    found = await read(content, json={"lines": True})
    whole = await read(json.dumps(objects, ensure_ascii=escaped).encode(), json={})

    assert found.rows == whole.rows == [tuple(cell or None for cell in cells) for cells in rows]
    assert KNOWN


async def test_a_heading_may_be_called_place() -> None:
    found = await read(lines(row(0, place="常熟")))

    assert found.frame["place"].to_list() == ["常熟"]
