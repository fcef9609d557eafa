"""The hub's own database: one writer, many readers, every answer after the commit is on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from hub.contracts.blocking import to_its_end
from hub.contracts.errors import HubError, Misconfigured, Unavailable

T = TypeVar("T")

metadata = MetaData()
"""Every module of `hub` declares its tables here."""

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "busy_timeout=10000",
    "foreign_keys=ON",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "mmap_size=0",
    "temp_store=MEMORY",
    "journal_size_limit=67108864",
)


class State:
    """A SQLite file that exactly one thread of one process writes (SQLite before 3.51.3 can corrupt a WAL with several writers)."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="state-write")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="state-read")
        self._write_engine: Engine | None = None
        self._read_engine: Engine | None = None

    async def open(self) -> None:
        """Create the tables that are missing. Raises `Misconfigured` when the file is no database or is damaged."""
        if not self._read_only:
            self._write_engine = _engine(self.path, read_only=False)
            await self._run(self._writer, self._prepare)
        elif not self.path.exists():
            raise Misconfigured(f"no hub has ever run in {self.path.parent}", hint="name another home with --home, or start one with `run_hub.py run`")
        self._read_engine = _engine(self.path, read_only=True)

    def _prepare(self) -> None:
        assert self._write_engine is not None
        with self._write_engine.begin() as connection:
            damage = connection.exec_driver_sql("PRAGMA quick_check").scalar_one()
            if damage != "ok":
                raise Misconfigured(f"{self.path} is damaged", hint="stop the hub and restore the home from a backup")
            metadata.create_all(connection)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction on the writer thread; returns after the commit is on disk.

        Raises `Unavailable` when the disk is full or the file is locked by another process.
        """
        if self._write_engine is None:
            raise Misconfigured("this command opened the hub's state for reading only", hint="send the change through the running hub")
        engine = self._write_engine

        def transaction() -> T:
            with engine.begin() as connection:
                return work(connection)

        return await self._run(self._writer, transaction)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a read-only connection, in one snapshot."""
        engine = self._read_engine
        assert engine is not None, "State.open was not awaited"

        def snapshot() -> T:
            with engine.begin() as connection:
                return work(connection)

        return await self._run(self._reader, snapshot)

    async def _run(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await to_its_end(executor, work)
        except DBAPIError as error:
            raise _translated(error, self.path) from error

    async def close(self) -> None:
        """Close both connections; the write-ahead log is folded in by the last one."""
        if self._read_engine is not None:
            await self._run(self._reader, self._read_engine.dispose)
        if self._write_engine is not None:
            await self._run(self._writer, self._write_engine.dispose)
        self._writer.shutdown()
        self._reader.shutdown()


def _engine(path: Path, *, read_only: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        uri = f"file:{path}?mode={'ro' if read_only else 'rwc'}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
        for pragma in _PRAGMAS if not read_only else ("busy_timeout=10000", "mmap_size=0"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _translated(error: DBAPIError, path: Path) -> HubError:
    cause = str(error.orig)
    if isinstance(error.orig, sqlite3.OperationalError):
        hint = "free space on the disk of the home" if "full" in cause or "I/O" in cause else "another process holds the file; only one hub may use a home"
        return Unavailable(f"the hub's state in {path.name} did not take the change: {cause}", hint=hint)
    return Misconfigured(f"the hub's state in {path.name} refused the change: {cause}", hint="run `run_hub.py doctor`; the file may belong to another version")


def row_dict(row: Any) -> dict[str, Any]:
    """A result row as a plain dictionary."""
    return dict(row._mapping)
