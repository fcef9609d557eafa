"""Answers (回执): what is owed to agencies for the files that they sent, from the moment a file is numbered until its receipt lies beside it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, String, Table, UniqueConstraint, func, select, update

from hub.contracts.answer import UNREAD, Answer, Returned
from hub.contracts.batch import LINE, OP, ORDINAL, RAW, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS, SUBJECT_ID
from hub.contracts.keys import KeyRing
from hub.contracts.source import Arrival
from hub.ledger import Ledger, Totals, totals
from hub.state import LONG, metadata
from hub.tables import arrival, batch, quarantine, run
from hub.upserts import add_new

MOST_RETURNED = 50_000
"""Rows of one file that are given back; the receipt says how many there are besides."""

_MOST_BYTES = 64 << 20  # of sealed rows
_PAGE = 5_000
_AT_ONCE = 100
_AUTO = BigInteger().with_variant(Integer, "sqlite")
_WORKING = frozenset((ORDINAL, LINE, OP, RECORD_ID, ROW_HASH, SUBJECT_ID, SOURCE_TIME, RAW, STATUS))

answer = Table(
    "answer",
    metadata,
    Column("id", _AUTO, primary_key=True, autoincrement=True),
    Column("feed", String(96), nullable=False),
    Column("item", String(32), nullable=False),
    Column("arrival", Integer, nullable=False),
    Column("delivery", String(32), nullable=False),  # "" for the arrival's own file, a keyed hash for another with its content
    Column("name", LONG, nullable=False),  # sealed
    Column("evidence", LONG, nullable=False),  # sealed
    Column("state", String(12), nullable=False),  # owed, written, unwanted, failed
    Column("at", String(32), nullable=False),
    Column("done_at", String(32)),
    UniqueConstraint("item", "arrival", "delivery"),
    Index("answer_state", "state", "feed"),
)


def owe(connection: Connection, found: Arrival, *, name: str, evidence: str, at: str, delivery: str = "") -> None:
    """Write down that a file is to be answered; `name` and `evidence` are sealed. Repeating it changes nothing."""
    row = {"feed": found.feed, "item": found.item, "arrival": found.number, "delivery": delivery, "name": name, "evidence": evidence}
    add_new(connection, answer, row | {"state": "owed", "at": at})


@dataclass(frozen=True, slots=True)
class _Aside:
    """A row of quarantine, still sealed."""

    batch_id: str
    ordinal: int
    line: int | None
    code: str
    reason: str
    raw: bytes


class Answers:
    """Finds what is owed, and says when it was written. At most `most` rows of a file are given back."""

    def __init__(self, ledger: Ledger, most: int = MOST_RETURNED) -> None:
        self._ledger = ledger
        self._most = most

    async def only_for(self, feeds: Collection[str]) -> None:
        """Nothing is owed any more to feeds that want no answers, or are gone."""
        where = (answer.c.state == "owed") & answer.c.feed.not_in(list(feeds))
        await self._ledger.state.write(lambda c: c.execute(update(answer).where(where).values(state="unwanted", done_at=self._ledger.now())))

    async def due(self) -> set[str]:
        """Feeds with a file that can be answered: its run is closed, or it repeats another."""
        query = select(answer.c.feed).select_from(_owed()).where(_closed()).distinct()
        return set(await self._ledger.state.read(lambda c: c.execute(query).scalars().all()))

    async def of(self, feed: str) -> Sequence[int]:
        """What can be answered now of a feed, oldest first, at most 100."""
        query = select(answer.c.id).select_from(_owed()).where(_closed(), answer.c.feed == feed).order_by(answer.c.id).limit(_AT_ONCE)
        return await self._ledger.state.read(lambda c: c.execute(query).scalars().all())

    async def told(self, number: int, item_name: str) -> Answer | None:
        """The answer itself; None while rows of a refused file are still on their way to a store."""
        facts = await self._ledger.state.read(lambda c: _facts(c, number))
        if facts["counts"].get("in_flight"):
            return None
        aside = await self._aside(facts["item"], facts["arrival"]) if facts["errors"] else []
        keys, known = self._ledger.keys, self._ledger.open_json(facts.pop("evidence")) or {}
        unread = known.get(UNREAD) if isinstance(known, dict) else None
        delivery, own = facts.pop("delivery"), facts.pop("arrival")
        return Answer(
            **facts
            | {"file": self._ledger.open_text(facts["file"]), "size": facts["size"] if unread is None else int(unread)}
            | ({} if unread is None else {"digest": ""}),
            key=keys.hash_text("\x1f".join(("answer", facts["item"], str(own), delivery))),
            item_name=item_name,
            returned=len(aside),
            rows=lambda: _opened(keys, aside),
            evidence=known,
        )

    async def _aside(self, item: str, number: int) -> list[_Aside]:
        """Rows of the arrival that were set aside, in the file's order, page by page; rows that were read again later are not among them."""
        found: list[_Aside] = []
        columns = (quarantine.c.batch_id, quarantine.c.ordinal, quarantine.c.line, quarantine.c.code, quarantine.c.reason, quarantine.c.raw)
        query = select(*columns).join(batch, batch.c.batch_id == quarantine.c.batch_id).where(*_own(item, number)).order_by(quarantine.c.ordinal)
        size, last = 0, -1
        while len(found) < self._most:
            page = query.where(quarantine.c.ordinal > last).limit(min(_PAGE, self._most - len(found)))
            rows = await self._ledger.state.read(lambda c, page=page: c.execute(page).all())  # type: ignore[misc]
            for row in rows:
                size += len(row.raw)
                if size > _MOST_BYTES:
                    return found
                found.append(_Aside(*row))
            if not rows:
                return found
            last = rows[-1].ordinal
        return found

    async def done(self, number: int, state: str = "written") -> None:
        """The answer lies where it belongs; or it is `unwanted`, or `failed` for ever."""
        where = (answer.c.id == number) & (answer.c.state == "owed")
        await self._ledger.state.write(lambda c: c.execute(update(answer).where(where).values(state=state, done_at=self._ledger.now())))


