"""An item belongs to one transaction at a time, and to the loader with the highest fence: its head row is locked before anything else is asked."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import polars as pl
from sqlalchemy import select, update

from connectors.stores.session import CONFLICT, FENCED, LOST, Session
from connectors.stores.tables import HEAD
from hub.contracts.errors import Unavailable

_REPEATS = 3
_PAUSE_S = 0.05
T = TypeVar("T")


def _held(session: Session, item: str) -> tuple[int, int] | None:
    found = session.fetch(select(HEAD.c.seq, HEAD.c.fence).where(HEAD.c.item == item).with_for_update())
    return (int(found[0, "seq"]), int(found[0, "fence"])) if found.height else None


def claim(session: Session, item: str, fence: int) -> int:
    """Lock an item for the running transaction; its latest journal sequence. Raises `Unavailable` where a loader with a higher fence has come."""
    held = _held(session, item)
    if held is None:
        session.add_new(HEAD, pl.DataFrame([{"item": item, "seq": 0, "fence": fence}]))
        held = _held(session, item) or (0, fence)
    seq, highest = held
    if fence < highest:
        hint = "nothing was written; the loader that holds the item applies the batch"
        raise Unavailable(f"another loader has taken over {item}", hint=hint, code=FENCED)
    if fence > highest:
        session.run(update(HEAD).where(HEAD.c.item == item).values(fence=fence))
    return seq


def pause(turn: int) -> None:
    """Wait a little before a transaction is repeated, longer each time and never in step with others."""
    time.sleep(_PAUSE_S * 2**turn * random.uniform(0.5, 1.5))


def whole(transaction: Callable[[], T], wait: Callable[[int], None] = pause) -> T:
    """Run a transaction, at most three times again where others stood in its way or its connection was lost.

    Repeating is also how the outcome of a lost commit is found out: the transaction begins by waiting for the item's lock and asking the inbox.
    """
    for turn in range(_REPEATS):
        try:
            return transaction()
        except Unavailable as error:
            if error.code not in (CONFLICT, LOST):
                raise
        wait(turn)
    return transaction()
