"""The four central stores: a file by default, any database by its URL."""

from __future__ import annotations

from hub.contracts.keys import KeyRing
from hub.contracts.store import Store


def open_store(setting: str, keys: KeyRing) -> Store:
    """The store that a setting names: a path means a SQLite file, anything with `://` a database URL. Nothing is opened before first use."""
    if "://" in setting:
        from connectors.stores.generic import GenericStore

        return GenericStore(setting, keys)
    from connectors.stores.sqlite import SqliteStore

    return SqliteStore(setting, keys)
