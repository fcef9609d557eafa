"""XML that means harm, is damaged, or lies about its encoding: a typed error or the right rows, and nothing is touched outside."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from connectors.formats.charset import PRIVATE_USE
from hub.contracts.errors import Rejected
from tests.unit.xml_reading import rows, xml

GOOD = "<DATAS><DATA><doc_no>1</doc_no><name>常熟市</name></DATA></DATAS>"
HEAD = "<?xml version='1.0' encoding='{}'?>\n"
IN_OPEN, IN_ACCESS = 0x20, 0x1


class Canary:
    """A file and a port that nobody may touch. `touched` says who did, opens from C included."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "canary.txt"
        self.file.write_text("secret")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watch = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._libc.inotify_add_watch(self._watch, os.fsencode(self.file), IN_OPEN | IN_ACCESS) >= 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}/evil.dtd"

    def touched(self) -> list[str]:
        found = []
        with suppress(BlockingIOError):
            os.read(self._watch, 4096)
            found.append("file")
        with suppress(BlockingIOError):
            self._listener.accept()[0].close()
            found.append("port")
        return found

    def close(self) -> None:
        os.close(self._watch)
        self._listener.close()


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    one = Canary(tmp_path)
    yield one
    one.close()


def test_the_canary_notices(canary: Canary) -> None:
    subprocess.run([sys.executable, "-c", f"open({str(canary.file)!r}).read()"], check=True)
    socket.create_connection(("127.0.0.1", int(canary.address.split(":")[2].split("/")[0]))).close()

    assert canary.touched() == ["file", "port"]


DOCTYPES = {
    "external entity from a file": "<!DOCTYPE D [<!ENTITY x SYSTEM 'file://{file}'>]>",
    "external entity from the network": "<!DOCTYPE D [<!ENTITY x SYSTEM '{address}'>]>",
    "external definition from the network": "<!DOCTYPE D SYSTEM '{address}'>",
    "external definition from a file": "<!DOCTYPE D SYSTEM '{file}'>",
    "parameter entity": "<!DOCTYPE D [<!ENTITY % p SYSTEM '{address}'> %p;]>",
    "public identifier": "<!DOCTYPE D PUBLIC '-//X//Y' '{address}'>",
    "billion laughs": "<!DOCTYPE D [<!ENTITY a 'ha'>" + "".join(f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefgh", "bcdefghx", strict=True)) + "]>",
    "quadratic": "<!DOCTYPE D [<!ENTITY x '" + "a" * 100_000 + "'>]>",
    "default attributes": "<!DOCTYPE D [<!ATTLIST DATA doc_no CDATA '666'>]>",
    "behind a comment and instructions": "<!-- <DATAS> -->\n<?a?>\n <!DOCTYPE D [<!ENTITY x 'y'>]>",
    "in lower case": "<!doctype D [<!ENTITY x SYSTEM '{file}'>]>",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "gb18030"])
@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES.keys())
def test_a_doctype_is_refused_and_nothing_is_fetched(doctype: str, encoding: str, canary: Canary) -> None:
    doctype = doctype.replace("{file}", str(canary.file)).replace("{address}", canary.address)
    document = f"{HEAD.format(encoding)}{doctype}\n{GOOD.replace('<doc_no>1', '<doc_no>&x;' * 1)}".encode(encoding)

    with pytest.raises(Rejected, match="DOCTYPE") as raised:
        rows(document)

    assert raised.value.code == "F001"
    assert canary.touched() == []


def test_inclusions_and_stylesheets_are_only_text(canary: Canary) -> None:
    include = f"<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='{canary.file}' parse='text'/>"
    schema = f"xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='urn:x {canary.address}'"
    document = f"<?xml-stylesheet href='{canary.address}'?>" + GOOD.replace("常熟市", f"常{include}熟").replace("<DATAS>", f"<DATAS {schema}>")

    found = rows(document)

    assert found == [{"doc_no": "1", "name": "常熟"}]
    assert canary.touched() == []


def test_an_entity_that_nothing_declares_never_shortens_a_text() -> None:
    for many in (0, 1, 3_000):
        with pytest.raises(Rejected) as raised:
            rows(
                "<DATAS>"
                + "<DATA><doc_no>1</doc_no></DATA>\n" * many
                + "<DATA><doc_no>ab&x;cd</doc_no></DATA>\n"
                + "<DATA><doc_no>1</doc_no></DATA>\n" * 9_000
                + "</DATAS>"
            )

        assert raised.value.message.startswith(f"line {many + 1}: an entity")


