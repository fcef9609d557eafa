"""Archives: what is in them is read, and what is wrong with them is refused before it does harm (threat 4)."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import pyzipper

from hub.contracts.errors import Rejected
from tests.unit.arrivals import TITLES, read, refusal

HEADING = ",".join(TITLES)
PLAIN = [(f"9132{i:05}", f"常熟市某{i}公司", "2024-03-05") for i in range(4)]


def csv(*numbers: int) -> bytes:
    return "\n".join([HEADING, *(",".join(PLAIN[i]) for i in numbers), ""]).encode()


def packed(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return target.getvalue()


def locked(content: bytes, password: str, *, old: bool = False) -> bytes:
    """Encrypted with WinZip AES, or with the old ZipCrypto, for which the check byte is made here."""
    if old:
        return _zip_crypto(content, password)
    target = io.BytesIO()
    with pyzipper.AESZipFile(target, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        archive.writestr("a.csv", content)
    return target.getvalue()


def _zip_crypto(content: bytes, password: str) -> bytes:
    keys = [0x12345678, 0x23456789, 0x34567890]
    table = list(range(256))
    for _ in range(8):
        table = [(c >> 1) ^ 0xEDB88320 if c & 1 else c >> 1 for c in table]

    def update(byte: int) -> None:
        keys[0] = (keys[0] >> 8) ^ table[(keys[0] ^ byte) & 0xFF]
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = (keys[2] >> 8) ^ table[(keys[2] ^ (keys[1] >> 24)) & 0xFF]

    def encrypt(byte: int) -> int:
        mixed = (keys[2] | 2) & 0xFFFF
        update(byte)
        return byte ^ (((mixed * (mixed ^ 1)) >> 8) & 0xFF)

    for byte in password.encode():
        update(byte)
    crc = zlib.crc32(content)
    body = bytes(map(encrypt, bytes(11) + bytes([crc >> 24]) + content))
    fields = struct.pack("<HHHHHLLLHH", 20, 1, 0, 0, 0x21, crc, len(body), len(content), 5, 0)
    local = b"PK\3\4" + fields + b"a.csv" + body
    directory = b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + b"a.csv"
    return local + directory + b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 1, 1, len(directory), len(local), 0)


def patched(content: bytes, change: Callable[[bytearray], Any]) -> bytes:
    changed = bytearray(content)
    change(changed)
    return bytes(changed)


async def outcome(content: bytes) -> str:
    """The code by which it is refused, or "read" where nothing is lost."""
    try:
        return "read" if (await read(content)).rows == PLAIN else "other rows"
    except Rejected as error:
        return error.code


async def test_all_members_are_one_arrival_and_each_row_knows_its_member() -> None:
    other = '{"企业名称": "常熟市某2公司", "决定日期": "2024-03-05", "统一社会信用代码": "913200002"}\n'.encode()

    found = await read(packed(("一月.csv", csv(0, 1)), ("二月.jsonl", other), ("三月.csv", csv(3))))

    assert found.rows == PLAIN
    assert found.places == [2, 3, 1, 2]
    assert [(part["name"], part["first"], part["rows"]) for part in found.cut["found"]["parts"]] == [
        ("一月.csv", 0, 2),
        ("二月.jsonl", 2, 1),
        ("三月.csv", 3, 1),
    ]


async def test_headings_of_later_members_are_united_with_the_first() -> None:
    wider = f"{HEADING},备注\n{','.join(PLAIN[2])},迟到\n".encode()

    found = await read(packed(("a.csv", csv(0, 1)), ("b.csv", wider), ("c.csv", csv(3))))

    assert found.frame["备注"].to_list() == [None, None, "迟到", None]
    assert found.frame.height == 4


async def test_a_row_that_cannot_be_read_stays_at_its_place() -> None:
    content = csv(0) + b"broken,row\n" + csv(1).split(b"\n", 1)[1]

    found = await read(packed(("a.csv", content)))

    assert found.rows == PLAIN[:2]
    assert found.frame["_ordinal"].to_list() == [0, 2]
    assert found.unread == [(3, "broken,row")]


async def test_only_the_members_that_are_meant_are_read() -> None:
    content = packed(("说明.txt", "请查收".encode()), ("data/CF_1.CSV", csv(0, 1)), ("__MACOSX/._a.csv", b"\0"), ("data/", b""))

    found = await read(content, archive={"files": "cf_*.csv"})

    assert found.rows == PLAIN[:2]
    assert (await refusal(content)).code == "F006"  # without a pattern all of them are meant: nothing is passed over in silence
    assert (await refusal(content, archive={"files": "*.xml"})).code == "F005"


async def test_errors_of_a_member_do_not_tell_its_name() -> None:
    error = await refusal(packed(("张样甲_32058119900101001X.csv", b"a,b\n1,2\n")))

    assert error.message.startswith("member 1 (.csv)")
    assert "张样甲" not in error.message


async def test_numbers_of_persons_are_taken_out_of_the_evidence() -> None:
    found = await read(packed(("32058119900101001X.csv", csv(0))))

    assert found.cut["found"]["parts"][0]["name"] == "….csv"


@pytest.mark.parametrize("name", ["处罚.csv", "䶮.csv"])
async def test_names_in_gbk_are_understood(name: str) -> None:
    content = packed(("x" * len(name.encode("gb18030")), csv(0))).replace(b"x" * len(name.encode("gb18030")), name.encode("gb18030"))

    found = await read(content)

    assert found.cut["found"]["parts"][0]["name"] == name


@pytest.mark.parametrize("old", [False, True], ids=["WinZip AES", "ZipCrypto"])
async def test_encrypted_archives_need_the_right_password(old: bool) -> None:
    content = locked(csv(0, 1), "密码", old=old)

    missing, wrong = await refusal(content), await refusal(content, archive={"password": "no"})
    found = await read(content, archive={"password": "密码"})

    assert (missing.code, wrong.code) == ("F011", "F011")
    assert "password" in missing.hint
    assert found.rows == PLAIN[:2]


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../a.csv", "a/../../b.csv", "a/./b.csv", "..\\a.csv", "C:a.csv", "c:/a.csv", "a//b.csv", "a\x01.csv", "\\\\host\\a.csv", ".."],
)
async def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    assert (await refusal(packed((name, csv(0))))).code == "F010"


async def test_a_nul_in_a_name_is_refused() -> None:
    content = packed(("a.csvXexe", csv(0))).replace(b"a.csvXexe", b"a.csv\0exe")

    assert (await refusal(content)).code == "F010"


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a.csv", "A.CSV"])
async def test_a_name_that_stands_twice_is_refused(second: str) -> None:
    assert (await refusal(packed(("a.csv", csv(0)), (second, csv(1))))).code == "F010"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
async def test_links_and_special_files_are_refused(kind: int) -> None:
    member = zipfile.ZipInfo("a.csv")
    member.external_attr = (kind | 0o644) << 16

    assert (await refusal(packed((member, b"/etc/passwd")))).code == "F010"


async def test_overlapping_members_are_refused() -> None:
    """Fifield's bomb: many directory entries lead to the same bytes."""
    content = packed(("a.csv", csv(0)), ("b.csv", csv(0)))
    first, second = [i for i in range(len(content)) if content.startswith(b"PK\1\2", i)]

    def both_to_the_first(archive: bytearray) -> None:
        archive[second + 42 : second + 46] = archive[first + 42 : first + 46]

    assert (await refusal(patched(content, both_to_the_first))).code == "F010"


