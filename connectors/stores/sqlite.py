"""A central store in a SQLite file, loaded as fast as the hub can."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from connectors.stores.adbc import AdbcSession
from connectors.stores.known import Memory
from connectors.stores.table_store import TableStore, local_now
from hub.contracts.keys import KeyRing


class SqliteStore(TableStore):
    """A store in a SQLite file: one connection writes, one reads; `wait_s` is how long a locked file is waited for."""

    def __init__(self, path: Path | str, keys: KeyRing, *, wait_s: float = 10.0, clock: Callable[[], datetime] = local_now) -> None:
        file = Path(path)
        super().__init__(lambda readonly: AdbcSession(file, wait_s=wait_s, readonly=readonly), keys, beside=True, memory=Memory(), clock=clock)
