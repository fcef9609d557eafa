"""One hub for one home."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from hub.contracts.errors import Misconfigured


class HomeLock:
    """An advisory lock on `HOME/hub.lock`, freed by the kernel when its holder dies."""

    def __init__(self, home: Path) -> None:
        self._path = home / "hub.lock"
        self._descriptor = -1

    def taken(self) -> bool:
        """True where a living hub holds the home."""
        if not self._path.exists():
            return False
        descriptor = os.open(self._path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            hint = "stop that hub first, or name another home with --home"
            raise Misconfigured(f"a hub is already running in {self._path.parent}", hint=hint) from error
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._descriptor)
