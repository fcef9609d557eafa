"""Text of fixed column widths."""

from __future__ import annotations

from hub.contracts.endpoint import EndpointConfig


class FixedFormat(EndpointConfig):
    """Text of fixed column widths."""
