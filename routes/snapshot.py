"""The end of a snapshot: records that the agency no longer names become ordinary delete rows, in batches that follow the last row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import polars as pl
from sqlalchemy import Connection, func, select

from hub.contracts.batch import OP, ORDINAL, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS, Batch, Header
from hub.contracts.blocking import to_its_end
from hub.contracts.item import Item
from hub.contracts.observer import Observer
from hub.contracts.source import Arrival, Intake
from hub.landing import Landing
from hub.ledger import Ledger
from hub.pipeline import Held
from hub.snapshots import ID_BYTES, Comparison, compare, hexadecimal, keep
from hub.tables import arrival as arrivals
from hub.tables import batch as batches
from transforms.cleaning import dtype_of

Carry = Callable[[Batch], Awaitable[None]]


class SnapshotEnd:
    """What follows the last row of a feed's snapshot. `after` is in how many snapshots on end a record must be missing; `shrink` a share from 0 to 1."""

    def __init__(
        self,
        feed: str,
        item: Item,
        *,
        after: int,
        shrink: float,
        ledger: Ledger,
        landing: Landing,
        executor: ThreadPoolExecutor,
        observer: Observer,
        rows: int,
        intake: Callable[[], Intake],
    ) -> None:
        self._feed = feed
        self._item = item
        self._after = after
        self._shrink = shrink
        self._ledger = ledger
        self._landing = landing
        self._executor = executor
        self._observer = observer
        self._rows = rows
        self._intake = intake
        self.carry: Carry | None = None  # the pipeline of the feed, which is made after its intake

    async def __call__(self, arrival: Arrival) -> Callable[[Connection], None] | None:
        """Carry the withdrawals of an arrival that was read to its end; what is to be written when it is finished. Raises `Held` beyond the limit."""
        found, read = await self._ledger.state.read(lambda c: (compare(c, self._feed, arrival.number, self._after), _rows_read(c, arrival)))
        if found.suspended:
            self._observer.tell("withdrawals_suspended", self._feed, arrival=arrival.number, reason=found.suspended)
            await self._ledger.note("withdrawals_suspended", self._feed, arrival=arrival.number, reason=found.suspended)
        await self._guard(arrival, found)
        ids = found.gone.tobytes()
        for start in range(0, len(ids), self._rows * ID_BYTES):
            await self._withdraw(arrival, read + start // ID_BYTES, ids[start : start + self._rows * ID_BYTES])
        return partial(self._keep, arrival.number, found)

    def _keep(self, number: int, found: Comparison, connection: Connection) -> None:
        keep(connection, self._feed, number, found, self._ledger.now())

    async def _guard(self, arrival: Arrival, found: Comparison) -> None:
        gone = len(found.gone)
        if gone <= found.known * self._shrink or await self._ledger.state.read(lambda c: _released(c, arrival)):
            return
        share = f"{gone / found.known:.1%}"
        message = f"{gone} of {found.known} records are missing from this snapshot ({share}); the limit is {self._shrink:.0%}. Nothing was withdrawn"
        raise Held(message, hint="ask the agency whether they are really gone, then `run_hub.py feed release|refuse`", code="shrink")

    async def _withdraw(self, arrival: Arrival, first: int, ids: bytes) -> None:
        landed = await to_its_end(self._executor, self._landing.put, ids)
        origin = replace(arrival, landed=landed.digest)
        rows = len(ids) // ID_BYTES
        header = self._intake().header(origin, first=first, rows=rows, start=0, end=len(ids), line=0, raw=ids)
        header = replace(header, content="", withdraws=True)
        if await self._ledger.state.read(lambda c: _settled(c, header)):
            return
        assert self.carry is not None, "the feed has its pipeline"
        await self.carry(closing_batch(header, self._item, ids))


def closing_batch(header: Header, item: Item, ids: bytes) -> Batch:
    """Delete rows of the records `ids`, 16 bytes each; all fields are null."""
    numbers = hexadecimal(ids)
    rows = pl.DataFrame(
        {
            ORDINAL: pl.int_range(header.first, header.first + len(numbers), dtype=pl.Int64, eager=True),
            OP: pl.Series(["D"] * len(numbers), dtype=pl.String),
            RECORD_ID: pl.Series(numbers, dtype=pl.String),
            ROW_HASH: pl.Series(numbers, dtype=pl.String),  # no row's hash: what is gone says nothing
            SOURCE_TIME: pl.Series([None] * len(numbers), dtype=pl.Datetime("us")),
            STATUS: pl.Series([1] * len(numbers), dtype=pl.Int8),
        }
    )
    return Batch(header, rows.with_columns(pl.lit(None, dtype_of(f)).alias(f.name) for f in item.fields))


def _rows_read(connection: Connection, arrival: Arrival) -> int:
    """Rows of the arrival itself."""
    mine = (batches.c.item == arrival.item) & (batches.c.arrival == arrival.number) & (batches.c.generation == 0)
    query = select(func.max(batches.c.first + batches.c.rows)).where(mine, batches.c.reenters == "", batches.c.withdraws.is_(False))
    return int(connection.execute(query).scalar() or 0)


def _released(connection: Connection, arrival: Arrival) -> bool:
    query = select(arrivals.c.released).where(arrivals.c.item == arrival.item, arrivals.c.number == arrival.number)
    return bool(connection.execute(query).scalar())


def _settled(connection: Connection, header: Header) -> bool:
    query = select(batches.c.settled_at).where(batches.c.batch_id == header.batch_id)
    return connection.execute(query).scalar() is not None
