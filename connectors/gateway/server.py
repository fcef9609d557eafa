"""The server that agencies call: routes, the order of the questions, and every refusal in one form."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from aiohttp import HttpVersion10, web

from connectors.formats.worker import Worker
from connectors.gateway import problems
from connectors.gateway.auth import Authentication
from connectors.gateway.exchange import Exchange
from connectors.gateway.limits import Buckets, Connections, Door, GatewayLimits
from connectors.gateway.openapi import document
from connectors.gateway.receipts import Receipts
from connectors.gateway.soap import SoapService
from connectors.gateway.submissions import Submitting
from hub.contracts.errors import HubError, Misconfigured
from hub.contracts.gateway import Reception

_GOODBYE_S = 5.0

Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """`path` has words in braces; `stranger` says that nobody needs to be known for it here."""

    method: str
    path: str
    handler: Handler
    stranger: bool = False

    def match(self, path: str) -> dict[str, str] | None:
        """The words of a path that fits, else None."""
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[A-Za-z0-9_-]{1,64})", re.escape(self.path).replace(r"\{", "{").replace(r"\}", "}")), path)
        return found.groupdict() if found else None


class GatewayServer:
    """Listens between `open` and `close`. `clock` gives seconds since 1970, `ticks` monotonic ones."""

    def __init__(
        self, reception: Reception, limits: GatewayLimits, *, clock: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._reception = reception
        self._limits = limits
        self._worker = Worker("gateway", threads=4)
        self._auth = Authentication(reception, clock)
        self._buckets = Buckets(ticks)
        self.soap = SoapService(reception, self._auth, self._worker, self._spend)
        self._routes = self._table(Submitting(reception, self._worker, limits.uploads), Receipts(reception, self._worker))
        self._manager: web.Server | None = None
        self._server: asyncio.Server | None = None

    def _table(self, submitting: Submitting, receipts: Receipts) -> list[Route]:
        return [
            Route("GET", "/livez", self._alive, stranger=True),
            Route("GET", "/openapi.json", self._openapi),
            Route("GET", "/v1/items", self._items),
            Route("POST", "/v1/items/{item}/batches", submitting.batch),
            Route("POST", "/v1/items/{item}/nil", submitting.nil),
            Route("GET", "/v1/receipts/{receipt}", receipts.show),
            Route("GET", "/v1/receipts/{receipt}/errors.csv", receipts.errors_csv),
            Route("GET", "/v1/receipts/{receipt}/errors.xlsx", receipts.errors_xlsx),
            Route("GET", "/soap/InterfaceUploadService", self.soap.wsdl, stranger=True),
            Route("POST", "/soap/InterfaceUploadService", self.soap.call, stranger=True),
        ]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens."""
        return [socket.getsockname()[:2] for socket in self._server.sockets] if self._server else []

    async def open(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one. Raises `Misconfigured` for an address that is taken or is not ours."""
        loop = asyncio.get_running_loop()
        manager = self._manager = web.Server(self._answer)
        connections = Connections(self._limits)
        try:
            self._server = await loop.create_server(
                lambda: Door(manager, connections, self._limits, loop), host.strip("[]"), port, backlog=self._limits.connections
            )
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            hint = "another program uses it; set another `gateway: {listen: …}` in hub.yaml" if taken else "set `gateway: {listen: 127.0.0.1:8701}` in hub.yaml"
            raise Misconfigured(f"the gateway cannot listen on {host}:{port}: {error.strerror}", hint=hint) from error

    async def close(self) -> None:
        """Take no more; answer what was asked, for a few seconds."""
        if self._server is not None:
            self._server.close()
        if self._manager is not None:
            self._manager.pre_shutdown()
            await self._manager.shutdown(_GOODBYE_S)
        self._worker.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        door = request.protocol
        assert isinstance(door, Door)
        door.relax()
        exchange = Exchange(request, secrets.token_hex(8), self._limits)
        try:
            response = await self._route(exchange)
        except HubError as error:
            response = problems.of(error, exchange.id)
        response.headers["X-Request-Id"] = exchange.id
        with contextlib.suppress(HubError):
            if exchange.trace:
                response.headers["traceparent"] = exchange.trace
        if response.headers.get("Connection") == "close":
            response.force_close()
        return response

    async def _route(self, exchange: Exchange) -> web.StreamResponse:
        """Which question it is, who asks, whether it asks too often; only then the question itself."""
        if exchange.request.version < HttpVersion10:
            raise problems.Refusal(400, "malformed", "the request names no version of HTTP", headers={"Connection": "close"})
        method = "GET" if exchange.request.method == "HEAD" else exchange.request.method
        fitting = [(route, words) for route in self._routes if (words := route.match(exchange.request.path)) is not None]
        if not fitting:
            raise problems.Refusal(404, "unknown-path", "there is nothing here", hint="/openapi.json says what there is")
        found = next(((route, words) for route, words in fitting if route.method == method), None)
        if found is None:
            allowed = sorted({route.method for route, _ in fitting} | ({"HEAD"} if any(route.method == "GET" for route, _ in fitting) else set()))
            raise problems.Refusal(405, "method", "this method is not for this path", headers={"Allow": ", ".join(allowed)})
        route, words = found
        if route.stranger:
            return await route.handler(replace(exchange, words=words))
        caller, digest = await self._auth.caller(exchange)
        self._spend(caller.agency)
        return await route.handler(replace(exchange, words=words, caller=caller, digest=digest))

    def _spend(self, agency: str) -> None:
        """Count a request of the agency. Raises `Refusal` 429."""
        terms = self._reception.terms(agency)
        if terms is not None:
            self._buckets.spend(agency, terms.rate, terms.burst)

    async def _alive(self, exchange: Exchange) -> web.StreamResponse:
        return exchange.answer({"live": True})

    async def _openapi(self, exchange: Exchange) -> web.StreamResponse:
        return exchange.answer(document(list(self._reception.offers(exchange.caller.agency).values())))

    async def _items(self, exchange: Exchange) -> web.StreamResponse:
        offers = self._reception.offers(exchange.caller.agency).values()
        items = [
            {"item": o.item.code, "name": o.item.name, "version": o.item.version, "max_size": o.max_size, "href": f"/v1/items/{o.item.code}/batches"}
            for o in offers
        ]
        return exchange.answer({"items": items})
