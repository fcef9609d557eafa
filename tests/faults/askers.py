"""The three kinds of source that ask over HTTP, side by side: one small agency each, and one pull of what it has, over whatever port the test gives."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.formats.pace import ZONE, Surroundings
from connectors.formats.pulling import Puller, PullSource
from connectors.memory import MemoryIntake
from connectors.rest.puller import RestPuller
from connectors.rest.settings import RestConfig, RestRead
from connectors.soap.puller import SoapPuller
from connectors.soap.settings import SoapConfig, SoapRead
from connectors.web.puller import WebPuller
from connectors.web.settings import WebConfig, WebRead
from hub.contracts.headings import normalise_heading
from tests.city import bulletin_site, rest_agency, soap_agency
from tests.city.identities import citizen
from tests.city.soap_agency import WSDL

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=ZONE)
KINDS = ("rest", "soap", "web")
_LOOPBACK = ["127.0.0.0/8"]
Row = Mapping[str, Any]


@dataclass
class Asker:
    """One source and what it landed. Pauses cost no time, and are written down."""

    kind: str
    home: Path
    intake: MemoryIntake = field(default_factory=MemoryIntake)
    slept: list[float] = field(default_factory=list)
    seconds: float = 0.0

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)

    async def pull(self, port: int, *, scheme: str = "http", **config: Any) -> list[tuple[Any, ...]]:
        """Rows of one pull, settled, in an order of their own. Raises only the three errors."""
        world = Surroundings(now=lambda: NOON, monotonic=lambda: self.seconds, sleep=self._sleep, random=lambda: 0.0)
        base = f"{scheme}://127.0.0.1:{port}"
        puller, titles = _PULLERS[self.kind](base, {"allow": _LOOPBACK, "rate": "100000/s", "timeout": "20s"} | config, self, world)
        known = frozenset(map(normalise_heading, titles))
        source = PullSource(puller, feed="A0001.x", item="A0001-F04-01", known=known, intake=self.intake, now=lambda: NOON)
        rows: list[tuple[Any, ...]] = []
        try:
            async with aclosing(source.batches()) as batches:
                async for batch in batches:
                    rows += batch.frame.select(title for title in titles if title in batch.frame.columns).rows()
                    self.intake.settle(batch)
        finally:
            await source.close()
        return sorted(rows, key=str)


def _rest(base: str, config: dict[str, Any], asker: Asker, world: Surroundings) -> tuple[Puller, tuple[str, ...]]:
    read = RestRead.model_validate({"path": "/court/since", "total": "count", "pages": {"name": "pageNum", "size_name": "rows", "size": 2}} | _SINCE)
    titles = tuple(title for title in rest_agency.judgment(1) if title != "id")
    settings = RestConfig.model_validate({"url": base, "api_key": {"value": rest_agency.COURT_KEY}} | config)
    return RestPuller(settings, read, frozenset(map(normalise_heading, titles)), world=world), titles


_SINCE = {"since": {"name": "updatedAfter", "field": "更新时间"}}


def _soap(base: str, config: dict[str, Any], asker: Asker, world: Surroundings) -> tuple[Puller, tuple[str, ...]]:
    asker.home.mkdir(exist_ok=True)
    (asker.home / "verify.wsdl").write_bytes((WSDL / "verify.wsdl").read_bytes())
    digest = "sha256:" + hashlib.sha256((WSDL / "verify.wsdl").read_bytes()).hexdigest()
    told = {"wsdl": "verify.wsdl", "digest": digest, "address": f"{base}/services/verify"} | config
    read = SoapRead.model_validate(
        {"operation": "verify", "arguments": {"sfzh": "{key}"}, "rows": "R/P", "ok": {"at": "R/CODE", "is": ["00"]}, "each": {"keys": _KEYS, "column": "SFZH"}}
    )
    return SoapPuller(SoapConfig.model_validate(told), read, asker.home, world=world), ("SFZH", "STATE")


_KEYS = [citizen(number) for number in (1, 2)]


def _web(base: str, config: dict[str, Any], asker: Asker, world: Surroundings) -> tuple[Puller, tuple[str, ...]]:
    titles = bulletin_site.TITLES
    read = WebRead.model_validate({"list": {"path": "/table?page={page}", "pages": "p.pages"}})
    settings = WebConfig.model_validate({"url": base} | config)
    known = frozenset(map(normalise_heading, titles))
    return WebPuller(settings, read, feed="A0001.x", item="A0001-F04-01", known=known, intake=asker.intake, world=world), titles


_PULLERS: dict[str, Callable[[str, dict[str, Any], Asker, Surroundings], tuple[Puller, tuple[str, ...]]]] = {"rest": _rest, "soap": _soap, "web": _web}


@asynccontextmanager
async def agency(kind: str) -> AsyncIterator[tuple[int, Any]]:
    """The other side with three judgments, two persons or two firms: its port, and what it can be told."""
    if kind == "rest":
        courts = rest_agency.Agencies(judgments=[rest_agency.judgment(number) for number in (1, 4, 7)])
        runner = await rest_agency.serve("127.0.0.1", 0, courts)
        told: Any = courts
    elif kind == "soap":
        told = soap_agency.SoapAgency()
        runner = await soap_agency.serve("127.0.0.1", 0, told)
    else:
        told = bulletin_site.BulletinSite(firms=2)
        runner = await bulletin_site.serve("127.0.0.1", 0, told)
    try:
        yield runner.addresses[0][1], told
    finally:
        await runner.cleanup()


Answering = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(answer: Answering | bytes, tls: Any = None, *, hang_up: bool = False) -> AsyncIterator[int]:
    """A server that answers each request with these bytes, or as it is told by the request, and keeps the connection unless it hangs up; its port."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            asked = 0
            while not (asked and hang_up):
                asked += 1
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0].strip()
                body = await reader.readexactly(int(length or b"0"))
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(head + body, writer)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
