"""How a site is visited: as its robots.txt permits, one request at a time, and without asking again for what has not changed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from weakref import WeakKeyDictionary

from cryptography.hazmat.primitives import hashes

from connectors.formats.http import RETRY, Answer, Client
from connectors.formats.pace import Pace, Surroundings, spacing
from connectors.formats.worker import Worker
from connectors.web.robots import MOST_BYTES, Robots
from connectors.web.settings import WebConfig
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from hub.contracts.source import Intake

Keep = Callable[[bytes], Awaitable[str]]
_NOTE = "page."  # and a digest of the address: what is remembered of it
_TRIES = 3
_LONG_WAIT = 60.0  # seconds that one visit waits at a site's wish before it gives up for now
_NO_RULES = frozenset(range(400, 500)) - RETRY  # answers that mean: there is no robots.txt (RFC 9309 2.3.1.3)
_GONE = frozenset({404, 410})
_SAME = 304
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was found at an address; `gone` says that there is nothing any more. `digest` is the sha256, in hex."""

    url: str
    body: bytes
    content_type: str
    digest: str = ""
    gone: bool = False

    @property
    def sm3(self) -> str:
        """The page's digest by GB/T 32905."""
        hashed = hashes.Hash(hashes.SM3())
        hashed.update(self.body)
        return hashed.finalize().hex()


class Turn:
    """One site's turns: however many feeds read from it, there is one request at a time, and a pause from each to the next."""

    def __init__(self, seconds: float, world: Surroundings) -> None:
        self.pace = Pace(seconds, world)
        self.lock = asyncio.Lock()


_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, float, Surroundings], Turn]] = WeakKeyDictionary()


def turn_of(site: str, seconds: float, world: Surroundings) -> Turn:
    """The turns of a site, shared by everyone who asks it at this pace."""
    return _TURNS.setdefault(asyncio.get_running_loop(), {}).setdefault((site, seconds, world), Turn(seconds, world))


