"""JSON documents and JSON Lines, read strictly."""

from __future__ import annotations

from hub.contracts.endpoint import EndpointConfig


class JsonFormat(EndpointConfig):
    """JSON documents and JSON Lines, read strictly."""
