"""A folder on a server as the tests see it from both sides, and a link to it that can be cut."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from connectors.formats.files import Ready
from connectors.memory import MemoryIntake
from connectors.sftp import SftpConfig, SftpRead
from connectors.sftp.source import SftpSource
from hub.contracts.batch import Batch
from tests.city.sftp_agency import HOST, SftpAgency
from tests.contract.source_contract import KNOWN, settle_all
from tests.servers import SshServer

MARKED = Ready(marker=".ok")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_793_500_000.0

    def __call__(self) -> float:
        return self.now


class SftpPlace:
    """What one feed collects from, and what it kept of it."""

    def __init__(self, folder: Path, config: SftpConfig, own: Callable[[Path], None]) -> None:
        self.folder, self.config, self._own = folder, config, own
        self.intake = MemoryIntake()
        self.clock = Clock()
        self._sent = 0

    def send(self, name: str | bytes, content: bytes, *companions: tuple[str, bytes]) -> Path:
        """The agency puts a file there, then what goes with it."""
        path = self.folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._sent += 1
        os.utime(path, (1_700_000_000 + self._sent, 1_700_000_000 + self._sent))
        for ending, text in companions:
            (path.parent / (path.name + ending)).write_bytes(text)
        self._own(self.folder)
        return path

    def source(self, ready: Ready = MARKED, **read: Any) -> SftpSource:
        """A new source, as after a restart."""
        chosen = SftpRead(ready=ready, **read)
        place = {"feed": "A0000.memory", "item": "A0000-F00-01", "known": KNOWN, "intake": self.intake, "home": self.folder}
        return SftpSource(self.config, chosen, **place, batch_rows=5, clock=self.clock, pause=lambda seconds: None)

    async def collect(self, ready: Ready = MARKED, **read: Any) -> list[Batch]:
        """Everything that a new source offers, settled."""
        source = self.source(ready, **read)
        try:
            return await settle_all(source, self.intake)
        finally:
            await source.close()

    def files(self) -> list[str]:
        """Every file below the folder."""
        return sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file() or p.is_symlink())


def on_sshd(server: SshServer, **changes: Any) -> SftpPlace:
    """A new folder on Debian's sshd."""
    folder = server.folder()
    return SftpPlace(folder, config_of(server, path=str(folder), **changes), server.own)


def config_of(server: SshServer, **changes: Any) -> SftpConfig:
    """How to log in to Debian's sshd."""
    settings: dict[str, Any] = {"host": HOST, "port": server.port, "user": server.user, "key": server.key, "host_key": server.fingerprint(), "timeout": "10s"}
    return SftpConfig.model_validate(settings | changes)


def on_agency(agency: SftpAgency, **changes: Any) -> SftpPlace:
    """The folder of an agency's own server."""
    settings: dict[str, Any] = {
        "host": HOST,
        "port": agency.port,
        "user": agency.user,
        "password": SecretStr(agency.password),
        "host_key": agency.fingerprint,
        "path": "/",
        "timeout": timedelta(seconds=10),
    }
    return SftpPlace(agency.root, SftpConfig.model_validate(settings | changes), lambda path: None)


class Cutter:
    """A link to a server that is cut once it has carried so many bytes to us; `cuts` says how often."""

    def __init__(self, port: int, after: int, cuts: int) -> None:
        self.after, self.cuts = after, cuts
        self.links = 0
        self.carried = 0
        self._target = port
        self._listening = socket.create_server((HOST, 0))
        self.port = int(self._listening.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection((HOST, self._target))
                self.links += 1
                for here, there, inwards in ((near, far, False), (far, near, True)):
                    self._threads.append(threading.Thread(target=self._carry, args=(here, there, inwards), daemon=True))
                    self._threads[-1].start()

    def _carry(self, here: socket.socket, there: socket.socket, inwards: bool) -> None:
        left = self.after if inwards and self.cuts > 0 else None
        with contextlib.suppress(OSError):
            while piece := here.recv(65536):
                if inwards:
                    self.carried += len(piece)
                if left is not None and (left := left - len(piece)) < 0:
                    self.cuts -= 1
                    break
                there.sendall(piece)
        for each in (here, there):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        if inwards:
            here.close()
            there.close()
