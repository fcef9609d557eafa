"""Which node does what: leases (租约) on feeds, items and shares in the state that nodes share, with numbers that fence off who has lost one.

Everything is timed by the database's own clock, so nodes whose clocks differ agree. A node that is not heard of for `TTL_S` is dead, and what it held goes
to others; one that joins is given its part by those who hold more than theirs. Nodes that run different configurations for a while share out only what
both know: each counts those of its own version.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Float, String, Table, delete, select, update

from hub.contracts.errors import Misconfigured, Unavailable
from hub.engines import epoch
from hub.state import LONG, State, metadata, row_dict
from hub.upserts import put

BEAT_S = 2.0
TTL_S = 10.0
ROLES = ("collect", "load", "share", "deliver", "gateway", "console")

node = Table(
    "node",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("roles", String(128), nullable=False),
    Column("address", LONG, nullable=False),  # of its console, for people
    Column("started", Float(53), nullable=False),  # seconds since 1970 by the database's clock
    Column("seen", Float(53), nullable=False),
    Column("incarnation", String(32), nullable=False, default=""),  # which process bears the name
    Column("version", String(64), nullable=False, default=""),  # of the configuration that it runs
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(160), primary_key=True),  # feed:A0030.penalty, load:A0030-F06-01, offer:…, share:…
    Column("node", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),  # rises each time that it changes hands
    Column("until", Float(53), nullable=False),
)

Guard = Callable[[Connection, str], None]
"""Raises `Unavailable` inside a transaction about something that another node has taken over."""


def unguarded(connection: Connection, name: str) -> None:
    """Nobody else is there: one process has the state to itself."""


def rising(before: int, now: float) -> int:
    """The next number that fences off all before it; led by the clock, so that a state restored from a backup is not fenced off by what came after it."""
    return max(before + 1, int(now * 1000))


@dataclass(frozen=True, slots=True)
class Turn:
    """What a beat came to: names held, each with its token, and those that this node is to stop and then to `release`, lost ones among them."""

    held: Mapping[str, int] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()


class Leases:
    """One node's leases. `name` is the node's own; `dead` is the incarnation of a former process of that name that is known to have ended."""

    def __init__(
        self, state: State, name: str, roles: Collection[str], address: str = "", *, incarnation: str = "", dead: str = "", look_s: float = BEAT_S / 2
    ) -> None:
        self._state = state
        self.name = name
        self.roles = frozenset(roles)
        self.version = ""
        self.incarnation = incarnation or secrets.token_hex(16)
        self._address = address
        self._dead = dead
        self._look_s = look_s
        self._started = 0.0
        self.held: dict[str, int] = {}

    async def begin(self) -> None:
        """Be there. What a process of this name held before it died is free.

        Where another may still be alive it is watched until it is heard of again or counts as dead. Raises `Misconfigured` for one that lives.
        """
        met: float | None = None
        while (seen := await self._state.write(self._begin, about="leases")) is not None:
            if met is not None and seen > met:
                raise Misconfigured(f"another process is at work as node {self.name}", hint="give each process a name of its own with --node")
            met = seen if met is None else met
            await asyncio.sleep(self._look_s)
        self.held.clear()

    def _begin(self, connection: Connection) -> float | None:
        """None once the name is ours; otherwise when the other was last heard of."""
        now = epoch(connection)
        other = self._other(connection, now)
        if other is not None and other.incarnation != self._dead:
            return float(other.seen)
        self._started = now
        connection.execute(update(lease).where(lease.c.node == self.name).values(until=0.0))
        self._be_there(connection, now)
        return None

    def _other(self, connection: Connection, now: float) -> Any:
        """Another process that bears this name and was heard of lately."""
        here = (node.c.name == self.name) & (node.c.incarnation != self.incarnation) & (node.c.seen >= now - TTL_S)
        return connection.execute(select(node).where(here)).first()

    def _be_there(self, connection: Connection, now: float) -> None:
        row = {"name": self.name, "roles": ",".join(sorted(self.roles)), "address": self._address, "started": self._started, "seen": now}
        row |= {"incarnation": self.incarnation, "version": self.version}
        put(connection, node, row, fresh=tuple(row.keys() - {"name"}))

    def retire(self) -> None:
        """Take nothing more: what is held is kept until it is released."""
        self.roles = frozenset()

    async def beat(self, wanted: Mapping[str, Collection[str]]) -> Turn:
        """Say that this node lives, keep what it holds, and take its part of what is free: `wanted` are all names by role, whoever holds them.

        Raises `Unavailable` where another process has taken over this node's name.
        """
        turn = await self._state.write(lambda c: self._beat(c, wanted), about="leases")
        self.held |= turn.held
        return turn

    def _beat(self, connection: Connection, wanted: Mapping[str, Collection[str]]) -> Turn:
        now = epoch(connection)
        if self._other(connection, now) is not None:
            raise Unavailable(f"another process has become node {self.name}", hint="give each process a name of its own with --node", code="fenced")
        self._be_there(connection, now)  # also where the others gave this node up for dead
        connection.execute(delete(node).where(node.c.seen < now - TTL_S))
        nodes = {row.name: row for row in connection.execute(select(node))}
        rows = {row.name: row for row in connection.execute(select(lease))}
        alive = {name: row.node for name, row in rows.items() if row.until > now and row.node in nodes}
        kept: set[str] = set()
        leaving: set[str] = set()
        for role in sorted(self.roles & wanted.keys()):
            mates = [name for name, row in nodes.items() if role in row.roles.split(",") and row.version == self.version]
            keep, leave = self._part(sorted(wanted[role]), rows, alive, mates)
            leaving |= leave
            kept |= keep | leave
        rest = {name for name in self.held.keys() - kept if self._is_ours(rows.get(name), name)}  # kept until it has stopped
        held = self._renew(connection, kept | rest, rows, now)
        return Turn(held, frozenset(leaving | rest | (self.held.keys() - held.keys())))

    def _is_ours(self, row: Any, name: str) -> bool:
        """Whether nobody had the lease since this node took it."""
        return row is not None and row.node == self.name and row.token == self.held.get(name) and row.until > 0

    def _part(self, names: list[str], rows: Mapping[str, Any], alive: Mapping[str, str], mates: list[str]) -> tuple[set[str], set[str]]:
        """What this node is to hold of `names`, and which of those it holds now it is to leave to others. `alive` says who holds what."""
        counts = Counter(alive[name] for name in names if name in alive)
        most, least = math.ceil(len(names) / len(mates)), len(names) // len(mates)
        mine = [name for name in names if self._is_ours(rows.get(name), name)]
        free = [name for name in names if name not in alive and name not in self.held]
        taken = free[: max(0, most - len(mine))]
        spare = len(mine) - most
        if spare <= 0 and not free and len(mine) > least and min(counts[mate] for mate in mates) < least:
            spare = 1
        left = set(mine[len(mine) - spare :]) if spare > 0 else set()
        return {*mine, *taken} - left, left

    def _renew(self, connection: Connection, names: Collection[str], rows: Mapping[str, Any], now: float) -> dict[str, int]:
        """Names with their tokens: what is ours lasts longer, anything else becomes ours under a new token."""
        until = now + TTL_S
        ours = {name: int(rows[name].token) for name in names if self._is_ours(rows.get(name), name)}
        if ours:
            connection.execute(update(lease).where(lease.c.name.in_(ours)).values(until=until))
        fresh = {name: rising(rows[name].token if name in rows else 0, now) for name in names if name not in ours}
        if fresh:
            taken = [{"name": name, "node": self.name, "token": token, "until": until} for name, token in fresh.items()]
            put(connection, lease, taken, fresh=("node", "token", "until"))
        return ours | fresh

    async def release(self, names: Iterable[str]) -> None:
        """What has stopped here may go on elsewhere at once."""
        given = {name: self.held.pop(name) for name in list(names) if name in self.held}

        def work(connection: Connection) -> None:
            for name, token in given.items():
                mine = (lease.c.name == name) & (lease.c.node == self.name) & (lease.c.token == token)
                connection.execute(update(lease).where(mine).values(until=0.0))

        if given:
            await self._state.write(work, about="leases")

    async def end(self) -> None:
        """Be gone: everything is free, and the others need not wait."""
        await self.release(list(self.held))
        gone = (node.c.name == self.name) & (node.c.incarnation == self.incarnation)
        await self._state.write(lambda c: c.execute(delete(node).where(gone)), about="leases")

    def guard(self, connection: Connection, name: str) -> None:
        """See `Guard`. Only what this node holds is looked at: a person's decision may come in by any node.

        The lease cannot change hands before the transaction has ended.
        """
        token = self.held.get(name)
        if token is None:
            return
        row = connection.execute(select(lease.c.node, lease.c.token).where(lease.c.name == name).with_for_update(read=True)).first()
        if row is None or row.node != self.name or row.token != token:
            raise Unavailable(f"another node has taken over {name}", hint="nothing is lost: it goes on there", code="fenced")


async def nodes_of(state: State) -> list[dict[str, Any]]:
    """Every node that was heard of lately: name, roles, address, version of its configuration, `silent_s` (seconds since it was heard), and what it holds."""

    def work(connection: Connection) -> list[dict[str, Any]]:
        now = epoch(connection)
        holds: dict[str, list[str]] = {}
        for row in connection.execute(select(lease).where(lease.c.until > now).order_by(lease.c.name)):
            holds.setdefault(row.node, []).append(row.name)
        rows = [row_dict(row) for row in connection.execute(select(node).order_by(node.c.name))]
        return [
            {
                "node": row["name"],
                "roles": [role for role in row["roles"].split(",") if role],
                "address": row["address"],
                "version": row["version"],
                "silent_s": round(max(0.0, now - row["seen"]), 1),
                "holds": holds.get(row["name"], []),
            }
            for row in rows
        ]

    return await state.read(work)
