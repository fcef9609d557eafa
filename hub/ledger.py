"""Runs, batches and fates: the book that proves where each record went."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import zstandard
from sqlalchemy import Connection, Row, func, insert, select, update

from hub.contracts.batch import FATE_WORDS, LINE, ORDINAL, RAW, Batch, Fate, Header, Origin, Receipt, Step
from hub.contracts.keys import KeyRing
from hub.leases import Guard, unguarded
from hub.snapshots import keep_keys
from hub.state import State
from hub.tables import arrival, batch, event, quarantine, run
from hub.upserts import add_new

Fates = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Totals:
    """Records of one run, one item or everything, by fate; `read = rejected + … + withdrawn + in_flight` must hold."""

    read: int = 0
    in_flight: int = 0
    batches: int = 0
    reentered: int = 0
    fates: Mapping[str, int] = None  # type: ignore[assignment]

    @property
    def balanced(self) -> bool:
        """True where the equation of the promise holds."""
        return self.read == self.in_flight + sum(self.fates.values())

    def counts(self) -> dict[str, int]:
        """The equation's terms in their order."""
        return {"read": self.read, **{word: self.fates.get(word, 0) for word in FATE_WORDS}, "in_flight": self.in_flight}


class Ledger:
    """Keeps the book. Every method is one transaction, and repeating it changes nothing. `guard` refuses a feed that another node has taken over."""

    def __init__(self, state: State, keys: KeyRing, clock: Callable[[], datetime], guard: Guard = unguarded) -> None:
        self.state = state
        self.keys = keys
        self.clock = clock
        self.guard = guard

    def now(self) -> str:
        """The moment as stored: ISO 8601, seconds, with offset."""
        return self.clock().isoformat(timespec="milliseconds")

    # Collect ---------------------------------------------------------------------------------------------------------------------------

    async def open(self, header: Header) -> None:
        """Write the batch down before anything of it is published."""
        row = _batch_row(header, self.keys) | {"opened_at": self.now()}

        def work(connection: Connection) -> None:
            self.guard(connection, f"feed:{header.feed}")
            add_new(connection, batch, row)

        await self.state.write(work, about=header.item)

    async def settle(self, whole: Batch, step: Step) -> None:
        """Collect is done with this batch: refused rows are set aside with their reasons, fates and position are written."""
        header = whole.header
        fates = collect_fates(header, step)
        aside = self._aside(whole, step.refused)
        values = {
            "settled_at": self.now(),
            "rejected": int((fates == Fate.REJECTED).sum()),
            "filtered": int((fates == Fate.FILTERED).sum()),
            "collect_fates": pack(fates),
        }

        def work(connection: Connection) -> None:
            self.guard(connection, f"feed:{header.feed}")
            if aside:
                add_new(connection, quarantine, aside)
            where = (batch.c.batch_id == header.batch_id) & batch.c.settled_at.is_(None)
            connection.execute(update(batch).where(where).values(values))
            keep_keys(connection, header, step)
            if header.reenters:
                _mark_reentered(connection, header)
            close_run(connection, header.item, header.arrival, header.generation, self.now())

        await self.state.write(work, about=header.item)

    def _aside(self, whole: Batch, refused: pl.DataFrame) -> list[dict[str, Any]]:
        """Quarantine rows: the raw row, sealed, with its position, rule, field and reason."""
        if refused.is_empty():
            return []
        header = whole.header
        raw = whole.frame.join(refused.select(ORDINAL), on=ORDINAL, how="semi")
        rows = {row.pop(ORDINAL): row for row in raw.iter_rows(named=True)}
        if RAW in whole.refused.columns:  # rows that are no cells: kept as they stand, under no heading
            rows |= {row[ORDINAL]: {LINE: row["line"], "": row[RAW]} for row in whole.refused.iter_rows(named=True)}
        name, now = self.seal_text(header.origin.name), self.now()
        about = header.batch_id.encode()
        return [
            {
                "batch_id": header.batch_id,
                "ordinal": ordinal,
                "feed": header.feed,
                "item": header.item,
                "name": name,
                "line": rows.get(ordinal, {}).pop(LINE, None),
                "code": code,
                "field": field,
                "reason": reason,
                "raw": self.keys.seal(json.dumps(rows.get(ordinal, {}), ensure_ascii=False, default=str).encode(), about),
                "state": "open",
                "at": now,
            }
            for ordinal, code, field, reason in refused.select(ORDINAL, "code", "field", "reason").iter_rows()
        ]

    def seal_text(self, text: str) -> str:
        """A name, sealed: file names may hold names of persons."""
        return str(self.keys.seal_values(pl.Series([text]))[0])

    def open_text(self, sealed: str) -> str:
        """A sealed name in clear."""
        return str(self.keys.open_values(pl.Series([sealed]))[0])

    def seal_json(self, value: Any) -> str:
        """A value as it is stored where it may hold names: of sheets, members, pages."""
        return self.seal_text(json.dumps(value, ensure_ascii=False))

    def open_json(self, sealed: str) -> Any:
        """Inverse of `seal_json`; None where nothing was stored."""
        return json.loads(self.open_text(sealed)) if sealed else None

    async def released(self, header: Header) -> bool:
        """True where a person let the arrival pass its limits."""
        query = select(arrival.c.released).where(arrival.c.item == header.item, arrival.c.number == header.arrival)
        return bool(await self.state.read(lambda c: c.execute(query).scalar()))

    async def refusing(self, header: Header) -> str | None:
        """The reason for which a person refused the arrival, None where nobody did."""
        query = select(arrival.c.reason).where(arrival.c.item == header.item, arrival.c.number == header.arrival, arrival.c.state == "refusing")
        found = await self.state.read(lambda c: c.execute(query).scalar())
        return None if found is None else str(found)

    async def unsettled(self, feed: str) -> list[tuple[Header, dict[str, Any]]]:
        """Batches that were opened and not settled, oldest first, each with the cut of its arrival."""
        query = (
            select(batch, arrival.c.cut)
            .join(arrival, (arrival.c.item == batch.c.item) & (arrival.c.number == batch.c.arrival))
            .where(batch.c.feed == feed, batch.c.settled_at.is_(None))
            .order_by(batch.c.arrival, batch.c.generation, batch.c.first)
        )
        rows = await self.state.read(lambda c: c.execute(query).all())
        return [(self.header(row), self.open_json(row.cut) or {}) for row in rows]

    async def unapplied(self) -> list[tuple[Header, dict[str, Any]]]:
        """Batches that collect settled, with passed rows, and no store's receipt was copied for."""
        query = (
            select(batch, arrival.c.cut)
            .join(arrival, (arrival.c.item == batch.c.item) & (arrival.c.number == batch.c.arrival))
            .where(batch.c.settled_at.is_not(None), batch.c.applied_at.is_(None), batch.c.rows > batch.c.rejected + batch.c.filtered)
            .order_by(batch.c.item, batch.c.arrival, batch.c.generation, batch.c.first)
        )
        rows = await self.state.read(lambda c: c.execute(query).all())
        return [(self.header(row), self.open_json(row.cut) or {}) for row in rows]

    async def cut_of(self, header: Header) -> dict[str, Any]:
        """How the arrival of a batch is cut."""
        query = select(arrival.c.cut).where(arrival.c.item == header.item, arrival.c.number == header.arrival)
        return dict(self.open_json(await self.state.read(lambda c: c.execute(query).scalar_one())) or {})

    async def in_flight_as(self, batch_id: str) -> Header | None:
        """The header of a batch that collect settled and no store has; None for any other id."""
        query = select(batch).where(batch.c.batch_id == batch_id, batch.c.settled_at.is_not(None), batch.c.applied_at.is_(None))
        row = await self.state.read(lambda c: c.execute(query).first())
        return self.header(row) if row is not None else None

    async def in_flight(self) -> int:
        """Batches that collect settled and no store's receipt was copied for."""
        waiting = (batch.c.settled_at.is_not(None), batch.c.applied_at.is_(None), batch.c.rows > batch.c.rejected + batch.c.filtered)
        query = select(func.count()).select_from(batch).where(*waiting)
        return int(await self.state.read(lambda c: c.execute(query).scalar_one()))

    # Load ------------------------------------------------------------------------------------------------------------------------------

    async def applied(self, loaded: Batch, receipt: Receipt, *, late: int = 0) -> None:
        """Copy a store's receipt (never added, so a second copy changes nothing). `loaded.frame` gives the rows' ordinals; `late` of them were overdue."""
        header = loaded.header
        fates = np.zeros(header.rows, np.uint8)
        fates[header.places(loaded.frame[ORDINAL].to_numpy())] = receipt.fates
        values = {"applied_at": self.now(), "seq": receipt.seq, "load_counts": json.dumps(receipt.counts), "load_fates": pack(fates), "late": late}
        aside = self._aside(loaded, receipt.refused)

        def work(connection: Connection) -> None:
            if aside:
                add_new(connection, quarantine, aside)
            where = (batch.c.batch_id == header.batch_id) & batch.c.applied_at.is_(None)
            connection.execute(update(batch).where(where).values(values))
            close_run(connection, header.item, header.arrival, header.generation, self.now())

        await self.state.write(work, about=header.item)

    # Questions -------------------------------------------------------------------------------------------------------------------------

    def header(self, row: Row[Any]) -> Header:
        """The header of a ledger row."""
        origin = Origin(row.landed, self.open_text(row.name), row.start, row.end, row.line)
        ordinals = tuple(json.loads(row.ordinals))
        return Header(
            row.batch_id,
            row.feed,
            row.item,
            row.arrival,
            row.first,
            row.rows,
            row.config,
            origin,
            row.generation,
            row.reenters,
            ordinals,
            row.content,
            row.same_as,
            row.withdraws,
        )

    async def totals(self, *, feed: str = "", item: str = "", arrival_number: int | None = None, generation: int | None = None) -> Totals:
        """Sums over batches, narrowed as asked."""
        wanted = {"feed": feed or None, "item": item or None, "arrival": arrival_number, "generation": generation}
        return await self.state.read(lambda c: totals(c, **{k: v for k, v in wanted.items() if v is not None}))

    async def note(self, what: str, where: str, **detail: Any) -> None:
        """Keep an event: something a person may ask about later that is no run."""
        row = {"at": self.now(), "what": what, "where": where, "detail": json.dumps(detail, ensure_ascii=False)}
        await self.state.write(lambda c: c.execute(insert(event).values(row)), about=None)


