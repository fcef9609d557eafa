"""Deliveries (投递) in the hub's state: how far each share is, every attempt series with its receipt, and what is withheld."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Executable, delete, func, insert, select, update

from hub import withholding
from hub.contracts.errors import HubError
from hub.delivery_tables import delivered_record, delivery, revocation, share_cursor, share_sequence, withheld_tally
from hub.leases import Guard, unguarded
from hub.state import State, row_dict
from hub.upserts import add_new, put


@dataclass(frozen=True, slots=True)
class Part:
    """Some records of one reference message, decided and handed over together: `offered` records from place `first` of journal entry `seq`."""

    share: str
    item: str
    message_id: str
    number: int
    seq: int
    first: int
    offered: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What a decision made of a part. `delivery_id` names part and content: the same cut has the same id, another cut another."""

    part: Part
    delivery_id: str
    record_ids: Sequence[str]  # may leave, withdrawals included
    withheld: Mapping[str, str]  # record id to reason
    basis: str
    config: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a part stands: `state` is waiting, delivered, withheld or dead."""

    state: str
    attempts: int
    next_at: datetime | None

    @property
    def done(self) -> bool:
        """True when nothing more is to be done about the part."""
        return self.state != "waiting"


class Deliveries:
    """Every method is one transaction and safe to repeat. Times are aware; they are kept in UTC. `guard` refuses a share that another node has taken over."""

    def __init__(self, state: State, guard: Guard = unguarded) -> None:
        self.state = state
        self._guard = guard

    async def cursor(self, share: str, item: str) -> int:
        """The journal sequence up to which references are in the share's queue."""
        query = select(share_cursor.c.seq).where(share_cursor.c.share == share, share_cursor.c.item == item)
        return await self.state.read(lambda c: int(c.execute(query).scalar() or 0))

    async def advance(self, share: str, item: str, seq: int, offered: int) -> None:
        """All `offered` references of entry `seq` are durable in the queue. An entry that was counted before is not counted again."""

        def work(connection: Connection) -> None:
            self._guard(connection, f"offer:{share}")
            place = withholding.target(connection, share, item)
            moved = connection.execute(update(share_cursor).where(share_cursor.c.id == place, share_cursor.c.seq < seq).values(seq=seq))
            if moved.rowcount:
                withholding.count(connection, place, offered=offered)

        await self.state.write(work, about=about(share))

    async def known(self, share: str, item: str, record_ids: Collection[str]) -> frozenset[str]:
        """Those of the records that may ever have reached the receiver."""
        return await self.state.read(lambda c: withholding.marked(c, share, item, record_ids))

    async def progress(self, share: str, message_id: str) -> dict[int, Standing]:
        """How the parts of a message stand; parts never tried are left out."""
        query = select(delivery.c.part, delivery.c.state, delivery.c.attempts, delivery.c.next_at)
        query = query.where(delivery.c.share == share, delivery.c.message_id == message_id, delivery.c.state != "cancelled")
        rows = await self.state.read(lambda c: c.execute(query).all())
        return {row.part: Standing(row.state, row.attempts, datetime.fromisoformat(row.next_at) if row.next_at else None) for row in rows}

    async def begin(self, cut: Cut, at: datetime) -> tuple[int, int]:
        """Record the decision before anything leaves; answers with the delivery's sequence in its share and the attempts made so far.

        Another waiting cut of the part ends `cancelled` and its sequence goes to this one, so that a receiver sees no gap. From here on the
        records count as known to the receiver: a hand-over whose outcome is never learned must still be followed by a withdrawal.
        """

        def work(connection: Connection) -> tuple[int, int]:
            self._guard(connection, f"share:{cut.part.share}")
            _cancel_others(connection, cut)
            sequence = _sequence(connection, cut.part)
            _upsert(connection, cut, at, state="waiting", sequence=sequence)
            withholding.mark(connection, withholding.target(connection, cut.part.share, cut.part.item), cut.record_ids, sequence)
            return sequence, int(connection.execute(select(delivery.c.attempts).where(delivery.c.delivery_id == cut.delivery_id)).scalar_one())

        return await self.state.write(work, about=about(cut.part.share))

    async def delivered(self, cut: Cut, evidence: Mapping[str, Any], at: datetime) -> None:
        """The other side has it: receipt, tallies and what is withheld, in one transaction."""
        await self.state.write(
            lambda c: _close(c, cut, at, "delivered", evidence=json.dumps(evidence, ensure_ascii=False, default=str)), about=about(cut.part.share)
        )

    async def nothing_left(self, cut: Cut, at: datetime) -> None:
        """All of the part is withheld: there is nothing to hand over."""

        def work(connection: Connection) -> None:
            self._guard(connection, f"share:{cut.part.share}")
            _cancel_others(connection, cut)
            if _upsert(connection, cut, at, state="waiting", sequence=None):
                _close(connection, cut, at, "withheld")

        await self.state.write(work, about=about(cut.part.share))

    async def stumbled(self, cut: Cut, error: HubError, next_at: datetime) -> None:
        """An attempt failed and another will follow at `next_at`."""
        changes = {"attempts": delivery.c.attempts + 1, "next_at": _text(next_at), **_errors(error)}
        await self.state.write(_changing(update(delivery).where(_waiting(cut)).values(changes)), about=about(cut.part.share))

    async def died(self, cut: Cut, error: HubError, at: datetime) -> None:
        """The last attempt failed, or the other side will never take it: a dead letter, until a person replays it."""
        await self.state.write(lambda c: _close(c, cut, at, "dead", attempts=delivery.c.attempts + 1, **_errors(error)), about=about(cut.part.share))

    async def retry_now(self, share: str) -> int:
        """Waiting deliveries of a share become due at once; how many they were."""
        statement = update(delivery).where(delivery.c.share == share, delivery.c.state == "waiting", delivery.c.next_at.is_not(None)).values(next_at=None)
        return await self.state.write(_changing(statement), about=about(share))

    async def find(self, share: str, *, state: str = "", delivery_ids: Collection[str] = (), limit: int = 1_000) -> list[dict[str, Any]]:
        """Deliveries of a share in the order of their sequence, as dictionaries; by state, by id, or the first `limit` of all."""
        query = select(delivery).where(delivery.c.share == share).order_by(delivery.c.sequence, delivery.c.created_at).limit(limit)
        if state:
            query = query.where(delivery.c.state == state)
        if delivery_ids:
            query = query.where(delivery.c.delivery_id.in_(list(delivery_ids)))
        return await self.state.read(lambda c: [row_dict(row) for row in c.execute(query)])

    async def replayed(self, delivery_id: str, replays: int) -> bool:
        """The references of a finished delivery are in the queue again, for the `replays`-th time. False when that was recorded before.

        A dead letter ends `cancelled`; what was delivered stays delivered, and its records are offered once more.
        """

        def work(connection: Connection) -> bool:
            row = connection.execute(select(delivery).where(delivery.c.delivery_id == delivery_id)).one_or_none()
            if row is None or row.replays >= replays:
                return False
            place = withholding.target(connection, row.share, row.item)
            dead = row.state == "dead"
            if dead:
                withholding.count(connection, place, dead=-row.records, withheld=row.records - row.offered)
            else:
                withholding.count(connection, place, offered=row.offered)
            state = "cancelled" if dead else row.state
            connection.execute(update(delivery).where(delivery.c.delivery_id == delivery_id).values(replays=replays, state=state))
            return True

        return await self.state.write(work)

    async def summary(self, share: str) -> dict[str, Any]:
        """The share in records: `delivered` so far, `withheld` at present by reason, `waiting` (still on their way, the queue included), `dead`.

        Read from tallies, so it costs the same for a million records.
        """
        columns = (share_cursor.c.offered, share_cursor.c.delivered, share_cursor.c.withheld, share_cursor.c.dead)
        reasons = select(withheld_tally.c.reason, func.sum(withheld_tally.c.records)).join(share_cursor, share_cursor.c.id == withheld_tally.c.target)
        reasons = reasons.where(share_cursor.c.share == share).group_by(withheld_tally.c.reason).order_by(withheld_tally.c.reason)

        def work(connection: Connection) -> dict[str, Any]:
            sums = connection.execute(select(*(func.coalesce(func.sum(c), 0) for c in columns)).where(share_cursor.c.share == share)).one()
            offered, delivered, kept, dead = (int(n) for n in sums)
            held = {reason: int(n) for reason, n in connection.execute(reasons) if n}
            return {"delivered": delivered, "withheld": held, "waiting": offered - delivered - kept - dead, "dead": dead}

        return await self.state.read(work)

    async def balance(self, share: str) -> dict[str, dict[str, int]]:
        """Per item, in records: `offered`, `delivered`, `withheld`, `dead`, `waiting`, and `recorded`, the delivered ones counted again one by one."""
        recorded = (
            select(delivery.c.item, func.sum(delivery.c.records)).where(delivery.c.share == share, delivery.c.state == "delivered").group_by(delivery.c.item)
        )

        def work(connection: Connection) -> dict[str, dict[str, int]]:
            again = {item: int(n) for item, n in connection.execute(recorded)}
            rows = connection.execute(select(share_cursor).where(share_cursor.c.share == share))
            return {row.item: _balance(row, again.get(row.item, 0)) for row in rows}

        return await self.state.read(work)

    async def whereabouts(self, item: str, record_id: str) -> list[dict[str, Any]]:
        """The latest delivery to each share that may have received the record: share, delivery_id, sequence, state, done_at."""
        query = select(delivery.c.share, delivery.c.delivery_id, delivery.c.sequence, delivery.c.state, delivery.c.done_at, delivery.c.basis)
        query = query.join(share_cursor, (share_cursor.c.share == delivery.c.share) & (share_cursor.c.item == delivery.c.item))
        same = (delivered_record.c.target == share_cursor.c.id) & (delivered_record.c.sequence == delivery.c.sequence)
        query = query.join(delivered_record, same).where(delivered_record.c.record == bytes.fromhex(record_id), delivery.c.item == item)
        return await self.state.read(lambda c: [row_dict(row) for row in c.execute(query.where(delivery.c.state != "cancelled"))])

    async def revoke(self, revoked: str, because: str, at: datetime) -> None:
        """A share (by name) or a grant (by document number) ends for ever; configuration cannot bring it back."""
        await self.state.write(lambda c: add_new(c, revocation, {"id": revoked, "because": because, "at": _text(at)}))

    async def revoked(self) -> frozenset[str]:
        """Everything that was ever revoked."""
        return await self.state.read(lambda c: frozenset(c.scalars(select(revocation.c.id))))

    async def forget(self, before: datetime) -> int:
        """Drop what was never handed over (all withheld, or cancelled) before that time; how many they were. Receipts and dead letters stay."""
        old = delivery.c.state.in_(["withheld", "cancelled"]) & (delivery.c.created_at < _text(before))
        return await self.state.write(_changing(delete(delivery).where(old)))


