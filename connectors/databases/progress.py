"""Where a pull of what is new begins and how far it got: by a time and an id, or by an id, and a stretch of what was read before once more.

The place is only moved over rows that were read, never beyond the database's own clock, and back when that clock is set back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from connectors.databases.columns import View
from connectors.databases.dialect import Ask, Piece, Place
from connectors.databases.frames import frame_of, rows_of, without
from connectors.databases.moments import moment
from connectors.databases.recent import Recent, rank
from connectors.databases.settings import Since

PART_ROWS = 1_000_000
AGAIN_ROWS = 100_000  # by id alone, at most so many rows are read again
_DRIFT = timedelta(seconds=60)
_UNKNOWN = timedelta(days=1)  # how far back to look where nobody can tell when a clock was set back
_MARKS = 50
_EARLIEST = {"time": "1000-01-01 00:00:00", "date": "1000-01-01", "number": "0"}
_LATEST = "9999-12-31 23:59:59"


@dataclass
class State:
    """What is kept from one part to the next (JSON-able with `to_wire`).

    `at`: the order's values that were reached; `going`: the walk is not through, and goes on right behind. `clock` (theirs) and `now` (ours) of when the
    walk began. `marks`: which id had been reached at what time. `again`: where the next walk begins, by id. `seen`: landed hashes of what this walk has
    read in the stretch that will be read again, each with its last key and the key before its first; `old`: those of the walk before.
    """

    at: list[str] = field(default_factory=list)
    going: bool = False
    clock: str = ""
    now: str = ""
    marks: list[list[str]] = field(default_factory=list)
    again: str | None = None
    seen: list[list[str | None]] = field(default_factory=list)
    old: list[str] = field(default_factory=list)

    def to_wire(self) -> dict[str, Any]:
        """As it is kept."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def documents(self) -> list[str]:
        """Digests of landed hashes."""
        return self.old if self.going else self.old + [str(one[0]) for one in self.seen]


