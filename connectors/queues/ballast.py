"""Disk space held back so that a full disk can still be drained."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from hub.contracts.errors import Unavailable


class Ballast:
    """A file of `size` bytes that is dropped when the disk is full, so that messages can still be acknowledged and their space freed.

    While it is missing nothing new may come in: `restore` raises `Unavailable` until there is space for it again. Size 0 turns it off.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self.held = size == 0 or self._hold()

    def drop(self) -> bool:
        """Free the space. False when there was none to free."""
        if not self._size or not self.held:
            return False
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.held = False
        return True

    def restore(self) -> None:
        """Hold the space back again, or raise `Unavailable`."""
        if not self.held:
            self.held = self._hold()
        if not self.held:
            raise Unavailable("no space left for the queue: it hands out, but takes nothing in", hint="free space on the disk that holds HOME", retry_after=5.0)

    def _hold(self) -> bool:
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(handle, 0, self._size)
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            return False
        finally:
            os.close(handle)
        return True