def totals(connection: Connection, **where: Any) -> Totals:
    """The equation's terms over the batches that match."""
    query = select(batch.c.rows, batch.c.rejected, batch.c.filtered, batch.c.load_counts, batch.c.settled_at, batch.c.applied_at, batch.c.reenters)
    for column, value in where.items():
        query = query.where(batch.c[column] == value)
    read = in_flight = batches = reentered = 0
    fates: Counter[str] = Counter()
    for row in connection.execute(query):
        batches += 1
        read += row.rows
        reentered += row.rows if row.reenters else 0
        fates.update(rejected=row.rejected, filtered=row.filtered)
        if row.applied_at is not None:
            fates.update(json.loads(row.load_counts))
        else:
            in_flight += row.rows - row.rejected - row.filtered
    return Totals(read, in_flight, batches, reentered, dict(fates))


def wholly_stored(connection: Connection, feed: str) -> dict[str, tuple[str, int]]:
    """By content: batch and rows of the feed's last two arrivals of which every row is in the store."""
    latest = select(batch.c.arrival).where(batch.c.feed == feed, batch.c.content != "").distinct().order_by(batch.c.arrival.desc()).limit(2)
    numbers = connection.execute(latest).scalars().all()
    query = select(batch.c.content, batch.c.batch_id, batch.c.rows, batch.c.load_counts).where(
        batch.c.feed == feed, batch.c.content != "", batch.c.applied_at.is_not(None), batch.c.rejected + batch.c.filtered == 0, batch.c.arrival.in_(numbers)
    )
    stored = {"inserted", "updated", "unchanged"}
    rows = connection.execute(query.order_by(batch.c.arrival)).all()
    return {row.content: (row.batch_id, row.rows) for row in rows if json.loads(row.load_counts).keys() <= stored}


