"""The HTTP client against a real socket that answers with bytes chosen by the test."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.formats.http import Answer, Client, HttpSettings
from connectors.formats.inflate import Inflater
from connectors.formats.pace import ZONE, Pace, Surroundings, quiet_for, spacing, wish
from hub.contracts.errors import HubError, Misconfigured, Unavailable

NOON = datetime(2026, 3, 5, 12, 0, tzinfo=ZONE)
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n" + b'{"rows":[12]}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"6\r\nfirst \r\n4\r\nlast\r\n0\r\n\r\n"
ID = "320581190012310015"


class Peer:
    """Answers each request with the next of `answers`, the last one for ever, then closes."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.requests: list[str] = []
        self.slept: list[float] = []
        self.port = 0

    def client(self, *, now: Callable[[], datetime] = lambda: NOON, cookies: bool = False, **settings: Any) -> Client:
        """A client for this peer; time passes only in `slept`."""

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        given = {"url": f"http://127.0.0.1:{self.port}/api", "allow": ["127.0.0.0/8"], "rate": "1000/ms"} | settings
        return Client(HttpSettings.model_validate(given), cookies=cookies, world=Surroundings(now=now, sleep=sleep, random=lambda: 0.5))

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one answer."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.decode("latin-1"))
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def peer(*answers: bytes) -> AsyncIterator[Peer]:
    made = Peer(*answers)
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def asked(server: Peer, path: str = "/list", *, method: str = "GET", settings: dict[str, Any] | None = None, **how: Any) -> Answer:
    client = server.client(**settings or {})
    try:
        return await client.ask(method, path, **how)
    finally:
        await client.close()


def status(code: int, *headers: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {code} X\r\nContent-Length: {len(body)}\r\n{''.join(h + chr(13) + chr(10) for h in headers)}\r\n".encode() + body


async def test_an_answer_is_whole() -> None:
    async with peer(WHOLE) as server:
        answer = await asked(server, params={"q": "a+b/=中"})

    assert (answer.status, answer.body, answer.announced) == (200, b'{"rows":[12]}', True)
    assert answer.header("CONTENT-type") == "application/json"
    assert server.requests[0].startswith("GET /api/list?q=a%2Bb/%3D%E4%B8%AD HTTP/1.1")
    assert "accept-encoding: identity" in server.requests[0]


@pytest.mark.parametrize("whole", [WHOLE, CHUNKED], ids=["length", "chunks"])
async def test_an_answer_cut_after_any_byte_is_never_accepted(whole: bytes) -> None:
    async with peer(b"") as server:
        client = server.client()
        for length in range(len(whole)):
            server.answers = [whole[:length]]
            with pytest.raises(Unavailable):
                await client.ask("POST", "/list")
        await client.close()


async def test_an_answer_without_a_length_says_so() -> None:
    async with peer(b"HTTP/1.0 200 OK\r\n\r\nhalf of it") as server:
        answer = await asked(server)

    assert (answer.body, answer.announced) == (b"half of it", False)


@pytest.mark.parametrize(
    ("code", "decision"),
    [
        (400, Misconfigured), (401, Misconfigured), (403, Misconfigured), (404, Misconfigured), (410, Misconfigured), (304, Misconfigured),
        (408, Unavailable), (425, Unavailable), (429, Unavailable), (500, Unavailable), (503, Unavailable),
    ],
)  # fmt: skip
async def test_each_status_is_a_decision_without_the_query(code: int, decision: type[HubError]) -> None:
    async with peer(status(code)) as server:
        with pytest.raises(decision) as failed:
            await asked(server, f"/person/{ID}", params={"idNo": ID})

    assert ID not in failed.value.message + failed.value.hint
    assert str(code) in failed.value.message
    assert failed.value.hint


async def test_a_status_that_is_expected_is_returned() -> None:
    async with peer(status(304, "ETag: x")) as server:
        answer = await asked(server, headers={"If-None-Match": "x"}, accept=(304,))

    assert answer.status == 304
    assert "If-None-Match: x" in server.requests[0]


async def test_a_get_is_tried_three_times_with_growing_pauses_and_a_post_once() -> None:
    async with peer(status(503), status(503), WHOLE) as server:
        answer = await asked(server)
        slept = list(server.slept)
        server.answers = [status(503), WHOLE]
        with pytest.raises(Unavailable):
            await asked(server, method="POST")

    assert answer.status == 200
    assert slept == [0.2, 0.4]
    assert len(server.requests) == 4


async def test_each_try_is_signed_anew() -> None:
    signatures = iter(["first", "second"])

    async def signed() -> tuple[dict[str, str], dict[str, str]]:
        return {}, {"x-sign": next(signatures)}

    async with peer(status(503), WHOLE) as server:
        await asked(server, signed=signed)

    assert ["x-sign: first" in server.requests[0], "x-sign: second" in server.requests[1]] == [True, True]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), ("Thu, 05 Mar 2026 04:02:00 GMT", 120.0), ("315360000", 86_400.0), ("Sun, 05 Mar 2036 04:00:00 GMT", 86_400.0), ("-5", None), ("soon", None),
     ("Thu, 05 Mar 2020 04:00:00 GMT", 0.0), ("9" * 60, 86_400.0), ("", None)],
)  # fmt: skip
async def test_what_the_other_side_wishes_is_heard_within_a_day(header: str, seconds: float | None) -> None:
    async with peer(status(429, f"Retry-After: {header}")) as server:
        with pytest.raises(Unavailable) as failed:
            await asked(server)

    assert failed.value.retry_after == seconds
    assert wish(header, NOON) == seconds


