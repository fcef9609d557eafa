"""How feeds and shares stand: held, stopped and paused ones wait for a person, and stay so over a restart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, true

from hub.ledger import Ledger
from hub.tables import event, feed_state
from hub.upserts import put

WAITING = ("held", "stopped", "paused")


@dataclass(frozen=True, slots=True)
class Stand:
    """One word and why."""

    state: str = "idle"
    reason: str = ""
    since: str = ""


class Standing:
    """Keeps the words in the state database; a copy in memory answers at once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, Stand] = {}

    async def open(self) -> None:
        """Read what was kept. Whoever sets to work tries again what stopped; whoever only asks leaves it."""
        await self.refresh()

    async def try_again(self, *names: str) -> None:
        """Forget that routes stopped, all of them where none is named: their cause may be gone, or be another machine's."""
        where = feed_state.c.state == "stopped"
        where &= feed_state.c.name.in_(names) if names else true()
        await self._ledger.state.write(lambda c: c.execute(delete(feed_state).where(where)))
        await self.refresh()

    async def refresh(self) -> set[str]:
        """Read what other nodes wrote down; names that stand otherwise now."""
        rows = await self._ledger.state.read(lambda c: c.execute(select(feed_state)).all())
        known = {row.name: Stand(row.state, row.reason, row.since) for row in rows}
        changed = {name for name in known.keys() | self._known.keys() if known.get(name) != self._known.get(name)}
        self._known = known
        return changed

    def of(self, name: str) -> Stand:
        """How `feed:A0030.penalty` or `share:…` stands."""
        return self._known.get(name, Stand())

    def waiting(self) -> dict[str, Stand]:
        """Everything that waits for a person."""
        return dict(self._known)

    async def set(self, name: str, state: str, reason: str) -> None:
        """Write down that something waits."""
        now = self._ledger.now()
        row = {"name": name, "state": state, "reason": reason, "since": now}
        await self._ledger.state.write(lambda c: put(c, feed_state, row, fresh=("state", "reason", "since")), about=name)
        self._known[name] = Stand(state, reason, now)

    async def clear(self, name: str, verb: str, because: str) -> None:
        """A person decided; the decision is kept as an event."""
        row: dict[str, Any] = {"at": self._ledger.now(), "what": verb, "where": name}

        def work(connection: Any) -> None:
            connection.execute(delete(feed_state).where(feed_state.c.name == name))
            connection.execute(insert(event).values(row | {"detail": json.dumps({"because": because}, ensure_ascii=False)}))

        await self._ledger.state.write(work)
        self._known.pop(name, None)
