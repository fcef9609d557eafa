"""Looks at machine, configuration and home, and says what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from config.loader import load
from config.resolved import HubConfig
from config.secrets import Secrets
from connectors.queues import open_broker
from connectors.stores import note_of
from hub.contracts.errors import HubError
from hub.keystore import load_keys
from hub.lock import open_doors
from monitoring.health import room_left
from routes.doctor_nodes import neighbours
from routes.places import embedded

_NETWORK_FILESYSTEMS = frozenset(("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs"))
_EXTRAS = {
    "sftp": ("paramiko",),
    "soap": ("zeep", "lxml"),
    "web": ("lxml", "protego", "cssselect"),
    "excel": ("python_calamine",),
    "xml": ("lxml",),
    "archive": ("pyzipper",),
    "oracle": ("oracledb",),
    "mysql": ("pymysql",),
    "postgres": ("psycopg",),
}


def _finding(what: str, *, ok: bool, hint: str = "") -> dict[str, Any]:
    return {"what": what, "ok": ok, "hint": hint}


async def examine(config: Path, home: Path) -> list[dict[str, Any]]:
    """Every finding: `{"what", "ok", "hint"}`. Nothing is changed."""
    loaded = load(config)
    found = [*_machine(), *_home(home, files=loaded.hub is None or bool(embedded(loaded.hub)))]
    if loaded.hub is None:
        found.append(_finding(f"the configuration {config} has {len(loaded.problems)} problems", ok=False, hint=f"run_hub.py lint --config {config}"))
        return found
    found.append(_finding(f"the configuration {config} is fine: {len(loaded.hub.items)} items, {len(loaded.hub.feeds)} feeds", ok=True))
    found += [*_extras(loaded.hub), *_secrets(loaded.hub, home), await _broker(loaded.hub, home), *await _stores(loaded.hub, home)]
    return [*found, *await neighbours(loaded.hub, loaded.version, home)]


def _machine() -> Iterator[dict[str, Any]]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield _finding(f"Python {version}", ok=sys.version_info >= (3, 11), hint="install Python 3.11 or newer")
    yield _finding(f"SQLite {sqlite3.sqlite_version}: the hub writes each file from one connection only, as versions before 3.51.3 need", ok=True)


def _home(home: Path, *, files: bool) -> Iterator[dict[str, Any]]:
    there = next(path for path in (home.absolute(), *home.absolute().parents) if path.exists())
    yield _finding(f"the home {home} can be written", ok=os.access(there, os.W_OK), hint=f"chown it to the user of the hub: {there}")
    room = room_left(there)
    yield _finding(f"{shutil.disk_usage(there).free >> 30} GiB free for {home}", ok=room is True, hint=str(room))
    kind = _filesystem(there)
    yield _finding(f"the home lies on {kind}", ok=not files or kind not in _NETWORK_FILESYSTEMS, hint="SQLite needs a local file system: move the home")
    if (home / "keys").exists():
        try:
            load_keys(home / "keys")
            yield _finding("the key ring can be read by its owner only", ok=True)
        except HubError as error:
            yield _finding(error.message, ok=False, hint=error.hint)
    running = bool(open_doors(home))
    yield _finding("a hub is running in this home" if running else "no hub is running in this home", ok=True)


def _filesystem(path: Path) -> str:
    """Type of the file system that holds the path, from the kernel's table of mounts."""
    best, kind = "", "an unknown file system"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, where, what, *_ = line.split()
        if path.is_relative_to(where) and len(where) >= len(best):
            best, kind = where, what
    return kind


def _extras(hub: HubConfig) -> Iterator[dict[str, Any]]:
    kinds = {feed.kind for feed in hub.feeds.values()} | {share.kind for share in hub.shares.values()}
    schemes = [setting.partition("://")[0].partition("+")[0] for setting in (hub.state, *hub.stores.values()) if "://" in setting]
    kinds |= {{"postgresql": "postgres", "mariadb": "mysql"}.get(scheme, scheme) for scheme in schemes}
    forms = {form for feed in hub.feeds.values() for form in ("excel", "xml", "archive") if getattr(feed.read, form, None) is not None}
    for kind in sorted((kinds | forms) & _EXTRAS.keys()):
        missing = [module for module in _EXTRAS[kind] if find_spec(module) is None]
        yield _finding(f"the configuration uses {kind}", ok=not missing, hint=f"pip install 'credit-hub[{kind}]'")


def _secrets(hub: HubConfig, home: Path) -> Iterator[dict[str, Any]]:
    secrets = Secrets(home / "secrets")
    for owner, model in [*((f.name, f.source_config) for f in hub.feeds.values()), *((s.name, s.config) for s in hub.shares.values())]:
        for missing in secrets.missing(model):
            yield _finding(f"{owner}: {missing}", ok=False, hint="set it where the hub is started, or put the file in place")


async def _broker(hub: HubConfig, home: Path) -> dict[str, Any]:
    if hub.broker == "embedded":
        return _finding("the embedded broker needs nothing", ok=True)
    try:
        broker = open_broker(Secrets(home / "secrets").expand(hub.broker), home)
        try:
            await broker.declare("doctor")
            await broker.depth("doctor")
        finally:
            await broker.close()
    except HubError as error:
        return _finding(f"the broker does not answer: {error.message}", ok=False, hint=error.hint)
    return _finding("the broker answers", ok=True)


async def _stores(hub: HubConfig, home: Path) -> list[dict[str, Any]]:
    """What the servers of central stores say of themselves, where they can be asked without leaving anything there."""
    found, secrets = [], Secrets(home / "secrets")
    for name, setting in hub.stores.items():
        try:
            note = await note_of(setting, hub.because_of.get(name, ""), secrets.expand)
        except HubError as error:
            found.append(_finding(f"store {name} cannot be used: {error.message}", ok=False, hint=error.hint))
            continue
        if note is not None:
            found.append(_finding(f"the server of store {name} answers{f': {note}' if note else ''}", ok=True))
    return found