def _owed() -> Any:
    """What is owed, with the run that must have closed before."""
    mine = (run.c.item == answer.c.item) & (run.c.arrival == answer.c.arrival) & (run.c.generation == 0)
    return answer.join(run, mine)


def _closed() -> Any:
    return (answer.c.state == "owed") & ((answer.c.delivery != "") | run.c.state.in_(("succeeded", "failed")))


def _own(item: str, number: int) -> tuple[Any, ...]:
    """Batches that hold the arrival as it came: no corrections, no replays."""
    return (batch.c.item == item, batch.c.arrival == number, batch.c.generation == 0, batch.c.reenters == "")


def _facts(connection: Connection, number: int) -> dict[str, Any]:
    """The fields of an answer that the books hold, in one snapshot."""
    owed = connection.execute(select(answer).where(answer.c.id == number)).one()
    at = (arrival.c.item == owed.item) & (arrival.c.number == owed.arrival)
    came = connection.execute(select(arrival.c.landed, arrival.c.size, arrival.c.first_seen, arrival.c.code, arrival.c.reason).where(at)).one()
    day = came.first_seen[:10].replace("-", "")
    facts = {"item": owed.item, "arrival": owed.arrival, "delivery": owed.delivery, "file": owed.name, "evidence": owed.evidence}
    facts |= {"batch": f"{owed.item}-{day}-{owed.arrival:04d}", "digest": came.landed, "size": came.size, "received_at": owed.at}
    if owed.delivery:
        return facts | {"state": "duplicate", "closed_at": owed.at, "counts": Totals(fates={}).counts(), "errors": {}}
    return facts | _ended(connection, owed, came)


def _ended(connection: Connection, owed: Any, came: Any) -> dict[str, Any]:
    """How the run of an arrival ended."""
    mine = (run.c.item == owed.item) & (run.c.arrival == owed.arrival) & (run.c.generation == 0)
    ended = connection.execute(select(run.c.state, run.c.reason, run.c.closed_at).where(mine)).one()
    own = _own(owed.item, owed.arrival)
    errors = select(quarantine.c.code, func.count()).join(batch, batch.c.batch_id == quarantine.c.batch_id).where(*own)
    gone = connection.execute(select(func.sum(batch.c.rows)).where(*own, batch.c.withdraws)).scalar()
    failed = ended.state == "failed"
    return {
        "state": ended.state,
        "closed_at": ended.closed_at,
        "code": (came.code or "held") if failed else "",
        "reason": (came.reason or ended.reason) if failed else "",
        "counts": totals(connection, item=owed.item, arrival=owed.arrival, generation=0).counts(),
        "gone": int(gone or 0),
        "errors": {code: int(n) for code, n in connection.execute(errors.group_by(quarantine.c.code).order_by(quarantine.c.code))},
    }


def _opened(keys: KeyRing, aside: Sequence[_Aside]) -> Iterator[Returned]:
    """Rows in clear, one at a time."""
    for one in aside:
        cells = json.loads(keys.open(one.raw, one.batch_id.encode()))
        own = {heading: cell if cell is None else str(cell) for heading, cell in cells.items() if heading not in _WORKING}
        yield Returned(one.ordinal + 1, one.line, one.code, one.reason, own)
