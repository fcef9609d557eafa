"""Public bulletins on web pages: read politely, entry by entry, a changed page never mistaken for an empty one."""

from __future__ import annotations

from connectors.web.settings import WebConfig, WebRead

__all__ = ["WebConfig", "WebRead"]
