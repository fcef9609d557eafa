"""Answers that are none, from agencies that are asked over HTTP: every one is a decision, nothing of it is landed, and bounds hold.

F58 202, 204, 3xx, 4xx, 410, 500, 503            test_a_status_is_a_decision
    429 and 503 with Retry-After                 test_a_wish_is_heard_within_a_day (seconds, date, ten years, negative, nonsense)
    hang                                         test_exchanges_links.test_silence_ends_by_our_own_clock
    1 GB body, endless chunks                    test_a_body_without_end_is_left_at_the_limit
    gzip bomb                                    test_a_bomb_is_left_at_the_limit
    wrong content type, wrong charset, empty     test_what_is_no_answer_is_a_decision
    duplicated response                          test_an_answer_that_comes_twice_is_never_the_answer_to_the_next_question
    error body in 200, a fault in multipart      integration/test_rest, integration/test_soap, unit/test_soap_answers
F59 page repeated, skipped, total, cursor loop   integration/test_rest, integration/test_soap, integration/test_web (`circle`)
F46 expired, self-signed, other host, weak       test_a_certificate_that_cannot_be_trusted_stops_the_feed, test_an_old_protocol_is_not_spoken
    cut inside of TLS                            test_a_cut_inside_of_tls_is_no_end
"""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

from hub.contracts.errors import HubError, Misconfigured, Unavailable
from tests.faults.askers import KINDS, Asker, agency, scripted
from tests.faults.proxy import Faults, Proxy
from tests.integration.test_http_tls import Authority

every_kind = pytest.mark.parametrize("kind", KINDS)
CANARY = "320581199003070012"


def said(line: str, body: bytes = b"", *headers: str) -> bytes:
    """An answer as it goes out."""
    more = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {line}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


async def decision(kind: str, home: Path, answer: bytes, **config: object) -> HubError | None:
    """The decision that a pull ends with; None where there was simply nothing. Nothing is landed, and nothing of the answer is told."""
    asker = Asker(kind, home)
    async with scripted(answer) as port:
        try:
            rows = await asker.pull(port, **config)  # type: ignore[arg-type]
        except HubError as error:
            found: HubError | None = error
        else:
            assert rows == []
            found = None
    assert asker.intake.arrivals == {}
    assert found is None or (found.hint and CANARY not in found.message + found.hint)
    return found


STATUSES: dict[str, tuple[bytes, dict[str, type[HubError] | None]]] = {
    "202": (said("202 Accepted", b"{}"), {"rest": Unavailable, "soap": Unavailable, "web": Misconfigured}),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", {"rest": None, "soap": Unavailable, "web": Unavailable}),
    "301 elsewhere": (said("301 Moved", b"", "Location: http://169.254.169.254/latest/meta-data/"), {"": Misconfigured}),
    "302 in a circle": (said("302 Found", b"", "Location: ?again"), {"": Misconfigured}),
    "304 unasked": (b"HTTP/1.1 304 Not Modified\r\n\r\n", {"": Misconfigured}),
    "400": (said("400 Bad Request", CANARY.encode()), {"": Misconfigured}),
    "403": (said("403 Forbidden", CANARY.encode()), {"": Misconfigured}),
    "404": (said("404 Not Found"), {"": Misconfigured}),
    "410": (said("410 Gone"), {"": Misconfigured}),
    "500": (said("500 Oops", CANARY.encode()), {"": Unavailable}),
    "503": (said("503 Busy", b"<html>busy</html>"), {"": Unavailable}),
    "599": (said("599 What"), {"": Unavailable}),
    "999": (said("999 Robot"), {"": Unavailable}),
}


@every_kind
@pytest.mark.parametrize("name", STATUSES)
async def test_a_status_is_a_decision(kind: str, name: str, tmp_path: Path) -> None:
    answer, decisions = STATUSES[name]
    expected = decisions.get(kind, decisions.get("", None))

    found = await decision(kind, tmp_path, answer)

    assert (type(found) if found else None) == expected


WISHES = {
    "3600": 3600.0, "Mon, 23 Nov 2026 05:00:00 GMT": 3600.0, "315360000": 86_400.0, "Sat, 23 Nov 2036 04:00:00 GMT": 86_400.0, "99" * 200: 86_400.0,
    "-5": None, "soon": None, "Wed, 01 Jan 2020 00:00:00 GMT": 0.0, "": None,
}  # fmt: skip


@every_kind
@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish[:20] or "nothing")
async def test_a_wish_is_heard_within_a_day(kind: str, wish: str, tmp_path: Path) -> None:
    for line in ("429 Too Many", "503 Busy"):
        found = await decision(kind, tmp_path, said(line, b"", f"Retry-After: {wish}"))

        assert isinstance(found, Unavailable)
        assert found.retry_after == WISHES[wish]


BODIES = {
    "empty": said("200 OK", b"", "Content-Type: text/html"),
    "a picture": said("200 OK", b"\x89PNG\r\n\x1a\n" + bytes(500), "Content-Type: image/png"),
    "a program": said("200 OK", b"\x7fELF" + bytes(500), "Content-Type: application/json"),
    "no text": said("200 OK", b"\xff\xfe\xfd\x80\x81" * 20, "Content-Type: text/xml; charset=utf-8"),
    "an unknown charset": said("200 OK", b"\xe5\x95", "Content-Type: text/html; charset=x-none"),
    "half a gzip": said("200 OK", gzip.compress(b"{}" * 99)[:20], "Content-Encoding: gzip"),
    "no gzip": said("200 OK", b"{}", "Content-Encoding: gzip"),
    "an unknown coding": said("200 OK", b"{}", "Content-Encoding: br"),
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "no http": b"220 mail.example ESMTP\r\n\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    "an injected header": said("200 OK", b"{}", "X: a\x00b"),
}