def collect_fates(header: Header, step: Step) -> Fates:
    """One `Fate` per row of the origin: rejected, filtered, or passed on."""
    fates = np.full(header.rows, Fate.PASSED, np.uint8)
    fates[header.places(step.filtered.to_numpy())] = Fate.FILTERED
    fates[header.places(step.refused[ORDINAL].to_numpy())] = Fate.REJECTED
    return fates


def pack(fates: Fates) -> bytes:
    """Fates as stored: zstandard of one byte per record."""
    return zstandard.ZstdCompressor(level=1).compress(fates.tobytes())


def unpack(stored: bytes | None, rows: int) -> Fates:
    """Inverse of `pack`; zeros where nothing is stored yet."""
    if stored is None:
        return np.zeros(rows, np.uint8)
    return np.frombuffer(zstandard.ZstdDecompressor().decompress(stored, max_output_size=rows), np.uint8)


def _batch_row(header: Header, keys: KeyRing) -> dict[str, Any]:
    wire = header.to_wire()
    return wire | {"name": keys.seal_values(pl.Series([wire["name"]]))[0], "ordinals": json.dumps(wire["ordinals"])}


def _mark_reentered(connection: Connection, header: Header) -> None:
    where = (quarantine.c.batch_id == header.reenters) & quarantine.c.ordinal.in_(header.ordinals)
    connection.execute(update(quarantine).where(where).values(state="reentered"))


def close_run(connection: Connection, item: str, number: int, generation: int, now: str) -> None:
    """Close a run of which everything was read and nothing is in flight. One whose equation does not hold cannot close: it is held for a person."""
    where = (run.c.item == item) & (run.c.arrival == number) & (run.c.generation == generation) & (run.c.state == "loading")
    if connection.execute(select(func.count()).select_from(run).where(where)).scalar_one() == 0:
        return
    sums = totals(connection, item=item, arrival=number, generation=generation)
    unsettled = select(func.count()).select_from(batch).where(batch.c.item == item, batch.c.arrival == number, batch.c.settled_at.is_(None))
    if sums.in_flight or connection.execute(unsettled).scalar_one():
        return
    if sums.balanced:
        connection.execute(update(run).where(where).values(state="succeeded", closed_at=now))
    else:
        reason = "the equation does not hold: run `run_hub.py reconcile`"
        connection.execute(update(run).where(where).values(state="held", reason=reason))
