"""What the doctor finds about nodes that share a hub: which are there, what nobody does, and what differs between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from config.resolved import HubConfig
from config.secrets import Secrets
from hub.contracts.errors import HubError
from hub.engines import epoch
from hub.keystore import identity, mark_of
from hub.leases import lease, nodes_of
from hub.state import State
from monitoring.view import SILENT_S
from routes.places import state_of

Finding = dict[str, Any]
_DUTIES = ("collect", "load", "share", "deliver")


async def neighbours(hub: HubConfig, version: str, home: Path) -> list[Finding]:
    """Findings where the state is on a server; nothing otherwise. Nothing is changed."""
    if "://" not in hub.state:
        return []
    try:
        state = State(state_of(hub, Secrets(home / "secrets"), home), read_only=True)
        await state.open()
        try:
            nodes = await nodes_of(state)
            known, free = await state.read(_kept)
        finally:
            await state.close()
    except HubError as error:
        return [_finding(f"the hub's state cannot be asked: {error.message}", ok=False, hint=error.hint)]
    return [*_landing(home, known), *_nodes(nodes, version), *_free(nodes, free)]


def _kept(connection: Connection) -> tuple[dict[str, str], list[str]]:
    known = {row.name: row.value for row in connection.execute(select(identity))}
    free = connection.execute(select(lease.c.name).where(lease.c.until < epoch(connection)).order_by(lease.c.name)).scalars()
    return known, list(free)


def _landing(home: Path, known: Mapping[str, str]) -> Iterator[Finding]:
    mark = mark_of(home / "landing")
    if mark and "landing" in known:
        hint = "let every node see the same HOME/landing and HOME/claims (a shared file system)"
        yield _finding("this home has the landing that belongs to the hub's state", ok=mark == known["landing"], hint=hint)


def _nodes(nodes: Sequence[Mapping[str, Any]], version: str) -> Iterator[Finding]:
    if not nodes:
        yield _finding("no node is at work on the hub's state", ok=True)
        return
    for node in nodes:
        what = f"node {node['node']} does {', '.join(node['roles']) or 'nothing any more'} and holds {len(node['holds'])}"
        yield _finding(
            f"{what}, heard of {node['silent_s']:.0f} s ago", ok=node["silent_s"] <= SILENT_S, hint="look at its log; others take over what it holds"
        )
        if node["version"] and node["version"] != version:
            hint = "give every node the same directory of configuration; a change is taken within seconds"
            yield _finding(f"node {node['node']} runs configuration {node['version'][:12]}, this directory is {version[:12]}", ok=False, hint=hint)
    done = {role for node in nodes for role in node["roles"]}
    for role in _DUTIES:
        if role not in done:
            yield _finding(f"no node has the role {role}", ok=False, hint=f"start one: run_hub.py run --node NAME --roles {role}")


def _free(nodes: Sequence[Mapping[str, Any]], free: Sequence[str]) -> Iterator[Finding]:
    """Leases that ran out and were taken by nobody; those of feeds that are gone from the configuration are of no account to it."""
    if nodes and free:
        few = ", ".join(free[:5]) + (", …" if len(free) > 5 else "")
        yield _finding(f"{len(free)} routes are held by no node at this moment: {few}", ok=True)


def _finding(what: str, *, ok: bool, hint: str = "") -> Finding:
    return {"what": what, "ok": ok, "hint": hint}
