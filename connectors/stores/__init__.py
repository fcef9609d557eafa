"""The four central stores: a file by default, any database by its URL."""

from __future__ import annotations

from collections.abc import Callable

from hub.contracts.address import address_of
from hub.contracts.keys import KeyRing
from hub.contracts.store import Store


def open_store(setting: str, keys: KeyRing, because: str = "", opened: Callable[[str], str] = str) -> Store:
    """The store that a setting names: a path means a SQLite file, anything with `://` a database URL. Nothing is opened before first use.

    `because` says why a connection may go unencrypted; `opened` opens the secret that stands for the password. Raises `Misconfigured` for a URL that is not allowed.
    """
    if "://" not in setting:
        from connectors.stores.sqlite import SqliteStore

        return SqliteStore(setting, keys)
    from connectors.stores.generic import GenericStore

    if setting.startswith("sqlite:"):
        return GenericStore(setting, keys)
    address = address_of(setting, because, opened)
    if address.family == "postgresql":
        from connectors.stores.postgres import PostgresStore

        return PostgresStore(address, keys)
    if address.family == "mysql":
        from connectors.stores.mysql import MysqlStore

        return MysqlStore(address, keys)
    return GenericStore(address, keys)


async def note_of(setting: str, because: str = "", opened: Callable[[str], str] = str) -> str | None:
    """What an operator should know of a store's server, "" for nothing, None for stores that are not asked. Nothing is created.

    Raises `Unavailable` and `Misconfigured` where the server cannot be asked.
    """
    if "://" not in setting or setting.startswith("sqlite:"):
        return None
    address = address_of(setting, because, opened)
    if address.family != "mysql":
        return None
    from connectors.stores import mysql

    return await mysql.note_of(address)
