"""An HTTP client for one other system: where it may lead, how often it asks, how much it takes, and what each answer means."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import AfterValidator, Field

from connectors.formats.destination import Destination, Resolve
from connectors.formats.inflate import Inflater
from connectors.formats.pace import HoursText, Pace, RateText, Surroundings, quiet_for, spacing, wish
from hub.contracts.endpoint import Duration, EndpointConfig
from hub.contracts.errors import HubError, Misconfigured, Unavailable

AGENT = "credit-hub"
RETRY = frozenset({408, 425, 429})
_MOVED = frozenset({301, 302, 303, 307, 308})
_REDIRECTS = 3
_TRIES, _BASE, _CAP = 3, 0.2, 5.0  # attempts of one call, and seconds between them
_CONNECT, _READ = 5.0, 30.0  # seconds
_PIECE = 64 << 10
_NUMBERED = re.compile(r"(?:\D*\d){6}")


def plain_address(url: str) -> str:
    """The URL, if it is one that may be called. Raises `ValueError`."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("https", "http") and parts.hostname and parts.username is None and not parts.fragment and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not url.isascii() or any(c <= " " or c == "\\" for c in url):
        raise ValueError("write an address such as https://host/path, without user, password or #")
    return url


Signed = Callable[[], Awaitable[tuple[Mapping[str, str], Mapping[str, str]]]]
"""Gives parameters and headers for one try: a signature holds a time and a nonce, which must not be sent twice."""

AddressText = Annotated[str, AfterValidator(plain_address)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], Field(max_length=32)]


class HttpSettings(EndpointConfig):
    """How another system is reached over HTTP."""

    url: AddressText = Field(description="Where it begins, such as https://host/api; http only where `allow` names its network.")
    allow: Networks = Field(default=(), description="Private or loopback networks (CIDR) that it may lie in; without it only public addresses are called.")
    ca: Path | None = Field(default=None, description="PEM file of the authority that signed its certificate, where it is not a public one.")
    identity: Path | None = Field(default=None, description="PEM file with our own certificate and its private key, where the other side asks for one.")
    timeout: Duration = Field(default=timedelta(minutes=2), description="How long one request may take, from name look-up to the end of the answer.")
    rate: RateText = Field(default="10/s", description="At most so many requests, evenly spaced: `5/s`, `1/2s`, `300/m`.")
    concurrency: int = Field(default=4, ge=1, le=16, description="Requests under way at the same time.")
    quiet: tuple[HoursText, ...] = Field(default=(), description='Hours (Asia/Shanghai) in which it is never asked: ["08:00-18:00"].')
    max_body: int = Field(default=32 << 20, gt=0, le=100_000_000, description="Bytes of one answer; a larger one stops the feed.")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are in lower case; a header that came twice is joined by a comma.

    `announced` is False where the other side told no length and simply closed: only the content can show then that it is whole.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    announced: bool = True

    def header(self, name: str) -> str:
        """A header's value, empty where there is none; letter case does not count."""
        return self.headers.get(name.lower(), "")


