"""XML documents, streamed; any record path."""

from __future__ import annotations

from hub.contracts.endpoint import EndpointConfig


class XmlFormat(EndpointConfig):
    """XML documents, streamed; any record path."""
