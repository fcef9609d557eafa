"""A running hub in this process, with its gateway on a free loopback port, and agencies that call it over real connections."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from config.loader import load
from connectors.gateway.limits import GatewayLimits
from connectors.gateway.server import GatewayServer
from hub.contracts.observer import Fact, Observer
from routes.city import City, local_now
from routes.gateway import CityReception, KeyDesk, keys
from routes.running import RunningHub
from tests.city.command import firm_row
from tests.city.configuration import hub_yaml, write_city
from tests.city.identities import firm

ITEM = "A0001-F08-01"
HEADING = "统一社会信用代码,企业名称,荣誉名称,认定日期"
_AGENCY = """\
agency: {code: A0001, name: 工商局}

sources:
  api: {gateway: {rate: RATE, signed: SIGNED}}

feeds:
  firms:
    item: A0001-F08-01
    read: {from: api, max_size: 1000000}
"""
_OTHER = "agency: {code: A0011, name: 人民法院}\nsources:\n  api: {gateway: {}}\n"
_JSON = """\
  json:
    item: A0001-Z06-01
    read: {from: api, json: {}}
"""


class Clock:
    """The city's time, which a test may move."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return local_now() + self.ahead


@dataclass
class Called:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        import json

        return json.loads(self.body)


class GatewayCity:
    """What a test holds: the city, its keys, and calls as an agency makes them."""

    def __init__(self, city: City, server: GatewayServer, reception: CityReception, clock: Clock, facts: list[Fact], room: list[bool | str]) -> None:
        self.city, self.server, self.reception, self.clock, self.facts, self.room = city, server, reception, clock, facts, room
        self.desk: KeyDesk = keys(city)
        self.running: RunningHub | None = None
        self.key = ""
        self.key_id = ""
        self._counter = itertools.count()

    @property
    def base(self) -> str:
        host, port = self.server.addresses[0]
        return f"http://{host}:{port}"

    @property
    def port(self) -> int:
        return self.server.addresses[0][1]

    async def call(self, method: str, path: str, *, data: Any = None, key: str | None = None, **headers: str) -> Called:
        """One request on a connection of its own."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key != "":
            named.setdefault("Authorization", f"Bearer {key or self.key}")
        body = io.BytesIO(data) if isinstance(data, bytes) else data
        async with ClientSession() as session, session.request(method, self.base + path, data=body, headers=named, allow_redirects=False) as answer:
            return Called(answer.status, answer.headers, await answer.read())

    async def submit(self, rows: list[str] | bytes, *, key: str = "", item: str = ITEM, **headers: str) -> Called:
        """A submission; rows get the heading. Without a key it gets a new one."""
        body = rows if isinstance(rows, bytes) else "\n".join([HEADING, *rows, ""]).encode()
        headers.setdefault("Content_Type", "text/csv")
        return await self.call("POST", f"/v1/items/{item}/batches", data=body, **{"Idempotency_Key": key or f"k{next(self._counter)}", **headers})

    async def settled(self, receipt: str) -> Any:
        """The receipt once nothing of it will change."""
        async with asyncio.timeout(60):
            while (found := (await self.call("GET", f"/v1/receipts/{receipt}")).json)["state"] not in ("succeeded", "failed", "held"):
                await asyncio.sleep(0.02)
        return found

    async def raw(self, sent: bytes, *, wait: bool = True) -> bytes:
        """Bytes as they are, on a connection of their own; what came back until the other side closed. Without `wait` we hang up at once."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent)
            await writer.drain()
            return await asyncio.wait_for(reader.read(), 30) if wait else b""
        except ConnectionError:
            return b""
        finally:
            writer.close()

    def signed(self, method: str, path: str, body: bytes, *, nonce: str, at: int | None = None, algorithm: str = "sha256") -> dict[str, str]:
        """Headers of a signature, made as the guide says and by the standard library alone."""
        stamp = str(int(self.clock().timestamp()) if at is None else at)
        digest = hashlib.sha256(body).hexdigest()
        plain, _, query = path.partition("?")
        text = "\n".join((method, plain, query, stamp, nonce, digest))
        signature = hmac.new(self.key.encode(), text.encode(), algorithm).hexdigest()
        named = {"X_Hub_Key": self.key_id, "X_Hub_Timestamp": stamp, "X_Hub_Nonce": nonce, "X_Hub_Content_SHA256": digest, "X_Hub_Signature": signature}
        return named | {"X_Hub_Algorithm": algorithm}


@asynccontextmanager
async def gateway_city(home: Path, *, rate: str = "6000/m", signed: str = "optional", limits: GatewayLimits | None = None) -> AsyncIterator[GatewayCity]:
    """A hub with one agency that may submit firms and persons, and one that may submit nothing."""
    agency = _AGENCY.replace("RATE", rate).replace("SIGNED", signed) + _JSON
    write_city(home / "city", hub=hub_yaml(), agency=agency)
    (home / "city/agencies/A0011.yaml").write_text(_OTHER + "feeds:\n  firms: {item: A0001-Z06-01, read: {from: api}}\n", encoding="utf-8")
    loaded = load(home / "city")
    assert loaded.problems == (), loaded.problems
    clock, facts, room = Clock(), [], [True]
    city = City(home / "home", loaded, observer=Observer(facts.append), clock=clock)
    await city.open()
    hub = RunningHub(city)
    reception = CityReception(city, room=lambda: room[0])  # type: ignore[arg-type,return-value]
    server = GatewayServer(reception, limits or GatewayLimits(), clock=lambda: clock().timestamp())
    try:
        await hub.start()
        await server.open("127.0.0.1", 0)
        held = GatewayCity(city, server, reception, clock, facts, room)  # type: ignore[arg-type]
        held.running = hub
        made = await held.desk.add("A0001", because="试用")
        held.key, held.key_id = made["key"], made["id"]
        yield held
    finally:
        await server.close()
        await hub.close()
        await city.close()


def good(number: int) -> str:
    """A row that passes."""
    return firm_row(number)


def bad(number: int) -> str:
    """A row whose identifier has a wrong check digit."""
    right = firm(number)
    return firm_row(number, code=right[:-1] + ("0" if right[-1] != "0" else "1"))
