"""Per share and item: who was handed which record, and what is withheld at present for which reason. Steps of one transaction each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, delete, select, update

from hub.delivery_tables import delivered_record, share_cursor, withheld, withheld_tally
from hub.upserts import add_new, put

_AT_ONCE = 10_000  # bound values in one statement


def target(connection: Connection, share: str, item: str) -> int:
    """The number under which a share's records of an item are kept; made when first asked for."""
    add_new(connection, share_cursor, {"share": share, "item": item})
    found = connection.execute(select(share_cursor.c.id).where(share_cursor.c.share == share, share_cursor.c.item == item)).scalar_one()
    return int(found)


def count(connection: Connection, place: int, **records: int) -> None:
    """Add to the tallies `offered`, `delivered`, `withheld` and `dead` of a target."""
    changes = {share_cursor.c[word]: share_cursor.c[word] + n for word, n in records.items() if n}
    if changes:
        connection.execute(update(share_cursor).where(share_cursor.c.id == place).values(changes))


def mark(connection: Connection, place: int, record_ids: Iterable[str], sequence: int) -> None:
    """Remember that these records may have reached the receiver with this delivery."""
    rows = [{"target": place, "record": bytes.fromhex(r), "sequence": sequence} for r in record_ids]
    if rows:
        put(connection, delivered_record, rows, fresh=("sequence",))


def marked(connection: Connection, share: str, item: str, record_ids: Collection[str]) -> frozenset[str]:
    """Those of the records that may ever have reached the receiver."""
    ids = [bytes.fromhex(r) for r in record_ids]
    query = select(delivered_record.c.record).join(share_cursor, share_cursor.c.id == delivered_record.c.target)
    query = query.where(share_cursor.c.share == share, share_cursor.c.item == item)
    return frozenset(
        record.hex()
        for start in range(0, len(ids), _AT_ONCE)
        for record in connection.scalars(query.where(delivered_record.c.record.in_(ids[start : start + _AT_ONCE])))
    )


def settle(connection: Connection, place: int, *, left: Iterable[str], held: Mapping[str, str], seq: int, at: str) -> None:
    """Bring what is withheld up to date: `left` no longer is, `held` (record id to reason) is. The tallies follow; safe to repeat."""
    before = _reasons(connection, place, [*left, *held])
    now = {bytes.fromhex(r): reason for r, reason in held.items()}
    gone = [record for record in before if record not in now]
    if gone:
        connection.execute(delete(withheld).where(withheld.c.target == place, withheld.c.record.in_(gone)))
    if now:
        rows = [{"target": place, "record": record, "reason": reason, "seq": seq, "at": at} for record, reason in now.items()]
        put(connection, withheld, rows, fresh=("reason", "seq", "at"))
    difference = Counter(now.values())
    difference.subtract(Counter(before.values()))
    _tally(connection, place, difference)


def _reasons(connection: Connection, place: int, record_ids: list[str]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for start in range(0, len(record_ids), _AT_ONCE):
        ids = [bytes.fromhex(r) for r in record_ids[start : start + _AT_ONCE]]
        query = select(withheld.c.record, withheld.c.reason).where(withheld.c.target == place, withheld.c.record.in_(ids))
        found.update((row.record, row.reason) for row in connection.execute(query))
    return found


def _tally(connection: Connection, place: int, difference: Mapping[str, int]) -> None:
    for reason, n in difference.items():
        if n:
            put(connection, withheld_tally, {"target": place, "reason": reason, "records": n}, fresh=(), added=("records",))
