"""A subscriber's own queue on the broker: a short window of CloudEvents, filled as fast as the subscriber empties it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from connectors.formats.cloudevents import CONTENT_TYPE, to_event
from hub.contracts.broker import Broker, Message
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Unavailable
from hub.contracts.share import BUSY, Parcel


class SubscriberConfig(EndpointConfig):
    """A queue that the receiving agency consumes."""

    queue: str = Field("", max_length=200, pattern=r"^[\w.\-]*$", description="Name of the queue; empty means `sub.` and the name of the share.")
    window: int = Field(100, ge=1, le=1_000, description="How many messages may wait in it; the rest stays with the hub, where a revocation reaches it.")


class SubscriberOutlet:
    """Publishes each parcel as one CloudEvent. Delivered means: durable in the subscriber's queue."""

    def __init__(self, config: SubscriberConfig, broker: Broker, share: str) -> None:
        self.queue = config.queue or f"sub.{share}"
        self._window = config.window
        self._broker = broker
        self._declared = False

    async def hand_over(self, parcel: Parcel) -> Mapping[str, Any]:
        """Publish once the window has room. A full window is `Unavailable` with code `BUSY`: it costs no attempt."""
        if not self._declared:
            await self._broker.declare(self.queue)
            self._declared = True
        depth = await self._broker.depth(self.queue)
        if depth.ready >= self._window:
            hint = f"the subscriber of {self.queue} reads slowly or not at all; nothing is lost, the rest waits in the hub"
            raise Unavailable(f"the window of queue {self.queue} is full ({self._window} messages)", hint=hint, code=BUSY, retry_after=1.0)
        body = to_event(parcel)
        await self._broker.publish(self.queue, Message(parcel.delivery_id, body, {"sequence": parcel.sequence}, CONTENT_TYPE))
        return {"queue": self.queue, "bytes": len(body)}

    async def close(self) -> None:
        """Nothing is held open: the broker belongs to the hub."""
