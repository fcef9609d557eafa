"""The demonstration: the example city's agencies drop their files, and the hub carries them end to end."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from config.loader import Loaded
from config.resolved import Feed, FeedTest
from connectors.folder import FolderConfig, FolderRead, Ready
from hub.contracts.observer import Observer
from hub.lock import HomeLock
from routes.city import City
from routes.running import RunningHub


async def play(loaded: Loaded, home: Path, config: Path) -> dict[str, Any]:
    """Drop every feed's sample, run once, reconcile. A second time nothing new is read, and the story says so."""
    assert loaded.hub is not None, "the caller has shown the problems"
    home.mkdir(parents=True, exist_ok=True)
    with HomeLock(home):
        city = City(home, loaded, observer=Observer())
        try:
            await city.open()
            before = await city.ledger.totals()
            dropped = [drop(city.config.feeds[test.feed], config / test.given, home) for test in _samples(loaded)]
            hub = RunningHub(city)
            try:
                fine = await hub.once()
            finally:
                await hub.close()
            after = await city.ledger.totals()
            proof = await hub.desk.reconcile()
            return {
                "fine": fine and proof["balanced"],
                "story": _story(loaded, len(dropped), after.read - before.read),
                "status": await hub.desk.status(),
                "reconciliation": proof,
                "next": _next(home),
            }
        finally:
            await city.close()


def _samples(loaded: Loaded) -> list[FeedTest]:
    """One sample a feed: the first of its tests."""
    assert loaded.hub is not None
    first: dict[str, FeedTest] = {}
    for test in loaded.hub.tests:
        first.setdefault(test.feed, test)
    return list(first.values())


def drop(feed: Feed, sample: Path, home: Path) -> Path:
    """Do what the agency's system does: write the file under a temporary name, rename it, and add the marker or manifest its feed asks for."""
    assert isinstance(feed.source_config, FolderConfig), "the example city's agencies deliver into folders"
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


def _story(loaded: Loaded, dropped: int, read: int) -> list[str]:
    assert loaded.hub is not None
    told = (
        f"{dropped} agencies' files were dropped; {read} records were read."
        if read
        else f"{dropped} files were dropped; nothing new in them: 0 records were read."
    )
    return [f"{loaded.hub.city}: {len(loaded.hub.agencies)} agencies, {len(loaded.hub.items)} items, {len(loaded.hub.feeds)} feeds.", told]


def _next(home: Path) -> list[str]:
    return [
        f"Look further: run_hub.py status --home {home}",
        f"              run_hub.py quarantine list --home {home}",
        f"              run_hub.py run --home {home}   # and open the console",
    ]
