"""A process that offers and delivers what is due to a webhook, made to be killed at a named step."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from connectors.webhook import WebhookConfig, WebhookOutlet
from hub.failpoints import arm
from tests.integration.receiver import LOOPBACK, SECRET
from tests.integration.sharing_city import SharingCity


async def deliver(home: Path, url: str) -> None:
    """One `run --once` of the two legs."""
    async with SharingCity(home) as city:
        outlet = WebhookOutlet(WebhookConfig.model_validate({"url": url, "secret": SECRET, "allow": LOOPBACK}), SECRET)
        await city.shared(outlet)
        await outlet.close()


if __name__ == "__main__":
    arm()
    asyncio.run(deliver(Path(sys.argv[1]), sys.argv[2]))
