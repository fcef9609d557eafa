"""Where a pull begins and how far it got: everything each time, what changed since, stretch by stretch, or what follows the last id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from connectors.rest.answers import Cells
from connectors.rest.settings import LastId, RestRead, Since, Window
from connectors.rest.times import read, written, zoned
from hub.contracts.errors import Misconfigured

Now = Callable[[], datetime]


class Progress(Protocol):
    """One part of a pull."""

    last_id: str | None

    def params(self) -> Mapping[str, str]:
        """What is asked with besides the page."""

    def take(self, rows: Sequence[Cells]) -> None:
        """Look at rows as they come."""

    def may_stop(self) -> bool:
        """Whether the part may end here, so that the next one goes on behind it."""

    def cursor(self, ended: bool) -> Any:
        """Where the next part begins (JSON-able), None to keep the old place; `ended` says that the last page was read."""

    def more(self, ended: bool) -> bool:
        """Whether there is more to be had at once."""


def progress_of(settings: RestRead, after: Any, now: Now) -> Progress:
    """The part that begins at a cursor."""
    if settings.since is not None:
        return SinceProgress(settings.since, after, now)
    if settings.window is not None:
        return WindowProgress(settings.window, after, now)
    if settings.last_id is not None:
        return IdProgress(settings.last_id, after)
    return WholeProgress()


class WholeProgress:
    """Everything, each time."""

    last_id: str | None = None

    def params(self) -> Mapping[str, str]:
        """Nothing more."""
        return {}

    def take(self, rows: Sequence[Cells]) -> None:
        """Nothing to remember."""

    def may_stop(self) -> bool:
        """A whole list is one part."""
        return False

    def cursor(self, ended: bool) -> Any:
        """There is none."""
        return None

    def more(self, ended: bool) -> bool:
        """Never."""
        return False


class IdProgress(WholeProgress):
    """What follows the last id; `after` is {"id": …}. `last_id` is moved on by the walk over the pages."""

    def __init__(self, settings: LastId, after: Any) -> None:
        self._field = settings.field
        self.last_id = str(after["id"]) if after else settings.start or None

    def take(self, rows: Sequence[Cells]) -> None:
        """Remember the last id."""
        if rows:
            self.last_id = rows[-1].get(self._field) or self.last_id

    def may_stop(self) -> bool:
        """After any page."""
        return True

    def cursor(self, ended: bool) -> Any:
        """Behind the last row."""
        return None if self.last_id is None else {"id": self.last_id}

    def more(self, ended: bool) -> bool:
        """Until the last page."""
        return not ended


class SinceProgress:
    """Rows changed since a time; `after` is {"time", "id", "going"}, where `going` says that the last part stopped in the middle.

    The first part of a pull goes back by the overlap, so that rows that appeared late are seen. The place never moves beyond the present, whatever time a
    row claims.
    """

    last_id: str | None = None

    def __init__(self, settings: Since, after: Any, now: Now) -> None:
        self._settings = settings
        self._now = now()
        self._going = bool(after and after["going"])
        self._old = datetime.fromisoformat(after["time"]) if after else zoned(settings.start) if settings.start else None
        self._id: str = str(after["id"]) if self._going else ""
        self._seen: datetime | None = None
        self._seen_id = ""
        self._from = self._old if self._going or not after or self._old is None else self._old - settings.overlap

    def params(self) -> Mapping[str, str]:
        """The time from which on rows are wanted, and the id within that time when a part goes on."""
        params = {} if self._from is None else {self._settings.name: written(self._from, self._settings.format)}
        return params | ({self._settings.id_name: self._id} if self._settings.id_name and self._id else {})

    def take(self, rows: Sequence[Cells]) -> None:
        """Remember the latest time, and the id of its last row. Raises `Misconfigured` where no row has a readable time."""
        times = [(read(row.get(self._settings.field) or "", self._settings.format), row) for row in rows]
        if rows and not any(time for time, _ in times):
            hint = "`field` names the column of the last change, `format` how it is written"
            raise Misconfigured(f"no row of a page has a readable time in {self._settings.field}", hint=hint)
        for time, row in times:
            if time is not None and time <= self._now and (self._seen is None or time >= self._seen):
                self._seen, self._seen_id = time, row.get(self._settings.id_field) or ""

    def may_stop(self) -> bool:
        """Where rows come in order and the place has moved."""
        moved = self._seen is not None and (self._from is None or self._seen > self._from or bool(self._settings.id_name and self._seen_id != self._id))
        return self._settings.ordered and moved

    def cursor(self, ended: bool) -> Any:
        """The latest time seen so far; it never moves back."""
        times = [time for time in (self._old, self._seen) if time is not None]
        if not times:
            return None
        return {"time": max(times).isoformat(), "id": self._seen_id, "going": not ended}

    def more(self, ended: bool) -> bool:
        """Until the last page."""
        return not ended


class WindowProgress(WholeProgress):
    """One stretch of time; `after` is {"until", "going"}, where `going` says that the last stretch did not reach the present."""

    def __init__(self, settings: Window, after: Any, now: Now) -> None:
        self._settings = settings
        present = now().replace(microsecond=0)
        done = datetime.fromisoformat(after["until"]) if after else zoned(settings.start)
        self._end = max(done, min(done + settings.step, present))
        self._going = self._end < present
        self._from = done if not after or after["going"] else done - settings.overlap

    def params(self) -> Mapping[str, str]:
        """Beginning and end."""
        pattern = self._settings.format
        return {self._settings.from_name: written(self._from, pattern), self._settings.to_name: written(self._end, pattern)}

    def cursor(self, ended: bool) -> Any:
        """The end of this stretch."""
        return {"until": self._end.isoformat(), "going": self._going}

    def more(self, ended: bool) -> bool:
        """Until the present."""
        return self._going
