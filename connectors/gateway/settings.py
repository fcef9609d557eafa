"""What is said in YAML about an agency that calls us, and about the feeds that take what it submits."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from connectors.formats.forms import FileFormat
from hub.contracts.endpoint import EndpointConfig

_RATE = re.compile(r"([1-9]\d{0,5})/([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def _rate(value: str) -> str:
    if _RATE.fullmatch(value) is None:
        raise ValueError("write how many requests in which time: 5/s, 60/m, 1000/h")
    return value


class GatewayConfig(EndpointConfig):
    """An agency that calls us. Its keys are made by `run_hub.py key add`, never written here."""

    rate: Annotated[str, AfterValidator(_rate)] = Field(default="60/m", description="Requests at most, of all its keys together; so many at once, too.")
    signed: Literal["optional", "required"] = Field(default="optional", description="Whether every request must bear a signature.")

    @property
    def burst(self) -> int:
        """Requests that may come at once."""
        return int(self.rate.partition("/")[0])

    @property
    def per_second(self) -> float:
        """Requests a second on average."""
        return self.burst / _SECONDS[self.rate[-1]]


class GatewayRead(FileFormat):
    """The submissions of one feed."""

    max_size: int = Field(default=256 << 20, gt=0, description="Bytes of one submission; a larger one is refused while it comes.")
