"""A link that loses one answer: the request is carried out, and its connection is reset when the server's first word about it arrives."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

_HOST = "127.0.0.1"


class LostAnswer:
    """A TCP proxy on loopback. Once armed with `word`, the answer to the next request that holds it is lost; `links` counts connections."""

    def __init__(self, target: int) -> None:
        self.port, self.links = 0, 0
        self.word: bytes | None = None
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ways: set[asyncio.Task[None]] = set()

    @property
    def armed(self) -> bool:
        """Whether the answer is still to be lost."""
        return self.word is not None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, _HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for way in self._ways:
            way.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far_reader, far = await asyncio.open_connection(_HOST, self._target)
        lost = asyncio.Event()
        ways = [asyncio.create_task(self._ask(reader, far, lost)), asyncio.create_task(self._answer(far_reader, writer, lost))]
        self._ways.update(ways)
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._ways.difference_update(ways)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            if lost.is_set():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            for each in (writer, far):
                each.close()
                with suppress(OSError):
                    await each.wait_closed()
            self._tasks.discard(task)

    async def _ask(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter, lost: asyncio.Event) -> None:
        with suppress(ConnectionError):
            while got := await reader.read(1 << 16):
                if self.word is not None and self.word in got:
                    self.word = None
                    lost.set()
                far.write(got)
                await far.drain()

    @staticmethod
    async def _answer(far: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event) -> None:
        with suppress(ConnectionError):
            while (got := await far.read(1 << 16)) and not lost.is_set():
                writer.write(got)
                await writer.drain()
