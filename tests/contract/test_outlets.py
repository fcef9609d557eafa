"""Every outlet is held to the same promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.folder import FolderOutlet, FolderOutletConfig
from connectors.memory import MemoryOutlet
from connectors.queues.embedded import EmbeddedBroker
from connectors.sftp import SftpOutletConfig
from connectors.sftp.outlet import SftpOutlet
from connectors.subscriber import SubscriberConfig, SubscriberOutlet
from connectors.webhook import WebhookOutlet
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.share import Outlet
from tests.contract.outlet_contract import PARCEL, OutletContract, Place
from tests.integration.receiver import SECRET, Receiver
from tests.servers import SshServer


class InMemory:
    """The tests' own outlet."""

    def __init__(self) -> None:
        self.kept = MemoryOutlet()
        self.outlet: Outlet = self.kept

    async def arrived(self) -> dict[str, bytes]:
        return {name: parcel.records.write_json().encode() for name, parcel in self.kept.parcels.items()}

    async def go_away(self) -> None:
        self.kept.fails = Unavailable("the other side is away", hint="bring it back")


class Webhook:
    """A real HTTP server on loopback."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.outlet: Outlet = WebhookOutlet(receiver.config(), SECRET)

    async def arrived(self) -> dict[str, bytes]:
        return {call.delivery_id: call.body for call in self.receiver.calls}

    async def go_away(self) -> None:
        await self.receiver.__aexit__(None, None, None)


class Queue:
    """A subscriber's queue on the embedded broker; away means that nobody empties it."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.broker = broker
        self.outlet: Outlet = SubscriberOutlet(SubscriberConfig(window=3), broker, "A0030.s")

    async def arrived(self) -> dict[str, bytes]:
        return {message.id: message.body for message in await self.broker.peek("sub.A0030.s")}

    async def go_away(self) -> None:
        for number in range(3):
            await self.outlet.hand_over(replace(PARCEL, delivery_id=f"{number:032x}"))


class Folder:
    """A directory; away means that a file stands where it should be."""

    def __init__(self, home: Path) -> None:
        self.path = home / "outbox"
        self.outlet: Outlet = FolderOutlet(FolderOutletConfig(path=Path("outbox")), home)

    async def arrived(self) -> dict[str, bytes]:
        return {file.stem.rpartition("_")[2]: file.read_bytes() for file in sorted(self.path.glob("*.csv"))}

    async def go_away(self) -> None:
        self.path.write_bytes(b"")


class Sftp:
    """A folder on Debian's sshd; away means that it is stopped."""

    def __init__(self, server: SshServer) -> None:
        self.server = server
        self.path = server.folder()
        config = SftpOutletConfig(
            host="127.0.0.1", port=server.port, user=server.user, key=SecretStr(server.key), host_key=(server.host_key(),), path=f"{self.path}/in/court"
        )
        self.outlet: Outlet = SftpOutlet(config)

    async def arrived(self) -> dict[str, bytes]:
        return {file.stem.rpartition("_")[2]: file.read_bytes() for file in sorted(self.path.glob("in/court/*.csv"))}

    async def go_away(self) -> None:
        self.server.stop()


class TestMemory(OutletContract):
    def place(self) -> AbstractAsyncContextManager[Place]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Place]:
            yield InMemory()

        return opened()


class TestWebhook(OutletContract):
    def place(self) -> AbstractAsyncContextManager[Place]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Place]:
            async with Receiver() as receiver:
                place = Webhook(receiver)
                try:
                    yield place
                finally:
                    await place.outlet.close()

        return opened()


class TestSubscriber(OutletContract):
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path) -> None:
        self.home = tmp_path

    def place(self) -> AbstractAsyncContextManager[Place]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Place]:
            broker = EmbeddedBroker(self.home / "queue", ballast=0)
            try:
                yield Queue(broker)
            finally:
                await broker.close()

        return opened()


class TestFolder(OutletContract):
    absence = Misconfigured  # a local directory does not come back by itself

    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path) -> None:
        self.home = tmp_path

    def place(self) -> AbstractAsyncContextManager[Place]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Place]:
            place = Folder(self.home)
            try:
                yield place
            finally:
                await place.outlet.close()

        return opened()


@pytest.mark.server
class TestSftp(OutletContract):
    @pytest.fixture(autouse=True)
    def _server(self, sshd: SshServer) -> None:
        self.server = sshd
        if not sshd.running:
            sshd.start()

    def place(self) -> AbstractAsyncContextManager[Place]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Place]:
            place = Sftp(self.server)
            try:
                yield place
            finally:
                await place.outlet.close()

        return opened()
