"""Every source is held to the contract."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.folder import FolderConfig, FolderRead, FolderSource, Ready
from connectors.gateway.settings import GatewayConfig, GatewayRead
from connectors.gateway.source import GatewaySource
from connectors.memory import MemoryIntake, MemorySource
from connectors.sftp import SftpConfig, SftpRead
from connectors.sftp.source import SftpSource
from hub.contracts.errors import HubError, Misconfigured, Unavailable
from hub.contracts.source import Arrival, Source
from tests.contract.source_contract import KNOWN, ROWS, SourceContract
from tests.servers import SshServer


class TestMemorySource(SourceContract):
    """The tests' own endpoint."""

    def prepare(self, tmp_path: Path) -> None:
        self.documents: list[tuple[str, bytes]] = []
        self.made: list[MemorySource] = []

    def send(self, name: str, content: bytes) -> None:
        if self.made:
            self.made[-1].add(name, content)
        else:
            self.documents.append((name, content))

    def source(self) -> Source:
        self.made.append(MemorySource(self.documents, self.intake, KNOWN, ROWS))
        return self.made[-1]

    def left(self) -> list[str]:
        return [name for name, _ in self.documents]

    def take_away(self) -> None:
        self.made[-1].fails = Unavailable("away", hint="wait")

    def misconfigure(self) -> None:
        self.made[-1].fails = Misconfigured("wrong name", hint="correct it")


class Reachable(MemoryIntake):
    """Landing, which is all that stands behind the gateway; `fails` takes it away."""

    fails: HubError | None = None

    async def waiting(self) -> list[Arrival]:
        if self.fails is not None:
            raise self.fails
        return await super().waiting()


class TestGatewaySource(SourceContract):
    """What agencies submitted: numbered before the source hears of it."""

    def prepare(self, tmp_path: Path) -> None:
        self.intake = self.landing = Reachable()
        self.made: list[GatewaySource] = []

    def send(self, name: str, content: bytes) -> None:
        with contextlib.suppress(StopIteration):
            self.landing.receive(name, content).send(None)  # waits for nothing
        for source in self.made:
            source.notice()

    def source(self) -> Source:
        item = {"feed": "A0000.memory", "item": "A0000-F00-01", "known": KNOWN}
        self.made.append(GatewaySource(GatewayConfig(), GatewayRead(), **item, intake=self.landing, batch_rows=ROWS))  # type: ignore[arg-type]
        return self.made[-1]

    def left(self) -> list[str]:
        return [a.name for n, a in self.landing.arrivals.items() if not a.finished and n not in self.landing.reasons]

    def take_away(self) -> None:
        self.landing.fails = Unavailable("away", hint="wait")

    def misconfigure(self) -> None:
        self.landing.fails = Misconfigured("damaged", hint="restore it")


class TestFolderSource(SourceContract):
    """A real directory."""

    def prepare(self, tmp_path: Path) -> None:
        self.home = tmp_path
        self.folder = tmp_path / "drop"
        self.sent = 0

    def send(self, name: str, content: bytes) -> None:
        self.folder.mkdir(exist_ok=True)
        path = self.folder / name
        path.write_bytes(content)
        self.sent += 1
        os.utime(path, (1_700_000_000 + self.sent, 1_700_000_000 + self.sent))
        (self.folder / f"{name}.ok").touch()

    def source(self) -> Source:
        read = FolderRead(ready=Ready(marker=".ok"))
        return FolderSource(
            FolderConfig(path=Path("drop")), read, feed="A0000.memory", item="A0000-F00-01", known=KNOWN, intake=self.intake, home=self.home, batch_rows=ROWS
        )

    def left(self) -> list[str]:
        kept = [p for p in self.folder.rglob("*") if p.is_file() and not {"done", "refused"} & set(p.relative_to(self.folder).parts)]
        return [p.name for p in kept]

    def take_away(self) -> None:
        self.folder.symlink_to("/proc/self")  # a volume that takes no new directories, whoever asks

    def misconfigure(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.write_text("a file stands where the folder should be")

    async def listening(self, source: Source) -> None:
        assert isinstance(source, FolderSource)
        async with asyncio.timeout(20):
            while not source.listening:
                await asyncio.sleep(0.01)


@pytest.mark.server
class TestSftpSource(SourceContract):
    """A folder on Debian's sshd."""

    @pytest.fixture(autouse=True)
    def _server(self, sshd: SshServer) -> None:
        self.server = sshd
        if not sshd.running:
            sshd.start()
        self.folder = sshd.folder()
        self.sent = 0

    def send(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.write_bytes(content)
        self.sent += 1
        os.utime(path, (1_700_000_000 + self.sent, 1_700_000_000 + self.sent))
        (self.folder / f"{name}.ok").touch()
        self.server.own(self.folder)

    def source(self) -> Source:
        config = SftpConfig(
            host="127.0.0.1",
            port=self.server.port,
            user=self.server.user,
            key=SecretStr(self.server.key),
            host_key=(self.server.fingerprint(),),
            path=str(self.folder),
            every=timedelta(milliseconds=100),
            timeout=timedelta(seconds=10),
        )
        read = SftpRead(ready=Ready(marker=".ok"))
        return SftpSource(config, read, feed="A0000.memory", item="A0000-F00-01", known=KNOWN, intake=self.intake, home=self.folder, batch_rows=ROWS)

    def left(self) -> list[str]:
        kept = [p for p in self.folder.rglob("*") if p.is_file() and not {"done", "refused"} & set(p.relative_to(self.folder).parts)]
        return [p.name for p in kept]

    def take_away(self) -> None:
        self.server.stop()

    def misconfigure(self) -> None:
        self.server.change_host_keys()
