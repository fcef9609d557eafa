"""Both brokers keep the same promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.queues import open_broker
from connectors.queues.embedded import EmbeddedBroker
from connectors.queues.rabbitmq import RabbitBroker
from hub.contracts.broker import Broker
from hub.contracts.errors import Misconfigured
from tests.contract.broker_contract import BrokerContract
from tests.servers import RabbitServer


class TestEmbeddedBroker(BrokerContract):
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path) -> None:
        self.home = tmp_path

    async def opened(self) -> Broker:
        return open_broker("embedded", self.home)


@pytest.mark.server
class TestRabbitBroker(BrokerContract):
    @pytest.fixture(autouse=True)
    def _server(self, rabbit: RabbitServer) -> None:
        self.url = rabbit.url

    async def opened(self) -> Broker:
        return RabbitBroker(self.url, settle=0)


@pytest.mark.parametrize("setting", ["kafka://host", "", "amqp:host", "Embedded"])
def test_an_unknown_broker_is_a_matter_of_configuration(setting: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as raised:
        open_broker(setting, tmp_path)

    assert "embedded" in raised.value.hint


@pytest.mark.parametrize(("setting", "kind"), [("embedded", EmbeddedBroker), ("amqp://guest:guest@127.0.0.1:1/", RabbitBroker)])
async def test_moving_between_brokers_is_one_line(setting: str, kind: type, tmp_path: Path) -> None:
    broker = open_broker(setting, tmp_path)

    assert isinstance(broker, kind)
    await broker.close()


def test_an_unreadable_address_is_refused_without_showing_its_password(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as raised:
        open_broker("amqp://hub:geheim@host:port/x", tmp_path)

    assert "geheim" not in raised.value.message + raised.value.hint
