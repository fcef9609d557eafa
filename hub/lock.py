"""One hub for one home."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from hub.contracts.errors import Misconfigured


def door_of(home: Path, node: str = "") -> Path:
    """The socket of a hub in this home; nodes that share one have each their own."""
    return home / "nodes" / f"{node}.sock" if node else home / "hub.sock"


def open_doors(home: Path) -> list[Path]:
    """Sockets of the hubs that live in this home."""
    nodes = sorted(path.stem for path in (home / "nodes").glob("*.lock"))
    return [door_of(home, node) for node in ("", *nodes) if HomeLock(home, node).taken()]


class HomeLock:
    """An advisory lock on `HOME/hub.lock`, or `HOME/nodes/NODE.lock` of one of several nodes; freed by the kernel when its holder dies."""

    def __init__(self, home: Path, node: str = "") -> None:
        self._home = home
        self._node = node
        self._path = door_of(home, node).with_suffix(".lock")
        self._descriptor = -1
        self.incarnation = secrets.token_hex(16)
        self.former = ""  # the incarnation of the holder before this one: on this machine, so it has ended

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
            hint = "stop that hub first, or name another home with --home" + (", or another node with --node" if self._node else "")
            name = f" as node {self._node}" if self._node else ""
            raise Misconfigured(f"a hub is already running in {self._home}{name}", hint=hint) from error
        here = socket.gethostname()
        _, _, before = os.pread(self._descriptor, 256, 0).decode(errors="replace").partition(" ")
        self.former = before.removesuffix(f" {here}") if before.endswith(f" {here}") else ""
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()} {self.incarnation} {here}".encode())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._descriptor)