HOSTILE = {
    "nested 5,000 deep": (f"<DATAS>{'<a>' * 5_000}{'</a>' * 5_000}</DATAS>", "F001"),
    "an attribute of 20 MB": (f"<DATAS x='{'a' * 20_000_000}'/>", "F003"),
    "a text of 20 MB": (f"<DATAS><DATA><doc_no>{'a' * 20_000_000}</doc_no></DATA></DATAS>", "F003"),
    "a field over 1 MiB": (GOOD.replace("常", "a" * 1_100_000), "F003"),
    "a record of too many fields": (f"<DATAS><DATA><doc_no>1</doc_no>{'<b/>' * 2_000}</DATA></DATAS>", "F006"),
    "too many different fields": ("<DATAS>" + "".join(f"<DATA><doc_no>1</doc_no><b{i}/></DATA>" for i in range(9_000)) + "</DATAS>", "F006"),
    "a record of very many fields": (f"<DATAS><DATA><doc_no>1</doc_no></DATA><DATA>{'<b>x</b>' * 1_200_000}</DATA></DATAS>", "F006"),
    "a record that never ends": (f"<DATAS>{'<DATA><doc_no>1</doc_no></DATA>' * 9_000}<DATA>{'<b>x</b>' * 1_200_000}</DATA></DATAS>", "F003"),
    "a comment that is none": ("<!-- a -- b -->" + GOOD, "F001"),
    "two declarations": ("<?xml version='1.0'?>" * 2 + GOOD, "F001"),
    "an endless prolog": ("<!-- x -->\n" * 30_000 + GOOD, "F001"),
    "a bare ampersand": (GOOD.replace("常熟市", "A&B公司"), "F001"),
    "a control character": (GOOD.replace("常熟市", "a\x1fb"), "F001"),
    "a control character in disguise": (GOOD.replace("常熟市", "a&#x1f;b"), "F001"),
    "a NUL": (GOOD.replace("常熟市", "a\0b"), "F002"),
    "two documents": (GOOD + GOOD, "F001"),
    "something behind the end": (GOOD + "</DATAS>", "F001"),
    "an entity behind the end, and another document": (GOOD + "&x;" + " " * 200_000 + "<!-- > -->" + GOOD, "F001"),
    "a prefix of nowhere": (GOOD.replace("doc_no>", "y:doc_no>"), "F001"),
    "the same attribute twice": (GOOD.replace("<DATA>", "<DATA a='1' a='2'>"), "F001"),
    "blanks only": (" \n ", "F001"),
    "nothing": ("", "F005"),
}


