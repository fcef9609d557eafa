"""Where the hub's state is kept: a file of its own, or a database on a server that several nodes share; and what their errors mean."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.pool import QueuePool, StaticPool

from hub.contracts.address import Address
from hub.contracts.errors import HubError, Misconfigured, Unavailable

Target = Path | Address

THREADS = 4
"""Transactions of one process that a server works on at the same time."""

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
_LOCK_WAIT_S = 30
_RETRIED = frozenset(("40001", "40P01", "55P03", "1205", "1213"))
"""Serialization failures, deadlocks and lock timeouts of PostgreSQL and MariaDB: the transaction left nothing behind and may be run again."""


def place_of(target: Target) -> str:
    """What to call it in a message."""
    return target.name if isinstance(target, Path) else target.place


def file_engine(path: Path, *, read_only: bool) -> Engine:
    """One connection to a SQLite file."""

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


def server_engine(address: Address, *, read_only: bool) -> Engine:
    """A pool of connections to a server: writers see what is committed, readers one snapshot each."""
    if address.family not in ("postgresql", "mysql"):
        raise Misconfigured(f"the hub's state cannot be kept in {address.dialect}", hint="use SQLite (one process), PostgreSQL or MariaDB")
    try:
        engine = create_engine(
            address.url(),
            connect_args=address.connect_args(),
            hide_parameters=True,
            poolclass=QueuePool,
            pool_size=THREADS,
            max_overflow=0,
            pool_timeout=60,
            pool_recycle=1800,
            isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
        )
    except (ImportError, NoSuchModuleError) as error:
        extra = "postgres" if address.family == "postgresql" else "mysql"
        raise Misconfigured(f"a library for {address.dialect} is not installed", hint=f"pip install 'credit-hub[{extra}]'") from error

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        if address.family == "mysql":
            cursor.execute(
                f"SET SESSION innodb_lock_wait_timeout = {_LOCK_WAIT_S}, sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'"
            )
        else:
            cursor.execute(f"SET lock_timeout = '{_LOCK_WAIT_S}s'; SET idle_in_transaction_session_timeout = '300s'")
            connection.commit()
        cursor.close()

    return engine


def hold(connection: Connection, about: str) -> None:
    """Wait until no other transaction holds what this one is `about`; it is held until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:about, 0))"), {"about": about})
    elif connection.dialect.name == "mysql":
        one = {"about": about}
        if connection.execute(text("SELECT name FROM state_lock WHERE name = :about FOR UPDATE"), one).first() is None:
            connection.execute(text("INSERT IGNORE INTO state_lock (name) VALUES (:about)"), one)
            connection.execute(text("SELECT name FROM state_lock WHERE name = :about FOR UPDATE"), one)


def epoch(connection: Connection) -> float:
    """The database's own clock in seconds since 1970: every node reads the same one."""
    if connection.dialect.name == "postgresql":
        return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    if connection.dialect.name == "mysql":
        return float(connection.execute(text("SELECT UNIX_TIMESTAMP(SYSDATE(6))")).scalar_one())
    return float(connection.execute(text("SELECT (julianday('now') - 2440587.5) * 86400.0")).scalar_one())


def lock_all(connection: Connection) -> None:
    """Hold everybody else up on this database until `unlock_all`: for making tables."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_lock(7286214)"))
    elif connection.dialect.name == "mysql":
        connection.execute(text("SELECT GET_LOCK('credit-hub', 60)"))


def unlock_all(connection: Connection) -> None:
    """Let the others go on."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_unlock(7286214)"))
    elif connection.dialect.name == "mysql":
        connection.execute(text("SELECT RELEASE_LOCK('credit-hub')"))


def may_run_again(error: DBAPIError) -> bool:
    """Whether the transaction was undone for the sake of another one."""
    return _code(error) in _RETRIED


def _code(error: DBAPIError) -> str:
    """SQLSTATE of PostgreSQL, number of MariaDB, empty where there is none."""
    arguments = getattr(error.orig, "args", ())
    if arguments and isinstance(arguments[0], int):
        return str(arguments[0])
    return str(getattr(error.orig, "sqlstate", None) or "")


_REFUSED = {
    "28P01": "user or password is wrong", "28000": "the user may not log in", "1045": "user or password is wrong", "1044": "the user may not use the database",
    "3D000": "there is no such database", "1049": "there is no such database", "42501": "the user has no right to do this", "1142": "the user has no right to do this",
}  # fmt: skip

_SAID = {"password authentication failed": "28P01", "does not exist": "3D000", "no pg_hba.conf entry": "28000"}
"""What PostgreSQL's client says while it connects, where it gives no code."""


def translated(error: DBAPIError, target: Target) -> HubError:
    """One of the hub's own errors. What a driver says may hold values, so only its codes are told of a server."""
    place = place_of(target)
    if isinstance(error.orig, sqlite3.Error):
        return _of_file(error, place)
    code = _code(error) or next((code for phrase, code in _SAID.items() if phrase in str(error.orig)), "")
    if code in _REFUSED:
        return Misconfigured(f"the hub's state at {place}: {_REFUSED[code]}", hint="correct `state:` in hub.yaml, or the rights of its user")
    if type(error).__name__ in ("OperationalError", "InterfaceError", "InternalError"):
        hint = "check that the database server runs, can be reached and has room; the hub goes on by itself"
        return Unavailable(f"the hub's state at {place} does not answer ({code or 'no connection'})", hint=hint)
    return Misconfigured(f"the hub's state at {place} refused the change ({code or type(error).__name__})", hint="run `run_hub.py doctor`")


def _of_file(error: DBAPIError, place: str) -> HubError:
    cause = str(error.orig)
    if isinstance(error.orig, sqlite3.OperationalError):
        hint = "free space on the disk of the home" if "full" in cause or "I/O" in cause else "another process holds the file; only one hub may use a home"
        return Unavailable(f"the hub's state in {place} did not take the change: {cause}", hint=hint)
    return Misconfigured(f"the hub's state in {place} refused the change: {cause}", hint="run `run_hub.py doctor`; the file may belong to another version")
