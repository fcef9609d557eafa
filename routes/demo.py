"""The demonstration: the example city's agencies deliver in all their ways for a few days, and the hub carries everything end to end."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from config.loader import Loaded, load
from config.resolved import Feed, FeedTest, HubConfig
from connectors.folder import FolderConfig, FolderRead, Ready
from connectors.formats.forms import FileFormat
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.observer import Fact, Observer
from hub.lock import HomeLock
from routes.city import City
from routes.gateway import Gateway, keys
from routes.running import RunningHub
from routes.simulation import Simulation

_DAYS = 4
"""From the second day on a bulletin's entry is missing; the feed asks for three visits before it is withdrawn."""

_CALLER = "A0017"
_LIBRARIES = {"sftp": ("paramiko",), "soap": ("zeep", "lxml"), "web": ("lxml", "protego", "cssselect"), "mysql": ("pymysql",), "oracle": ("oracledb",)}
_FORMS = {".xlsx": ("python_calamine",), ".xls": ("python_calamine",), ".zip": ("python_calamine",), ".xml": ("lxml",)}


async def play(loaded: Loaded, home: Path, config: Path) -> dict[str, Any]:
    """Let the agencies deliver, run the hub day by day, reconcile. A second time nothing new is read, and the story says so.

    `loaded` is the example city in `config`. What needs a library that is not installed is left out, and the story says that, too.
    """
    home.mkdir(parents=True, exist_ok=True)
    with HomeLock(home):
        async with AsyncExitStack() as stack:
            left_out: dict[str, str] = {}
            simulation: Simulation | None = None
            try:
                simulation = await stack.enter_async_context(Simulation(home))
            except Unavailable as error:
                left_out = dict.fromkeys(("rest", "soap", "web", "sftp", "gateway", "mysql", "oracle"), f"{error.message}: {error.hint}")
            else:
                config, left_out = simulation.config, simulation.left_out
                loaded = load(config)
            observer = Observer()
            city = City(home, _without(loaded, left_out), observer=observer)
            stack.push_async_callback(city.close)
            await city.open()
            return await Demonstration(city, home, config, observer, simulation).play(left_out)


class Demonstration:
    """One showing. `simulation` is None where the agencies cannot be simulated: then only their files come."""

    def __init__(self, city: City, home: Path, config: Path, observer: Observer, simulation: Simulation | None) -> None:
        self._city = city
        self._home = home
        self._config = config
        self._simulation = simulation
        self._gateway = ""
        observer.listen(self._hear)

    async def play(self, left_out: Mapping[str, str]) -> dict[str, Any]:
        """All of it: `{fine, story, sources, marked, left_out, status, reconciliation, next}`; `marked` is what agencies find in their status columns."""
        before = await self._counted()
        tests = _samples(self._city.config)
        dropped = [drop(self._city.config.feeds[test.feed], self._config / test.given, self._home) for test in tests]
        fine = await self._day()
        fine = await self._submissions() and fine
        for day in range(self._simulation.day + 1 if self._simulation else _DAYS + 1, _DAYS + 1):
            assert self._simulation is not None, "without it there is no other day"
            await self._simulation.turn(day)
            fine = await self._day() and fine
        after = await self._counted()
        marked = await self._simulation.marked() if self._simulation else {}
        hub = RunningHub(self._city)
        proof, status = await hub.desk.reconcile(), await hub.desk.status()
        sources = [_source(feed, before[name], after[name]) for name, feed in self._city.config.feeds.items()]
        return {
            "fine": fine and proof["balanced"],
            "story": self._story(len(dropped), sum(source["read"] for source in sources)) + self._notes(marked),
            "sources": sorted((s for s in sources if s["read"]), key=lambda s: (s["how"], s["feed"])),
            "marked": marked,
            "left_out": dict(left_out),
            "status": status,
            "reconciliation": proof,
            "next": _next(self._home, self._config, simulated=self._simulation is not None),
        }

    async def _counted(self) -> dict[str, dict[str, int]]:
        return {name: (await self._city.ledger.totals(feed=name)).counts() for name in self._city.config.feeds}

    async def _day(self) -> bool:
        """Let the hub read everything once."""
        hub = RunningHub(self._city)
        try:
            return await hub.once()
        finally:
            await hub.close()

    async def _submissions(self) -> bool:
        """Open the gateway and let an agency submit by REST and by SOAP; True when all of it was taken."""
        if self._simulation is None:
            return True
        hub, gateway = RunningHub(self._city), Gateway(self._city)
        try:
            await hub.start()
            await gateway.open()
            said = await self._simulation.submit(self._gateway, await self._key()) if self._gateway else []
            await self._city.settle_down()
        finally:
            await gateway.close()
            await hub.close()
        return all(answer["state"] in ("succeeded", "操作成功") for answer in said)

    def _hear(self, fact: Fact) -> None:
        if fact.what == "listening":
            self._gateway = str(fact.facts["address"]).partition(",")[0].strip().rstrip("/")

    async def _key(self) -> str:
        """The key of the agency that calls, kept among the secrets because it is shown only once."""
        path = self._home / "secrets" / f"{_CALLER.lower()}_key"
        if path.exists():
            return path.read_text("ascii")
        made = await keys(self._city).add(_CALLER, because="demonstration")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(made["key"])
        return made["key"]

    def _story(self, dropped: int, read: int) -> list[str]:
        config = self._city.config
        days = f"{_DAYS} days went by at the others" if self._simulation else "the others could not be simulated"
        told = f"{dropped} files were dropped, {days}; {read} records were read."
        if not read:
            told = f"{dropped} files were dropped; nothing new in them: 0 records were read. The others had nothing new either."
        return [f"{config.city}: {len(config.agencies)} agencies, {len(config.items)} items, {len(config.feeds)} feeds.", told]

    def _notes(self, marked: Mapping[str, Mapping[str, int]]) -> list[str]:
        """Who is no real server, and what the hub has written into agencies' own tables."""
        kinds = {feed.kind for feed in self._city.config.feeds.values()}
        emulated = self._simulation.emulated if self._simulation else {}
        notes = [f"{kind} is {what}." for kind, what in emulated.items() if kind in kinds]
        said = ", ".join(f"{table} {' '.join(f'{status}: {rows}' for status, rows in counts.items())}" for table, counts in marked.items())
        return [*notes, f"Status columns in agencies' own tables (1 taken, 2 refused): {said}."] if said else notes