class Visit:
    """One visit. With `keep`, pages are landed and remembered for next time; without, it leaves nothing behind."""

    def __init__(self, client: Client, config: WebConfig, intake: Intake, worker: Worker, keep: Keep | None = None) -> None:
        self.pages: list[dict[str, Any]] = []
        self._client = client
        self._config = config
        self._intake = intake
        self._worker = worker
        self._keep = keep
        self._robots = Robots(b"", config.agent)
        self._turn = turn_of(client.name, spacing(config.rate), client.world)
        self._notes: dict[str, Any] = {}
        self._visited: set[str] = set()

    async def begin(self) -> None:
        """Read robots.txt and what is remembered. Raises `Unavailable` while the site does not say what it permits."""
        if self._config.robots == "obey":
            answer = await self._ask("GET", self.root + "/robots.txt", accept=_NO_RULES)
            self._robots = Robots(answer.body if answer.status < 300 else b"", self._config.agent)
            if (pause := self._robots.pause) > spacing(self._config.rate):
                self._turn = turn_of(self._client.name, pause, self._client.world)
                await self._turn.pace.turn()  # the pause after robots.txt itself
        if self._keep is not None:
            self._notes = await self._intake.recall_all(_NOTE)

    @property
    def root(self) -> str:
        """The site's address without a path."""
        parts = urlsplit(self._config.url)
        return f"{parts.scheme}://{parts.netloc}"

    def is_here(self, url: str) -> bool:
        """Whether an address is on the configured host; no other one is asked."""
        try:
            self._client.address(url)
        except Misconfigured:
            return False
        return True

    async def fetch(self, path: str, form: Mapping[str, str] | None = None) -> Fetched:
        """A page or file. Only `gone` says that there is none; with `form` its fields are sent by POST."""
        url = self._client.address(path)
        self._robots.check(url, self._client.name)
        key = _NOTE + hashlib.sha256(url.encode()).hexdigest()[:32]
        note = self._notes.get(key) if form is None else None
        answer = await self._asked(url, form, note)
        if answer.status == _SAME and note:
            self._visited.add(key)
            if (body := await self._landed(note["digest"])) is not None:
                return self._found(Fetched(answer.url, body, note["type"], note["digest"]), same=True)
            answer = await self._asked(url, form, None)
        if answer.status in _GONE:
            return Fetched(answer.url, b"", "", gone=True)
        self._robots.check(answer.url, self._client.name)
        _whole(answer, self._client.name)
        fetched = Fetched(answer.url, answer.body, answer.header("content-type"), await self._kept(answer.body))
        if form is None and self._keep is not None:
            await self._remember(key, answer, fetched)
        return self._found(fetched, same=False)

    async def end(self) -> None:
        """The visit was complete: forget pages that nothing leads to any more."""
        for key in self._notes.keys() - self._visited:
            await self._intake.remember(key, None)

    def _found(self, fetched: Fetched, *, same: bool) -> Fetched:
        self.pages.append({"sha256": fetched.digest, "sm3": fetched.sm3, "bytes": len(fetched.body), "same": same})
        return fetched

    async def _asked(self, url: str, form: Mapping[str, str] | None, note: Mapping[str, str] | None) -> Answer:
        headers = {"accept": "text/html, */*;q=0.8"}
        if note:
            headers |= {name: note[name] for name in ("if-none-match", "if-modified-since") if note.get(name)}
        accept = _GONE | ({_SAME} if note else frozenset())
        if form is None:
            return await self._ask("GET", url, headers, accept=accept)
        headers["content-type"] = "application/x-www-form-urlencoded"
        return await self._ask("POST", url, headers, urlencode(form).encode(), accept)

    async def _ask(self, method: str, url: str, headers: Mapping[str, str] | None = None, data: bytes | None = None, accept: Any = ()) -> Answer:
        """One request in its turn; a site that stumbles is asked again, in its turn as well."""
        sent = {"user-agent": self._config.agent} | dict(headers or {})
        most = MOST_BYTES if url == self.root + "/robots.txt" else None
        for tried in range(1, _TRIES + 1):
            async with self._turn.lock:
                await self._turn.pace.turn()
                try:
                    return await self._client.ask(method, url, headers=sent, data=data, most_bytes=most, accept=accept, again=False)
                except Unavailable as error:
                    if tried == _TRIES or (error.retry_after or 0.0) > _LONG_WAIT:
                        raise
                    await self._client.world.sleep(error.retry_after or 0.0)
        raise AssertionError("the last try returns or raises")

    async def _landed(self, digest: str) -> bytes | None:
        """A snapshot from landing; None where it was purged."""
        try:
            return await self._worker.do(self._read, digest)
        except Rejected:
            return None

    def _read(self, digest: str) -> bytes:
        with self._intake.open(digest) as stream:
            return stream.read()

    async def _kept(self, body: bytes) -> str:
        return await self._keep(body) if self._keep is not None else hashlib.sha256(body).hexdigest()

    async def _remember(self, key: str, answer: Answer, fetched: Fetched) -> None:
        marks = {"if-none-match": answer.header("etag"), "if-modified-since": answer.header("last-modified")}
        note = {**marks, "digest": fetched.digest, "type": fetched.content_type[:200]} if any(marks.values()) else None
        self._visited.add(key)
        if note != self._notes.get(key):
            await self._intake.remember(key, note)


def is_binary(body: bytes) -> bool:
    """Whether these are the first bytes of a ZIP or OLE container, which is checked when it is opened."""
    return body.startswith((_ZIP, _OLE))


def _whole(answer: Answer, name: str) -> None:
    """A page of unknown length is whole only when it says where it ends."""
    if not answer.announced and not is_binary(answer.body) and b"</html" not in answer.body[-4096:].lower():
        raise Unavailable(f"{name} broke off in the middle of a page", hint="tried again by the schedule")