@every_kind
@pytest.mark.parametrize("name", BODIES)
async def test_what_is_no_answer_is_a_decision(kind: str, name: str, tmp_path: Path) -> None:
    found = await decision(kind, tmp_path, BODIES[name])

    assert found is not None


@every_kind
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_without_end_is_left_at_the_limit(kind: str, chunked: bool, tmp_path: Path) -> None:
    limit, piece, sent = 1 << 20, b"<" + b" " * 65_535, [0]

    async def pour(head: bytes, writer: asyncio.StreamWriter) -> None:
        if b"robots.txt" in head:
            writer.write(said("404 None"))
            return
        writer.write(b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 1073741824\r\n\r\n"))
        while sent[0] < 1 << 30:
            writer.write(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
            await writer.drain()
            sent[0] += len(piece)

    async with scripted(pour) as port:
        with pytest.raises(Misconfigured, match="more than") as large:
            await Asker(kind, tmp_path).pull(port, max_body=limit)

    assert "max_body" in large.value.hint
    assert sent[0] < 16 * limit, "what the kernel holds, and no more"


@every_kind
async def test_a_bomb_is_left_at_the_limit(kind: str, tmp_path: Path) -> None:
    for body in (gzip.compress(bytes(200_000_000), 9), gzip.compress(gzip.compress(bytes(10_000_000))), gzip.compress(b"") * 100_000):
        found = await decision(kind, tmp_path, said("200 OK", body, "Content-Encoding: gzip"))

        assert found is not None


@every_kind
async def test_an_answer_that_comes_twice_is_never_the_answer_to_the_next_question(kind: str, tmp_path: Path) -> None:
    async with agency(kind) as (port, _):
        whole = await Asker(kind, tmp_path).pull(port)

        async def twice(request: bytes, writer: asyncio.StreamWriter) -> None:
            answer = await asked_again(port, request)
            writer.write(answer + answer)
            await writer.drain()

        found: list[tuple[object, ...]] = whole
        async with scripted(twice) as doubled:
            asker = Asker(kind, tmp_path)
            with suppress(HubError):
                found = await asker.pull(doubled)

    assert found == whole


async def asked_again(port: int, request: bytes) -> bytes:
    """What the agency answers, as if the connection went on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    answer = await reader.read()
    writer.close()
    return answer.replace(b"Connection: close\r\n", b"")


# TLS ------------------------------------------------------------------------------------------------------------------------------------


ALERT = 64
"""Bytes by which TLS itself says that it ends; without them an answer that is whole by its own account is whole."""


def shown(certificate: Path, **versions: ssl.TLSVersion) -> ssl.SSLContext:
    """A server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is meant to be weak
        for name, version in versions.items():
            setattr(context, name, version)
        if versions:
            context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@every_kind
@pytest.mark.parametrize(
    ("host", "days", "named"), [("127.0.0.1", 1, False), ("127.0.0.2", 1, True), ("127.0.0.1", -1, True)], ids=["unknown", "host", "expired"]
)
async def test_a_certificate_that_cannot_be_trusted_stops_the_feed(kind: str, host: str, days: int, named: bool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    heard: list[bytes] = []

    async def hear(head: bytes, writer: asyncio.StreamWriter) -> None:
        heard.append(head)

    async with scripted(hear, shown(authority.issue(host, days))) as port:
        with pytest.raises(Misconfigured, match="cannot be trusted"):
            await Asker(kind, tmp_path / "home").pull(port, scheme="https", **({"ca": str(authority.ca)} if named else {}))

    assert heard == [], "no credential was shown"


@every_kind
async def test_an_old_protocol_is_not_spoken(kind: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = shown(authority.issue("127.0.0.1"), minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)

    async with scripted(said("200 OK", b"{}"), context) as port:
        with pytest.raises((Misconfigured, Unavailable)) as refused:
            await Asker(kind, tmp_path / "home").pull(port, scheme="https", ca=str(authority.ca))

    assert refused.value.hint


async def test_a_cut_inside_of_tls_is_no_end(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    row = {"id": 1, "姓名": "x", "更新时间": "2026-01-05 09:00:00"}
    body = json.dumps({"code": 200, "count": 1, "records": [row]}).encode()
    answer = b"HTTP/1.0 200 OK\r\n\r\n" + body

    async with scripted(answer, shown(authority.issue("127.0.0.1")), hang_up=True) as port, Proxy(port) as proxy:
        whole = await Asker("rest", tmp_path).pull(proxy.port, scheme="https", ca=str(authority.ca))
        for at in range(0, proxy.links[0].answered - ALERT, 31):
            proxy.faults = Faults(cut_answer=at)
            asker = Asker("rest", tmp_path)
            with pytest.raises((Unavailable, Misconfigured)):
                await asker.pull(proxy.port, scheme="https", ca=str(authority.ca))
            assert asker.intake.arrivals == {}

    assert whole == [("x", "2026-01-05 09:00:00")]
