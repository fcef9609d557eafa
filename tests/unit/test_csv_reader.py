"""Delimited text of many kinds, read through the public face of the reader."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.formats.charset import PRIVATE_USE, repaired, to_utf8
from connectors.formats.csv import Block, CsvFormat, CsvReader, Cut
from connectors.formats.iconv import gb18030_to_utf8
from hub.contracts.batch import LINE, ORDINAL
from hub.contracts.errors import Rejected
from hub.contracts.headings import normalise_heading

TITLES = ("统一社会信用代码", "企业名称", "决定日期")
KNOWN = frozenset(map(normalise_heading, TITLES))


def text_of(rows: int, delimiter: str = ",", end: str = "\n") -> str:
    lines = [delimiter.join(TITLES), *(delimiter.join((f"9132{i:05}", f"常熟市某{i}公司", "2024-03-05")) for i in range(rows))]
    return end.join(lines) + end


def read(content: bytes, options: CsvFormat | None = None, *, rows: int = 50_000, known: frozenset[str] = KNOWN) -> tuple[Cut, list[Block]]:
    reader, stream = CsvReader(options or CsvFormat(), known), io.BytesIO(content)
    cut = reader.examine(stream, len(content))
    return cut, list(reader.blocks(stream, cut, start=cut.start, line=cut.line, first=0, rows=rows))


def table(blocks: list[Block]) -> list[tuple[str | None, ...]]:
    return pl.concat([b.frame for b in blocks]).drop(ORDINAL, LINE).rows()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", "|", "^", "\x1b", "||", "@|@", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encoding_and_delimiter_are_found(encoding: str, delimiter: str, end: str) -> None:
    content = text_of(7, delimiter, end).encode(encoding)

    cut, blocks = read(content)

    assert cut.delimiter == delimiter
    assert cut.encoding == {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)
    assert cut.titles == TITLES
    assert table(blocks) == [(f"9132{i:05}", f"常熟市某{i}公司", "2024-03-05") for i in range(7)]
    assert blocks[0].frame[LINE].to_list() == list(range(2, 9))


def test_utf_16_big_endian_is_read() -> None:
    content = b"\xfe\xff" + text_of(3).encode("utf-16-be")

    cut, blocks = read(content, rows=2)

    assert cut.encoding == "utf-16-be"
    assert len(table(blocks)) == 3
    assert len(blocks) == 2


def test_declared_multi_character_delimiter_may_stand_in_a_quoted_cell() -> None:
    content = b'a~~b\n"x~~y"~~z\n'

    _, blocks = read(content, CsvFormat(delimiter="~~"), known=frozenset())

    assert table(blocks) == [("x~~y", "z")]


def test_a_pipe_inside_a_gb18030_character_is_no_delimiter() -> None:
    name = "䶮囌"  # some characters end in the byte 0x7C
    piped = next(chr(c) for c in range(0x4E00, 0x9FA5) if chr(c).encode("gb18030").endswith(b"|"))
    content = f"{'|'.join(TITLES)}\n1|{piped}{name}|2024-01-01\n".encode("gb18030")

    _, blocks = read(content)

    assert table(blocks) == [("1", piped + name, "2024-01-01")]


def test_ascii_for_megabytes_and_gb18030_at_the_end() -> None:
    content = b"a,b\n" + b"1,plain\n" * 300_000 + "2,常熟\n".encode("gb18030")

    cut, blocks = read(content, known=frozenset())

    assert cut.encoding == "gb18030"
    assert table(blocks)[-1] == ("2", "常熟")


def test_the_nineteen_private_use_codes_become_characters() -> None:
    private = "".join(map(chr, PRIVATE_USE))
    raw = private.encode("gb18030")

    text = to_utf8(raw, "gb18030").decode()

    assert len(PRIVATE_USE) == 19
    assert [ord(c) for c in text] == list(PRIVATE_USE.values())
    assert all(not 0xE000 <= ord(c) <= 0xF8FF for c in text)


def test_every_two_byte_code_is_decoded_as_gb18030_2022_has_it() -> None:
    codes = [bytes([a, b]) for a in range(0x81, 0xFF) for b in (*range(0x40, 0x7F), *range(0x80, 0xFF))]
    for code in codes:
        expected = "".join(chr(PRIVATE_USE.get(ord(c), ord(c))) for c in code.decode("gb18030"))

        assert to_utf8(code, "gb18030").decode() == expected


@pytest.mark.parametrize(
    ("content", "at", "line"),
    [
        (text_of(3).encode() + b"1,\xff\xff,2\n", len(text_of(3).encode()) + 2, 5),
        (text_of(3).encode("gb18030") + b"1,\xff\xff,2\n", len(text_of(3).encode("gb18030")) + 2, 5),
        (text_of(2).encode() + "1,常".encode()[:-1], len(text_of(2).encode()) + 2, 4),
        (text_of(2).encode() + b"1,a\0b,2\n", len(text_of(2).encode()) + 3, 4),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_their_place(content: bytes, at: int, line: int) -> None:
    with pytest.raises(Rejected) as refusal:
        read(content)

    assert refusal.value.code == "F002"
    assert f"byte {at}, line {line}" in refusal.value.message


def test_a_nul_in_utf_16_is_refused_with_its_place() -> None:
    content = b"\xff\xfe" + text_of(1).encode("utf-16-le") + "1,\0,2\n".encode("utf-16-le")

    with pytest.raises(Rejected, match=f"NUL byte at byte {len(content) - 8}, line 3"):
        read(content)


def test_a_wrongly_declared_encoding_is_refused_not_guessed() -> None:
    with pytest.raises(Rejected) as refusal:
        read(text_of(2).encode("gb18030"), CsvFormat(encoding="utf-8"))

    assert refusal.value.code == "F002"


def test_bad_bytes_deep_in_the_file_leave_the_rows_before_them() -> None:
    content = text_of(60_000).encode("gb18030") + b"1,\xff\xff,3\n"
    reader, stream = CsvReader(CsvFormat(), KNOWN), io.BytesIO(content)
    cut = reader.examine(stream, len(content))
    blocks: list[Block] = []

    with pytest.raises(Rejected, match="line 60002"):
        blocks.extend(reader.blocks(stream, cut, start=cut.start, line=cut.line, first=0, rows=500))

    assert sum(block.rows for block in blocks) == 60_000


def test_one_foreign_byte_in_utf_8_is_refused_rather_than_read_as_something_else() -> None:
    content = text_of(3).encode() + b"1,\xb3\xa3\xca\xec,3\n"

    with pytest.raises(Rejected, match="not utf-8 at byte"):
        read(content)


def test_utf_16_without_mark_is_refused_with_the_way_out() -> None:
    with pytest.raises(Rejected) as refusal:
        read("a,b\n1,2\n".encode("utf-16-le"))

    assert refusal.value.code == "F002"
    assert "utf-16-le" in refusal.value.hint


def test_every_row_is_accounted_for() -> None:
    lines = [",".join(TITLES), "1,a,x", "2,b", "", "3,c,x,y", ",".join(TITLES), "4,d,x,", ",,", "  ", "5,e,x", "合计,,99", "制表人：某某"]

    _, blocks = read("\n".join(lines).encode())

    block = blocks[0]
    assert block.rows == 9
    assert block.frame[TITLES[0]].to_list() == ["1", "4", "5"]
    assert block.frame[ORDINAL].to_list() == [0, 4, 6]
    assert block.frame[LINE].to_list() == [2, 7, 10]
    assert block.refused.rows() == [
        (1, "R100", "", "第 3 行有 2 列，标题有 3 列 · line 3: 2 cells, 3 headings", 3, "2,b"),
        (2, "R100", "", "第 5 行有 4 列，标题有 3 列 · line 5: 4 cells, 3 headings", 5, "3,c,x,y"),
    ]
    assert block.filtered.to_list() == [3, 5, 7, 8]


def test_a_truncated_last_line_is_refused_by_name_and_a_whole_one_is_a_row() -> None:
    _, cut_off = read(text_of(2).encode() + b"3,half")
    _, whole = read(text_of(2).encode() + b"3,half,2024")

    assert cut_off[0].refused["reason"].to_list() == ["第 4 行不完整，文件在此中断 · line 4: the file breaks off inside this line"]
    assert whole[0].frame.height == 3


def test_quoted_cells_hold_line_ends_delimiters_and_quotation_marks() -> None:
    content = f'{",".join(TITLES)}\r\n1,"a\r\nb,""c""",\r\n2,"",x\r\n'.encode()

    _, blocks = read(content)

    assert table(blocks) == [("1", 'a\r\nb,"c"', None), ("2", None, "x")]
    assert blocks[0].frame[LINE].to_list() == [2, 4]


