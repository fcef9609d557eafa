"""What a store must answer and hold, told row by row in plain Python: the oracle for every fast path."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from hub.contracts.batch import Fate


@dataclass(frozen=True)
class Said:
    """One row of a batch: what an agency says about one record."""

    key: str
    text: str = "a"
    op: str = "U"
    status: int = 0
    subject: str | None = "s"
    time: datetime | None = None


@dataclass(frozen=True)
class Held:
    """What a store holds about one record."""

    text: str
    status: int
    feed: str
    at: tuple[int, int, int]  # arrival, ordinal, generation
    time: datetime | None


@dataclass
class Fold:
    """A store of one item as a dictionary."""

    priority: dict[str, int] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)

    def apply(self, rows: list[Said], feed: str, arrival: int, generation: int = 0) -> list[Fate]:
        """Fold one batch in; the fate of each row."""
        last = {row.key: place for place, row in enumerate(rows)}
        fates = []
        for place, row in enumerate(rows):
            if place == last[row.key]:
                fates.append(self._one(row, feed, (arrival, place, generation)))
            else:
                winner = rows[last[row.key]]
                same = (row.text, row.op, self._target(row)) == (winner.text, winner.op, self._target(winner))
                fates.append(Fate.DUPLICATE if same else Fate.SUPERSEDED)
        return fates

    @staticmethod
    def _target(row: Said) -> int:
        return 1 if row.op == "D" else row.status

    def _one(self, row: Said, feed: str, at: tuple[int, int, int]) -> Fate:
        held, target = self.held.get(row.key), self._target(row)
        if held is None:
            if row.op != "D" and row.subject is None:
                return Fate.UNMATCHED
            self.held[row.key] = Held(row.text, target, feed, at, row.time)
            return Fate.WITHDRAWN if target == 1 else Fate.INSERTED
        if held.status == target and (row.op == "D" or held.text == row.text):
            return Fate.UNCHANGED
        if not self._newer(row, feed, at, held):
            return Fate.SUPERSEDED
        if row.op != "D" and row.subject is None:
            return Fate.UNMATCHED
        self.held[row.key] = Held(held.text if row.op == "D" else row.text, target, feed, at, row.time)
        return Fate.WITHDRAWN if target == 1 else Fate.UPDATED

    def _newer(self, row: Said, feed: str, at: tuple[int, int, int], held: Held) -> bool:
        if row.time and held.time and row.time != held.time:
            return row.time > held.time
        mine, theirs = self.priority.get(feed, 0), self.priority.get(held.feed, 0)
        return mine > theirs if mine != theirs else at > held.at
