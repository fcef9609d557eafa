"""Snapshots (全量): which records a feed's whole deliveries name, and which of them are gone.

While a snapshot is read, each batch leaves the ids of the records that it names, taken before any check: a rejected row is not a gone row. After its last
row they are compared with what the feed's snapshots named before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from sqlalchemy import Connection, delete, func, select

from hub.contracts.batch import Header, Step
from hub.tables import snapshot, snapshot_keys
from hub.upserts import add_new, put

Ids = np.ndarray[Any, np.dtype[np.bytes_]]
Counts = np.ndarray[Any, np.dtype[np.uint8]]

ID_BYTES = 16
_KEPT = 3  # arrivals whose ids are kept, because later ones may name their batches as the same
_MOST_MISSES = 250


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a whole snapshot says: `gone` ids, of how many that were `known`; `suspended` says why nothing may be withdrawn. `ids` and `misses` are
    what will be known from now on.
    """

    gone: Ids
    known: int
    suspended: str
    ids: Ids
    misses: Counts


def keep_keys(connection: Connection, header: Header, step: Step) -> None:
    """Keep the ids of a batch of a snapshot; one that is the same as an earlier batch names the same records."""
    values: dict[str, Any] = {"batch_id": header.batch_id, "feed": header.feed, "arrival": header.arrival}
    if step.keys is not None:
        values |= {"ids": step.keys.ids, "unreadable": step.keys.unreadable}
    elif header.same_as and (before := connection.execute(select(snapshot_keys).where(snapshot_keys.c.batch_id == header.same_as)).first()):
        values |= {"ids": before.ids, "unreadable": before.unreadable}
    else:
        return
    add_new(connection, snapshot_keys, values)


def having_keys(connection: Connection, feed: str, stored: Mapping[str, tuple[str, int]]) -> dict[str, tuple[str, int]]:
    """Of batches by content those whose ids are known, so that they may be taken for the same."""
    known = set(connection.execute(select(snapshot_keys.c.batch_id).where(snapshot_keys.c.feed == feed)).scalars())
    return {content: found for content, found in stored.items() if found[0] in known}


def misses_pending(connection: Connection, feed: str) -> bool:
    """Whether records are missing that were not missing often enough yet: then the same content again says something new."""
    return bool(connection.execute(select(snapshot.c.missing).where(snapshot.c.feed == feed)).scalar())


def compare(connection: Connection, feed: str, arrival: int, after: int) -> Comparison:
    """Hold a snapshot that was read to its end against what was known. `after` is in how many snapshots on end a record must be missing."""
    query = select(snapshot_keys.c.ids, snapshot_keys.c.unreadable).where(snapshot_keys.c.feed == feed, snapshot_keys.c.arrival == arrival)
    rows = connection.execute(query).all()
    named = np.unique(np.concatenate([_ids(row.ids) for row in rows])) if rows else _ids(b"")
    unreadable = sum(row.unreadable for row in rows)
    before = connection.execute(select(snapshot).where(snapshot.c.feed == feed)).first()
    if before is None:
        return Comparison(_ids(b""), 0, "", named, np.zeros(len(named), np.uint8))
    known, misses = _ids(before.ids), _unpack(before.misses)
    suspended = f"{unreadable} rows have no readable key" if unreadable else "" if len(named) else "it names no record"
    missing = ~np.isin(known, named, assume_unique=True)
    if not suspended:
        misses = np.where(missing, np.minimum(misses + 1, _MOST_MISSES), 0).astype(np.uint8)
    leaving = missing & (misses >= after) & (not suspended)
    new = np.setdiff1d(named, known, assume_unique=True)
    ids = np.concatenate([known[~leaving], new])
    order = np.argsort(ids, kind="stable")
    kept = np.concatenate([misses[~leaving], np.zeros(len(new), np.uint8)])
    return Comparison(known[leaving], len(known), suspended, ids[order], kept[order])


def keep(connection: Connection, feed: str, arrival: int, found: Comparison, now: str) -> None:
    """Make a comparison the state from which the next snapshot is looked at."""
    row = {
        "arrival": arrival,
        "ids": found.ids.tobytes(),
        "misses": zstandard.compress(found.misses.tobytes()),
        "missing": int(np.count_nonzero(found.misses)),
        "at": now,
    }
    put(connection, snapshot, row | {"feed": feed}, fresh=tuple(row))
    oldest = select(snapshot_keys.c.arrival).where(snapshot_keys.c.feed == feed).distinct().order_by(snapshot_keys.c.arrival.desc()).limit(_KEPT)
    lowest = connection.execute(select(func.min(oldest.subquery().c.arrival))).scalar()
    if lowest is not None:
        connection.execute(delete(snapshot_keys).where(snapshot_keys.c.feed == feed, snapshot_keys.c.arrival < lowest))


def hexadecimal(ids: bytes) -> list[str]:
    """Ids as record numbers."""
    return [ids[start : start + ID_BYTES].hex() for start in range(0, len(ids), ID_BYTES)]


def _ids(packed: bytes) -> Ids:
    return np.frombuffer(packed, f"S{ID_BYTES}")


def _unpack(packed: bytes) -> Counts:
    return np.frombuffer(zstandard.decompress(packed), np.uint8)