def test_bare_quotation_marks_in_a_pipe_file_are_text() -> None:
    content = f'{"|".join(TITLES)}\n1|"好"牌公司|2024\n2|5" pipe|2024\n'.encode()

    cut, blocks = read(content)

    assert not cut.quote
    assert table(blocks) == [("1", '"好"牌公司', "2024"), ("2", '5" pipe', "2024")]


def test_titles_above_the_heading_are_passed_over() -> None:
    content = ("行政处罚信息表,,\n填报单位：某局,,\n" + text_of(2)).encode()

    cut, blocks = read(content)

    assert (cut.titles, cut.line) == (TITLES, 4)
    assert len(table(blocks)) == 2


def test_headings_in_another_order_with_brackets_spaces_and_full_width() -> None:
    content = "决定日期,企业名称 ,（统一社会信用代码）\n2024,a,1\n".encode()

    cut, blocks = read(content)

    assert cut.matched == 3
    assert table(blocks) == [("2024", "a", "1")]


def test_no_heading_can_pass_for_a_working_column() -> None:
    content = "_ordinal,企业名称,企业名称,\n7,a,b,c\n".encode()

    cut, blocks = read(content)

    assert cut.names == ("ordinal", "企业名称", "企业名称_3", "column_4")
    assert blocks[0].frame[ORDINAL].to_list() == [0]