def _without(loaded: Loaded, left_out: dict[str, str]) -> Loaded:
    """The configuration without feeds that cannot be shown here; `left_out` gets the libraries that are missing."""
    if loaded.hub is None:
        raise Misconfigured("the configuration has errors", hint="run `run_hub.py lint`")
    for kind, libraries in (_LIBRARIES | _FORMS).items():
        if missing := [library for library in libraries if find_spec(library) is None]:
            left_out.setdefault(kind, f"{missing[0]} is not installed: pip install 'credit-hub[all]'")
    feeds = {name: feed for name, feed in loaded.hub.feeds.items() if feed.kind not in left_out and _ending(feed) not in left_out}
    tests = tuple(test for test in loaded.hub.tests if test.feed in feeds)
    gateway = loaded.hub.gateway.model_copy(update={"listen": "127.0.0.1:0"}) if loaded.hub.gateway else None  # the usual port may be taken
    return replace(loaded, hub=replace(loaded.hub, feeds=feeds, tests=tests, gateway=gateway))


def _ending(feed: Feed) -> str:
    return Path(getattr(feed.read, "files", "")).suffix


def _source(feed: Feed, before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, Any]:
    """One line of the table: what came of a feed in this showing."""
    grown = {word: after[word] - before[word] for word in after}
    stored = grown["inserted"] + grown["updated"]
    words = ("filtered", "unchanged", "superseded", "duplicate", "unmatched", "withdrawn")
    return {
        "how": _how(feed), "agency": feed.agency, "item": feed.item.code, "feed": feed.name, "read": grown["read"], "stored": stored,
        "rejected": grown["rejected"], "other": {word: grown[word] for word in words if grown[word]},
    }  # fmt: skip


def _how(feed: Feed) -> str:
    """How it came: the kind of source, and the form of its files."""
    if not isinstance(feed.read, FileFormat) or not hasattr(feed.read, "files"):
        return feed.kind
    said = next((form for form in ("csv", "excel", "xml", "json", "fixed") if feed.read.of(form) is not None), "")
    return f"{feed.kind} {said or _ending(feed).lstrip('.')}"


def _samples(hub: HubConfig) -> list[FeedTest]:
    """One sample for each feed that reads a folder: the first of its tests."""
    first: dict[str, FeedTest] = {}
    for test in hub.tests:
        if isinstance(hub.feeds[test.feed].source_config, FolderConfig):
            first.setdefault(test.feed, test)
    return list(first.values())


def drop(feed: Feed, sample: Path, home: Path) -> Path:
    """Do what the agency's system does: write the file under a temporary name, rename it, and add the marker or manifest its feed asks for."""
    assert isinstance(feed.source_config, FolderConfig), "only folders are dropped into"
    assert isinstance(feed.read, FolderRead), "a folder is read by its files"
    content = sample.read_bytes()
    target = home / feed.source_config.path / Path(feed.read.files).parent / sample.name
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".tmp")
    part.write_bytes(content)
    part.rename(target)
    _finish(feed.read.ready, target, content)
    return target


def _finish(ready: Ready, target: Path, content: bytes) -> None:
    if ready.marker:
        target.with_name(target.name + ready.marker).write_bytes(b"")
    elif ready.manifest:
        told = {"file": target.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        target.with_name(target.name + ready.manifest).write_text(json.dumps(told), encoding="utf-8")
    else:
        old = target.stat().st_mtime - 3600
        os.utime(target, (old, old))


def _next(home: Path, config: Path, *, simulated: bool) -> list[str]:
    agencies = [f"              python -m tests.city --home {home}   # the simulated agencies, in another terminal"] if simulated else []
    return [
        f"Look further: run_hub.py status --config {config} --home {home}",
        f"              run_hub.py quarantine list --config {config} --home {home}",
        *agencies,
        f"              run_hub.py run --config {config} --home {home}   # and open the console",
    ]
