"""What is late and what never arrived: each feed against its frequency, each new record against its deadline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import Connection, func, select

from config.resolved import Feed, HubConfig
from hub.calendar import standing
from hub.contracts.batch import Batch, Fate, Receipt
from hub.intake import HEARD, KNOWN
from hub.ledger import Ledger
from hub.tables import arrival, batch, feed_note


class Timeliness:
    """Judges by the configuration in force. Times are the city's own."""

    def __init__(self, config: Callable[[], HubConfig], ledger: Ledger) -> None:
        self._config = config
        self._ledger = ledger

    async def late(self, loaded: Batch, receipt: Receipt) -> int:
        """How many records of a batch are new in the store and came after their deadline."""
        feed = self._config().feeds.get(loaded.header.feed)
        due = feed.when.due if feed is not None and feed.when is not None else None
        if due is None or loaded.header.withdraws or receipt.seen or due.field not in loaded.frame.columns:
            return 0
        query = select(arrival.c.first_seen).where(arrival.c.item == loaded.header.item, arrival.c.number == loaded.header.arrival)
        came = datetime.fromisoformat(await self._ledger.state.read(lambda c: c.execute(query).scalar_one())).replace(tzinfo=None)
        events = loaded.frame.get_column(due.field).cast(pl.Date).to_numpy().astype("datetime64[D]")
        overdue = due.late(events, came, self._config().calendar)
        return int(np.count_nonzero(overdue & (receipt.fates == int(Fate.INSERTED))))

    async def of_all(self, feeds: Mapping[str, Feed]) -> dict[str, dict[str, Any]]:
        """Per feed: how often it has to report, how it stands, until when, since when it is overdue, its last report and its late records."""
        notes, counts = await self._ledger.state.read(lambda c: (_notes(c), _late_counts(c)))
        now = self._ledger.clock().replace(tzinfo=None)
        return {name: self._one(feed, notes.get(name, {}), now) | {"late": counts.get(name, 0)} for name, feed in feeds.items()}

    def _one(self, feed: Feed, notes: Mapping[str, str], now: datetime) -> dict[str, Any]:
        known = _local(notes.get(KNOWN)) or now
        last = _local(notes.get(HEARD))
        found = standing(feed.item.frequency, known_since=known, last=last, now=now, calendar=self._config().calendar)
        return {
            "frequency": feed.item.frequency,
            "reporting": found.state,
            "due_by": _text(found.due_by),
            "overdue_since": _text(found.overdue_since),
            "last_report": _text(last),
        }


def _notes(connection: Connection) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in connection.execute(select(feed_note.c.feed, feed_note.c.key, feed_note.c.at).where(feed_note.c.key.in_((HEARD, KNOWN)))):
        found.setdefault(row.feed, {})[row.key] = row.at
    return found


def _late_counts(connection: Connection) -> dict[str, int]:
    query = select(batch.c.feed, func.sum(batch.c.late)).where(batch.c.late > 0).group_by(batch.c.feed)
    return {feed: int(number) for feed, number in connection.execute(query)}


def _local(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=None) if text else None


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="minutes") if moment else None
