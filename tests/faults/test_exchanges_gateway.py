"""Agencies that call us over links that go wrong: what was not whole was never submitted, and what was answered for is there once.

F41 a reply lost after the work was done   test_a_lost_receipt_is_given_again_for_the_same_key
F43 trickling requests                     test_a_trickle_is_a_submission_like_any_other
F44 a request cut after any byte           test_a_submission_that_is_cut_anywhere_is_none, test_an_envelope_that_is_cut_anywhere_is_none
F47 half-open, slow heads and bodies       integration/test_gateway_security
F60 the same key twenty times, other body  integration/test_gateway
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

from sqlalchemy import text

from connectors.gateway.limits import GatewayLimits
from tests.faults.proxy import Faults, Proxy
from tests.integration.gateway_city import HEADING, ITEM, GatewayCity, gateway_city, good

BATCHES = f"/v1/items/{ITEM}/batches"
QUICK = GatewayLimits(head=2.0, idle=2.0, body=5.0)


def submission(hub: GatewayCity, key: str, *rows: str) -> bytes:
    """One whole request."""
    body = "\n".join([HEADING, *rows, ""]).encode()
    return (
        f"POST {BATCHES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {hub.key}\r\nIdempotency-Key: {key}\r\n"
        f"Content-Type: text/csv\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body


def envelope(hub: GatewayCity) -> bytes:
    """One whole SOAP call."""
    row = dict(zip(HEADING.split(","), good(1).split(","), strict=True))
    argument = json.dumps({"tableCode": ITEM, "departmentCode": "A0001", "token": hub.key, "body": [row]}, ensure_ascii=False)
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<execute xmlns="http://service.credit-hub.example/InterfaceUploadService"><json><![CDATA[{argument}]]></json></execute></s:Body></s:Envelope>'
    ).encode()
    head = f"POST /soap/InterfaceUploadService HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


async def arrivals(hub: GatewayCity) -> int:
    """How many submissions were numbered."""
    found: int = await hub.city.state.read(lambda c: c.execute(text("SELECT count(*) FROM arrival")).scalar_one())
    return found


async def cut_everywhere(hub: GatewayCity, whole: bytes, step: int) -> list[bytes]:
    """What comes back when the caller hangs up after so many bytes, waiting for an answer or not."""
    answers = []
    for at in range(0, len(whole), step):
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(whole[:at])
        writer.write_eof()
        with suppress(ConnectionError):
            answers.append(await asyncio.wait_for(reader.read(), 20))
        writer.close()
    return answers


async def test_a_submission_that_is_cut_anywhere_is_none(tmp_path: Path) -> None:
    async with gateway_city(tmp_path, limits=QUICK) as hub:
        whole = submission(hub, "cut-1", good(1), good(2))
        answers = await cut_everywhere(hub, whole, 3)
        before = await arrivals(hub)
        taken = await hub.raw(whole)
        for _ in range(50):  # a call that was cut off a moment ago may still be ending: the caller is told to come back
            if not taken.startswith(b"HTTP/1.1 409"):
                break
            await asyncio.sleep(0.1)
            taken = await hub.raw(whole)
        receipt = await hub.settled(json.loads(taken.partition(b"\r\n\r\n")[2])["receipt"])
        parts = list((hub.city.home / "landing").rglob("*.part"))

    assert not any(b" 202 " in answer[:20] or b" 200 " in answer[:20] for answer in answers)
    assert before == 0
    assert receipt["counts"]["inserted"] == 2, "the key was free, and the whole submission counts"
    assert parts == []


async def test_an_envelope_that_is_cut_anywhere_is_none(tmp_path: Path) -> None:
    async with gateway_city(tmp_path, limits=QUICK) as hub:
        whole = envelope(hub)
        await cut_everywhere(hub, whole, 7)
        before = await arrivals(hub)
        taken = await hub.raw(whole)
        after = await arrivals(hub)

    assert (before, after) == (0, 1)
    assert b"\xe6\x93\x8d\xe4\xbd\x9c\xe6\x88\x90\xe5\x8a\x9f" in taken  # 操作成功


async def test_a_lost_receipt_is_given_again_for_the_same_key(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub, Proxy(hub.port) as proxy:
        whole = submission(hub, "lost-1", good(1), good(2))
        proxy.queue.append(Faults(cut_answer=0, ending="reset"))
        lost = b""
        with suppress(ConnectionError):
            lost = await through(proxy, whole)
        first = await arrivals(hub)
        answer = await through(proxy, whole)
        other = await through(proxy, submission(hub, "lost-1", good(3)))
        receipt = await hub.settled(json.loads(answer.partition(b"\r\n\r\n")[2])["receipt"])
        last = await arrivals(hub)

    assert lost == b""
    assert (first, last) == (1, 1)
    assert receipt["counts"]["inserted"] == 2
    assert other.startswith(b"HTTP/1.1 422")


async def test_a_trickle_is_a_submission_like_any_other(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub, Proxy(hub.port) as proxy:
        proxy.faults = Faults(piece=1, jitter=0.0005)
        answer = await through(proxy, submission(hub, "slow-1", good(1)))
        receipt = await hub.settled(json.loads(answer.partition(b"\r\n\r\n")[2])["receipt"])

    assert receipt["counts"]["inserted"] == 1


async def through(proxy: Proxy, sent: bytes) -> bytes:
    """The answer to one request over the proxy."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()