@pytest.mark.parametrize(("document", "code"), HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_sound_document_is_refused(document: str, code: str) -> None:
    with pytest.raises(Rejected) as raised:
        rows(document)

    assert raised.value.code == code
    assert raised.value.hint
    assert "公司" not in raised.value.message


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_a_document_cut_after_any_byte_is_never_taken_for_whole(encoding: str) -> None:
    content = (HEAD.format(encoding) + GOOD).encode(encoding)

    for length in range(len(content)):
        with pytest.raises(Rejected):
            xml(content[:length], rows="DATAS/DATA")
    assert rows(content) == [{"doc_no": "1", "name": "常熟市"}]


def test_a_document_cut_short_is_told_with_its_line() -> None:
    document = "<DATAS>\n" + "<DATA><doc_no>1</doc_no></DATA>\n" * 20_000 + "<DATA><doc_no>1</do"

    with pytest.raises(Rejected, match=r"^line 20002: the document breaks off") as raised:
        rows(document)

    assert raised.value.hint == "ask the agency to send the whole document again"


@pytest.mark.parametrize(
    ("declared", "written", "used", "why"),
    [
        ("UTF-8", "gb18030", "gb18030", "declared utf-8, but the bytes are gb18030"),
        ("GBK", "utf-8", "utf-8", "declared gbk, but the bytes are utf-8"),
        ("GB2312", "gb18030", "gb18030", "declared, and all looked at fits"),
        ("ISO-8859-1", "utf-8", "utf-8", "strict utf-8; iso-8859-1 is declared"),
        ("UTF-16", "gb18030", "gb18030", "strict gb18030, no utf-8; utf-16 is declared"),
        ("UTF-8", "utf-16-le", "utf-16-le", "its first bytes"),
        ("GBK", "utf-16", "utf-16-le", "byte order mark FF FE"),
        ("GBK", "utf-8-sig", "utf-8", "byte order mark EF BB BF"),
    ],
)
def test_the_bytes_say_what_the_encoding_is(declared: str, written: str, used: str, why: str) -> None:
    document = HEAD.format(declared) + "<DATAS>" + "<DATA><doc_no>苏常市监处罚〔2024〕17号</doc_no><name>常熟市某某有限公司</name></DATA>" * 3 + "</DATAS>"

    text, plain = xml(document.encode(written))

    assert text.decode().count("苏常市监处罚〔2024〕17号\x1f常熟市某某有限公司") == 3
    assert (plain.evidence["encoding"], plain.evidence["basis"]) == (used, why)


def test_a_wrong_encoding_is_noticed_where_chinese_begins_late() -> None:
    document = HEAD.format("UTF-8") + "<DATAS>" + "<DATA><doc_no>1</doc_no></DATA>\n" * 40_000 + GOOD.removeprefix("<DATAS>")

    found = rows(document.encode("gb18030"))

    assert found[-1] == {"doc_no": "1", "name": "常熟市"}


def test_the_feed_outranks_what_a_document_declares() -> None:
    document = (HEAD.format("UTF-8") + GOOD.replace("常熟市", "联通")).encode("gbk")

    assert rows(document, encoding="gbk") == [{"doc_no": "1", "name": "联通"}]


@pytest.mark.parametrize("declared", ["UTF-7", "HZ-GB-2312", "ISO-2022-CN", "EBCDIC-CP-US", "UTF-32", "big5", "x-unknown", "XYZ+999"])
def test_an_encoding_that_would_change_the_meaning_of_the_bytes_is_refused(declared: str) -> None:
    with pytest.raises(Rejected) as raised:
        rows(HEAD.format(declared) + GOOD.replace("常熟市", "+ADw-"))

    assert raised.value.code == "F002"


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\xbc", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"], ids=["no text", "overlong", "surrogate", "beyond Unicode"])
def test_bytes_that_are_no_text_are_told_with_their_place(bad: bytes) -> None:
    document = b"<DATAS>\n" + GOOD.encode().removeprefix(b"<DATAS>").replace("市".encode(), b"</name><uscc>" + bad + b"</uscc><name>" + "市".encode())

    with pytest.raises(Rejected, match="line 2") as raised:
        rows(document)

    assert raised.value.code == "F002"
    assert "xml block" in raised.value.hint


@pytest.mark.parametrize("code", sorted(PRIVATE_USE))
def test_characters_that_pythons_codec_does_not_know_are_read(code: int) -> None:
    document = HEAD.format("GB18030") + GOOD.replace("常", chr(code))

    assert rows(document.encode("gb18030")) == [{"doc_no": "1", "name": chr(PRIVATE_USE[code]) + "熟市"}]


def test_memory_does_not_grow_with_the_document() -> None:
    piece = "<DATA><doc_no>1</doc_no><name>常熟市</name></DATA><LOG><x>y</x></LOG>\n" * 1_000
    script = f"""
import io, resource, sys
from connectors.formats.plain import Document
from connectors.formats.xml import XmlFormat, XmlFormer
from tests.unit.xml_reading import expected

class Long(io.RawIOBase):
    text = {piece!r}.encode()
    def __init__(self, pieces): self.pieces = pieces; self.seek(0)
    def seek(self, to, whence=0): self.at = 0; return 0
    def read(self, size=-1):
        self.at += 1
        return b"<DATAS>" if self.at == 1 else self.text if self.at < self.pieces else b"</DATAS>" if self.at == self.pieces else b""

for pieces in (10, 100):
    for _ in XmlFormer(XmlFormat(), expected()).convert(Document(Long(pieces), 1, "")): pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout

    small, large = map(int, printed.split())
    assert large - small < 8_000, "KiB; the larger document has 7 MB"
