"""A link to a database server that breaks once, at a transaction's commit: before it arrives, or when its answer is on the way."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

_HOST = "127.0.0.1"
_PIECE = 64 << 10


class LostCommit:
    """Enter it to start it; clients connect to `port` and are led to `target`. With `lose` set, the next COMMIT is the last thing of its connection."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.lose: Literal["request", "answer"] | None = None
        self.lost = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, _HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far_reader, far = await asyncio.open_connection(_HOST, self.target)
        back = asyncio.create_task(self._answered(far_reader, writer))
        try:
            await self._asked(reader, far, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # one side is gone, or the link is being closed
        finally:
            back.cancel()
            for each in (writer, far):
                each.close()
            for each in (writer, far):
                with suppress(ConnectionError, asyncio.CancelledError):
                    await each.wait_closed()
            self._tasks.discard(task)

    async def _asked(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(_PIECE):
            lose, self.lose = (self.lose, None) if said.endswith(b"COMMIT") else (None, self.lose)
            if lose is not None:
                self.lost += 1
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            if lose != "request":
                far.write(said)
                await far.drain()
            if lose is not None:
                return

    @staticmethod
    async def _answered(far: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (said := await far.read(_PIECE)) and not writer.is_closing():
            writer.write(said)
            await writer.drain()
        writer.close()
