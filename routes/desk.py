"""What an operator can ask and decide; the same answers for the command line, the socket and the console."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import desc, select, update

from hub.contracts.errors import Misconfigured
from hub.engine import Engine
from hub.leases import nodes_of
from hub.reconcile import Proof, Reconciler
from hub.schedule import Schedule
from hub.tables import arrival, event, quarantine, run
from routes.answers import route_of
from routes.city import City
from routes.collect import intake_queue
from routes.nodes import ask_elsewhere
from routes.preview import masked_cells
from routes.proving import proofs
from routes.reentry import reenter
from routes.references import share_queue
from routes.replaying import replay_arrival
from routes.trace import Tracer

_PAGE = 10_000


class Desk:
    """Questions are read-only; decisions need `because` and are kept as events."""

    def __init__(self, city: City, engine: Engine | None = None, schedule: Schedule | None = None) -> None:
        self._city = city
        self._engine = engine
        self._schedule = schedule
        self.last_proof: dict[str, Any] | None = None

    async def call(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Dispatch by name, for the socket. Only public coroutine methods that `verbs` lists can be reached."""
        method = self.verbs().get(verb)
        if method is None:
            raise Misconfigured(f"the hub knows no verb {verb!r}", hint="the command line and the running hub may be of different versions")
        try:
            inspect.signature(method).bind(**arguments)
        except TypeError as error:
            raise Misconfigured(f"{verb}: {error}", hint="see `run_hub.py --help`") from error
        return await method(**arguments)

    def verbs(self) -> dict[str, Callable[..., Any]]:
        """Everything that may be called from outside."""
        names = (
            "status",
            "reconcile",
            "trace",
            "quarantine_list",
            "quarantine_show",
            "quarantine_ignore",
            "quarantine_retry",
            "feed",
            "share",
            "queue",
            "replay",
            "replay_feed",
            "events",
            "key",
        )
        return {name: getattr(self, name) for name in names}

    # Looking ---------------------------------------------------------------------------------------------------------------------------

    async def status(self) -> dict[str, Any]:
        """Feeds, shares and queues as they stand; the fixed face of `status --format json` and what the console adds."""
        city = self._city
        reports = await city.timeliness.of_all(city.config.feeds)
        feeds = [await self._feed_status(name) | reports[name] for name in city.feeds]
        return {
            "feeds": feeds,
            "shares": [await self._share_status(name) for name in city.shares],
            "queues": await self._queues(),
            "agencies": [{"code": a.code, "name": a.name} for a in city.config.agencies.values()],
            "decisions": self._decisions(),
            "reconciliation": self.last_proof,
            "nodes": await nodes_of(city.state) if city.state.shared else [],
            "city": city.config.city,
            "version": city.config.version,
        }

    async def _feed_status(self, name: str) -> dict[str, Any]:
        feed = self._city.feeds[name].feed
        row = await self._city.state.read(lambda c: c.execute(select(run).where(run.c.feed == name).order_by(desc(run.c.id)).limit(1)).first())
        last: dict[str, Any] | None = None
        if row is not None:
            sums = await self._city.ledger.totals(item=row.item, arrival_number=row.arrival, generation=row.generation)
            held = self._city.standing.of(f"feed:{name}").state == "held" and row.state == "running"
            last = {
                "state": "held" if held else row.state,
                "counts": sums.counts(),
                "at": row.closed_at or row.opened_at,
                "arrival": row.arrival,
                "reason": row.reason,
            }
        due = self._schedule.next(name) if self._schedule else None
        return {
            "feed": name,
            "item": feed.item.code,
            "item_name": feed.item.name,
            "agency": feed.agency,
            "state": self._feed_state(name, last),
            "reason": self._city.standing.of(f"feed:{name}").reason,
            "last_run": last,
            "next": due.isoformat(timespec="seconds") if due else None,
            "when": feed.when.said if feed.when else "",
            "passed_over": dict(Counter(getattr(self._city.feeds[name].source, "oddities", {}).values())),
        }

    def _feed_state(self, name: str, last: Mapping[str, Any] | None) -> str:
        stand = self._city.standing.of(f"feed:{name}").state
        if stand != "idle":
            return stand
        kept = self._engine.kept.get(f"feed:{name}") if self._engine else None
        if last and last["state"] == "loading":
            return "loading"
        return "running" if (kept and kept.draining) or (last and last["state"] == "running") else "idle"

    async def _share_status(self, name: str) -> dict[str, Any]:
        share = self._city.config.shares[name].share
        stand = self._city.standing.of(f"share:{name}")
        summary = await self._city.deliveries.summary(name)
        state = stand.state if stand.state != "idle" else ("waiting" if summary["waiting"] else "idle")
        return {"share": name, "to": share.to, "state": state, "reason": stand.reason, **summary}

    async def _queues(self) -> list[dict[str, Any]]:
        names = [intake_queue(code) for code in self._city.loads] + [share_queue(name) for name in self._city.shares]
        depths = [await self._city.broker.depth(name) for name in names]
        return [{"queue": d.queue, "ready": d.ready, "unacked": d.unacked, "oldest_s": d.oldest_s} for d in depths]

    def _decisions(self) -> list[dict[str, Any]]:
        """What waits for a person, with the verb that decides it."""
        verbs = {"held": "release|refuse", "stopped": "resume", "paused": "resume"}
        return [
            {**self._whose(name), "state": stand.state, "reason": stand.reason, "since": stand.since, "verb": verbs[stand.state]}
            for name, stand in sorted(self._city.standing.waiting().items())
        ]

    def _whose(self, route: str) -> dict[str, str]:
        """The feed or share that a person decides about: an item's load leg belongs to its feeds, answers to their feed, offers to their share."""
        kind, _, name = route.partition(":")
        if kind == "load":
            return {"feed": next((f.name for f in self._city.config.feeds.values() if f.item.code == name), name)}
        return {{"offer": "share", "answer": "feed"}.get(kind, kind): name}

    async def reconcile(self, repair: bool = False) -> dict[str, Any]:
        """Prove the promise again; with `repair`, send again what no inbox knows and prove once more."""
        city = self._city
        reconciler = Reconciler(city.ledger, city.landing, city.config.items, city.stores, proofs(city))
        try:
            if repair:
                await city.recall_configs()
                done = await reconciler.repair(city.resend)
                done["offered"] = sum([await share.offers.restore() for share in city.shares.values()])
                await (city.settle_down(self._load_troubled) if self._engine else city.load_what_waits())
                proof: Proof = await reconciler.prove()
                answer = proof.as_json() | {"repaired": done}
            else:
                answer = (await reconciler.prove()).as_json()
        finally:
            reconciler.close()
        self.last_proof = answer | {"at": city.ledger.now()}
        return answer

    def _load_troubled(self) -> bool:
        """True where a load leg waits for its store or has stopped: what was sent again is loaded later."""
        kept = self._engine.kept.items() if self._engine else ()
        return any(name.startswith("load:") and (one.failures >= 3 or self._city.standing.of(name).state == "stopped") for name, one in kept)

    async def trace(self, wanted: str, item: str = "", row: int | None = None) -> dict[str, Any]:
        """The whole way of records found by USCC, document number, record id, or file and row."""
        return await Tracer(self._city).find(wanted, item=item, row=row)

    async def events(self, limit: int = 100) -> list[dict[str, Any]]:
        """The latest events: duplicates, refusals, decisions."""
        query = select(event).order_by(desc(event.c.id)).limit(min(limit, _PAGE))
        rows = await self._city.state.read(lambda c: c.execute(query).all())
        return [{"at": r.at, "what": r.what, "where": r.where, "detail": json.loads(r.detail)} for r in rows]

    async def quarantine_list(self, feed: str = "", code: str = "", state: str = "", limit: int = 1000) -> list[dict[str, Any]]:
        """Rows set aside, newest first; positions and reasons, no values."""
        query = select(quarantine).order_by(desc(quarantine.c.id)).limit(min(limit, _PAGE))
        for column, value in (("feed", feed), ("code", code), ("state", state)):
            query = query.where(quarantine.c[column] == value) if value else query
        rows = await self._city.state.read(lambda c: c.execute(query).all())
        return [self._quarantined(r) for r in rows]

    def _quarantined(self, row: Any) -> dict[str, Any]:
        origin = self._city.ledger.open_text(row.name) + (f":{row.line}" if row.line else "")
        named = {key: getattr(row, key) for key in ("id", "feed", "ordinal", "code", "field", "reason", "state", "at")}
        return named | {"batch": row.batch_id, "origin": origin}

    async def quarantine_show(self, row: int) -> dict[str, Any]:
        """One row as the agency wrote it; cells that may name a person are masked."""
        found = await self._city.state.read(lambda c: c.execute(select(quarantine).where(quarantine.c.id == row)).first())
        if found is None:
            raise Misconfigured(f"there is no quarantined row {row}", hint="`run_hub.py quarantine list` names them")
        cells = json.loads(self._city.keys.open(found.raw, found.batch_id.encode()))
        return self._quarantined(found) | {"cells": masked_cells(cells, self._city.config.items.get(found.item))}

    async def quarantine_retry(self, ids: list[int], changes: dict[str, str], because: str) -> dict[str, int]:
        """Check rows again under the present configuration, cells corrected first."""
        _needs(because)
        return await reenter(self._city, ids, changes, because)

    # Deciding --------------------------------------------------------------------------------------------------------------------------

    async def quarantine_ignore(self, ids: list[int], because: str) -> dict[str, int]:
        """A person decided that these rows are not needed."""
        _needs(because)
        where = quarantine.c.id.in_(ids) & (quarantine.c.state == "open")
        changed = await self._city.state.write(lambda c: c.execute(update(quarantine).where(where).values(state="ignored")).rowcount)
        await self._city.ledger.note("ignored", "quarantine", ids=ids[:100], because=because)
        return {"ignored": int(changed)}

    async def feed(self, name: str, verb: str, because: str = "") -> dict[str, str]:
        """`pause`, `resume`, `release`, `refuse` or `collect` a feed."""
        if name not in self._city.feeds:
            raise Misconfigured(f"there is no feed {name!r}", hint=_nearest(name, self._city.feeds))
        key = f"feed:{name}"
        state = self._city.standing.of(key).state
        if verb in ("release", "refuse"):
            if state != "held":
                raise Misconfigured(f"feed {name} is not held, so there is nothing to {verb}", hint="`run_hub.py status` shows what waits for a decision")
            _needs(because)
            await self._decide_run(name, verb, because)
        return await self._turn(key, verb, because, f"load:{self._city.feeds[name].feed.item.code}", route_of(name))

    async def _decide_run(self, feed: str, verb: str, because: str) -> None:
        change = {"released": True} if verb == "release" else {"state": "refusing", "reason": because}
        where = (arrival.c.feed == feed) & (arrival.c.state == "reading")
        await self._city.state.write(lambda c: c.execute(update(arrival).where(where).values(change)))

    async def replay_feed(self, name: str, arrival: int, because: str) -> dict[str, Any]:
        """Read an arrival again from landing under the present configuration."""
        if name not in self._city.feeds:
            raise Misconfigured(f"there is no feed {name!r}", hint=_nearest(name, self._city.feeds))
        _needs(because)
        return await replay_arrival(self._city, name, arrival, because)

    async def share(self, name: str, verb: str, because: str = "") -> dict[str, str]:
        """`pause` or `resume` a share."""
        if name not in self._city.shares:
            raise Misconfigured(f"there is no share {name!r}", hint=_nearest(name, self._city.shares))
        return await self._turn(f"share:{name}", verb, because, f"offer:{name}")

    async def _turn(self, key: str, verb: str, because: str, *also: str) -> dict[str, str]:
        """`also` are the legs behind: what stopped them is resumed with the feed or share that they belong to."""
        before = self._city.standing.of(key).state
        if verb == "pause":
            _needs(because)
            await self._city.standing.set(key, "paused", because)
            await self._city.ledger.note("pause", key, because=because)
        elif verb in ("resume", "release", "refuse"):
            _needs(because)
            for route in (key, *also):
                if route == key or self._city.standing.of(route).state != "idle":
                    await self._city.standing.clear(route, verb, because)
        elif verb != "collect":
            raise Misconfigured(f"{verb!r} is no verb here", hint="pause, resume, release, refuse, collect")
        if self._engine:
            for route in (key, *also):
                self._engine.nudge(route)
        for route in (key, *also):
            await ask_elsewhere(self._city, route)
        return {"name": key, "before": before, "now": self._city.standing.of(key).state}

    async def queue(self, name: str = "", verb: str = "list", because: str = "") -> Any:
        """`list` all queues, `peek` into one (headers only), or `purge` one (its batches stay in landing and can be sent again)."""
        if verb == "list":
            return await self._queues()
        if name not in {q["queue"] for q in await self._queues()}:
            raise Misconfigured(f"there is no queue {name!r}", hint="`run_hub.py queue list` names them")
        if verb == "purge":
            _needs(because)
            self._may_purge(name)
            dropped = await self._city.broker.purge(name)
            await self._city.ledger.note("purged", name, messages=dropped, because=because)
            return {"queue": name, "purged": dropped}
        messages = await self._city.broker.peek(name)
        return [{"id": m.id, "bytes": len(m.body), "item": m.headers.get("item"), "rows": m.headers.get("rows")} for m in messages]

    def _may_purge(self, queue: str) -> None:
        """References that a share queue holds exist nowhere else: dropping them would keep records from the receiver for ever."""
        share = next((name for name in self._city.shares if share_queue(name) == queue), None)
        if share is not None:
            message = f"{queue} holds what is still to be delivered to {self._city.config.shares[share].share.to}; dropped references would never come back"
            raise Misconfigured(message, hint=f"to deliver nothing for now: run_hub.py share pause {share} --because '…'")

    async def key(self, verb: str, name: str = "", days: int = 365, because: str = "") -> Any:
        """API keys of agencies: `add` for an agency, `list`, `rotate` or `revoke` by id. A new key is told this once; `days` are its life, or the overlap."""
        from routes.gateway import keys

        desk = keys(self._city)
        if verb == "list":
            return await desk.list(name)
        _needs(because)
        if verb == "add":
            return await desk.add(name, days=days, because=because)
        if verb == "rotate":
            return await desk.rotate(name, overlap=timedelta(days=days))
        return await desk.revoke(name, because)

    async def replay(self, share: str = "", deliveries: list[str] | None = None, dry_run: bool = True, because: str = "") -> dict[str, Any]:
        """Send deliveries again: dead letters of a share, or the ones named. A dry run counts first."""
        if share not in self._city.shares:
            raise Misconfigured(f"there is no share {share!r}", hint=_nearest(share, self._city.shares))
        if not dry_run:
            _needs(because)
        done = await self._city.shares[share].offers.replay(deliveries, dry_run=dry_run, because=because)
        if not dry_run:
            await self._city.ledger.note("share_replayed", share, deliveries=done["deliveries"], because=because)
        return done


def _needs(because: str) -> None:
    if not because.strip():
        raise Misconfigured("a decision needs its reason", hint="add --because '…'")


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.3)
    return f"did you mean {near[0]}?" if near else "`run_hub.py status` names them all"
