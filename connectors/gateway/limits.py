"""How much one caller may take: requests by time, connections, and the time that a request's head and body may need."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import StreamReader, web

from connectors.gateway.problems import Refusal, problem

_PIECE: Final = 1 << 20
_WAITED: Final = 128 << 10
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Connections, submissions at the same time, and seconds; see `gateway:` in hub.yaml."""

    connections: int = 256
    per_address: int = 64
    uploads: int = 32
    head: float = 10.0
    idle: float = 30.0
    body: float = 600.0


class Buckets:
    """A token bucket for each of many callers; the longest unused are forgotten. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, rate: float, burst: int) -> float:
        """Take a token: 0.0, or the seconds to wait until there is one."""
        now = self._clock()
        level, at = self._levels.pop(who, (float(burst), now))
        level = min(float(burst), level + (now - at) * rate)
        wait = 0.0 if level >= 1 else (1 - level) / rate
        self._levels[who] = (level - 1 if not wait else level, now)
        while len(self._levels) > _REMEMBERED:
            self._levels.popitem(last=False)
        return wait

    def spend(self, who: str, rate: float, burst: int) -> None:
        """As `take`; raises `Refusal` 429 when there is none."""
        if wait := self.take(who, rate, burst):
            raise Refusal(429, "rate", "too many requests", hint="wait as Retry-After says", headers={"Retry-After": str(math.ceil(wait))})


class Connections:
    """Counts open connections, in all and by address."""

    def __init__(self, limits: GatewayLimits) -> None:
        self._limits = limits
        self._by_address: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Count one more; False where that would be too many."""
        here = self._by_address.get(address, 0)
        if here >= self._limits.per_address or sum(self._by_address.values()) >= self._limits.connections:
            return False
        self._by_address[address] = here + 1
        return True

    def leave(self, address: str) -> None:
        """Count one less."""
        left = self._by_address.pop(address, 1) - 1
        if left:
            self._by_address[address] = left


class Door(web.RequestHandler):
    """One connection: counted, closed when a request's head does not come in time, and refused in the form of all our refusals."""

    __slots__ = ("_address", "_connections", "_limits", "_timer")

    def __init__(self, manager: web.Server, connections: Connections, limits: GatewayLimits, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=limits.head,
            lingering_time=2.0,
            max_line_size=4096,
            max_field_size=4096,
            max_headers=64,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # None is how aiohttp itself turns it off
        )
        self._connections = connections
        self._limits = limits
        self._address = ""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, or close it at once when there are too many."""
        super().connection_made(transport)
        address = str((transport.get_extra_info("peername") or ("",))[0])
        if not self._connections.enter(address):
            self.force_close()
            return
        self._address = address
        self.expect()

    def expect(self, seconds: float | None = None) -> None:
        """A request's head must be complete in time from now on, whatever trickles in; or what is given."""
        self.relax()
        if self.transport is not None:
            self._timer = self._loop.call_later(seconds or self._limits.head, self.force_close)

    def relax(self) -> None:
        """A request is being answered: other limits hold now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def finish_response(self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None) -> tuple[web.StreamResponse, bool]:
        """An answer must be taken in time, too."""
        self.expect(self._limits.body)
        done = await super().finish_response(request, resp, start_time)
        self.expect()
        return done

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count one less."""
        self.relax()
        if self._address:
            self._connections.leave(self._address)
            self._address = ""
        super().connection_lost(exc)

    def handle_error(self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None) -> web.StreamResponse:
        """What is no HTTP, and what is a defect of ours: the request's text is never repeated, an exception's only named."""
        if status >= 500:
            self.logger.error("a request failed: %s", type(exc).__name__)
        said = "the request is not well-formed HTTP/1.1" if status < 500 else "the hub could not answer; the request can be sent again"
        response = problem(status, "malformed" if status < 500 else "internal", said)
        response.force_close()
        return response


async def pieces(content: StreamReader, limits: GatewayLimits, largest: int) -> AsyncIterator[bytes]:
    """A body as it comes, in pieces of up to 1 MiB. Raises `Refusal` 413 beyond `largest` bytes, 408 when it does not come in time."""
    loop = asyncio.get_running_loop()
    end, size, held = loop.time() + limits.body, 0, bytearray()
    while True:
        try:
            async with asyncio.timeout(max(0.0, min(limits.idle, end - loop.time()))):
                piece = await content.readany()
        except TimeoutError as error:
            raise Refusal(408, "slow", "the body did not come in time", hint="send smaller submissions", headers={"Connection": "close"}) from error
        size += len(piece)
        if size > largest:
            raise too_large(largest)
        held += piece
        if held and (not piece or len(held) >= _PIECE - _WAITED):
            yield bytes(held)
            held.clear()
        if not piece:
            return


def too_large(largest: int) -> Refusal:
    """A body that is too large."""
    return Refusal(413, "too-large", f"a submission is at most {largest} bytes", hint="send several", headers={"Connection": "close"})
