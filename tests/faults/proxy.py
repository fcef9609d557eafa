"""A link that goes wrong as it is told: a TCP proxy on loopback between a client and a server, which delays, cuts, resets, corrupts and falls silent.

What happens to a connection is decided when it is opened: the next of `queue`, else `faults`. Chance comes from a seed, so every run is the same. Nothing is
held but one piece in each direction, and `close` ends every connection.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

_HOST = "127.0.0.1"
_PIECE = 64 << 10


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong on one connection; by itself nothing. Offsets count the bytes of the connection in one direction, from 0.

    `cut_answer` and `cut_request` let so many bytes pass and then end the connection as `ending` says. The cut comes only with the first byte beyond, so
    `cut_answer=0` loses a reply after the work was done. `answers` ends it as soon as the client asks once more than so often.
    """

    latency: float = 0.0  # seconds before each piece, in both directions
    jitter: float = 0.0  # up to so many seconds more
    rate: int | None = None  # bytes a second
    piece: int = _PIECE  # bytes of one write; 1 is a trickle
    cut_answer: int | None = None
    cut_request: int | None = None
    answers: int | None = None
    ending: Literal["close", "reset", "blackhole"] = "close"
    corrupt_answer: int | None = None  # the lowest bit of the byte at this offset is turned round
    half_open: bool = False  # the connection is taken and nothing is ever read from it


class Cut(Exception):
    """The connection has come to the place where it ends."""


@dataclass(slots=True)
class Link:
    """One connection: what goes wrong on it, and what it has carried. A turn is a request after an answer."""

    faults: Faults
    chance: random.Random
    sent: int = 0  # bytes to the server
    answered: int = 0  # bytes to the client
    asked: int = 0
    listening: bool = False  # the last bytes came from the server
    far: asyncio.StreamWriter | None = None


class Proxy:
    """Enter it to start it; clients connect to `port` and are led to `target`."""

    def __init__(self, target: int, *, seed: int = 1) -> None:
        self.target = target
        self.port = 0
        self.faults = Faults()
        self.queue: deque[Faults] = deque()
        self.links: list[Link] = []
        self._chance = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, _HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def heal(self) -> None:
        """From now on nothing goes wrong on new connections."""
        self.faults = Faults()
        self.queue.clear()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self.queue.popleft() if self.queue else self.faults, random.Random(self._chance.random()))
        self.links.append(link)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(link, reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy is being closed; the stream server would tell the loop of it as an error
        finally:
            self._tasks.discard(task)
            for each in (writer, link.far):
                if each is not None:
                    each.close()

    async def _serve(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if link.faults.half_open:
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket can
            await asyncio.Event().wait()
        try:
            far_reader, link.far = await asyncio.open_connection(_HOST, self.target)
        except OSError:
            return
        ways = [asyncio.create_task(_carry(reader, link.far, link, _request)), asyncio.create_task(_carry(far_reader, writer, link, _answer))]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if any(isinstance(way.exception(), Cut) for way in done):
                await self._end(link, ways, writer)
            else:
                await asyncio.wait(ways, timeout=0 if ways[1].done() else None)  # one side may still have something to say
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    @staticmethod
    async def _end(link: Link, ways: list[asyncio.Task[None]], writer: asyncio.StreamWriter) -> None:
        """End the connection as it was told."""
        for way in ways:
            way.cancel()
        if link.faults.ending == "blackhole":
            await asyncio.Event().wait()
        with suppress(OSError):
            await writer.drain()
        if link.faults.ending == "reset":
            for each in (writer, link.far):
                assert each is not None
                each.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link, pass_on: Callable[[Link, bytes], bytes]) -> None:
    """Everything from one side to the other. Raises `Cut` where the connection ends."""
    faults = link.faults
    with suppress(ConnectionError):
        while got := await reader.read(faults.piece):
            if faults.latency or faults.jitter:
                await asyncio.sleep(faults.latency + faults.jitter * link.chance.random())
            if faults.rate is not None:
                await asyncio.sleep(len(got) / faults.rate)
            left = pass_on(link, got)
            writer.write(left)
            await writer.drain()
            if len(left) < len(got):
                raise Cut
        writer.write_eof()


def _request(link: Link, got: bytes) -> bytes:
    """What of some bytes of the client is passed on."""
    if link.listening or not link.asked:
        link.asked += 1
        link.listening = False
    if link.faults.answers is not None and link.asked > link.faults.answers:
        return b""
    kept = got if link.faults.cut_request is None else got[: max(0, link.faults.cut_request - link.sent)]
    link.sent += len(kept)
    return kept


def _answer(link: Link, got: bytes) -> bytes:
    """What of some bytes of the server is passed on, and how."""
    link.listening = True
    kept = got if link.faults.cut_answer is None else got[: max(0, link.faults.cut_answer - link.answered)]
    at = -1 if link.faults.corrupt_answer is None else link.faults.corrupt_answer - link.answered
    link.answered += len(kept)
    return kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :] if 0 <= at < len(kept) else kept