class Client:
    """Asks one host. Raises only the three errors; none of them holds a query string, a body or a header.

    Addresses are looked up and checked before each request, redirects stay on the host, nothing of the environment (proxies, .netrc) is trusted, and
    cookies are kept only with `cookies`.
    """

    def __init__(self, settings: HttpSettings, *, cookies: bool = False, world: Surroundings | None = None, resolve: Resolve | None = None) -> None:
        self.settings = settings
        self.world = world or Surroundings()
        self._cookies = cookies
        self._destination = Destination(settings.url, settings.allow, resolve)
        self.name = self._destination.name
        self._pinned = Pinned()
        self._pace = Pace(spacing(settings.rate), self.world)
        self._places = asyncio.Semaphore(settings.concurrency)
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        most_bytes: int | None = None,
        accept: Collection[int] = (),
        again: bool | None = None,
        signed: Signed | None = None,
    ) -> Answer:
        """Send one request and read its whole answer.

        `path` is appended to the configured address, or is an absolute URL on the same host. A status of 200 to 299, or one in `accept` (304, 401, 404), is
        returned; any other becomes `Unavailable` or `Misconfigured`. What may be repeated (GET and HEAD, or as `again` says) is tried up to three times.
        `signed` gives what is sent in place of `params` and `headers`, anew for each try.
        """
        repeats = method in ("GET", "HEAD") if again is None else again
        for tried in range(1, _TRIES + 1):
            if signed is not None:
                params, headers = await signed()
            url = self.address(path, params)
            try:
                return self.judged(await self._once(method, url, headers, data, most_bytes), accept)
            except Unavailable as error:
                if not repeats or tried == _TRIES or _is_long(error):
                    raise
                pause = self.world.random() * min(_CAP, _BASE * 2**tried)
                await self.world.sleep(max(pause, error.retry_after or 0.0))
        raise AssertionError("the last try returns or raises")

    def address(self, path: str, params: Mapping[str, str] | None = None) -> str:
        """The URL of a path below the configured address, or of an absolute URL, which must be on the same host."""
        url = path if "://" in path else self.settings.url.rstrip("/") + ("/" + path.lstrip("/") if path else "")
        if _origin(url) != _origin(self.settings.url):
            raise Misconfigured(f"{self.name} points to another host", hint="only the configured host is asked; give the other one a source of its own")
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params)
        return url

    def judged(self, answer: Answer, accept: Collection[int] = ()) -> Answer:
        """The answer, if its status is a success or in `accept`; otherwise the decision that the status stands for is raised."""
        if 200 <= answer.status < 300 or answer.status in accept:
            return answer
        raise self._decision(answer)

    async def close(self) -> None:
        """Close the connections and the resolver's thread."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        self._destination.close()

    async def _once(self, method: str, url: str, headers: Mapping[str, str] | None, data: bytes | None, most_bytes: int | None) -> Answer:
        """One request, with redirects on the same host."""
        for _ in range(_REDIRECTS + 1):
            answer = await self._single(method, url, headers, data, most_bytes or self.settings.max_body)
            target = answer.header("location")
            repeatable = method in ("GET", "HEAD") or answer.status in (307, 308)
            if answer.status not in _MOVED or not target or not repeatable:
                return answer
            url = urljoin(url, target).partition("#")[0]
            if _origin(url) != _origin(self.settings.url):
                hint = "write the address that it redirects to, once the agency has confirmed it"
                raise Misconfigured(f"{self.name} redirects to another host, which is not followed", hint=hint)
        raise Misconfigured(f"{self.name} redirects in a circle", hint="ask the agency; is a login missing?")

    async def _single(self, method: str, url: str, headers: Mapping[str, str] | None, data: bytes | None, most: int) -> Answer:
        async with self._places:
            await self._pace.turn()
            if left := quiet_for(self.settings.quiet, self.world.now()):
                raise Unavailable(f"{self.name} is not asked in its quiet hours", hint="goes on when they end", retry_after=left)
            async with translated(self.name), asyncio.timeout(self.settings.timeout.total_seconds()):
                self._pinned.addresses = await self._destination.addresses()
                sent = {"user-agent": AGENT, "accept-encoding": "identity"} | dict(headers or {})
                async with self._opened().request(method, url, headers=sent, data=data, allow_redirects=False) as response:
                    body = await self._body(response, most)
        joined: dict[str, str] = {}
        for key, value in response.headers.items():
            joined[key.lower()] = f"{joined[key.lower()]}, {value}" if key.lower() in joined else value
        announced = response.headers.get("content-length") is not None or "chunked" in joined.get("transfer-encoding", "").lower()
        return Answer(response.status, joined, body, str(response.url), announced or method == "HEAD")

    async def _body(self, response: aiohttp.ClientResponse, most: int) -> bytes:
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        inflater = None if coding in ("identity", "") else Inflater(coding, self.name, most)
        parts: list[bytes] = []
        size = 0
        async for piece in response.content.iter_chunked(_PIECE):
            part = piece if inflater is None else inflater.feed(piece)
            size += len(part)
            if size > most:
                response.close()
                raise Misconfigured(f"{self.name} answered with more than {most:,} bytes", hint="ask for smaller pages, or raise `max_body`")
            parts.append(part)
        if inflater is not None:
            inflater.end()
        return b"".join(parts)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls = trusting(self.settings.ca, self.settings.identity)
            connector = aiohttp.TCPConnector(resolver=self._pinned, use_dns_cache=False, limit=self.settings.concurrency, ssl=tls)
            jar = aiohttp.CookieJar(unsafe=True) if self._cookies else aiohttp.DummyCookieJar()
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_READ)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=False, cookie_jar=jar, timeout=timeout)
        return self._session

    def _decision(self, answer: Answer) -> HubError:
        status, place = answer.status, f"{self.name}{_shown(answer.url)}"
        if status in RETRY or status >= 500:
            asked = wish(answer.header("retry-after"), self.world.now())
            return Unavailable(f"{place} answered {status}", hint="tried again by the schedule", retry_after=asked)
        if status in (401, 403):
            return Misconfigured(
                f"{place} answered {status}: it does not let us in", hint="check the credentials, and whether our address is on its white list"
            )
        if status in (404, 410):
            return Misconfigured(f"{place} answered {status}: there is nothing at this address", hint="check `url` and `path`, and ask the agency")
        if 300 <= status < 400:
            return Misconfigured(f"{place} answered {status}: this redirect is not followed", hint="is a login missing, or has the address changed?")
        return Misconfigured(f"{place} answered {status}: it does not understand what we ask", hint="compare path and parameters with the agency's description")


class Pinned(AbstractResolver):
    """Answers with the addresses that were checked: what is connected to is what was looked at."""

    def __init__(self) -> None:
        self.addresses: list[ResolveResult] = []

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        """The checked addresses, whatever the name."""
        return [{**address, "hostname": host, "port": port} for address in self.addresses]

    async def close(self) -> None:
        """Forget them."""
        self.addresses = []


def trusting(ca: Path | None, identity: Path | None = None) -> ssl.SSLContext | bool:
    """How certificates are checked: against `ca` or the public authorities, always with the host's name. `identity` is shown to the other side."""
    if ca is None and identity is None:
        return True
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
        if identity is not None:
            context.load_cert_chain(identity)
    except (OSError, ssl.SSLError) as error:
        names = " or ".join(path.name for path in (ca, identity) if path)
        raise Misconfigured(f"the certificate file {names} cannot be used", hint="name a readable PEM file") from error
    return context


