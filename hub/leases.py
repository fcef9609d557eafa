"""Which node does what: leases (租约) on feeds, items and shares in the state that nodes share, with numbers that fence off who has lost one.

Everything is timed by the database's own clock, so nodes whose clocks differ agree. A node that is not heard of for `TTL_S` is dead, and what it held goes
to others; one that joins is given its part by those who hold more than theirs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Float, String, Table, delete, insert, select, update

from hub.contracts.errors import Unavailable
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
    """What a beat came to: names held, each with its token, and those that others are to have: stop them, then `release`."""

    held: Mapping[str, int] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()


class Leases:
    """One node's leases. `name` is the node's own, which no other living node has."""

    def __init__(self, state: State, name: str, roles: Collection[str], address: str = "") -> None:
        self._state = state
        self.name = name
        self.roles = frozenset(roles)
        self._address = address
        self.held: dict[str, int] = {}

    async def begin(self) -> None:
        """Be there. What this node held before it died is free."""

        def work(connection: Connection) -> None:
            connection.execute(update(lease).where(lease.c.node == self.name).values(until=0.0))
            now = epoch(connection)
            row = {"name": self.name, "roles": ",".join(sorted(self.roles)), "address": self._address, "started": now, "seen": now}
            put(connection, node, row, fresh=("roles", "address", "started", "seen"))

        self.held.clear()
        await self._state.write(work, about="leases")

    async def beat(self, wanted: Mapping[str, Collection[str]]) -> Turn:
        """Say that this node lives, keep what it holds, and take its part of what is free: `wanted` are all names by role, whoever holds them."""
        turn = await self._state.write(lambda c: self._beat(c, wanted), about="leases")
        self.held |= turn.held
        return turn

    def _beat(self, connection: Connection, wanted: Mapping[str, Collection[str]]) -> Turn:
        now = epoch(connection)
        connection.execute(update(node).where(node.c.name == self.name).values(seen=now))
        connection.execute(delete(node).where(node.c.seen < now - TTL_S))
        nodes = {row.name: frozenset(row.roles.split(",")) for row in connection.execute(select(node))}
        rows = {row.name: row for row in connection.execute(select(lease))}
        held: dict[str, int] = {}
        leaving: set[str] = set()
        for role in sorted(self.roles & wanted.keys()):
            mates = [name for name, roles in nodes.items() if role in roles]
            keep, leave = self._part(sorted(wanted[role]), rows, mates, now)
            leaving |= leave
            for name in keep | leave:
                held[name] = self._take(connection, name, rows.get(name), now)
        gone = self.held.keys() - held.keys()
        return Turn(held, frozenset(leaving | gone))

    def _part(self, names: list[str], rows: Mapping[str, Any], mates: list[str], now: float) -> tuple[set[str], set[str]]:
        """What this node is to hold of `names`, and which of those it holds now it is to leave to others."""
        alive = {name: rows[name].node for name in names if name in rows and rows[name].until > now and rows[name].node in mates}
        counts = Counter(alive.values())
        most, least = math.ceil(len(names) / len(mates)), len(names) // len(mates)
        mine = [name for name in names if alive.get(name) == self.name and rows[name].token == self.held.get(name)]
        free = [name for name in names if name not in alive]
        taken = free[: max(0, most - len(mine))]
        spare = len(mine) - most
        if spare <= 0 and not free and len(mine) > least and min(counts[mate] for mate in mates) < least:
            spare = 1
        left = set(mine[len(mine) - spare :]) if spare > 0 else set()
        return {*mine, *taken} - left, left

    def _take(self, connection: Connection, name: str, row: Any, now: float) -> int:
        until = now + TTL_S
        if row is None:
            connection.execute(insert(lease).values(name=name, node=self.name, token=rising(0, now), until=until))
            return rising(0, now)
        mine = row.node == self.name and row.token == self.held.get(name) and row.until > 0
        token = row.token if mine else rising(row.token, now)
        connection.execute(update(lease).where(lease.c.name == name).values(node=self.name, token=token, until=until))
        return int(token)

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
        await self._state.write(lambda c: c.execute(delete(node).where(node.c.name == self.name)), about="leases")

    def guard(self, connection: Connection, name: str) -> None:
        """See `Guard`. Only what this node holds is looked at: a person's decision may come in by any node."""
        token = self.held.get(name)
        if token is None:
            return
        row = connection.execute(select(lease.c.node, lease.c.token).where(lease.c.name == name)).first()
        if row is None or row.node != self.name or row.token != token:
            raise Unavailable(f"another node has taken over {name}", hint="nothing is lost: it goes on there", code="fenced")


async def nodes_of(state: State) -> list[dict[str, Any]]:
    """Every node that was heard of lately: name, roles, address, `silent_s` (seconds since it was heard), and what it holds."""

    def work(connection: Connection) -> list[dict[str, Any]]:
        now = epoch(connection)
        holds: dict[str, list[str]] = {}
        for row in connection.execute(select(lease).where(lease.c.until > now).order_by(lease.c.name)):
            holds.setdefault(row.node, []).append(row.name)
        rows = [row_dict(row) for row in connection.execute(select(node).order_by(node.c.name))]
        return [
            {"node": row["name"], "roles": row["roles"].split(","), "address": row["address"], "silent_s": round(max(0.0, now - row["seen"]), 1), "holds": holds.get(row["name"], [])}
            for row in rows
        ]  # fmt: skip

    return await state.read(work)
