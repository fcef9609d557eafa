"""Rows that were read lately, by the hashes of their content: what is read again because it may have been committed late is told from what is new."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from connectors.databases.dialect import Piece
from connectors.databases.frames import frame_of, hashes

_RAW = 32 << 20  # bytes of rows that are kept as they came before they are hashed
_MOST = 2_000_000  # rows whose hashes are kept; older ones are offered again, and the store finds them unchanged


def rank(key: str) -> tuple[int, int, str]:
    """Order of ids and times: whole numbers by size, all else by spelling."""
    digits = key.lstrip("-")
    return (0, int(key), "") if digits.isdecimal() and len(key) - len(digits) < 2 else (1, 0, key)


@dataclass
class _Stretch:
    before: str | None
    last: str
    rows: int
    raw: bytes
    hashed: pl.DataFrame | None = None


class Recent:
    """The last pieces of a stretch, each with the key before its first row (None at the beginning) and of its last; `most` rows, or a piece more."""

    def __init__(self, columns: Sequence[str], start: str | None, most: int = _MOST) -> None:
        self._columns = columns
        self._pieces: deque[_Stretch] = deque()
        self._reached = start
        self._most = most
        self._rows = 0

    def add(self, piece: Piece, last: str) -> None:
        """One more piece, whose last row has this key."""
        self._pieces.append(_Stretch(self._reached, last, piece.rows, piece.lines))
        self._reached = last
        self._rows += piece.rows
        while self._rows - self._pieces[0].rows >= self._most:
            self._rows -= self._pieces.popleft().rows
        held = 0
        for one in reversed(self._pieces):
            held += len(one.raw)
            if held > _RAW and one.raw:
                self._hash(one)

    def forget_before(self, key: str) -> None:
        """Forget pieces that end before a key."""
        while self._pieces and rank(self._pieces[0].last) < rank(key):
            self._rows -= self._pieces.popleft().rows

    @property
    def before(self) -> str | None:
        """The key behind which everything is remembered; None where that is everything."""
        return self._pieces[0].before if self._pieces else self._reached

    @property
    def last(self) -> str | None:
        """The key of the last row."""
        return self._pieces[-1].last if self._pieces else None

    def document(self) -> bytes:
        """The hashes, to be landed; empty where nothing is remembered."""
        for one in self._pieces:
            self._hash(one)
        found = [one.hashed for one in self._pieces if one.hashed is not None]
        if not found:
            return b""
        pl.concat(found).unique(maintain_order=True).write_ipc(out := io.BytesIO(), compression="zstd")
        return out.getvalue()

    def _hash(self, one: _Stretch) -> None:
        if one.hashed is None:
            one.hashed, one.raw = hashes(frame_of(one.raw, self._columns)), b""


def remembered(documents: Sequence[bytes]) -> pl.DataFrame:
    """Hashes of landed documents."""
    frames = [pl.read_ipc(io.BytesIO(document)) for document in documents if document]
    return pl.concat(frames).unique() if frames else pl.DataFrame(schema={"a": pl.UInt64, "b": pl.UInt64})
