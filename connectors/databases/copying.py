"""Pieces on their way from a database into landing: the next one is read while this one is landed, no faster than the other side may be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from connectors.databases.dialect import Ask, Database, Piece
from connectors.databases.frames import bounded
from connectors.formats.pace import Surroundings
from connectors.formats.pulling import Harvest
from connectors.formats.worker import Worker

Take = Callable[[Piece], tuple[bytes, int]]


def everything(piece: Piece) -> tuple[bytes, int]:
    """Nothing of a piece is left out."""
    return piece.lines, piece.rows


@dataclass
class Copied:
    """What went through: `rows` were read, `nul` characters were taken out of them, `too_long` rows are longer than can be read again."""

    rows: int = 0
    nul: int = 0
    too_long: int = 0


class Copier:
    """Reads with one thread of `worker`, which is the only one that the database is called from; what `take` does runs beside it."""

    def __init__(self, database: Database, worker: Worker, world: Surroundings, rate: int | None) -> None:
        self._database = database
        self._worker = worker
        self._beside = Worker("database-rows", 1)
        self._world = world
        self._rate = rate

    async def copy(self, ask: Ask, harvest: Harvest, take: Take = everything) -> Copied:
        """Add the rows of an ask to the harvest. Raises what the database raises."""
        began, copied = self._world.monotonic(), Copied()
        pieces = self._database.read(ask)
        following = self._worker.start(next, pieces, None)
        try:
            while (piece := await self._worker.end(following)) is not None:
                following = self._worker.start(next, pieces, None)
                lines, rows = await self._beside.do(_taken, take, piece, ask.columns, copied)
                copied.rows += piece.rows
                if rows:
                    await harvest.add_text(lines, rows)
                await self._slow_down(began, copied.rows)
        finally:
            await asyncio.wait([following])
            if not following.cancelled():
                following.exception()  # reported by the loop above, or moot because nobody reads on
            await self._worker.do(_close, pieces)
        return copied

    async def _slow_down(self, began: float, rows: int) -> None:
        if self._rate:
            ahead = rows / self._rate - (self._world.monotonic() - began)
            if ahead > 0:
                await self._world.sleep(ahead)

    def close(self) -> None:
        """Release the thread."""
        self._beside.close()


def _taken(take: Take, piece: Piece, columns: Sequence[str], copied: Copied) -> tuple[bytes, int]:
    lines, rows = take(_without_nul(piece, copied))
    lines, too_long = bounded(lines, columns)
    copied.too_long += too_long
    return lines, rows


def _without_nul(piece: Piece, copied: Copied) -> Piece:
    """The piece without NUL, which no text of ours may hold; dialects take it out themselves where they meet it."""
    if b"\0" not in piece.lines:
        return piece
    copied.nul += piece.lines.count(b"\0")
    return Piece(piece.lines.replace(b"\0", b""), piece.rows, piece.last)


def _close(pieces: Iterator[Piece]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
