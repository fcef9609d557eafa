"""Submissions (报送回执) that agencies made by calling: each has a receipt, and a repeated call answers with the first one.

A submission is written down before its body is read and done once its arrival is numbered. The arrival bears the receipt's name, so one that was
numbered by a process that died before it could say so is found again.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, false, select, update

from hub.contracts.errors import Unavailable
from hub.contracts.gateway import Caller, Offer, RowError, SubmissionReceipt, Ticket
from hub.contracts.source import Arrival
from hub.engines import epoch
from hub.ledger import Ledger, totals
from hub.tables import arrival, batch, nil_return, quarantine, run, submission
from hub.upserts import add_new

HOLD_S = 30
"""How long, in seconds, a gateway that is not heard of is believed to be still at work on a submission."""

KEY_KEPT = timedelta(days=8)
"""How long an idempotency key answers with its first receipt."""


class Submissions:
    """Keeps submissions and answers for them. What is at work here is known in memory, and what is at another gateway by its promise in the state."""

    def __init__(self, ledger: Ledger, *, hold_s: int = HOLD_S) -> None:
        self._ledger = ledger
        self._hold_s = hold_s
        self._working: set[str] = set()
        self._holding: asyncio.Task[None] | None = None

    async def begin(self, caller: Caller, offer: Offer, operation: str, key: str) -> Ticket:
        """Write a submission down, or find the one that its key began before."""
        receipt, now = secrets.token_hex(16), self._ledger.clock()
        hashed = self._ledger.keys.hash_text(f"idempotency\x1f{key}") if key else receipt
        row = {"id": receipt, "agency": caller.agency, "operation": operation, "key": hashed, "feed": offer.feed, "item": offer.item.code}
        row |= {"by": caller.key, "at": _text(now)}
        found = await self._ledger.state.write(lambda c: self._begin(c, row, _text(now - KEY_KEPT)))
        if found is not None and found.done:
            return Ticket(found.id, caller, offer, "done", found.digest)
        mine = receipt if found is None else found.id
        if found is not None and (mine in self._working or found.by_another):
            return Ticket(mine, caller, offer, "busy")
        self._hold(mine)  # new, or begun by a process that died, or by a call that could not end it
        return Ticket(mine, caller, offer)

    def _begin(self, connection: Connection, row: dict[str, Any], forget: str) -> Row[Any] | None:
        """None for a new one; otherwise the one that the key began, with `by_another` where another gateway is at work on it."""
        now = int(epoch(connection))
        connection.execute(update(submission).where(submission.c.at < forget, submission.c.key != submission.c.id).values(key=submission.c.id))
        if add_new(connection, submission, row | {"working_until": now + self._hold_s}):
            return None
        where = (submission.c.agency == row["agency"]) & (submission.c.operation == row["operation"]) & (submission.c.key == row["key"])
        promised = (submission.c.working_until > now) if self._ledger.state.shared else false()
        query = select(submission, promised.label("by_another")).where(where)
        found = connection.execute(query).one()
        if found.done or found.id in self._working or found.by_another:
            return found
        if (numbered := self._numbered(connection, found)) is not None:
            connection.execute(_at(found.id).values(done=True, arrival=numbered.number, digest=numbered.landed))
            return connection.execute(query).one()
        connection.execute(_at(found.id).values(working_until=now + self._hold_s))
        return found

    def _hold(self, receipt: str) -> None:
        """It is at work here; where other gateways may be asked for it too, that is said again and again until it ends."""
        self._working.add(receipt)
        if self._ledger.state.shared and (self._holding is None or self._holding.done()):
            self._holding = asyncio.create_task(self._keep_promises())

    async def _keep_promises(self) -> None:
        while True:
            await asyncio.sleep(self._hold_s / 3)
            with contextlib.suppress(Unavailable):  # said again in a moment; a state that is away answers no other gateway either
                await self._ledger.state.write(self._promise, about=None)

    def _promise(self, connection: Connection) -> None:
        where = submission.c.id.in_(list(self._working)) & submission.c.done.is_(False)
        connection.execute(update(submission).where(where).values(working_until=int(epoch(connection)) + self._hold_s))

    def _let_go(self, receipt: str) -> None:
        self._working.discard(receipt)
        if not self._working and self._holding is not None:
            self._holding.cancel()

    def _numbered(self, connection: Connection, row: Row[Any]) -> Row[Any] | None:
        """The arrival of a submission whose end was never written down."""
        names = [self._ledger.keys.hash_text(f"{row.feed}\x1f{name_of(row.id, suffix)}") for suffix in SUFFIXES]
        return connection.execute(select(arrival).where(arrival.c.feed == row.feed, arrival.c.name_key.in_(names))).first()

    async def accepted(self, ticket: Ticket, found: Arrival) -> None:
        """The submission's arrival is numbered."""
        values = {"done": True, "arrival": found.number, "digest": found.landed, "duplicate": found.duplicate}
        try:
            await self._ledger.state.write(lambda c: c.execute(_at(ticket.receipt).values(values)))
        finally:
            self._let_go(ticket.receipt)

    async def released(self, ticket: Ticket) -> None:
        """The submission came to nothing; one that is done stays."""
        try:
            await self._ledger.state.write(lambda c: c.execute(delete(submission).where(submission.c.id == ticket.receipt, submission.c.done.is_(False))))
        finally:
            self._let_go(ticket.receipt)

    async def nil(self, caller: Caller, offer: Offer, period: str, because: str) -> bool:
        """Keep a nil return; False where there is one for the period."""
        row = {"feed": offer.feed, "period": period, "item": offer.item.code, "because": self._ledger.seal_text(because)}
        row |= {"at": self._ledger.now(), "by": caller.key}
        new = await self._ledger.state.write(lambda c: add_new(c, nil_return, row) == 1)
        if new:
            await self._ledger.note("nil", offer.feed, item=offer.item.code, period=period, by=caller.key)
        return new

    # Answers ---------------------------------------------------------------------------------------------------------------------------

    async def receipt(self, caller: Caller, receipt: str, item_name: str, held: bool) -> SubmissionReceipt | None:
        """How it stands; `held` says that its feed waits for a person."""
        return await self._ledger.state.read(lambda c: self._receipt(c, caller, receipt, item_name, held))

    async def of(self, caller: Caller, receipt: str) -> tuple[str, str] | None:
        """Feed and item of a submission of the caller's agency, once it is done."""
        row = await self._ledger.state.read(lambda c: _mine(c, caller, receipt))
        return (row.feed, row.item) if row is not None else None

    def _receipt(self, connection: Connection, caller: Caller, receipt: str, item_name: str, held: bool) -> SubmissionReceipt | None:
        mine = _mine(connection, caller, receipt)
        if mine is None:
            return None
        came = connection.execute(select(arrival).where(arrival.c.item == mine.item, arrival.c.number == mine.arrival)).one()
        where = (run.c.item == mine.item) & (run.c.arrival == mine.arrival) & (run.c.generation == came.generation)
        ran = connection.execute(select(run).where(where)).one()
        sums = totals(connection, item=mine.item, arrival=mine.arrival, generation=came.generation)
        waits = held and came.state == "reading" and ran.state == "running"
        settled = came.state in ("finished", "refused") or ran.state in ("succeeded", "failed")
        state = "held" if waits else str(ran.state)
        reason = came.reason or ran.reason
        return SubmissionReceipt(receipt, mine.item, item_name, mine.at, state, settled, mine.duplicate, came.code, reason, sums.counts())

    async def errors(self, caller: Caller, receipt: str, after: int, limit: int) -> list[RowError]:
        """Rows set aside, in the order in which they were."""
        return [_row_error(row) for row in await self._aside(caller, receipt, after, limit)]

    async def returned(self, caller: Caller, receipt: str, limit: int) -> list[tuple[RowError, str, bytes]]:
        """Rows set aside that are still open, each with its batch and its sealed cells."""
        return [(_row_error(row), row.batch_id, row.raw) for row in await self._aside(caller, receipt, 0, limit) if row.state == "open"]

    async def _aside(self, caller: Caller, receipt: str, after: int, limit: int) -> list[Row[Any]]:
        def work(connection: Connection) -> list[Row[Any]]:
            mine = _mine(connection, caller, receipt)
            if mine is None:
                return []
            batches = select(batch.c.batch_id).where(batch.c.item == mine.item, batch.c.arrival == mine.arrival)
            query = select(quarantine).where(quarantine.c.batch_id.in_(batches), quarantine.c.id > after).order_by(quarantine.c.id).limit(limit)
            return list(connection.execute(query).all())

        return await self._ledger.state.read(work)


SUFFIXES = (".json", ".jsonl", ".csv", ".xlsx", ".xls", ".xml", ".zip", ".dat")
"""Endings that the name of a submission's arrival may have."""


def name_of(receipt: str, suffix: str) -> str:
    """The name under which a submission arrives. Raises `ValueError` for an ending that is not listed."""
    return f"{receipt}{SUFFIXES[SUFFIXES.index(suffix)]}"


def _mine(connection: Connection, caller: Caller, receipt: str) -> Row[Any] | None:
    where = (submission.c.id == receipt) & (submission.c.agency == caller.agency) & submission.c.done
    return connection.execute(select(submission).where(where)).first()


def _row_error(row: Row[Any]) -> RowError:
    return RowError(row.id, row.ordinal + 1, row.line, row.code, row.field, row.reason, row.state)


def _at(receipt: str) -> Any:
    return update(submission).where(submission.c.id == receipt)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