async def test_a_quoted_overlap_is_refused() -> None:
    """The better bomb: a member's bytes contain the next member's header."""
    inner = packed(("b.csv", csv(0)))
    local = inner[: inner.index(b"PK\1\2")]
    content = packed(("a.csv", local), method=zipfile.ZIP_STORED)
    at = content.index(b"PK\1\2")
    hidden = content.index(local)
    entry = inner[inner.index(b"PK\1\2") : inner.index(b"PK\5\6")]
    entry = entry[:42] + struct.pack("<L", hidden) + entry[46:]
    end = content.index(b"PK\5\6")
    directory = content[at:end] + entry
    forged = content[:at] + directory + b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 2, 2, len(directory), at, 0)

    assert (await refusal(forged)).code == "F010"


async def test_a_header_that_contradicts_the_directory_is_refused() -> None:
    content = packed(("a.csv", csv(0)))

    def other_size(archive: bytearray) -> None:
        archive[22:26] = struct.pack("<L", 7)

    assert (await refusal(patched(content, other_size))).code == "F010"


async def test_two_end_records_that_contradict_each_other_are_refused() -> None:
    content = packed(("a.csv", csv(0)))
    end = content.index(b"PK\5\6")
    record = b"PK\6\6" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, 1, 1, 99, 0) + b"PK\6\7" + struct.pack("<LQL", 0, end, 1)

    assert (await refusal(content[:end] + record + content[end:])).code == "F010"


