"""Who may call the gateway, how much of it one caller may take, and what malformed and hostile requests get."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from connectors.gateway.limits import GatewayLimits
from hub.tables import event
from tests.integration.gateway_city import HEADING, ITEM, GatewayCity, bad, gateway_city, good

BATCHES = f"/v1/items/{ITEM}/batches"
POST = f"POST {BATCHES} HTTP/1.1\r\nHost: x\r\n"


async def test_a_request_without_a_key_in_force_learns_nothing(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        known = hub.key
        wrong = known[:-1] + ("0" if known[-1] != "0" else "1")
        keys = ["", "x", wrong, known.upper(), f"chk_{'0' * 12}_{'0' * 64}"]
        answers = [await hub.call("GET", path, key=key) for key in keys for path in ("/v1/items", "/openapi.json", "/v1/receipts/" + "0" * 32)]
        twice = await hub.raw(
            f"GET /v1/items HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {wrong}\r\nAuthorization: Bearer {known}\r\nConnection: close\r\n\r\n".encode()
        )
        events = await hub.city.state.read(lambda c: c.execute(event.select().where(event.c.what == "turned_away")).all())

    assert {a.status for a in answers} == {401}
    assert all(a.headers["WWW-Authenticate"].startswith("Bearer") for a in answers)
    assert twice.startswith(b"HTTP/1.1 400")
    assert len(events) == 1, "guessing does not fill the disk"


async def test_a_revoked_key_is_refused_by_the_next_request_and_an_expired_one_too(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        other = await hub.desk.add("A0001", days=1)
        rotated = await hub.desk.rotate(hub.key_id, overlap=timedelta(hours=1))
        both = [(await hub.call("GET", "/v1/items", key=key)).status for key in (hub.key, rotated["key"], other["key"])]
        await hub.desk.revoke(rotated["id"], "泄露")
        revoked = (await hub.call("GET", "/v1/items", key=rotated["key"])).status
        hub.clock.ahead = timedelta(hours=2)
        old = (await hub.call("GET", "/v1/items")).status
        hub.clock.ahead = timedelta(hours=25)
        expired = (await hub.call("GET", "/v1/items", key=other["key"])).status
        listed = {row["id"]: row["state"] for row in await hub.desk.list("A0001")}

    assert both == [200, 200, 200]
    assert (revoked, old, expired) == (401, 401, 401)
    assert listed == {hub.key_id: "expired", rotated["id"]: "revoked", other["id"]: "expired"}


async def test_the_state_holds_nothing_that_could_be_used(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        await hub.call("GET", "/v1/items")
        rows = await hub.city.state.read(lambda c: c.execute(text("SELECT * FROM api_key")).all())
        details = await hub.city.state.read(lambda c: c.execute(event.select()).all())
        listed = await hub.desk.list()

    secret = hub.key.rpartition("_")[2]
    held = b"".join(cell if isinstance(cell, bytes) else str(cell).encode() for row in [*rows, *details] for cell in row) + repr(listed).encode()
    assert secret.encode() not in held
    assert bytes.fromhex(secret) not in held
    assert listed[0]["last_used"]


@pytest.mark.parametrize("algorithm", ["sha256", "sm3"])
async def test_a_signed_submission_is_taken_once_and_only_as_it_was_signed(tmp_path: Path, algorithm: str) -> None:
    body = f"统一社会信用代码,企业名称,荣誉名称,认定日期\n{good(1)}\n".encode()
    more = {"key": "", "Content_Type": "text/csv", "Idempotency_Key": "signed-1"}
    async with gateway_city(tmp_path, signed="required") as hub:
        plain = await hub.submit(body)
        headers = hub.signed("POST", BATCHES, body, nonce="n" * 16, algorithm=algorithm)
        altered = await hub.call("POST", BATCHES, data=body.replace(b"2025", b"2026"), **more, **headers)
        replayed = await hub.call("POST", BATCHES, data=body, **more, **headers)
        headers = hub.signed("POST", BATCHES, body, nonce="m" * 16, algorithm=algorithm)
        taken = await hub.call("POST", BATCHES, data=body, **more, **headers)
        elsewhere = await hub.call("POST", BATCHES + "?x=1", data=body, **more, **hub.signed("POST", BATCHES, body, nonce="o" * 16, algorithm=algorithm))
        now = int(hub.clock().timestamp())
        late = await hub.call("GET", "/v1/items", key="", **hub.signed("GET", "/v1/items", b"", nonce="p" * 16, at=now - 301, algorithm=algorithm))
        early = await hub.call("GET", "/v1/items", key="", **hub.signed("GET", "/v1/items", b"", nonce="q" * 16, at=now + 302, algorithm=algorithm))
        asked = await hub.call("GET", "/v1/items", key="", **hub.signed("GET", "/v1/items", b"", nonce="r" * 16, algorithm=algorithm))
        came = [fact for fact in hub.facts if fact.what == "submitted"]

    codes = [(a.status, a.json["errors"][0]["code"]) for a in (plain, altered, replayed, elsewhere, late, early)]
    assert codes == [(401, "unsigned"), (401, "signature"), (401, "replay"), (401, "unknown-caller"), (401, "clock"), (401, "clock")]
    assert (taken.status, asked.status) == (202, 200)
    assert len(came) == 1


async def test_names_that_steer_inside_are_nothing_from_outside(tmp_path: Path) -> None:
    names = ("feed", "item", "agency", "batch_id", "generation", "reenters", "same_as", "landed", "arrival", "X_Agency", "X_Request_Id", "X_Forwarded_For")
    async with gateway_city(tmp_path) as hub:
        steering = {spelt: "A0011.other" for name in names for spelt in (name, name.upper(), name.title())}
        steering["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        body = "\n".join([HEADING, good(1), ""]).encode()
        answer = await hub.call("POST", BATCHES, data=body, Content_Type="text/csv", Idempotency_Key="h-1", **steering)
        receipt = await hub.settled(answer.json["receipt"])
        row = (await hub.city.state.read(lambda c: c.execute(text("SELECT feed, item, number, generation, evidence FROM arrival")).all()))[0]
        known = hub.city.ledger.open_json(row.evidence)

    assert answer.headers["X-Request-Id"] != "A0011.other"
    assert (row.feed, row.item, row.number, row.generation) == ("A0001.firms", ITEM, 1, 0)
    assert "A0011.other" not in json.dumps(known)
    assert known["traceparent"].startswith("00-4bf9")
    assert receipt["counts"]["inserted"] == 1


async def test_every_refusal_is_a_problem_document_without_any_value(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        key = {"Idempotency_Key": "p-1"}
        canary = "320581199003070012"
        answers = {
            404: [await hub.call("GET", f"/{canary}"), await hub.call("POST", f"/v1/items/{canary}/batches", data=b"x", Content_Type="text/csv", **key)],
            405: [await hub.call("DELETE", "/v1/items"), await hub.call("GET", BATCHES)],
            400: [
                await hub.call("POST", BATCHES, data=b"x", Content_Type="text/csv"),
                await hub.submit(b""),
                await hub.call("GET", "/v1/receipts/x?limit=" + canary),
            ],
            415: [await hub.submit(b"x", Content_Type="text/" + canary), await hub.submit(gzip.compress(b"x"), Content_Encoding="gzip")],
            413: [await hub.submit(b"x" * 1_000_001)],
        }
        allowed = answers[405][1].headers["Allow"]

    for status, found in answers.items():
        for answer in found:
            problem = answer.json
            assert answer.status == problem["status"] == status
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert problem["errors"][0]["code"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Server"] == "credit-hub"
            assert canary not in answer.body.decode()
    assert allowed == "POST"


async def test_no_answer_and_no_event_holds_a_value_of_a_record(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        receipt = (await hub.submit([bad(2).replace("常熟市示例2有限公司", "金丝雀有限公司")])).json["receipt"]
        shown = await hub.settled(receipt)
        events = await hub.city.state.read(lambda c: c.execute(event.select()).all())

    told = json.dumps(shown, ensure_ascii=False) + repr(hub.facts) + repr(events)
    assert "金丝雀" not in told
    assert bad(2).partition(",")[0] not in told


async def test_too_many_requests_are_told_when_to_come_again(tmp_path: Path) -> None:
    async with gateway_city(tmp_path, rate="3/m") as hub:
        answers = [await hub.call("GET", "/v1/items") for _ in range(4)]

    assert [a.status for a in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 20


# What is no HTTP, or too slow, or too much ----------------------------------------------------------------------------------------------

SMUGGLED = "0\r\n\r\nGET /v1/items HTTP/1.1\r\nHost: x\r\n\r\n"
MALFORMED = {
    "both lengths": POST + f"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{SMUGGLED}",
    "two lengths": POST + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "a signed length": POST + "Content-Length: +4\r\n\r\nabcd",
    "an unknown coding": POST + f"Transfer-Encoding: xchunked\r\n\r\n{SMUGGLED}",
    "a coding twice": POST + f"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{SMUGGLED}",
    "a space before the colon": POST + f"Transfer-Encoding : chunked\r\n\r\n{SMUGGLED}",
    "a folded header": POST + "X: a\r\n Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    "a bare line feed": "GET /v1/items HTTP/1.1\nHost: x\n\nGET / HTTP/1.1\n\n",
    "no version": "GET /v1/items\r\n\r\n",
    "an endless line": "GET /" + "a" * 70_000 + " HTTP/1.1\r\n\r\n",
    "an endless header": f"GET / HTTP/1.1\r\nHost: x\r\nX: {'a' * 70_000}\r\n\r\n",
    "headers without end": "GET / HTTP/1.1\r\n" + "".join(f"X{n}: a\r\n" for n in range(500)) + "\r\n",
    "a zero byte": "GET /v1/items HTTP/1.1\r\nHost: x\x00y\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_no_http_gets_one_refusal_and_the_door(tmp_path: Path, sent: str) -> None:
    async with gateway_city(tmp_path) as hub:
        answer = await hub.raw(sent.encode("latin-1"))

    assert len(re.findall(rb"^HTTP/[0-9.]+ ", answer, re.MULTILINE)) == 1
    assert answer.split(b" ", 2)[1] in (b"400", b"401")
    assert b"application/problem+json" in answer


async def test_slow_heads_are_closed_slow_bodies_refused_and_neighbours_served(tmp_path: Path) -> None:
    limits = GatewayLimits(head=0.5, idle=0.5, body=30.0)
    async with gateway_city(tmp_path, limits=limits) as hub:
        silent = asyncio.create_task(hub.raw(b""))
        trickling = asyncio.create_task(trickle(hub, b"GET /v1/items HTTP/1.1\r\n", b"X: a\r\n"))
        head = f"{POST}Authorization: Bearer {hub.key}\r\nIdempotency-Key: s-1\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\n"
        slow = asyncio.create_task(hub.raw(head.encode() + b"a"))
        served = await hub.call("GET", "/v1/items")
        answers = await asyncio.gather(silent, trickling, slow)

    assert served.status == 200
    assert answers[0] == answers[1] == b""
    assert answers[2].startswith(b"HTTP/1.1 408")


async def trickle(hub: GatewayCity, first: bytes, piece: bytes) -> bytes:
    """A head that never ends, a line at a time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(first)
    reading = asyncio.create_task(reader.read())
    try:
        async with asyncio.timeout(20):
            while not reading.done():
                writer.write(piece)
                await asyncio.wait([reading], timeout=0.1)
        return reading.result()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_connections_beyond_the_cap_are_closed_and_come_back(tmp_path: Path) -> None:
    async with gateway_city(tmp_path, limits=GatewayLimits(per_address=3)) as hub:
        open_ones = [await asyncio.open_connection("127.0.0.1", hub.port) for _ in range(3)]
        beyond = await hub.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        for _, writer in open_ones:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(20):
            while not (answer := await hub.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")):
                await asyncio.sleep(0.02)

    assert beyond == b""
    assert answer.startswith(b"HTTP/1.1 200")


async def test_an_endless_chunked_body_is_cut_at_the_limit(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        head = f"{POST}Authorization: Bearer {hub.key}\r\nIdempotency-Key: e-1\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        answer = await hub.raw(head.encode() + chunk * 40)
        left = list((hub.city.home / "landing").rglob("*.part"))

    assert answer.startswith(b"HTTP/1.1 413") or answer == b""
    assert left == []


async def test_a_client_that_expects_to_be_asked_is_asked_only_when_it_is_known(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        more = "Content-Type: text/csv\r\nContent-Length: 3\r\nExpect: 100-continue\r\nIdempotency-Key: x-1\r\nConnection: close\r\n"
        stranger = await hub.raw(f"{POST}{more}\r\na,b".encode())
        known = await hub.raw(f"{POST}{more}Authorization: Bearer {hub.key}\r\n\r\na,b".encode())

    assert stranger.startswith(b"HTTP/1.1 401")
    assert known.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202")
