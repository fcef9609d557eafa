"""Hostile callers and answers: which test proves that each threat comes to nothing, and those that no single part's tests could hold.

13 internal names from outside   test_names_of_ours_in_a_submission_steer_nothing (CSV, JSON, SOAP, query); headers: integration/test_gateway_security;
                                 answers: integration/test_rest; documents: integration/test_threats_parsers
18 request smuggling             test_a_request_that_could_be_read_in_two_ways_is_one_refusal, integration/test_gateway_security (MALFORMED)
19 decompression bombs           answers: faults/test_exchanges_answers, unit/test_http_client; requests: test_compressed_requests_are_not_opened
20 bodies, parts and ranges      test_parts_and_ranges_are_not_taken, integration/test_gateway_security (endless body, slow body, connections)
24 forged log lines              test_naughty_strings_in_every_logged_field_make_as_many_lines_as_events, unit/test_monitoring_logs
26 traps of JSON                 test_traps_of_json_set_their_rows_aside_or_refuse_the_submission, integration/test_threats_parsers
27 personal data in messages     test_a_persons_number_is_in_nothing_that_is_said, integration/test_gateway_security, acceptance/test_privacy,
                                 faults/test_exchanges_answers (what other systems say in their errors)
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hub.contracts.observer import Observer
from hub.tables import event
from monitoring.logs import LogListener, configure
from tests.city.command import PERSON_HEADING, person_row
from tests.corpora import naughty_strings
from tests.integration.gateway_city import HEADING, ITEM, GatewayCity, gateway_city, good

BATCHES = f"/v1/items/{ITEM}/batches"
PERSONS = "A0001-Z06-01"
SOAP = "/soap/InterfaceUploadService"
OURS = ("feed", "item", "agency", "batch_id", "arrival", "generation", "reenters", "same_as", "landed", "withdraws", "_record_id", "_status", "_ordinal")
"""`op` is not among them: an agency may say in it that a record is gone, as the template has it."""
SPELT = [spelt for name in OURS for spelt in (name, name.upper(), name.title())]


def row_of(line: str) -> dict[str, str]:
    """A row under its headings."""
    return dict(zip(HEADING.split(","), line.split(","), strict=True))


def enveloped(argument: str) -> bytes:
    """A SOAP call of `execute`, with headers that nobody asked for."""
    header = "".join(f"<x:{name} xmlns:x='urn:x'>A0011.other</x:{name}>" for name in OURS)
    body = f'<execute xmlns="http://service.credit-hub.example/InterfaceUploadService"><json><![CDATA[{argument}]]></json></execute>'
    space = "http://schemas.xmlsoap.org/soap/envelope/"
    return f'<s:Envelope xmlns:s="{space}"><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>'.encode()


async def test_names_of_ours_in_a_submission_steer_nothing(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        forged = dict.fromkeys(SPELT, "A0011.other")
        rows = [row_of(good(n)) | forged for n in (1, 2, 3)]
        lines = [",".join(row) for row in ({name: name for name in rows[0]}, rows[0])]
        csv = "\n".join([lines[0], ",".join(rows[0].values()), ""]).encode()
        query = "?" + "&".join(f"{name}=A0011.other" for name in OURS)
        called = await hub.call("POST", BATCHES + query, data=csv, Content_Type="text/csv", Idempotency_Key="n-1")
        receipts = [called.json["receipt"]]
        receipts.append((await hub.submit(json.dumps([rows[1]]).encode(), Content_Type="application/json")).json["receipt"])
        argument = {"tableCode": ITEM, "departmentCode": "A0001", "token": hub.key, "body": [rows[2]]} | forged
        said = await hub.call("POST", SOAP, data=enveloped(json.dumps(argument)), Content_Type="text/xml")
        settled = [await hub.settled(receipt) for receipt in receipts]
        arrivals = await hub.city.state.read(lambda c: c.execute(text("SELECT feed, item, number, generation, evidence FROM arrival ORDER BY number")).all())

    assert [receipt["counts"]["inserted"] for receipt in settled] == [1, 1]
    assert b"\xe6\x93\x8d\xe4\xbd\x9c\xe6\x88\x90\xe5\x8a\x9f" in said.body  # 操作成功
    assert [(a.feed, a.item, a.number, a.generation) for a in arrivals] == [("A0001.firms", ITEM, n, 0) for n in (1, 2, 3)]
    assert not any("A0011.other" in str(a.evidence) for a in arrivals)


# 18 -------------------------------------------------------------------------------------------------------------------------------------

SMUGGLED = "GET /v1/items HTTP/1.1\r\nHost: x\r\n\r\n"
HIDDEN = "0\r\n\r\n" + SMUGGLED
AMBIGUOUS = {
    "chunked in HTTP/1.0": f"POST {BATCHES} HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n{HIDDEN}",
    "lengths in one line": f"Content-Length: 0, {len(SMUGGLED)}\r\n\r\n{SMUGGLED}",
    "a length with an underscore": f"Content-Length: 1_0\r\n\r\n{SMUGGLED}",
    "a length in hex": f"Content-Length: 0x10\r\n\r\n{SMUGGLED}",
    "a length in wide digits": f"Content-Length: \xb2\r\n\r\n{SMUGGLED}",
    "a negative length": f"Content-Length: -1\r\n\r\n{SMUGGLED}",
    "an empty length": f"Content-Length:\r\n\r\n{SMUGGLED}",
    "a space in the name": f"Content Length: 3\r\n\r\n{SMUGGLED}",
    "a space before the colon": f"Content-Length : 3\r\n\r\n{SMUGGLED}",
    "a coding behind a tab": f"Transfer-Encoding:\tchunked\r\nContent-Length: 3\r\n\r\n{HIDDEN}",
    "a coding in capitals and a length": f"TRANSFER-ENCODING: CHUNKED\r\nContent-Length: 3\r\n\r\n{HIDDEN}",
    "a coding with a vertical tab": f"Transfer-Encoding: \x0bchunked\r\n\r\n{HIDDEN}",
    "a coding in quotes": f'Transfer-Encoding: "chunked"\r\n\r\n{HIDDEN}',
    "chunked not last": f"Transfer-Encoding: chunked, gzip\r\n\r\n{HIDDEN}",
    "a coding on a folded line": f"Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n\r\n{HIDDEN}",
    "a carriage return alone": f"X: a\rTransfer-Encoding: chunked\r\n\r\n{HIDDEN}",
    "a line feed alone": f"X: a\nTransfer-Encoding: chunked\r\n\r\n{HIDDEN}",
    "a chunk in hex notation": f"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n{HIDDEN}",
    "a chunk with a sign": f"Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n{HIDDEN}",
    "a chunk beyond 64 bits": f"Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n{HIDDEN}",
    "a chunk without an end": f"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n{HIDDEN}",
    "a chunk ended by a line feed": f"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n{SMUGGLED}",
    "an extension with a line feed": f"Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n{HIDDEN}",
    "two hosts": f"Host: y\r\nContent-Length: 0\r\n\r\n{SMUGGLED}",
}


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_a_request_that_could_be_read_in_two_ways_is_one_refusal(tmp_path: Path, sent: str) -> None:
    async with gateway_city(tmp_path) as hub:
        head = "" if sent.startswith("POST") else f"POST {BATCHES} HTTP/1.1\r\nHost: x\r\n"
        who = f"Authorization: Bearer {hub.key}\r\nIdempotency-Key: a-1\r\nContent-Type: text/csv\r\n"
        line, _, rest = (head + sent).partition("\r\n")
        answer = await hub.raw(f"{line}\r\n{who}{rest}".encode("latin-1"))
        arrivals = await hub.city.state.read(lambda c: c.execute(text("SELECT count(*) FROM arrival")).scalar_one())

    assert re.findall(rb"^HTTP/[0-9.]+ (\d+)", answer, re.MULTILINE) in ([b"400"], [b"501"])
    assert arrivals == 0


# 19, 20 ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "GZIP", "x-gzip"])
async def test_compressed_requests_are_not_opened(tmp_path: Path, coding: str) -> None:
    async with gateway_city(tmp_path) as hub:
        answer = await hub.submit(gzip.compress(bytes(10_000_000)), Content_Encoding=coding)
        envelope = await hub.call("POST", SOAP, data=gzip.compress(bytes(10_000_000)), Content_Encoding=coding, Content_Type="text/xml")

    assert answer.status == 415
    assert envelope.status in (415, 500)
    assert b"Fault" in envelope.body or envelope.status == 415


async def test_parts_and_ranges_are_not_taken(tmp_path: Path) -> None:
    parts = b"".join(b'--b\r\nContent-Disposition: form-data; name="f"; filename="../../x"\r\n\r\nx\r\n' for _ in range(10_000)) + b"--b--\r\n"
    async with gateway_city(tmp_path) as hub:
        form = await hub.submit(parts, Content_Type="multipart/form-data; boundary=b")
        urlencoded = await hub.submit(b"&".join(b"a=1" for _ in range(100_000)), Content_Type="application/x-www-form-urlencoded")
        ranged = await hub.call("GET", "/openapi.json", Range="bytes=" + ",".join("0-" for _ in range(500)))
        left = [path for path in hub.city.home.rglob("*") if path.name == "x"]

    assert (form.status, urlencoded.status) == (415, 415)
    assert ranged.status == 200
    assert left == []


# 24 -------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure(stream)
    yield stream
    root.handlers[:], root.level = handlers, level


def test_naughty_strings_in_every_logged_field_make_as_many_lines_as_events(stream: io.StringIO) -> None:
    observer, strings = Observer(LogListener()), naughty_strings()

    for naughty in strings:
        observer.tell("stumbled", naughty, reason=naughty, hint=naughty, code=naughty, nested={naughty: [naughty]})

    lines = stream.getvalue().split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(strings)
    assert {json.loads(line)["event"] for line in lines} == {"stumbled"}
    assert len(stream.getvalue().splitlines()) == len(strings), "whatever a viewer takes for a line end"


# 26, 27 ---------------------------------------------------------------------------------------------------------------------------------

TRAPS = {
    "depth": "[" * 5_000 + "]" * 5_000, "a key twice": '[{"企业名称":"a","企业名称":"b"}]', "no number": '[{"企业名称":NaN}]', "half": '[{"企业名称":"\\ud800"}]',
    "a nul": '[{"企业名称":"\\u0000"}]', "no array": "7", "cut": '[{"企业名称":"a"}', "two": '[{"企业名称":"a"}][]', "a number as key": "{1:1}", "another charset": None,
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
async def test_traps_of_json_set_their_rows_aside_or_refuse_the_submission(tmp_path: Path, name: str) -> None:
    trap = TRAPS[name]
    body = json.dumps([row_of(good(1))], ensure_ascii=False).encode("gb18030") if trap is None else trap.encode()
    async with gateway_city(tmp_path) as hub:
        answer = await hub.submit(body, Content_Type="application/json")
        receipt: dict[str, Any] = await hub.settled(answer.json["receipt"]) if answer.status == 202 else {}
        told = await hub.call("POST", SOAP, data=enveloped(body.decode("utf-8", "replace")), Content_Type="text/xml")

    assert answer.status in (202, 400)
    assert not receipt or receipt["state"] == "failed" or receipt["counts"].get("inserted", 0) == 0
    assert told.status in (200, 401, 500)


async def everything_said(hub: GatewayCity, receipt: str) -> str:
    """Receipt, errors, facts, events and reasons."""
    answers = [await hub.call("GET", f"/v1/receipts/{receipt}"), await hub.call("GET", f"/v1/receipts/{receipt}/errors")]
    events = await hub.city.state.read(lambda c: c.execute(event.select()).all())
    return "".join(answer.body.decode() for answer in answers) + repr(hub.facts) + repr(events)


async def test_a_persons_number_is_in_nothing_that_is_said(tmp_path: Path, stream: io.StringIO) -> None:
    canary = "320581199003070012"
    wrong = [
        person_row(1, code=canary),  # its check digit is wrong
        person_row(2, name=canary * 9),
        person_row(3, fine=canary),
        person_row(4, fine=f"{canary}元"),
        f"甲,{canary},{canary},{canary},{canary}",
        f"{canary},,,,",
        f"甲,{canary}",
        f'"{canary}',
    ]
    bodies = {
        "text/csv": "\n".join([PERSON_HEADING, *wrong]).encode(),
        "application/x-ndjson": "\n".join(json.dumps(dict.fromkeys(PERSON_HEADING.split(","), canary)) for _ in range(3)).encode() + b"\n" + canary.encode(),
        "application/json": f'[{{"证件号码":"{canary}",}}]'.encode(),
    }
    said = ""
    async with gateway_city(tmp_path) as hub:
        listener = LogListener()
        for kind, body in bodies.items():
            answer = await hub.submit(body, item=PERSONS, Content_Type=kind)
            said += answer.body.decode()
            if answer.status == 202:
                await hub.settled(answer.json["receipt"])
                said += await everything_said(hub, answer.json["receipt"])
        for path in (f"/v1/items/{canary}", f"/v1/receipts/{canary}", f"/{canary}?{canary}"):
            said += (await hub.call("GET", path)).body.decode()
        said += (await hub.call("POST", SOAP, data=enveloped(f'{{"token":"{canary}"'), Content_Type="text/xml")).body.decode()
        for fact in hub.facts:
            listener(fact)

    assert "R1" in said, "rows were set aside, and told by their codes"
    assert canary not in said
    assert canary not in stream.getvalue()