class Walk:
    """One part of what is new. `clock` is the database's time before anything of it was read, `known` are hashes of rows that were read before."""

    def __init__(self, since: Since, view: View, state: State | None, *, clock: str, now: datetime, known: pl.DataFrame) -> None:
        self._since = since
        self._view = view
        self._state = state or State()
        self._began = state is not None and bool(state.at)
        self._clock, self._now = clock, now
        self._known = known
        self._order = (since.time, since.id) if since.time else (since.id,)
        self._places = [view.columns.index(name) for name in self._order]
        self._last: list[str] | None = None
        self._rows = 0
        self._fresh = 0
        self.left_out = 0
        self.set_back = self._set_back()
        self._start = self._begin()
        start = self._start.values[0] if self._start else None
        self._recent = Recent(view.columns, start) if since.time else Recent(view.columns, start, AGAIN_ROWS)

    def ask(self) -> Ask:
        """The rows of this part."""
        column = self._view.relation.column(self._order[0])
        until = (self._order[0], _LATEST) if self._since.time and self._start is None and column is not None else None
        return self._view.ask(order=self._order, after=self._start, until=until, limit=PART_ROWS)

    def take(self, piece: Piece) -> tuple[bytes, int]:
        """What of a piece was not read before with the same content: its lines and rows."""
        self._rows += piece.rows
        if piece.last is not None:
            self._last = [piece.last[place] or "" for place in self._places]
            self._recent.add(piece, self._last[0])
            if (start := self._next_start(self._last)) is not None:
                self._recent.forget_before(start)
        if not self._known.height:
            self._fresh += piece.rows
            return piece.lines, piece.rows
        frame = frame_of(piece.lines, self._view.columns)
        fresh = without(frame, self._known)
        self._fresh += fresh.height
        self.left_out += frame.height - fresh.height
        return (piece.lines, piece.rows) if fresh.height == frame.height else (rows_of(fresh), fresh.height)

    @property
    def going(self) -> bool:
        """Whether there is more to be had right behind."""
        return self._rows >= PART_ROWS

    @property
    def _changed(self) -> bool:
        """Whether other hashes are needed than those that are landed: not where everything was known."""
        return self._fresh > 0 or self._state.going

    def hashes(self) -> bytes:
        """What has to be landed so that the next walk can tell what it has read before; empty where nothing has to."""
        return self._recent.document() if self._changed else b""

    def state(self, digest: str) -> State:
        """Where the next part goes on; `digest` is where `hashes` were landed, "" where there are none."""
        old, at = self._state, self._last or self._state.at
        seen = list(old.seen) if old.going or not self._changed else []
        if digest:
            seen = [*seen, [digest, self._recent.last, self._recent.before]][-3:]
        began = (old.clock, old.now) if old.going and old.clock else (self._clock, self._now.isoformat())
        if self.going:
            return State(at, True, *began, old.marks, old.again, seen, old.documents)
        marks, again = self._marked(at, began[0], seen) if not self._since.time else ([], None)
        at = self._within_clock(at)
        start = again if not self._since.time else self._next_start(at)
        seen = [one for one in seen if start is None or one[1] is None or rank(one[1]) >= rank(start)]
        return State(at, False, *began, marks, again, seen, [])

    def _begin(self) -> Place | None:
        """Where this part begins; None is the very beginning."""
        state = self._state
        if not self._began:
            return self._first()
        if state.going:
            return Place(self._order, tuple(state.at))
        if not self._since.time:
            return Place(self._order, (state.again,)) if state.again is not None else self._first()
        found = moment(state.at[0])
        if found is None or not (self._since.overlap or self.set_back):
            return Place(self._order[: len(state.at)], tuple(state.at))
        begin = found.time - self._since.overlap
        if self.set_back is not None:
            begin = min(begin, self.set_back - self._since.overlap)
        return Place(self._order[:1], (found.before(begin),))

    def _first(self) -> Place | None:
        column = self._view.relation.column(self._order[0])
        sort = column.sort if column is not None else "text"
        text = self._since.begin
        if self._since.time:
            found = moment(text) if text else None
            text = text if found is None else found.before(found.time)
            text = text or _EARLIEST.get(sort, "")
        elif text and rank(text)[0] == 0:
            text = str(int(text) - 1)
        return Place(self._order[:1], (text,)) if text else None

    def _next_start(self, at: list[str]) -> str | None:
        """The time behind which the next walk would begin, had this one ended at `at`."""
        if not self._since.time or not at:
            return None
        found = moment(self._within_clock(at)[0])
        return None if found is None else found.before(found.time - self._since.overlap)

    def _within_clock(self, at: list[str]) -> list[str]:
        """A row from the future does not move the place beyond the database's own clock."""
        found, clock = (moment(at[0]), moment(self._clock)) if at and self._since.time else (None, None)
        if found is None or clock is None or found.time <= clock.time:
            return at
        return [found.written(clock.time)]

    def _set_back(self) -> datetime | None:
        """The earliest time that rows may have that were written since the last walk began, where their clock was set back; else None."""
        before, clock = moment(self._state.clock), moment(self._clock)
        if before is None or clock is None or not self._state.now:
            return None
        passed = self._now - datetime.fromisoformat(self._state.now)
        if clock.time < before.time:
            return clock.time - max(passed, timedelta()) - _UNKNOWN
        if before.time + passed - clock.time > _DRIFT:
            return clock.time - passed
        return None

    def _marked(self, at: list[str], clock: str, seen: list[list[str | None]]) -> tuple[list[list[str]], str | None]:
        """Marks with the id reached now, and the id behind which the next walk begins."""
        if not at:
            return self._state.marks, None
        if not self._since.overlap:
            return [], at[0]
        marks = [[min(mark[0], clock), mark[1]] for mark in self._state.marks] + [[clock, at[0]]]
        found = moment(clock)
        edge = (found.time - self._since.overlap).isoformat(" ") if found is not None else ""
        passed = [mark for mark in marks if mark[0] <= edge]
        keys = [key for key in (passed[-1][1] if passed else None, seen[0][2] if seen else None) if key is not None]
        return [*passed[-1:], *marks[len(passed) :]][-_MARKS:], max(keys, key=rank, default=None)