async def test_a_long_wish_ends_the_call_at_once() -> None:
    async with peer(status(429, "Retry-After: 60")) as server:
        with pytest.raises(Unavailable):
            await asked(server)

    assert (len(server.requests), server.slept) == (1, [])


async def test_redirects_stay_on_the_host() -> None:
    async with peer(b"") as server:
        server.answers = [status(302, "Location: /api/there?x=1"), WHOLE]
        answer = await asked(server, headers={"Authorization": "secret"})
        for away in ("http://169.254.169.254/latest", f"http://localhost:{server.port}/", "https://127.0.0.1/", "//example.com/x"):
            server.answers = [status(302, f"Location: {away}"), WHOLE]
            with pytest.raises(Misconfigured, match="another host"):
                await asked(server, headers={"Authorization": "secret"})

    assert answer.url.endswith("/api/there?x=1")
    assert len(server.requests) == 2 + 4


async def test_redirects_in_a_circle_end() -> None:
    async with peer(status(302, "Location: /api/list")) as server:
        with pytest.raises(Misconfigured, match="circle"):
            await asked(server)

    assert len(server.requests) == 4


async def test_an_absolute_url_must_be_on_the_host() -> None:
    async with peer(WHOLE) as server:
        await asked(server, f"http://127.0.0.1:{server.port}/elsewhere")
        with pytest.raises(Misconfigured, match="another host"):
            await asked(server, "http://127.0.0.2/elsewhere")

    assert server.requests[0].startswith("GET /elsewhere")


async def test_loopback_is_not_called_without_being_named() -> None:
    async with peer(WHOLE) as server:
        for url in (f"http://127.0.0.1:{server.port}", f"http://[::ffff:127.0.0.1]:{server.port}", f"http://2130706433:{server.port}"):
            with pytest.raises(Misconfigured):
                await asked(server, settings={"allow": [], "url": url})

    assert server.requests == []


async def test_a_name_that_comes_to_lead_inside_is_not_followed_there() -> None:
    answers = [["127.0.0.1"], ["127.0.0.1", "10.0.0.8"], ["169.254.169.254"]]
    async with peer(WHOLE) as server:
        settings = HttpSettings.model_validate({"url": f"http://agency.example:{server.port}/", "allow": ["127.0.0.0/8"], "rate": "1000/ms"})
        client = Client(settings, resolve=lambda host, port: answers.pop(0))
        first = await client.ask("GET", "")
        for _ in range(2):
            with pytest.raises(Misconfigured, match="private or reserved"):
                await client.ask("GET", "")
        await client.close()

    assert first.status == 200
    assert len(server.requests) == 1
    assert "Host: agency.example" in server.requests[0]


async def test_what_follows_an_answer_is_not_taken_for_the_next_one() -> None:
    async with peer(WHOLE + status(200, body=b"forged"), status(200, body=b"second")) as server:
        client = server.client()
        first = await client.ask("GET", "/list")
        second = await client.ask("GET", "/list")
        await client.close()

    assert (first.body, second.body) == (b'{"rows":[12]}', b"second")


@pytest.mark.parametrize("url", ["ftp://x/", "https://user:pw@x/", "https://x/#a", "https:///x", "https://x/ y", "https://例/", "https://x\\@y/"])
def test_an_odd_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        HttpSettings(url=url)


async def test_a_body_beyond_the_limit_is_not_read_to_its_end() -> None:
    async with peer(status(200, body=b"x" * 100_000)) as server:
        with pytest.raises(Misconfigured, match="more than 1,000 bytes"):
            await asked(server, most_bytes=1_000)


