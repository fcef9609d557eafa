"""Arrivals: what a source hands in is landed, numbered and recognised again after a crash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from hub.answers import owe
from hub.contracts.batch import Header, Origin
from hub.contracts.blocking import to_its_end
from hub.contracts.errors import Rejected
from hub.contracts.source import Arrival, Landed, LandingWriter, Recognise, Recognised
from hub.failpoints import failpoint
from hub.landing import Landing
from hub.ledger import Ledger, close_run, wholly_stored
from hub.snapshots import having_keys, misses_pending
from hub.tables import arrival, batch, feed_note, run
from hub.upserts import add_new, put

_PLACES = frozenset(("start", "line", "tail", "size", "matched", "basis", "plain", "found"))  # where a cut lies, not how it reads
_MAKE = "1"  # raise it when transforms make other rows of the same bytes
_CURSOR = "cursor"
KNOWN, HEARD = "known", "heard"  # notes whose time says when a feed was set up, and when its agency last reported
_READING, _FINISHED, _REFUSED, _REFUSING = "reading", "finished", "refused", "refusing"


Closing = Callable[[Arrival], Awaitable[Callable[[Connection], None] | None]]
"""What follows the last row of an arrival; answers with what is to be written in the transaction that finishes it."""


class FeedIntake:
    """The `Intake` of one feed."""

    def __init__(
        self,
        feed: str,
        item: str,
        config: Callable[[], str],
        ledger: Ledger,
        landing: Landing,
        executor: ThreadPoolExecutor,
        *,
        recalls: bool = True,
        snapshot: bool = False,
        closing: Closing | None = None,
    ) -> None:
        self.feed = feed
        self.item = item
        self._config = config
        self._ledger = ledger
        self._landing = landing
        self._executor = executor
        self._recalls = recalls  # False where the same bytes may mean something else another day
        self._snapshot = snapshot
        self._closing = closing
        self._stored: dict[str, tuple[str, int]] = {}
        self.answers = False  # whether the agency is told what became of each file

    async def receive(self, name: str, content: Path | bytes | Landed, *, cursor: Any = None, evidence: Any = None) -> Arrival:
        """Land the bytes and number them; a claimed file that is offered again gets its old number."""
        landed = content if isinstance(content, Landed) else await to_its_end(self._executor, self._landing.put, content)
        failpoint("intake.landed")
        key = self._ledger.keys.hash_text(f"{self.feed}\x1f{name}")
        sealed = self._ledger.seal_text(name)
        about = self._ledger.seal_json(evidence) if evidence is not None else ""

        def work(connection: Connection) -> Arrival:
            self._ledger.guard(connection, f"feed:{self.feed}")
            self._write_note(connection, HEARD, value=True)
            if cursor is not None:
                self._write_note(connection, _CURSOR, cursor)
            arrived = self._number(connection, name, key, sealed, landed, about)
            if self.answers and arrived.duplicate and not self._is_same_file(connection, arrived, key, evidence):
                again = self._ledger.keys.hash_text("\x1f".join((key, json.dumps(evidence))))
                owe(connection, arrived, name=sealed, evidence=about, at=self._ledger.now(), delivery=again)
            return arrived

        found = await self._ledger.state.write(work, about=self.item)
        failpoint("intake.numbered")
        await self._look_back()
        if found.duplicate:
            await self._ledger.note("duplicate", self.feed, arrival=found.number, read=0)
        return found

    def _is_same_file(self, connection: Connection, arrived: Arrival, key: str, evidence: Any) -> bool:
        """Whether the very file of the arrival is offered again, as after a crash, and not another one with its content."""
        name_key = select(arrival.c.name_key).where(arrival.c.item == arrived.item, arrival.c.number == arrived.number)
        return bool(arrived.evidence == evidence and connection.execute(name_key).scalar_one() == key)

    async def _look_back(self) -> None:
        def look(connection: Connection) -> dict[str, tuple[str, int]]:
            stored = wholly_stored(connection, self.feed)
            return having_keys(connection, self.feed, stored) if self._snapshot else stored

        self._stored = await self._ledger.state.read(look) if self._recalls else {}

    async def waiting(self) -> list[Arrival]:
        """Arrivals that are neither finished nor refused, oldest first; those that a person is refusing are refused now."""
        await self._look_back()
        return await self._ledger.state.write(self._waiting, about=self.item)

    def _waiting(self, connection: Connection) -> list[Arrival]:
        mine = select(arrival).where(arrival.c.feed == self.feed, arrival.c.state.in_((_READING, _REFUSING))).order_by(arrival.c.number)
        found = []
        for row in connection.execute(mine).all():
            if row.state == _REFUSING:
                self._refuse(connection, row)
            else:
                found.append(self._arrival(connection, row, self._ledger.open_text(row.name)))
        return found

    def writer(self) -> LandingWriter:
        """A new object in landing."""
        return self._landing.writer()

    async def recall(self, key: str) -> Any:
        """A note of this feed."""
        return (await self.recall_all(key)).get(key)

    async def recall_all(self, prefix: str) -> dict[str, Any]:
        """Every note of this feed whose key starts so."""
        query = select(feed_note.c.key, feed_note.c.value).where(feed_note.c.feed == self.feed, feed_note.c.key.startswith(prefix, autoescape=True))
        return {row.key: json.loads(self._ledger.open_text(row.value)) for row in await self._ledger.state.read(lambda c: c.execute(query).all())}

    async def remember(self, key: str, value: Any) -> None:
        """Keep a note of this feed; None deletes it."""
        await self._ledger.state.write(lambda c: self._write_note(c, key, value), about=self.item)

    def _write_note(self, connection: Connection, key: str, value: Any) -> None:
        if value is None:
            connection.execute(delete(feed_note).where(feed_note.c.feed == self.feed, feed_note.c.key == key))
            return
        text = self._ledger.seal_text(json.dumps(value, ensure_ascii=False))
        put(connection, feed_note, {"feed": self.feed, "key": key, "value": text, "at": self._ledger.now()}, fresh=("value", "at"))

    def _number(self, connection: Connection, name: str, key: str, sealed: str, landed: Landed, evidence: str) -> Arrival:
        digest = landed.digest
        mine = select(arrival).where(arrival.c.feed == self.feed).order_by(arrival.c.number.desc())
        same = connection.execute(mine.where(arrival.c.landed == digest)).all()
        for row in same:
            if row.state == _REFUSING and row.name_key == key:
                self._refuse(connection, row)
                return replace(self._arrival(connection, row, name), refused=True)
            if row.state == _READING:
                return replace(self._arrival(connection, row, name), duplicate=row.name_key != key)
            if row.state == _FINISHED and row.name_key == key:
                return replace(self._arrival(connection, row, name), duplicate=True, finished=True)
        latest = connection.execute(mine.where(arrival.c.state == _FINISHED).limit(1)).first()
        counts_again = self._snapshot and misses_pending(connection, self.feed)
        if latest is not None and latest.landed == digest and not counts_again:
            return replace(self._arrival(connection, latest, name), duplicate=True)
        return self._new(connection, name, key, sealed, landed, evidence)

    def _refuse(self, connection: Connection, row: Row[Any]) -> None:
        """What a person decided becomes so."""
        connection.execute(_at(row.number, self.item).values(state=_REFUSED))
        closed = {"state": "failed", "reason": row.reason, "closed_at": self._ledger.now()}
        connection.execute(update(run).where(run.c.item == self.item, run.c.arrival == row.number, run.c.state != "succeeded").values(closed))

    def _new(self, connection: Connection, name: str, key: str, sealed: str, landed: Landed, evidence: str) -> Arrival:
        highest = connection.execute(select(func.max(arrival.c.number)).where(arrival.c.item == self.item)).scalar()
        number, now = (highest or 0) + 1, self._ledger.now()
        row = {"item": self.item, "number": number, "feed": self.feed, "name": sealed, "name_key": key, "first_seen": now}
        row |= {"landed": landed.digest, "size": landed.size, "state": _READING, "evidence": evidence}
        connection.execute(insert(arrival).values(row))
        opened = {"feed": self.feed, "item": self.item, "arrival": number, "generation": 0, "config": self._config(), "opened_at": now}
        connection.execute(insert(run).values(opened | {"state": "running"}))
        made = Arrival(self.feed, self.item, number, name, landed.digest, landed.size, evidence=self._ledger.open_json(evidence))
        if self.answers:
            owe(connection, made, name=sealed, evidence=evidence, at=now)
        return made

    def _arrival(self, connection: Connection, row: Row[Any], name: str) -> Arrival:
        """An arrival with how far it is settled."""
        mine = (batch.c.item == row.item) & (batch.c.arrival == row.number) & (batch.c.generation == row.generation)
        read = (batch.c.settled_at.is_not(None), batch.c.reenters == "", batch.c.withdraws.is_(False))
        done = select(func.max(batch.c.first + batch.c.rows), func.max(batch.c.end)).where(mine, *read)
        settled, resume_at = connection.execute(done).one()
        cut = self._ledger.open_json(row.cut) or {}
        return Arrival(
            self.feed,
            row.item,
            row.number,
            name,
            row.landed,
            row.size,
            generation=row.generation,
            settled=settled or 0,
            resume_at=resume_at or 0,
            released=row.released,
            finished=row.state == _FINISHED,
            refused=row.state in (_REFUSED, _REFUSING),
            reason=row.reason,
            cut=cut,
            evidence=self._ledger.open_json(row.evidence),
        )

    def open(self, landed: str) -> BinaryIO:
        """The landed bytes as a seekable plain stream."""
        return self._landing.open(landed)

    async def keep_cut(self, found: Arrival, cut: dict[str, Any]) -> Arrival:
        """Record how this arrival is cut."""
        text = self._ledger.seal_json(cut)
        await self._ledger.state.write(lambda c: c.execute(_at(found.number, self.item).values(cut=text)), about=self.item)
        failpoint("intake.cut")
        return replace(found, cut=cut)

    def _content(self, cut: Mapping[str, Any], digest: str) -> str:
        """What a piece of a file holds: its bytes, how they are read, and what is made of them."""
        if not self._recalls:
            return ""
        read_as = json.dumps({key: value for key, value in cut.items() if key not in _PLACES}, sort_keys=True, ensure_ascii=False)
        return self._ledger.keys.hash_text("\x1f".join((self.feed, self._config(), _MAKE, read_as, digest)))

    def recognise(self, found: Arrival) -> Recognise:
        """Pieces of this arrival that equal a batch of the feed's last arrivals."""

        def look(raw: bytes) -> Recognised | None:
            if not self._stored:
                return None
            digest = hashlib.sha256(raw).hexdigest()
            stored = self._stored.get(self._content(found.cut, digest))
            return Recognised(*stored, digest) if stored else None

        return look

    def header(self, found: Arrival, *, first: int, rows: int, start: int, end: int, line: int, raw: bytes, seen: Recognised | None = None) -> Header:
        """Header of one batch; the id is a keyed hash over (feed, arrival, first ordinal, raw bytes, generation)."""
        digest, same_as = (seen.digest, seen.batch_id) if seen is not None else (hashlib.sha256(raw).hexdigest(), "")
        content = self._content(found.cut, digest)
        parts = (self.feed, str(found.number), str(first), digest, str(found.generation))
        origin = Origin(found.landed, found.name, start, end, line)
        batch_id = self._ledger.keys.hash_text("\x1f".join(parts))
        version = self._config()
        return Header(batch_id, self.feed, self.item, found.number, first, rows, version, origin, found.generation, content=content, same_as=same_as)

    async def finished(self, found: Arrival) -> None:
        """Every row was offered and settled: what a snapshot withdraws follows, and the run closes as soon as nothing is in flight. Raises `Held`."""
        after = await self._closing(found) if self._closing is not None and not found.generation else None

        def work(connection: Connection) -> None:
            if after is not None:
                after(connection)
            connection.execute(_at(found.number, self.item).values(state=_FINISHED))
            mine = (run.c.item == self.item) & (run.c.arrival == found.number) & (run.c.generation == found.generation)
            connection.execute(update(run).where(mine, run.c.state.in_(("running", "held"))).values(state="loading"))
            close_run(connection, self.item, found.number, found.generation, self._ledger.now())

        await self._ledger.state.write(work, about=self.item)
        failpoint("intake.finished")

    async def refused(self, found: Arrival, error: Rejected) -> None:
        """The whole arrival cannot be accepted; rows that were settled before stay."""

        def work(connection: Connection) -> None:
            values = {"state": _REFUSED, "code": error.code, "reason": error.message}
            connection.execute(_at(found.number, self.item).values(values))
            mine = (run.c.item == self.item) & (run.c.arrival == found.number) & (run.c.generation == found.generation)
            closed = {"state": "failed", "reason": error.message, "closed_at": self._ledger.now()}
            connection.execute(update(run).where(mine, run.c.state != "succeeded").values(closed))

        await self._ledger.state.write(work, about=self.item)
        await self._ledger.note("refused", self.feed, arrival=found.number, code=error.code, reason=error.message)


def meet(connection: Connection, feeds: Iterable[str], ledger: Ledger) -> None:
    """Write down when feeds were first seen in a configuration."""
    rows = [{"feed": feed, "key": KNOWN, "value": ledger.seal_text("true"), "at": ledger.now()} for feed in feeds]
    if rows:
        add_new(connection, feed_note, rows)


def _at(number: int, item: str) -> Any:
    return update(arrival).where(arrival.c.item == item, arrival.c.number == number)
