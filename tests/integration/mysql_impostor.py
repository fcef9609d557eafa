"""A server that speaks MySQL's protocol and asks its client for a file where it should answer."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field
from typing import Self

HANDSHAKE = (
    b"\x0a8.0.99\x00" + struct.pack("<I", 7) + b"a" * 8 + b"\x00" + struct.pack("<HBHH", 0xF7FF, 45, 2, 0x000F | 0x0008)
    + b"\x15" + b"\x00" * 10 + b"b" * 12 + b"\x00mysql_native_password\x00"
)  # fmt: skip
OK = b"\x00\x01\x00\x02\x00\x00\x00"
_EOF = b"\xfe\x00\x00\x02\x00"


def _text(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def _column(name: bytes) -> bytes:
    return _text(b"def") + _text(b"") * 3 + _text(name) * 2 + b"\x0c" + struct.pack("<HIBHBH", 45, 1024, 253, 0, 0, 0)


def _named(statement: bytes) -> bytes:
    return statement.split(b"'")[1]


@dataclass
class Impostor:
    """Answers every statement with OK, but one that begins with `at` by asking for `wants`; None is the file that a load names.

    Other loads are answered as an honest server would.
    """

    at: bytes
    wants: bytes | None = b"/etc/hostname"
    statements: list[bytes] = field(default_factory=list)
    given: list[bytes] = field(default_factory=list)  # packets that came after the question
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            self.gone.set()
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._send(writer, 0, HANDSHAKE)
        await self._packet(reader)
        self._send(writer, 2, OK)
        while True:
            statement = (await self._packet(reader))[1:]
            self.statements.append(statement)
            if statement.startswith(self.at):
                await self._ask(reader, writer, _named(statement) if self.wants is None else self.wants, self.given)
            elif statement.startswith(b"LOAD DATA"):
                await self._ask(reader, writer, _named(statement), [])
            elif statement.startswith(b"SELECT @@"):
                row = _text(b"16777216") + _text(b"1")
                for number, packet in enumerate((b"\x02", _column(b"a"), _column(b"b"), _EOF, row, _EOF), 1):
                    self._send(writer, number, packet)
            else:
                self._send(writer, 1, OK)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wanted: bytes, given: list[bytes]) -> None:
        self._send(writer, 1, b"\xfb" + wanted)
        number, lines = 2, 0
        while packet := await self._packet(reader):
            given.append(packet)
            number, lines = number + 1, lines + packet.count(b"\n")
        self._send(writer, number + 1, b"\x00" + bytes([lines]) + OK[2:])

    @staticmethod
    def _send(writer: asyncio.StreamWriter, number: int, payload: bytes) -> None:
        writer.write(len(payload).to_bytes(3, "little") + bytes([number % 256]) + payload)

    @staticmethod
    async def _packet(reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(4)
        return await reader.readexactly(int.from_bytes(head[:3], "little"))