async def test_gzip_comes_open_although_nobody_asked() -> None:
    body = gzip.compress(b"[1,") + gzip.compress(b"2]")
    async with peer(status(200, "Content-Encoding: gzip", body=body)) as server:
        answer = await asked(server)

    assert answer.body == b"[1,2]"


@pytest.mark.parametrize(
    ("coding", "body", "decision"),
    [
        ("gzip", gzip.compress(bytes(20_000_000), mtime=0), Misconfigured),
        ("gzip", gzip.compress(b"", mtime=0) * 1_000, Misconfigured),
        ("gzip", gzip.compress(b"[1,2,3]", mtime=0)[:-9], Unavailable),
        ("gzip", b"no gzip", Unavailable),
        ("deflate", zlib.compress(bytes(20_000_000)), Misconfigured),
        ("br", b"x", Misconfigured),
        ("gzip, gzip", b"x", Misconfigured),
    ],
)
async def test_a_compressed_answer_stays_within_bounds(coding: str, body: bytes, decision: type[HubError]) -> None:
    async with peer(status(200, f"Content-Encoding: {coding}", body=body)) as server:
        with pytest.raises(decision):
            await asked(server, method="POST")


def test_inflating_gives_the_same_however_it_is_cut() -> None:
    content = b"0123456789" * 1_000
    packed = gzip.compress(content)

    for size in (1, 7, len(packed)):
        inflater = Inflater("gzip", "x")
        parts = [inflater.feed(packed[at : at + size]) for at in range(0, len(packed), size)]
        inflater.end()
        assert b"".join(parts) == content


async def test_a_peer_that_hangs_is_left_in_time() -> None:
    left = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        left.set()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    silent = Peer()
    silent.port = server.sockets[0].getsockname()[1]

    with pytest.raises(Unavailable, match="in time"):
        await asked(silent, settings={"timeout": "100ms"})

    await asyncio.wait_for(left.wait(), 10)
    server.close()


async def test_nobody_listening_is_unavailable() -> None:
    async with peer(WHOLE) as server:
        pass

    with pytest.raises(Unavailable, match="could not be called"):
        await asked(server)


async def test_quiet_hours_are_kept_and_say_when_they_end() -> None:
    async with peer(WHOLE) as server:
        with pytest.raises(Unavailable) as quiet:
            await asked(server, settings={"quiet": ["08:00-18:00"]})
        await asked(server, settings={"quiet": ["13:00-18:00", "22:00-06:00"]})

    assert quiet.value.retry_after == 6 * 3600
    assert len(server.requests) == 1


@pytest.mark.parametrize(("at", "left"), [("21:59", 0), ("22:00", 8), ("23:00", 7), ("05:00", 1), ("06:00", 0)])
def test_quiet_hours_go_over_midnight(at: str, left: int) -> None:
    hour, minute = map(int, at.split(":"))

    assert quiet_for(["22:00-06:00"], NOON.replace(hour=hour, minute=minute)) == left * 3600


async def test_requests_are_spaced_by_the_rate() -> None:
    clock, slept = [100.0], list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    pace = Pace(spacing("5/s"), Surroundings(monotonic=lambda: clock[0], sleep=sleep))
    for _ in range(3):
        await pace.turn()
    clock[0] += 10
    await pace.turn()

    assert slept == pytest.approx([0.2, 0.4])


@pytest.mark.parametrize(("rate", "seconds"), [("5/s", 0.2), ("1/2s", 2.0), ("300/m", 0.2), ("1/1.5s", 1.5)])
def test_rates(rate: str, seconds: float) -> None:
    assert spacing(rate) == pytest.approx(seconds)


@pytest.mark.parametrize("rate", ["", "5", "0/s", "5/", "5/0s", "-1/s", "5/y"])
def test_what_is_no_rate_is_refused(rate: str) -> None:
    with pytest.raises(ValidationError):
        HttpSettings(url="https://x", rate=rate)


async def test_cookies_are_kept_only_where_they_are_asked_for() -> None:
    for cookies in (False, True):
        async with peer(status(200, "Set-Cookie: session=1"), WHOLE) as server:
            client = server.client(cookies=cookies)
            await client.ask("GET", "/login")
            await client.ask("GET", "/list")
            await client.close()

        assert ("session=1" in server.requests[1]) is cookies


async def test_nothing_of_the_environment_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peer(WHOLE) as server:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        answer = await asked(server)

    assert answer.status == 200


async def test_a_header_that_http_does_not_allow_is_a_matter_of_configuration() -> None:
    async with peer(WHOLE) as server:
        with pytest.raises(Misconfigured, match="like this"):
            await asked(server, headers={"x": "a\r\nb: c"})

    assert server.requests == []
