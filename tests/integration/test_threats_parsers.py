"""Hostile documents and names: which test proves that each threat comes to nothing, and those that no single connector's tests could hold.

 1 XXE and external definitions        test_no_entry_for_xml_fetches_or_opens_anything (a file, a SOAP answer, an envelope that an agency sends us, a web page,
                                       a workbook); for files in four encodings unit/test_xml_hostile
 2 entity bombs, depth, huge values    unit/test_xml_hostile, unit/test_excel_hostile, unit/test_json_former, here for SOAP, envelopes and web pages
 3 imports of a WSDL                   unit/test_soap_wsdl
 4 archives                            unit/test_archive
 5 hostile workbooks                   unit/test_excel_hostile
 6 formulas on the way out             integration/test_gateway (error workbook), unit/test_workbook
 7 names as paths (F55, F56)           unit/test_folder_names, integration/test_bad_input_files, integration/test_sftp_source, unit/test_archive;
                                       uploads have no name: integration/test_gateway
13 internal names from outside         integration/test_threats_exchanges (CSV columns, JSON, SOAP, HTTP), integration/test_rest; here for every document form
25 patterns that never end             test_a_pattern_that_backtracks_for_ever_elsewhere_is_linear_here
26 traps of JSON                       test_traps_of_json_are_refused_or_kept_to_the_digit, integration/test_corpora, unit/test_json_former
33 tricks of text                      test_bytes_that_are_no_text_are_refused_and_never_guessed, unit/test_csv_reader, integration/test_corpora
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from openpyxl import Workbook

from connectors.formats.http import Answer
from connectors.gateway.soap import _operation
from connectors.soap import wire
from connectors.web.page import Page
from hub.contracts.batch import LINE, ORDINAL
from hub.contracts.errors import HubError, Rejected
from tests.unit.arrivals import TITLES, read
from tests.unit.test_xml_hostile import DOCTYPES, Canary

ENVELOPE = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'
EXECUTE = ENVELOPE.format('<execute xmlns="urn:x"><json>&x;{{}}</json></execute>')
ROW = "<DATAS><DATA><企业名称>&x;</企业名称></DATA></DATAS>"


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    one = Canary(tmp_path)
    yield one
    one.close()


# 1, 2: XML, wherever it comes in ---------------------------------------------------------------------------------------------------------


def _from_file(document: str) -> object:
    return asyncio.run(read(document.format(ROW).encode(), "x.xml", xml={})).rows


def _from_service(document: str) -> object:
    reply = wire.read(Answer(200, {"content-type": "text/xml"}, document.format(ENVELOPE.format("<r>&x;</r>")).encode(), "http://x"), "x")
    return None if reply.message is None else "".join(reply.message.itertext())


def _from_caller(document: str) -> object:
    return _operation(document.format(EXECUTE).encode())


def _from_site(document: str) -> object:
    page = Page(document.format("<html><body><table><tr><td>&x;</td></tr></table></body></html>").encode(), "text/html", "http://x/")
    return repr(page.found(None, frozenset()))


def _from_workbook(document: str) -> object:
    sound, spoilt = io.BytesIO(), io.BytesIO()
    book = Workbook()
    for row in (TITLES, ("1", "&x;", "2025-03-05")):
        book.active.append(row)
    book.save(sound)
    with zipfile.ZipFile(sound) as old, zipfile.ZipFile(spoilt, "w") as new:
        for name in old.namelist():
            part = old.read(name).decode().replace("&amp;x;", "&x;")
            new.writestr(name, document.format(part) if name == "xl/worksheets/sheet1.xml" else part)
    return asyncio.run(read(spoilt.getvalue(), "x.xlsx", excel={})).rows


ENTRIES: dict[str, Callable[[str], object]] = {
    "a file": _from_file, "a service's answer": _from_service, "a caller's envelope": _from_caller, "a web page": _from_site, "a workbook": _from_workbook,
}  # fmt: skip


class Opened:
    """Files that this process opens and places that it connects to, while it is entered; in any thread."""

    def __init__(self, canary: Canary) -> None:
        self._canary, self._on = canary, False
        self.events: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._on and event in ("open", "socket.connect", "socket.getaddrinfo") and (event != "open" or str(self._canary.file) in str(arguments[0])):
            self.events.append(f"{event} {threading.current_thread().name}")

    def __enter__(self) -> Opened:
        self._on = True
        return self

    def __exit__(self, *_: object) -> None:
        self._on = False


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES.keys())
def test_no_entry_for_xml_fetches_or_opens_anything(entry: str, doctype: str, canary: Canary) -> None:
    head = doctype.replace("{file}", str(canary.file)).replace("{address}", canary.address).replace("{", "{{").replace("}", "}}")
    shown = ""

    with Opened(canary) as opened:
        try:
            shown = str(ENTRIES[entry](head + "{}"))
        except HubError as error:
            shown = error.message + error.hint

    assert "secret" not in shown
    assert "haha" not in shown
    assert opened.events == []
    assert canary.touched() == []
    assert entry == "a web page" or "DOCTYPE" in shown or "document type" in shown or "well-formed" in shown or "damaged" in shown, shown


@pytest.mark.parametrize("entry", ["a file", "a service's answer", "a caller's envelope", "a web page"])
@pytest.mark.parametrize(
    "document",
    ["<a>" * 100_000, "<a " + " ".join(f'b{n}="{n}"' for n in range(200_000)) + "/>", f'<a b="{"x" * 20_000_000}"/>', "<a>" * 5_000 + "x" + "</a>" * 5_000],
    ids=["depth", "attributes", "a huge attribute", "deep and whole"],
)
def test_size_and_depth_are_bounded_in_every_entry(entry: str, document: str) -> None:
    said = ""

    with suppress(HubError):
        said = str(ENTRIES[entry](document + "{}"))

    assert "xxxx" not in said


# 13: names of ours ----------------------------------------------------------------------------------------------------------------------

OURS = ("_ordinal", "_line", "_op", "_record_id", "_row_hash", "_subject_id", "_source_time", "_raw", "_status", "place", "⟨place⟩", "__proto__")
SPELT = [*OURS, *(name.upper() for name in OURS), *(name.title() for name in OURS)]


@pytest.mark.parametrize("form", ["csv", "json", "xml"])
async def test_columns_under_names_of_ours_are_columns_like_any_other(form: str) -> None:
    names = [name for name in SPELT if form != "xml" or "⟨" not in name]
    good = dict(zip(TITLES, ("91320581MA0000A19W", "常熟市示例一有限公司", "2025-03-05"), strict=True))
    row = dict.fromkeys(dict.fromkeys(names), "666") | good
    documents = {
        "csv": ",".join(row) + "\n" + ",".join(row.values()) + "\n",
        "json": json.dumps([row]),
        "xml": "<DATAS><DATA>" + "".join(f"<{name}>{value}</{name}>" for name, value in row.items()) + "</DATA></DATAS>",
    }

    found = await read(documents[form].encode(), f"x.{form}")

    frame = found.batches[0].frame
    assert frame[ORDINAL].to_list() == [0]
    assert frame[LINE].to_list() != [666]
    assert frame.select(TITLES).row(0) == tuple(good.values())
    assert {name for name in frame.columns if name.startswith("_")} <= {ORDINAL, LINE}


# 25: patterns ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pattern", ["(a+)+$", "(.*)*x", "(a|aa)+$", "(a|a?)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(?:a*)*b"])
def test_a_pattern_that_backtracks_for_ever_elsewhere_is_linear_here(pattern: str) -> None:
    from transforms.functions.patterns import matches

    found = pl.DataFrame({"value": ["a" * 100_000 + "!"] * 20}).select(matches(pl.col("value"), pattern))

    assert found["value"].to_list() == [False] * 20


@pytest.mark.parametrize("pattern", [r"(a)\1", "(?=a)b", "(?<!a)b", "(?>a)", "a" * 501, "(((a{100}){100}){100})", ""])
def test_a_pattern_that_is_not_linear_is_refused(pattern: str) -> None:
    from transforms.functions.patterns import linear
    from transforms.signature import Unsuitable

    with pytest.raises(Unsuitable):
        linear(pattern)


# 26: JSON -------------------------------------------------------------------------------------------------------------------------------

TRAPS = {
    "a big integer": ("12345678901234567890123", "12345678901234567890123"),
    "a long integer": ("9" * 5_000, "9" * 5_000),
    "a huge exponent": ("1e400", "1e400"),
    "a small one": ("1e-400", "1e-400"),
    "many digits": ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
    "minus nothing": ("-0", "-0"),
    "no number": ("NaN", None),
    "infinity": ("-Infinity", None),
    "half a character": ('"\\ud800"', None),
    "an escaped nul": ('"a\\u0000b"', None),
    "a key twice": ('{"a":1,"a":2}', None),
    "a number as key": ("{1:1}", None),
    "a comment": ("1/*x*/", None),
    "a comma too many": ("[1,]", None),
    "depth": ("[" * 100 + "]" * 100, None),
    "great depth": ("[" * 100_000 + "]" * 100_000, None),
    "a spelt escape": ('"\\\\u0000"', "\\u0000"),
}


@pytest.mark.parametrize("name", TRAPS)
@pytest.mark.parametrize("ending", ["json", "jsonl"])
async def test_traps_of_json_are_refused_or_kept_to_the_digit(name: str, ending: str) -> None:
    written, expected = TRAPS[name]
    record = f'{{"企业名称":{written}}}'
    document = f"[{record}]" if ending == "json" else f'{{"企业名称":"x"}}\n{record}\n'

    try:
        found = [row[0] for row in (await read(document.encode(), f"x.{ending}", json={})).rows]
    except Rejected:
        found = []

    assert [one for one in found if one != "x"] == ([] if expected is None else [expected])


async def test_a_number_as_key_of_the_only_object_is_refused() -> None:
    with pytest.raises(Rejected, match="not JSON"):
        await read(b"{1:1}", "x.json", json={})


# 33: text -------------------------------------------------------------------------------------------------------------------------------

HEADING = "统一社会信用代码,企业名称,决定日期\n".encode()
NO_TEXT = {
    "an overlong slash": b"1,\xc0\xaf,2\n",
    "an overlong nul": b"1,\xc0\x80,2\n",
    "half a surrogate": b"1,\xed\xa0\x80,2\n",
    "beyond the last character": b"1,\xf4\x90\x80\x80,2\n",
    "a byte that is none": b"1,\xff,2\n",
    "a character that is cut": b"1,\xe5\xb8,2\n",
}


@pytest.mark.parametrize("bad", NO_TEXT.values(), ids=NO_TEXT.keys())
async def test_bytes_that_are_no_text_are_refused_and_never_guessed(bad: bytes) -> None:
    rows = b"".join(f"{n},常熟市示例{n}有限公司,2025-03-05\n".encode() for n in range(50))

    with pytest.raises(Rejected) as refused:
        await read(HEADING + rows + bad, "x.csv", csv={})

    assert refused.value.code == "F002"


@pytest.mark.parametrize("text", ["+AC0-x", "&#x4e00;", "%E5%B8%B8", "\\u5e38", "=?utf-8?B?5bi4?="])
async def test_what_looks_like_another_encoding_is_text_as_it_stands(text: str) -> None:
    found = await read(HEADING + f"1,{text},2025-03-05\n".encode(), "x.csv", csv={})

    assert found.rows[0][1] == text


@pytest.mark.parametrize("mark", ["\ufeff", "\ufffe"])
async def test_a_mark_in_the_middle_is_no_mark(mark: str) -> None:
    found = await read(HEADING + f"1,{mark}甲,2025-03-05\n".encode(), "x.csv", csv={})

    assert found.rows[0][1] == f"{mark}甲", "what may not be stored is for the checks to say (tests/unit/test_cleaning)"
