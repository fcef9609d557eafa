"""Batches that come again unchanged: told by their content, and settled without their rows as long as nobody has changed one of them since."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import delete, insert, select

from connectors.stores.claiming import claim
from connectors.stores.inbox import find_receipt, head_of, keep_receipt
from connectors.stores.session import Session
from connectors.stores.stored import JOURNAL_OP, journal_rows
from connectors.stores.tables import CONTENT, CONTENT_KEYS, JOURNAL
from hub.contracts.batch import RECORD_ID, Fate, Header, Receipt
from hub.contracts.item import Item
from hub.contracts.keys import KeyRing

Keys = np.ndarray[Any, np.dtype[np.uint64]]

_STORED = (Fate.INSERTED, Fate.UPDATED, Fate.UNCHANGED)
_ENTRIES = 64
"""Most changed journal entries that are looked through; beyond, the rows are asked for."""

_ARRIVALS = 3
"""Arrivals of a feed for which contents are remembered."""


def prefixes(record_ids: pl.Series) -> Keys:
    """The first 64 bits of record numbers, sorted: enough to say that a record is surely not among them."""
    halves = record_ids.str.slice(0, 16).str.decode("hex").bin.reinterpret(dtype=pl.UInt64, endianness="big")
    return np.sort(halves.to_numpy())


def remember(session: Session, header: Header, record_ids: pl.Series, receipt: Receipt) -> None:
    """Keep a batch's content if every row of it is in the store."""
    if not header.content or len(record_ids) != header.rows or not np.isin(receipt.fates, _STORED).all():
        return
    forget(session, header)
    checked = receipt.seq if receipt.seq is not None else head_of(session, header.item)
    named = {"batch_id": header.batch_id, "feed": header.feed, "arrival": header.arrival, "root": header.batch_id, "checked": checked}
    session.run(insert(CONTENT), pl.DataFrame([named]))
    session.run(insert(CONTENT_KEYS), pl.DataFrame([{"root": header.batch_id, "record_ids": prefixes(record_ids).tobytes()}]))


def forget(session: Session, header: Header) -> None:
    """Drop the contents of older arrivals, once at the beginning of each."""
    if header.first:
        return
    session.run(delete(CONTENT).where(CONTENT.c.feed == header.feed, CONTENT.c.arrival < header.arrival - _ARRIVALS))
    session.run(delete(CONTENT_KEYS).where(CONTENT_KEYS.c.root.not_in(select(CONTENT.c.root))))


class Recogniser:
    """Settles batches that are the same as an earlier one. Journal entries are read once."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._changed: dict[tuple[str, int], Keys] = {}

    def settle(self, session: Session, header: Header, item: Item, clock: Callable[[], datetime], fence: int = 0) -> Receipt | None:
        """The receipt, all unchanged; None where the rows must be seen. One transaction."""
        with session.writing():
            head = claim(session, item.code, fence)
            if seen := find_receipt(session, header.batch_id):
                return seen
            known = session.fetch(select(CONTENT.c.root, CONTENT.c.checked).where(CONTENT.c.batch_id == header.same_as))
            if known.is_empty():
                return None
            root, checked = known.row(0)
            if head > checked and self._touched(session, item.code, root, checked, head):
                return None
            receipt = Receipt(header.batch_id, np.full(header.rows, Fate.UNCHANGED, np.uint8))
            keep_receipt(session, header, receipt, clock())
            mine = {"batch_id": header.batch_id, "feed": header.feed, "arrival": header.arrival, "root": root}
            session.run(insert(CONTENT), pl.DataFrame([mine | {"checked": head}]))
            forget(session, header)
            return receipt

    def _touched(self, session: Session, item: str, root: str, checked: int, head: int) -> bool:
        """True where one of the batch's records may have been changed or withdrawn since."""
        entries = session.fetch(select(JOURNAL.c.seq, JOURNAL.c.counts).where(JOURNAL.c.item == item, JOURNAL.c.seq > checked))
        changing = [seq for seq, counts in entries.iter_rows() if json.loads(counts).keys() - {"insert"}]
        if entries.height != head - checked or len(changing) > _ENTRIES:
            return True
        if not changing:
            return False
        kept = session.fetch(select(CONTENT_KEYS.c.record_ids).where(CONTENT_KEYS.c.root == root))
        if kept.is_empty():
            return True
        mine = np.frombuffer(kept.item(), np.uint64)
        return any(bool(np.isin(self._changes(session, item, seq), mine, kind="sort").any()) for seq in changing)

    def _changes(self, session: Session, item: str, seq: int) -> Keys:
        """Records that a journal entry changed or withdrew."""
        if (item, seq) not in self._changed:
            body = session.fetch(select(JOURNAL.c.body).where(JOURNAL.c.item == item, JOURNAL.c.seq == seq)).item()
            rows = journal_rows(body, item, seq, self._keys)
            while len(self._changed) >= _ENTRIES:
                self._changed.pop(next(iter(self._changed)))
            self._changed[item, seq] = prefixes(rows.filter(pl.col(JOURNAL_OP) != "insert")[RECORD_ID])
        return self._changed[item, seq]
