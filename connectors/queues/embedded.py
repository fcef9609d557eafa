"""Durable queues without a server: SQLite for order, files for large payloads, one process."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from connectors.queues import check_size
from connectors.queues.ballast import Ballast
from connectors.queues.queuefile import Effect, QueueFile, owned
from connectors.queues.spool import Spool, digest
from connectors.queues.threads import finished
from hub.contracts.broker import Delivered, Depth, Message
from hub.contracts.errors import Misconfigured, Rejected

T = TypeVar("T")
SPOOLED = 64 * 1024  # bytes from which a payload gets a file of its own
_PEEKED = 100  # messages at most
_COLUMNS = "place, id, content_type, headers, size, digest, spool, body"
_INSERT = """
INSERT INTO message (queue, id, content_type, headers, size, digest, enqueued, spool, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (queue, id) DO NOTHING
"""
_NEXT = f"""
SELECT {_COLUMNS} FROM message WHERE queue = ? AND place > ? AND place NOT IN (SELECT value FROM json_each(?)) ORDER BY place LIMIT ?
"""
_PURGE = "DELETE FROM message WHERE queue = ? AND place NOT IN (SELECT value FROM json_each(?)) RETURNING spool"
_SET_ASIDE = """
INSERT OR REPLACE INTO damaged (place, queue, id, headers, spool, reason, at) SELECT place, queue, id, headers, spool, ?, ? FROM message WHERE place = ?
"""


@dataclass(eq=False, slots=True)
class _Consumer:
    """One open `consume`: how many messages it may hold, and what tells it to look again."""

    prefetch: int
    again: asyncio.Event = field(default_factory=asyncio.Event)
    holds: int = 0
    closed: bool = False


@dataclass(eq=False, slots=True)
class _Token:
    """One handing-out of one message. A message handed out again gets another token, so an old one cannot ack it."""

    place: int
    spool: str | None
    consumer: _Consumer
    acking: bool = False


@dataclass(slots=True)
class _Line:
    """What this process knows of a queue: messages in hand, where to go on looking, and who is waiting."""

    held: dict[int, _Token] = field(default_factory=dict)
    returned: set[int] = field(default_factory=set)
    looked_at: int = 0
    consumers: set[_Consumer] = field(default_factory=set)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def wake(self) -> None:
        for consumer in self.consumers:
            consumer.again.set()

    def give_back(self, token: _Token) -> None:
        if self.held.get(token.place) is token:
            del self.held[token.place]
            token.consumer.holds -= 1
            self.returned.add(token.place)
            self.looked_at = min(self.looked_at, token.place - 1)
            self.wake()


class EmbeddedBroker:
    """Implements `Broker` on files in `directory`, which one process owns at a time.

    A message whose id still waits in the queue is not stored a second time. A message whose payload is damaged on the disk is set aside
    (table `damaged`, file in `spool/aside/`) and `consume` raises `Rejected` naming it; consuming again goes on with the next one, and
    publishing the same id again puts it back. `ballast` bytes of disk are held back so that a full disk can be drained; 0 turns that off.
    """

    def __init__(self, directory: Path, *, ballast: int = 16 * 1024 * 1024, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lines: dict[str, _Line] = {}
        with ExitStack() as opened:
            opened.callback(os.close, owned(directory))
            self._spool = Spool(directory / "spool")
            opened.callback(self._spool.close)
            self._file = QueueFile(directory, self._spool, Ballast(directory / "ballast", ballast))
            self._pool = ThreadPoolExecutor(4, thread_name_prefix="queue-spool")
            opened.callback(self._pool.shutdown)
            opened.callback(self._file.close)
            self._opened = opened.pop_all()

    async def declare(self, queue: str) -> None:
        """Make sure the queue exists."""
        await self._ask(Effect.FREES, lambda db: db.execute("INSERT OR IGNORE INTO queue VALUES (?)", (queue,)))

    async def publish(self, queue: str, message: Message) -> None:
        """Return when the message is on the disk."""
        check_size(message)
        if not self._file.ballast.held:
            await self._ask(Effect.TAKES, lambda db: None)
        body = message.body
        spooled = await finished(self._pool.submit(self._spool.write, body)) if len(body) >= SPOOLED else None
        headers = json.dumps(dict(message.headers))
        row = (queue, message.id, message.content_type, headers, len(body), digest(body), self._now(), spooled, None if spooled else body)
        stored = False
        try:
            stored = await self._ask(Effect.TAKES, lambda db: self._insert(db, row))
        except asyncio.CancelledError:
            stored = True  # perhaps; if not, the next start sweeps the file
            raise
        finally:
            if spooled and not stored:
                self._pool.submit(self._spool.remove, spooled)
            self._line(queue).wake()

    async def consume(self, queue: str, *, prefetch: int = 2) -> AsyncGenerator[Delivered, None]:
        """Messages in order of their places; closing returns those in hand."""
        await self._ask(Effect.READS, lambda db: _known(db, queue))
        line, consumer = self._line(queue), _Consumer(max(1, prefetch))
        line.consumers.add(consumer)
        try:
            while True:
                consumer.again.clear()
                taken = await self._take(queue, line, consumer)
                for token, row in taken:
                    message = await self._loaded(queue, line, token, row)
                    yield Delivered(message, queue, token, redelivered=token.place <= self._file.last_place or token.place in line.returned)
                if not taken:
                    await consumer.again.wait()
        finally:
            consumer.closed = True
            line.consumers.discard(consumer)
            for token in [t for t in line.held.values() if t.consumer is consumer and not t.acking]:
                line.give_back(token)

    async def ack(self, delivered: Delivered) -> None:
        """Forget the message; a token of an earlier handing-out does nothing."""
        token, line = delivered.token, self._line(delivered.queue)
        if not isinstance(token, _Token) or line.held.get(token.place) is not token or token.acking:
            return
        token.acking = True
        try:
            await self._ask(Effect.FREES, lambda db: _delete(db, token.place))
        except BaseException:
            token.acking = False
            if token.consumer.closed:
                line.give_back(token)
            raise
        self._forget(line, token)

    async def nack(self, delivered: Delivered) -> None:
        """Put the message back to its place."""
        token = delivered.token
        if isinstance(token, _Token) and not token.acking:
            self._line(delivered.queue).give_back(token)

    async def depth(self, queue: str) -> Depth:
        """Messages waiting and in hand; the age is that of the oldest of both."""

        def count(db: sqlite3.Connection) -> tuple[int, float | None]:
            _known(db, queue)
            found: tuple[int, float | None] = db.execute(
                "SELECT (SELECT count(*) FROM message WHERE queue = :q), (SELECT enqueued FROM message WHERE queue = :q ORDER BY place LIMIT 1)", {"q": queue}
            ).fetchone()
            return found

        total, oldest = await self._ask(Effect.READS, count)
        held = len(self._line(queue).held)
        return Depth(queue, max(0, total - held), held, None if oldest is None else max(0.0, self._now() - oldest))

    async def peek(self, queue: str, limit: int = 20) -> list[Message]:
        """The oldest messages, at most 100, those in hand included."""

        def look(db: sqlite3.Connection) -> list[Any]:
            _known(db, queue)
            return db.execute(_NEXT, (queue, 0, "[]", min(limit, _PEEKED))).fetchall()

        seen = []
        for row in await self._ask(Effect.READS, look):
            with suppress(Rejected):  # acked in the meantime, or damaged, which `consume` says
                seen.append(_message(row, await self._body(row)))
        return seen

    async def purge(self, queue: str) -> int:
        """Drop all messages that nobody holds."""
        line = self._line(queue)

        def drop(db: sqlite3.Connection) -> list[Any]:
            _known(db, queue)
            return db.execute(_PURGE, (queue, json.dumps(list(line.held)))).fetchall()

        async with line.turn:
            dropped = await self._ask(Effect.FREES, drop)
        for (spooled,) in dropped:
            if spooled:
                self._pool.submit(self._spool.remove, spooled)
        line.returned &= line.held.keys()
        return len(dropped)

    async def close(self) -> None:
        """Finish what was asked for, then release files and lock."""
        opened = self._opened.pop_all()
        with ThreadPoolExecutor(1, thread_name_prefix="queue-close") as ending:
            await finished(ending.submit(opened.close))

    async def _ask(self, effect: Effect, run: Callable[[sqlite3.Connection], T]) -> T:
        return await finished(self._file.submit(effect, run))

    def _insert(self, db: sqlite3.Connection, row: tuple[Any, ...]) -> bool:
        """Store the message unless its id waits already; where the payload of that one is gone, this one's takes its place."""
        queue, message_id, _, _, size, check, _, spooled, body = row
        _known(db, queue)
        if db.execute(_INSERT, row).rowcount == 1:
            return True
        place, other = db.execute("SELECT place, spool FROM message WHERE queue = ? AND id = ?", (queue, message_id)).fetchone()
        if other is None or self._spool.has(other):
            return False
        db.execute("UPDATE message SET size = ?, digest = ?, spool = ?, body = ? WHERE place = ?", (size, check, spooled, body, place))
        return True

    def _line(self, queue: str) -> _Line:
        return self._lines.setdefault(queue, _Line())

    async def _take(self, queue: str, line: _Line, consumer: _Consumer) -> list[tuple[_Token, Any]]:
        """As many messages as the consumer may still hold, now held."""
        async with line.turn:
            room = consumer.prefetch - consumer.holds
            if room <= 0:
                return []
            asked = (queue, line.looked_at, json.dumps(list(line.held)), room)
            rows = await self._ask(Effect.READS, lambda db: db.execute(_NEXT, asked).fetchall())
            taken = [(_Token(row[0], row[6], consumer), row) for row in rows]
            for token, _ in taken:
                line.held[token.place] = token
                line.looked_at = max(line.looked_at, token.place)
            consumer.holds += len(taken)
            return taken

    async def _loaded(self, queue: str, line: _Line, token: _Token, row: Any) -> Message:
        try:
            return _message(row, await self._body(row))
        except Rejected as error:
            reason = error.message
            await self._ask(Effect.FREES, lambda db: _set_aside(db, token.place, reason, self._now()))
            if token.spool:
                await finished(self._pool.submit(self._spool.put_aside, token.spool))
            token.spool = None
            self._forget(line, token)
            hint = "it is kept aside; `run_hub.py reconcile --repair` sends a batch that no store knows again from landing"
            raise Rejected(f"message {row[1]} of queue {queue} was set aside: {reason}", hint=hint) from error

    async def _body(self, row: Any) -> bytes:
        _, _, _, _, size, expected, spooled, body = row
        if spooled:
            return await finished(self._pool.submit(self._spool.read, spooled, size, expected))
        if digest(body) != expected:
            raise Rejected("its row in the database file is damaged")
        return bytes(body)

    def _forget(self, line: _Line, token: _Token) -> None:
        line.held.pop(token.place, None)
        line.returned.discard(token.place)
        token.consumer.holds -= 1
        token.consumer.again.set()
        if token.spool:
            self._pool.submit(self._spool.remove, token.spool)


def _known(db: sqlite3.Connection, queue: str) -> None:
    if db.execute("SELECT 1 FROM queue WHERE name = ?", (queue,)).fetchone() is None:
        raise Misconfigured(f"there is no queue {queue!r}", hint="declare it first: an item or share of this name is missing from the configuration")


def _delete(db: sqlite3.Connection, place: int) -> None:
    db.execute("DELETE FROM message WHERE place = ?", (place,))


def _set_aside(db: sqlite3.Connection, place: int, reason: str, at: float) -> None:
    db.execute(_SET_ASIDE, (reason, at, place))
    _delete(db, place)


def _message(row: Any, body: bytes) -> Message:
    return Message(id=row[1], body=body, headers=json.loads(row[3]), content_type=row[2])