def about(share: str) -> str:
    """What transactions of a share are about: they follow one another, and hold no other share up."""
    return f"share:{share}"


def _changing(statement: Executable) -> Callable[[Connection], int]:
    """One statement as a transaction's work; answers with the number of rows."""

    def work(connection: Connection) -> int:
        return int(connection.execute(statement).rowcount)

    return work


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _waiting(cut: Cut) -> Any:
    return (delivery.c.delivery_id == cut.delivery_id) & (delivery.c.state == "waiting")


def _errors(error: HubError) -> dict[str, Any]:
    return {"first_error": func.coalesce(delivery.c.first_error, error.message), "last_error": error.message}


def _of_part(part: Part) -> Any:
    return (delivery.c.share == part.share) & (delivery.c.message_id == part.message_id) & (delivery.c.part == part.number)


def _cancel_others(connection: Connection, cut: Cut) -> None:
    others = _of_part(cut.part) & (delivery.c.state == "waiting") & (delivery.c.delivery_id != cut.delivery_id)
    connection.execute(update(delivery).where(others).values(state="cancelled", next_at=None))


def _sequence(connection: Connection, part: Part) -> int:
    """The sequence that the part has already, otherwise the next one of the share."""
    given = connection.execute(select(func.max(delivery.c.sequence)).where(_of_part(part))).scalar()
    if given is not None:
        return int(given)
    put(connection, share_sequence, {"share": part.share, "last": 1}, fresh=(), added=("last",))
    return int(connection.execute(select(share_sequence.c.last).where(share_sequence.c.share == part.share)).scalar_one())