async def test_bombs_stop_at_the_bounds() -> None:
    ratio = await refusal(packed(("a.csv", b"0" * (30 << 20))))
    total = await refusal(packed(("a.csv", csv(0)), ("b.csv", csv(1))), archive={"max_total": 100})
    entries = await refusal(packed(*((f"{i}.csv", csv(0)) for i in range(1_001))))
    packed_once = await refusal(gzip.compress(b"0" * (30 << 20)))

    assert [error.code for error in (ratio, total, entries, packed_once)] == ["F003"] * 4


async def test_a_size_that_lies_is_found_while_inflating() -> None:
    content = packed(("a.csv", b"0" * (3 << 20)))
    at = content.index(b"PK\1\2")

    def smaller(archive: bytearray) -> None:
        archive[22:26] = archive[at + 24 : at + 28] = struct.pack("<L", 1_000)

    assert (await refusal(patched(content, smaller))).code == "F001"


async def test_an_archive_may_hold_archives_but_those_no_more() -> None:
    once = packed(("b.zip", packed(("a.csv", csv(0, 1)))), ("c.csv.gz", gzip.compress(csv(2))))
    twice = packed(("c.zip", once))

    found = await read(once)

    assert found.rows == PLAIN[:3]
    assert (await refusal(twice)).code == "F010"


async def test_archives_within_share_the_bounds_of_the_one_that_holds_them() -> None:
    inner = packed(("a.csv", csv(0) + b" " * 3_000))
    content = packed(*((f"{i}.zip", inner) for i in range(5)))

    assert (await refusal(content, archive={"max_total": 9_000})).code == "F003"


@pytest.mark.parametrize("make", [lambda: packed(("a.csv", csv(0, 1))), lambda: gzip.compress(csv(0, 1)), lambda: locked(csv(0, 1), "pw")])
async def test_an_archive_cut_anywhere_is_refused(make: Callable[[], bytes]) -> None:
    content = make()

    codes = {(await refusal(content[:end], archive={"password": "pw"})).code for end in range(4, len(content))}

    assert codes <= {"F001", "F010", "F011", "F002", "F006"}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_methods_without_bounds_are_refused(method: int) -> None:
    assert (await refusal(packed(("a.csv", csv(0)), method=method))).code == "F001"


async def test_a_flipped_bit_is_noticed() -> None:
    content = packed(("a.csv", csv(0, 1, 2, 3)))
    compressed = gzip.compress(csv(0, 1, 2, 3))

    for archive, places in ((content, range(40, 90)), (compressed, range(12, len(compressed) - 4))):
        for place in places:
            broken = patched(archive, lambda b, p=place: b.__setitem__(p, b[p] ^ 4))  # type: ignore[misc]
            assert await outcome(broken) in ("read", "F001", "F010")


async def test_gzip_may_have_many_members_and_padding_but_nothing_else() -> None:
    one, two = csv(0).split(b"\n", 1)

    found = await read(gzip.compress(one + b"\n") + gzip.compress(b"") * 50 + gzip.compress(two) + bytes(700))

    assert found.rows == PLAIN[:1]
    assert (await refusal(gzip.compress(csv(0)) + b"more")).code == "F001"


async def test_a_million_empty_gzip_members_are_refused() -> None:
    assert (await refusal(gzip.compress(b"") * 1_000_000)).code == "F003"


async def test_a_member_without_rows_is_said_and_passed_over() -> None:
    found = await read(packed(("a.csv", (HEADING + "\n").encode()), ("b.csv", csv(1))))

    assert found.rows == PLAIN[1:2]
    assert found.cut["found"]["empty"] == 1
    assert (await refusal(packed(("a.csv", (HEADING + "\n").encode())))).code == "F005"


async def test_an_archive_of_nothing_is_refused() -> None:
    assert (await refusal(packed())).code == "F005"