def test_a_file_without_heading_takes_the_declared_one() -> None:
    _, blocks = read(b"1|a|x\n2|b|y\n", CsvFormat(header=False, columns=TITLES))

    assert table(blocks) == [("1", "a", "x"), ("2", "b", "y")]
    assert blocks[0].frame.columns[2:] == list(TITLES)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "F005"),
        (text_of(0).encode(), "F005"),
        (b"\n\n  \n", "F005"),
        (f"{text_of(0)}合计,,\n".encode(), "F005"),
        (b"x,y,z\n1,2,3\n", "F006"),
        (",".join(f"列{i}" for i in range(5_000)).encode() + b"\n" + b"," * 4_999 + b"\n", "F006"),
        (b"a,b\r1,2\r", "F001"),
    ],
)
def test_what_is_no_table_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(Rejected) as refusal:
        read(content)

    assert refusal.value.code == code


class Endless(io.RawIOBase):
    """A heading, and then one line that never ends; counts what was read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.given = 0

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset

    def read(self, size: int = -1) -> bytes:
        first, self.given = self.given == 0, self.given + size
        return ",".join(TITLES).encode() + b"\n" + b"x" * (size - 47) if first else b"x" * size


def test_an_endless_line_is_given_up_after_eight_mebibytes() -> None:
    stream = Endless()
    reader = CsvReader(CsvFormat(encoding="utf-8", delimiter=",", totals=()), KNOWN)
    cut = Cut("utf-8", "", 0, ",", True, TITLES, 3, 47, 2, 1 << 40, 1 << 40)

    with pytest.raises(Rejected) as refusal:
        list(reader.blocks(cast(BinaryIO, stream), cut, start=47, line=2, first=0))

    assert refusal.value.code == "F003"
    assert stream.given <= 20 << 20


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 25), st.sampled_from(["utf-8", "gb18030", "utf-16"]), st.data())
def test_blocks_of_any_size_hold_the_same_rows_and_can_be_cut_again(rows: int, size: int, encoding: str, data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(1, rows), max_size=5))
    lines = [line + (',"more' if i in bad else "") for i, line in enumerate(text_of(rows).splitlines())]
    content = "\n".join(lines).encode(encoding)
    _, whole = read(content)

    cut, blocks = read(content, rows=size)

    assert table(blocks) == table(whole)
    assert pl.concat([b.refused for b in blocks]).equals(pl.concat([b.refused for b in whole]))
    assert [b.first for b in blocks] == [sum(b.rows for b in blocks[:i]) for i in range(len(blocks))]
    reader = CsvReader(CsvFormat(), KNOWN)
    for block in blocks:
        again = reader.block(io.BytesIO(content), Cut.from_wire(cut.to_wire()), start=block.start, end=block.end, line=block.line, first=block.first)
        assert again.frame.equals(block.frame)
        assert (again.rows, again.raw) == (block.rows, block.raw)
    assert reader.count(io.BytesIO(content), cut) == rows


def test_every_four_byte_code_of_the_basic_plane_is_decoded_by_the_same_table() -> None:
    characters = [chr(c) for c in (*range(0x80, 0xD800), *range(0xE000, 0x10000)) if len(chr(c).encode("gb18030")) == 4]
    wanted = "".join(characters).translate(PRIVATE_USE)

    assert to_utf8("".join(characters).encode("gb18030"), "gb18030").decode() == wanted
    for character in characters[::7]:
        assert to_utf8(character.encode("gb18030"), "gb18030").decode() == character.translate(PRIVATE_USE)


@settings(max_examples=300)
@given(st.binary(max_size=12))
def test_the_fast_codec_never_reads_what_the_strict_one_refuses(raw: bytes) -> None:
    fast = gb18030_to_utf8(raw)

    try:
        strict = raw.decode("gb18030")
    except UnicodeDecodeError:
        assert fast is None
    else:
        assert fast is None or repaired(fast) == repaired(strict.encode())