def _upsert(connection: Connection, cut: Cut, at: datetime, *, state: str, sequence: int | None) -> bool:
    """Write the delivery's row unless it is finished; a cut that was cancelled and has come back waits again. True when it waits now."""
    part, stamp = cut.part, _text(at)
    decided = {"state": state, "basis": cut.basis, "config": cut.config, "decided_at": stamp, "sequence": sequence}
    place = {"share": part.share, "item": part.item, "message_id": part.message_id, "part": part.number, "seq": part.seq, "first": part.first}
    row = {"delivery_id": cut.delivery_id, **place, "offered": part.offered, "records": len(cut.record_ids), "created_at": stamp, **decided}
    mine, unfinished = delivery.c.delivery_id == cut.delivery_id, delivery.c.state.in_(["waiting", "cancelled"])
    if connection.execute(update(delivery).where(mine, unfinished).values(decided)).rowcount:
        return True
    if connection.execute(select(delivery.c.state).where(mine)).first() is not None:
        return False
    connection.execute(insert(delivery).values(row))
    return True


def _close(connection: Connection, cut: Cut, at: datetime, state: str, **changes: Any) -> None:
    """End a waiting delivery and move its records into the tallies; a finished one is left as it is."""
    closed = connection.execute(update(delivery).where(_waiting(cut)).values(state=state, done_at=_text(at), next_at=None, **changes))
    if not closed.rowcount:
        return
    place = withholding.target(connection, cut.part.share, cut.part.item)
    word = "dead" if state == "dead" else "delivered"
    withholding.count(connection, place, **{word: len(cut.record_ids)}, withheld=cut.part.offered - len(cut.record_ids))
    withholding.settle(connection, place, left=cut.record_ids, held=cut.withheld, seq=cut.part.seq, at=_text(at))


def _balance(row: Any, recorded: int) -> dict[str, int]:
    tallies = {word: int(getattr(row, word)) for word in ("offered", "delivered", "withheld", "dead")}
    waiting = tallies["offered"] - tallies["delivered"] - tallies["withheld"] - tallies["dead"]
    return {**tallies, "waiting": waiting, "recorded": recorded}
