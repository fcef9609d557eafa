"""Wakes a folder scan early. A hint only: network mounts send no events and an overflow is swallowed, so the scan is the truth."""

from __future__ import annotations

import asyncio
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

RESCAN = 60.0  # seconds after which a scan is due whatever was heard


class Watch(FileSystemEventHandler):
    """Listens to a folder and everything below it from the first `wait` on."""

    def __init__(self, root: Path, ignored: tuple[str, ...], rescan: float = RESCAN) -> None:
        self._root = root
        self._ignored = tuple(str(root / name) for name in ignored)
        self._rescan = rescan
        self._event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._observer: BaseObserver | None = None

    @property
    def listening(self) -> bool:
        """Whether the system tells us about changes."""
        return self._observer is not None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to listen; where the system refuses (no watches left, no such folder), the regular scan remains. Blocking."""
        if self._observer is not None:
            return
        self._loop, observer = loop, Observer()
        try:
            observer.schedule(self, str(self._root), recursive=True)
            observer.start()
        except OSError:
            return
        self._observer = observer

    async def wait(self) -> None:
        """Return when something changed, or when a scan is due."""
        try:
            async with asyncio.timeout(self._rescan):
                await self._event.wait()
        except TimeoutError:
            return
        finally:
            self._event.clear()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called in watchdog's thread."""
        path = str(event.dest_path or event.src_path)
        if self._loop is None or self._loop.is_closed() or path.startswith(self._ignored) or event.event_type in ("opened", "closed_no_write"):
            return
        self._loop.call_soon_threadsafe(self._event.set)

    def stop(self) -> None:
        """Stop listening. Blocking."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)
            self._observer = None
