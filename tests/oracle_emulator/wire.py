"""The wire of Oracle's clients: packets (TNS) on a socket, and the integers and byte strings of the messages (TTC) inside them."""

from __future__ import annotations

import select
import socket

CONNECT, ACCEPT, REFUSE, DATA, MARKER = 1, 2, 4, 6, 12
BREAK, RESET, INTERRUPT = 1, 2, 3
_HEADER, _SHORT, _LONG, _CHUNK, _PACKET = 8, 252, 254, 32767, 30000


class Gone(ConnectionError):
    """The client has closed the connection."""


class Broken(Exception):
    """The client asks to stop what is being done for it."""


class Link:
    """Packets in both directions. `large` from the handshake on: then a packet's length has four bytes, before it two."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._held = bytearray()
        self.large = False

    def packet(self) -> tuple[int, bytes]:
        """The next packet: its type and what follows its header. Raises `Gone`."""
        head = self._take(_HEADER)
        size = int.from_bytes(head[:4] if self.large else head[:2], "big")
        return head[4], self._take(max(size - _HEADER, 0))

    def data(self) -> bytes:
        """The next packet of a message. Raises `Broken` where a marker comes instead."""
        kind, body = self.packet()
        if kind == MARKER:
            raise Broken
        return body[2:]

    def waiting(self, seconds: float = 0.0) -> bool:
        """Whether the client has sent something, waiting so long for it."""
        return bool(self._held) or bool(select.select([self._socket], [], [], seconds)[0])

    def send(self, kind: int, body: bytes) -> None:
        """One packet."""
        size = _HEADER + len(body)
        length = size.to_bytes(4, "big") if self.large else size.to_bytes(2, "big") + b"\0\0"
        self._socket.sendall(length + bytes((kind, 0, 0, 0)) + body)

    def answer(self, message: bytes) -> None:
        """A message in as many packets as it takes."""
        for start in range(0, max(len(message), 1), _PACKET):
            self.send(DATA, b"\0\0" + message[start : start + _PACKET])

    def marker(self, kind: int) -> None:
        """One marker: break or reset."""
        self.send(MARKER, bytes((1, 0, kind)))

    def _take(self, size: int) -> bytes:
        while len(self._held) < size:
            try:
                piece = self._socket.recv(1 << 16)
            except OSError as error:
                raise Gone(str(error)) from error
            if not piece:
                raise Gone
            self._held += piece
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken


class Request:
    """A message of the client, read field by field from as many packets as it takes."""

    def __init__(self, link: Link, data: bytes) -> None:
        self._link, self._data, self._at = link, data, 0

    def raw(self, size: int) -> bytes:
        """So many bytes as they are."""
        while len(self._data) - self._at < size:
            self._data, self._at = self._data[self._at :] + self._link.data(), 0
        self._at += size
        return self._data[self._at - size : self._at]

    def byte(self) -> int:
        return self.raw(1)[0]

    def skip(self, *kinds: str) -> None:
        """Leave out fields: "b" a byte, "i" an integer."""
        for kind in "".join(kinds):
            self.byte() if kind == "b" else self.integer()

    def integer(self) -> int:
        """An integer behind a byte that tells its length, and its sign in the top bit."""
        size = self.byte()
        value = int.from_bytes(self.raw(size & 0x7F), "big")
        return -value if size & 0x80 else value

    def string(self) -> bytes | None:
        """Bytes behind their length, in pieces where they are long; None for nothing."""
        size = self.byte()
        if size in (0, 255):
            return None
        if size != _LONG:
            return self.raw(size)
        pieces = []
        while piece := self.integer():
            pieces.append(self.raw(piece))
        return b"".join(pieces)

    def counted(self) -> bytes:
        """A length, and where it is not zero the bytes behind their own length again."""
        return (self.string() or b"") if self.integer() else b""


def integer(value: int) -> bytes:
    """An integer as a message holds it."""
    if value == 0:
        return b"\0"
    size = (abs(value).bit_length() + 7) // 8
    return bytes((size | (0x80 if value < 0 else 0),)) + abs(value).to_bytes(size, "big")


def string(value: bytes | None) -> bytes:
    """Bytes behind their length; nothing is one zero."""
    if not value:
        return b"\0"
    if len(value) <= _SHORT:
        return bytes((len(value),)) + value
    pieces = (value[start : start + _CHUNK] for start in range(0, len(value), _CHUNK))
    return bytes((_LONG,)) + b"".join(integer(len(piece)) + piece for piece in pieces) + b"\0"


def counted(value: bytes) -> bytes:
    """Bytes behind a length and their own length again."""
    return integer(len(value)) + string(value) if value else b"\0"
