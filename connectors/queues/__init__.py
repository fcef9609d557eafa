"""Message transports between the legs: the embedded queue and RabbitMQ, behind one contract."""

from __future__ import annotations

from pathlib import Path

from hub.contracts.broker import Broker, Message
from hub.contracts.errors import Misconfigured, Rejected

LARGEST = 8 * 1024 * 1024  # bytes of one message; a batch is at most 4 MiB before it is sealed


def check_size(message: Message) -> None:
    """Raise `Rejected` for a message that no broker should be made to carry."""
    if len(message.body) > LARGEST:
        raise Rejected(f"message of {len(message.body):,} bytes is larger than a queue takes ({LARGEST:,})", hint="cut batches smaller: at most 4 MiB each")


def open_broker(setting: str, home: Path, *, name: str = "hub") -> Broker:
    """The broker that the configuration names: `embedded` (files in `home/queue`) or an AMQP address (`amqp://…`, `amqps://…`).

    `name` begins the names of what the hub declares for itself on a RabbitMQ server. Raises `Misconfigured` for anything else.
    """
    if setting == "embedded":
        from connectors.queues.embedded import EmbeddedBroker

        return EmbeddedBroker(home / "queue")
    if setting.startswith(("amqp://", "amqps://")):
        from connectors.queues.rabbitmq import RabbitBroker

        return RabbitBroker(setting, name=name)
    raise Misconfigured("the broker setting is neither `embedded` nor an AMQP address", hint="write `broker: embedded` or `broker: amqp://user@host/vhost`")
