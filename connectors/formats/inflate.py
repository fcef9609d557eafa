"""Compressed answers, opened piece by piece within bounds: what a kilobyte may become is limited before it is made."""

from __future__ import annotations

import zlib

from hub.contracts.errors import Misconfigured, Unavailable

MOST_INFLATED = 100_000_000  # bytes
_RATIO = 100
_FREE = 1 << 20  # bytes before the ratio counts: short texts of blanks are no attack
_MEMBERS = 64
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class Inflater:
    """Opens one body of this content coding (RFC 9110 8.4.1: gzip or deflate). `name` says whose it is.

    Raises `Misconfigured` for another coding and for a body that grows beyond the bounds, `Unavailable` for a damaged or cut one.
    """

    def __init__(self, coding: str, name: str, most: int = MOST_INFLATED) -> None:
        if coding not in _WINDOWS:
            raise Misconfigured(f"{name} answered in a coding that was not asked for", hint="ask the agency to answer without compression, or with gzip")
        self._window = _WINDOWS[coding]
        self._name = name
        self._most = min(most, MOST_INFLATED)
        self._taken = 0
        self._given = 0
        self._members = 1
        self._open = zlib.decompressobj(self._window)

    def feed(self, piece: bytes) -> bytes:
        """What one more piece becomes."""
        self._taken += len(piece)
        parts = []
        while piece:
            if self._open.eof:
                self._next_member()
            parts.append(self._inflated(piece))
            piece = self._open.unconsumed_tail or self._open.unused_data
        return b"".join(parts)

    def end(self) -> None:
        """The body ended here: it must have been whole."""
        if self._taken and not self._open.eof:
            raise Unavailable(f"{self._name} broke off in the middle of a compressed answer", hint="tried again by the schedule")

    def _inflated(self, piece: bytes) -> bytes:
        limit = min(self._most, max(_FREE, self._taken * _RATIO)) - self._given
        try:
            found = self._open.decompress(piece, limit + 1)
        except zlib.error as error:
            raise Unavailable(f"{self._name} sent a damaged compressed answer", hint="tried again by the schedule") from error
        self._given += len(found)
        if len(found) > limit:
            self._refuse()
        return found

    def _next_member(self) -> None:
        self._members += 1
        if self._members > _MEMBERS:
            self._refuse()
        self._open = zlib.decompressobj(self._window)

    def _refuse(self) -> None:
        hint = f"more than {_RATIO} times its size, {self._most:,} bytes or {_MEMBERS} parts: ask the agency for smaller answers without compression"
        raise Misconfigured(f"{self._name} sent a compressed answer that grows without bounds", hint=hint)
