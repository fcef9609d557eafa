"""Brings tables that an earlier version made up to what this one expects."""

from __future__ import annotations

from sqlalchemy import Connection, MetaData


def bring_up(connection: Connection, metadata: MetaData) -> list[str]:
    """Add what is missing; what was done, in words."""
    return []
