"""ZIP and gzip archives, checked before anything is believed."""

from __future__ import annotations

from hub.contracts.endpoint import EndpointConfig


class ArchiveFormat(EndpointConfig):
    """ZIP and gzip archives, checked before anything is believed."""
