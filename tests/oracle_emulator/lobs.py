"""Large objects: what locators stand for in one conversation."""

from __future__ import annotations

from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.wire import Request, integer, string

_SIZE, _FREE, _READ, _LENGTH, _TRIM, _WRITE, _CHUNK, _CREATE = 40, 0x111, 2, 1, 0x20, 0x40, 0x4000, 0x110
_OPEN, _CLOSE, _IS_OPEN = 0x8000, 0x10000, 0x11000
_MOST = 200_000


class Lobs:
    """Contents by number; the oldest are forgotten beyond a bound."""

    def __init__(self) -> None:
        self._held: dict[int, str | bytes] = {}
        self._last = 0

    def locator(self, content: str | bytes, *, temporary: bool = False) -> bytes:
        """A new locator. Flags: a BLOB or not, initialised, temporary or not; text is UTF-8."""
        self._last += 1
        self._held[self._last] = content
        if len(self._held) > _MOST:
            del self._held[next(iter(self._held))]
        flags = bytes((1 if isinstance(content, bytes) else 0, 8, 0, 1 if temporary else 0))
        return b"\0\x26\0\4" + flags + self._last.to_bytes(8, "big") + bytes(_SIZE - 16)

    def content(self, locator: bytes) -> str | bytes | None:
        """What a locator stands for; None for none."""
        return self._held.get(int.from_bytes(locator[8:16], "big")) if locator else None

    def freed(self, request: Request) -> None:
        """Forget temporary ones."""
        size, _, _, _ = self._head(request)
        data = request.raw(size)
        for start in range(0, size, _SIZE):
            self._held.pop(int.from_bytes(data[start + 8 : start + 16], "big"), None)

    def _head(self, request: Request) -> tuple[int, int, int, bool]:
        request.byte()
        size = request.integer()
        request.skip("biiibbb")
        operation = request.integer()
        request.skip("bi")
        offset, _ = request.integer(), request.integer()
        amount = request.byte() == 1
        request.raw(6)
        return size, operation, offset, amount

    def done(self, request: Request) -> bytes:
        """One operation, and what the client is told of it."""
        size, operation, offset, sized = self._head(request)
        locator = request.raw(size)
        number = int.from_bytes(locator[8:16], "big")
        if operation == _CREATE:
            request.integer()
            return b"\x08" + self.locator("" if offset else b"", temporary=True) + integer(873) + b"\0"
        data: bytes | None = None
        if operation == _WRITE:
            request.byte()
            data = request.string() or b""
        amount = request.integer() if sized else 0
        held = self._held.get(number)
        if held is None:
            raise OracleError(22922, "nonexistent LOB value")
        told = b""
        if operation == _READ:
            piece = held[offset - 1 : offset - 1 + amount]
            amount = len(piece)
            told = b"\x0e" + string(piece.encode() if isinstance(piece, str) else piece) if piece else b""
        elif operation == _WRITE and data is not None:
            self._write(number, held, offset, data)
        elif operation == _TRIM:
            self._held[number] = held[:amount]
        elif operation == _LENGTH:
            amount = len(held)
        elif operation == _CHUNK:
            amount = 8132
        return told + b"\x08" + locator + (integer(amount) if sized else b"") + (b"\0" if operation == _IS_OPEN else b"")

    def _write(self, number: int, held: str | bytes, offset: int, data: bytes) -> None:
        if isinstance(held, str):
            text = data.decode()
            self._held[number] = held[: offset - 1].ljust(offset - 1) + text + held[offset - 1 + len(text) :]
        else:
            self._held[number] = held[: offset - 1].ljust(offset - 1, b"\0") + data + held[offset - 1 + len(data) :]