@asynccontextmanager
async def translated(name: str) -> AsyncIterator[None]:
    """Turn what the HTTP client raises into a decision."""
    try:
        yield
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
        hint = "name the authority's file with `ca:`, or have the agency renew its certificate"
        raise Misconfigured(f"{name} showed a certificate that cannot be trusted", hint=hint) from error
    except aiohttp.ClientPayloadError as error:
        raise Unavailable(f"{name} broke off in the middle of its answer", hint="tried again by the retry schedule") from error
    except TimeoutError as error:
        raise Unavailable(f"{name} did not answer in time", hint="tried again by the retry schedule") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Unavailable(f"{name} could not be called: {type(error).__name__}", hint="is it up, and does the firewall let the hub through?") from error
    except ValueError as error:
        raise Misconfigured(f"{name} cannot be asked like this", hint="a header or parameter holds a character that HTTP does not allow") from error


def _is_long(error: Unavailable) -> bool:
    """Whether trying again within the same call is pointless: it was slow already, or asks for a longer pause."""
    slow = isinstance(error.__cause__, TimeoutError) and not isinstance(error.__cause__, aiohttp.ConnectionTimeoutError)
    return slow or (error.retry_after or 0.0) > _CAP


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _shown(url: str) -> str:
    """The path of a URL for people, without what could be a number or a name of somebody."""
    segments = urlsplit(url).path.split("/")
    return "/".join("…" if "%" in one or _NUMBERED.match(one) or not one.isascii() else one[:60] for one in segments)
