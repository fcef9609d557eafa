"""The hub's own database: a file with one writer, or a server that several nodes share. Every answer comes after the commit is on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Engine, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError

from hub.contracts.address import Address
from hub.contracts.blocking import to_its_end
from hub.contracts.errors import Misconfigured
from hub.engines import THREADS, Target, file_engine, hold, lock_all, may_run_again, server_engine, translated, unlock_all
from hub.migrating import bring_up

T = TypeVar("T")

metadata = MetaData()
"""Every module of `hub` declares its tables here."""

LONG = Text().with_variant(mysql.LONGTEXT(), "mysql")
BYTES = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql")
RECORD = LargeBinary(16).with_variant(mysql.BINARY(16), "mysql")
"""Types without a limit that matters (MariaDB's own end at 64 KiB), and the number of a record as a key."""

EVERYTHING = "hub"
"""What a transaction is about when nothing narrower is said."""

_TRIES = 5

state_lock = Table("state_lock", metadata, Column("name", String(128), primary_key=True))
"""A row for each thing that transactions are about, for servers whose locks are rows."""


class State:
    """Transactions on the hub's own tables. `target` is a file that exactly one thread of one process writes, or a server's database.

    (SQLite before 3.51.3 can corrupt a WAL with several writers.)
    """

    def __init__(self, target: Target, *, read_only: bool = False) -> None:
        self.target = target
        self._read_only = read_only
        threads = THREADS if self.shared else 1
        self._writer = ThreadPoolExecutor(threads, thread_name_prefix="state-write")
        self._reader = ThreadPoolExecutor(threads, thread_name_prefix="state-read")
        self._write_engine: Engine | None = None
        self._read_engine: Engine | None = None

    @property
    def shared(self) -> bool:
        """Whether other processes may work on it too."""
        return isinstance(self.target, Address)

    async def open(self) -> None:
        """Create the tables and columns that are missing. Raises `Misconfigured` when it is no database, is damaged, or refuses us; `Unavailable`."""
        if not self._read_only:
            self._write_engine = self._engine(read_only=False)
            await self._run(self._writer, self._prepare)
        elif isinstance(self.target, Path) and not self.target.exists():
            raise Misconfigured(f"no hub has ever run in {self.target.parent}", hint="name another home with --home, or start one with `run_hub.py run`")
        self._read_engine = self._engine(read_only=True)

    def _engine(self, *, read_only: bool) -> Engine:
        if isinstance(self.target, Path):
            return file_engine(self.target, read_only=read_only)
        return server_engine(self.target, read_only=read_only)

    def _prepare(self) -> None:
        assert self._write_engine is not None
        with self._write_engine.connect() as connection:
            lock_all(connection)
            try:
                if not self.shared and (connection.exec_driver_sql("PRAGMA quick_check").scalar_one()) != "ok":
                    raise Misconfigured(f"{self.target} is damaged", hint="stop the hub and restore the home from a backup")
                for table in metadata.tables.values():
                    table.dialect_options["mysql"]["charset"] = "utf8mb4"
                    table.dialect_options["mysql"]["collate"] = "utf8mb4_bin"  # names and keys differ by case
                metadata.create_all(connection)
                bring_up(connection, metadata)
                connection.commit()
            finally:
                unlock_all(connection)

    async def write(self, work: Callable[[Connection], T], *, about: str | None = EVERYTHING) -> T:
        """Run `work` in one transaction; returns after the commit is on disk.

        Transactions `about` the same thing (an item, a share) follow one another on every node; None holds nobody up. Where the server undid one for the
        sake of another, `work` is run again from the beginning, so it must do nothing but to the connection.
        Raises `Unavailable` when the disk is full, the server is away, or the file is locked by another process.
        """
        if self._write_engine is None:
            raise Misconfigured("this command opened the hub's state for reading only", hint="send the change through the running hub")
        engine = self._write_engine

        def transaction() -> T:
            with engine.begin() as connection:
                if about is not None:
                    hold(connection, about)
                return work(connection)

        return await self._run(self._writer, lambda: _again(transaction))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a read-only connection, in one snapshot."""
        engine = self._read_engine
        assert engine is not None, "State.open was not awaited"

        def snapshot() -> T:
            with engine.begin() as connection:
                return work(connection)

        return await self._run(self._reader, snapshot)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """While inside, every other node that wants to be `alone` waits: for making tables elsewhere."""
        if not self.shared or self._write_engine is None:
            yield
            return
        connection = await self._run(self._writer, self._write_engine.connect)
        try:
            await self._run(self._writer, lambda: lock_all(connection))
            yield
        finally:
            await self._run(self._writer, lambda: _let_go(connection))

    async def _run(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await to_its_end(executor, work)
        except DBAPIError as error:
            raise translated(error, self.target) from error

    async def close(self) -> None:
        """Close all connections; a file's write-ahead log is folded in by the last one."""
        if self._read_engine is not None:
            await self._run(self._reader, self._read_engine.dispose)
        if self._write_engine is not None:
            await self._run(self._writer, self._write_engine.dispose)
        self._writer.shutdown()
        self._reader.shutdown()


def _again(transaction: Callable[[], T]) -> T:
    for _ in range(_TRIES - 1):
        try:
            return transaction()
        except DBAPIError as error:
            if not may_run_again(error):
                raise
    return transaction()


def _let_go(connection: Connection) -> None:
    try:
        unlock_all(connection)
    finally:
        connection.close()


def row_dict(row: Any) -> dict[str, Any]:
    """A result row as a plain dictionary."""
    return dict(row._mapping)
