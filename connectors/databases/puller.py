"""Asks a database for all of a table, for what is new in it, for what differs, or for what waits to be read."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import closing
from datetime import datetime
from typing import Any

from connectors.databases.columns import View, drift, keyed, remembered, spelt, view_of
from connectors.databases.comparing import compare
from connectors.databases.copying import Copied, Copier, Take, everything
from connectors.databases.dialect import Ask, Database, Relation
from connectors.databases.frames import frame_of, heading
from connectors.databases.moments import moment
from connectors.databases.progress import State, Walk
from connectors.databases.recent import remembered as recalled
from connectors.databases.settings import DatabaseConfig, DatabaseRead
from connectors.formats.pace import Surroundings
from connectors.formats.pulling import Harvest, Pulled, json_lines
from connectors.formats.worker import Worker
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable
from hub.contracts.source import SAMPLE_BYTES, Finding, Intake

WAITING_ROWS = 20_000
_SKEW = 60.0  # seconds between their clock and ours that are worth a word


class DatabasePuller:
    """The `Puller` of one feed. `known` are the item's headings, normalised; `intake` holds what was landed."""

    def __init__(
        self, database: Database, config: DatabaseConfig, read: DatabaseRead, known: frozenset[str], intake: Intake, world: Surroundings | None = None
    ) -> None:
        self._database = database
        self._config = config
        self._read = self._given = read
        self._known = known
        self._intake = intake
        self._world = world or Surroundings()
        self._worker = Worker("database", 1)
        self._copier = Copier(database, self._worker, self._world, config.rows_per_second)
        self._place = [config.host, config.port, config.database, *_place(read)]

    async def pull(self, after: Any, harvest: Harvest) -> Pulled:
        """One part: everything, what is new (at most a million rows), what differs, or what waits (at most 20,000 rows)."""
        cursor = after if isinstance(after, dict) and after.get("place") == self._place else {"place": self._place}
        if cursor.get("unmarked"):
            return Pulled()  # the status of the part before is not written yet: its rows still look as if they waited
        try:
            pulled = await self._asked(cursor, harvest)
        except BaseException:
            await self._worker.do(self._database.close)
            raise
        if not pulled.more:
            await self._worker.do(self._database.close)  # nobody's server keeps an idle connection for us until the next time
        return pulled

    async def _asked(self, cursor: dict[str, Any], harvest: Harvest) -> Pulled:
        server, clock, view = await self._worker.do(self._look)
        changed = drift(view, cursor.get("relation"), named=bool(self._read.columns))
        kept = cursor | {"relation": remembered(view)}
        about = {"server": server, "relation": view.relation.name, "columns": list(view.columns), "clock": clock, **changed}
        about |= {"denied": list(view.denied)} if view.denied else {}
        about |= self._skew(clock)
        try:
            await self._worker.do(self._database.begin)
            pulled = await self._part(kept, view, clock, harvest)
            odd = dict((await self._worker.do(self._database.oddities)).said)
        finally:
            await self._worker.do(self._database.end)
        about |= {"odd": odd} if odd else {}
        return Pulled(pulled.cursor, about | pulled.evidence, pulled.more)

    async def _part(self, kept: dict[str, Any], view: View, clock: str, harvest: Harvest) -> Pulled:
        if self._read.done is not None:
            return await self._waiting(kept, view, harvest)
        if self._read.since is None:
            return await self._whole(kept, view, harvest)
        if kept.get("comparing"):
            return await self._differing(kept, view, clock, harvest)
        return await self._new(kept, view, clock, harvest)

    async def _whole(self, kept: dict[str, Any], view: View, harvest: Harvest) -> Pulled:
        ask = view.ask(order=view.order)
        rows = await self._count(view, ask)
        copied = await self._copy(ask, view, harvest)
        self._complete(view, rows, copied)
        return Pulled(kept, {"mode": "all", "count": rows} | _said(copied))

    async def _new(self, kept: dict[str, Any], view: View, clock: str, harvest: Harvest) -> Pulled:
        assert self._read.since is not None
        state = State(**kept["since"]) if kept.get("since") else None
        known = await self._worker.do(self._recall, state.documents if state else [])
        walk = Walk(self._read.since, view, state, clock=clock, now=self._world.now(), known=known)
        evidence: dict[str, Any] = {"mode": "since"}
        if state is None and self._read.since.time:
            evidence |= await self._timeless(view)
        copied = await self._copy(walk.ask(), view, harvest, walk.take)
        hashes = walk.hashes()
        digest = await harvest.keep(hashes) if hashes else ""
        state = walk.state(digest)
        comparing = not walk.going and self._compare_due(kept, clock)
        evidence |= {"cursor": state.at, "read": copied.rows, "left_out": walk.left_out} | _said(copied)
        evidence |= {"digests": [digest]} if digest else {}
        if walk.set_back is not None:
            evidence["clock_set_back_to"] = clock
        return Pulled(kept | {"since": state.to_wire(), "comparing": comparing}, evidence, walk.going or comparing)

    async def _differing(self, kept: dict[str, Any], view: View, clock: str, harvest: Harvest) -> Pulled:
        before = kept.get("compared") or {}
        old = await self._worker.do(self._document, before.get("sums", "")) if before.get("columns") == list(view.columns) else None
        rows = await self._count(view, view.ask())
        found = await self._worker.do(compare, self._database, view, rows, json.loads(old) if old else None)
        ask = found.ask(view)
        copied = await self._copy(ask, view, harvest) if ask is not None else Copied()
        if ask is not None:
            self._complete(view, sum(found.sums[bucket][0] for bucket in found.differ), copied)
        compared = {"at": clock, "columns": list(view.columns), "sums": await harvest.keep(found.document())}
        evidence: dict[str, Any] = {"mode": "compare", "count": rows, "buckets": found.of, "differ": len(found.differ), "gone": found.gone}
        if self._read.since is not None and self._read.since.time:
            evidence |= await self._timeless(view)
        return Pulled(kept | {"comparing": False, "compared": compared}, evidence | _said(copied))

    async def _waiting(self, kept: dict[str, Any], view: View, harvest: Harvest) -> Pulled:
        done = self._read.done
        assert done is not None
        ask = view.ask(order=(view.id,), equals={done.column: done.waiting}, limit=WAITING_ROWS)
        stamp = f"{self._world.now():%Y%m%dT%H%M%S.%f}"
        copied = await self._copy(ask, view, harvest, stamp=stamp)
        full = copied.rows >= WAITING_ROWS
        cursor = kept | ({"unmarked": stamp, "full": full} if copied.rows else {})
        return Pulled(cursor, {"mode": "done", "stamp": stamp, "id": view.id, "read": copied.rows} | _said(copied))

    async def _copy(self, ask: Ask, view: View, harvest: Harvest, take: Take = everything, stamp: str = "") -> Copied:
        await harvest.add_text(heading(view.columns, stamp), 0)
        return await self._copier.copy(ask, harvest, take)

    async def _count(self, view: View, ask: Ask) -> int:
        rows = await self._worker.do(self._database.count, ask)
        if rows > self._read.at_most:
            hint = "is it the right table? read what is new with `since`, or raise `at_most`"
            raise Misconfigured(f"{view.relation.name} has {rows:,} rows, more than {self._read.at_most:,}", hint=hint)
        return rows

    async def _timeless(self, view: View) -> dict[str, Any]:
        """How many rows have no time, which `since` cannot see."""
        assert self._read.since is not None
        assert self._read.since.time
        every = await self._worker.do(self._database.count, view.ask())
        timed = await self._worker.do(self._database.count, view.ask(until=(self._read.since.time, "9999-12-31 23:59:59")))
        return {"count": every} | ({"without_time": every - timed} if every > timed else {})

    def _complete(self, view: View, rows: int, copied: Copied) -> None:
        if copied.rows != rows:
            hint = "tried again by the schedule; does somebody write the table while it is read? choose quieter hours"
            raise Unavailable(f"{view.relation.name} has {rows:,} rows, and {copied.rows:,} were read", hint=hint)

    def _compare_due(self, kept: dict[str, Any], clock: str) -> bool:
        every, before = self._read.compare, (kept.get("compared") or {}).get("at")
        if every is None or before is None:
            return every is not None
        last, now = moment(before), moment(clock)
        return last is None or now is None or now.time - last.time >= every or now.time < last.time

    def _look(self) -> tuple[str, str, View]:
        server, clock, relation = self._database.server(), self._database.clock(), self._relation()
        self._read = spelt(self._given, relation)
        return server, clock, view_of(self._read, relation, self._known)

    def _relation(self) -> Relation:
        read = self._given
        if read.table is not None:
            return self._database.relation(read.table, read.schema_ or "")
        query = self._config.queries.get(read.query or "")
        if query is None:
            there = "、".join(self._config.queries) or "none"
            raise Misconfigured(f"the source has no reviewed query {read.query}", hint=f"write it under the source's `queries`; there are {there}")
        found = self._database.query(read.query or "", query.sql)
        return keyed(found, query.key)

    def _recall(self, digests: list[str]) -> Any:
        return recalled([document for digest in digests if (document := self._document(digest))])

    def _document(self, digest: str) -> bytes:
        """A landed document; empty where it is gone, which only costs reading more again."""
        if not digest:
            return b""
        try:
            with closing(self._intake.open(digest)) as stream:
                return stream.read()
        except (Rejected, OSError, KeyError):
            return b""

    def _skew(self, clock: str) -> dict[str, Any]:
        theirs = moment(clock)
        ahead = (theirs.time - self._ours()).total_seconds() if theirs is not None else 0.0
        return {"clock_ahead_s": round(ahead)} if abs(ahead) > _SKEW else {}

    def _ours(self) -> datetime:
        now = self._world.now()
        return (now.astimezone(Surroundings().now().tzinfo) if now.tzinfo else now).replace(tzinfo=None)

    async def probe(self) -> AsyncGenerator[Finding, None]:
        """Reach, authenticate, shape, sample; nothing is written."""
        try:
            server = await self._worker.do(self._database.server)
        except Misconfigured as error:
            yield Finding("reach", True, f"{self._config.host} answers")
            yield Finding("authenticate", False, error.message, error.hint)
            return
        except HubError as error:
            yield Finding("reach", False, error.message, error.hint)
            return
        yield Finding("reach", True, f"{self._config.host} answers")
        yield Finding("authenticate", True, f"it lets us in: {server}")
        try:
            _, _, view = await self._worker.do(self._look)
        except HubError as error:
            yield Finding("shape", False, error.message, error.hint)
            return
        banned = f"; never read: {'、'.join(view.denied)}" if view.denied else ""
        yield Finding("shape", True, f"{view.relation.name}: {len(view.columns)} of {len(view.relation.columns)} columns are read{banned}")
        try:
            rows = len(await self._worker.do(self._some, 10))
        except HubError as error:
            yield Finding("sample", False, error.message, error.hint)
            return
        yield Finding("sample", True, f"{rows} rows can be read" if rows else "it has no rows at present")

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """Rows as JSON Lines, which `record` keeps."""
        found = await self._worker.do(self._some, rows)
        while found and len(json_lines(found)) > SAMPLE_BYTES:
            found = found[: len(found) // 2]
        if not found:
            raise Unavailable(f"{self._read.table or self._read.query} has no rows at present", hint="try again when the agency has some")
        return "sample.jsonl", json_lines(found)

    def _some(self, rows: int) -> list[dict[str, str | None]]:
        _, _, view = self._look()
        self._database.begin()
        try:
            waiting = {self._read.done.column: self._read.done.waiting} if self._read.done else {}
            lines = b"".join(piece.lines for piece in self._database.read(view.ask(equals=waiting, limit=rows)))
        finally:
            self._database.end()
        return frame_of(lines, view.columns).to_dicts()

    async def close(self) -> None:
        """Close the connection and the threads."""
        await self._worker.do(self._database.close)
        self._worker.close()
        self._copier.close()


def _place(read: DatabaseRead) -> list[Any]:
    """What must be the same for a cursor to mean anything."""
    since = [read.since.time, read.since.id, read.since.begin] if read.since else None
    return [read.schema_, read.table, read.query, {name: str(value) for name, value in read.where.items()}, since, read.done is not None]


def _said(copied: Copied) -> dict[str, Any]:
    said = {"nul": copied.nul, "too_long": copied.too_long}
    return {name: count for name, count in said.items() if count}
