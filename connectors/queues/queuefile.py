"""The embedded queue's database file: one owner process, one connection, one thread, many changes in one commit."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from importlib.resources import files
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from connectors.queues.ballast import Ballast
from connectors.queues.spool import Spool, disk_errors
from hub.contracts.errors import HubError, Misconfigured, Unavailable

T = TypeVar("T")
_GROUP = 200  # changes in one commit
_SETTINGS = """
PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=10000; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;
PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=1000; PRAGMA journal_size_limit=67108864;
"""
_FAR = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs"}
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Effect(Enum):
    """What a piece of work does to the disk: nothing, take space, or free it."""

    READS = auto()
    TAKES = auto()
    FREES = auto()


@dataclass(slots=True)
class Work:
    """One piece of work for the owning thread; `answer` is set after the commit that holds it."""

    run: Callable[[sqlite3.Connection], Any]
    effect: Effect
    answer: Future[Any] = field(default_factory=Future)


def _damaged() -> Misconfigured:
    hint = "stop the hub, move HOME/queue away, start it and run `run_hub.py reconcile --repair`: what was queued is sent again from landing"
    return Misconfigured("the queue's database file is damaged", hint=hint)


def translated(error: sqlite3.Error) -> HubError:
    """The decision behind an error of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BROKEN:
        return _damaged()
    if code == sqlite3.SQLITE_FULL:
        return Unavailable("no space left for the queue", hint="free space on the disk that holds HOME; the hub goes on by itself")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return Unavailable("the queue's database file cannot be written", hint="check owner, mode and mount of HOME/queue")
    return Unavailable(
        f"the queue's database file does not answer ({getattr(error, 'sqlite_errorname', 'SQLITE_ERROR')})", hint="check the disk that holds HOME"
    )


class QueueFile:
    """Runs work on the database in its own thread, in groups: whatever waits while one commit is written goes into the next.

    Needs a directory that is `owned`. Opening checks the file and sweeps payloads that a dead process left; raises `Misconfigured` when the file is damaged.
    """

    def __init__(self, directory: Path, spool: Spool, ballast: Ballast) -> None:
        self._spool = spool
        self.ballast = ballast
        self._waiting: SimpleQueue[Work | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._connection = _opened(directory / "queue.sqlite")
        self._spool.sweep(lambda name: self._one("SELECT 1 FROM message WHERE spool = ?", name) is not None)
        self.last_place: int = (self._one("SELECT max(place) FROM message") or (None,))[0] or 0
        self._thread = threading.Thread(target=self._serve, name="queue-writer", daemon=True)
        self._thread.start()

    def submit(self, effect: Effect, run: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Have work done. The future is answered once the change is durable, or with one of the three errors."""
        work = Work(run, effect)
        with self._gate:
            if self._closed:
                raise Unavailable("the queue is closed", hint="the hub is stopping")
            self._waiting.put(work)
        return work.answer

    def close(self) -> None:
        """Finish what waits, then release file and lock. Blocks until done."""
        with self._gate:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()
        self._connection.close()

    def _one(self, sql: str, *values: object) -> Any:
        return self._connection.execute(sql, values).fetchone()

    def _serve(self) -> None:
        group: list[Work] | None = []
        try:
            while (group := self._next_group()) is not None:
                changes = [work for work in group if work.effect is not Effect.READS]
                if changes and not self._commit(changes):
                    for work in changes:
                        self._alone(work)
                for work in group:
                    if work.effect is Effect.READS:
                        self._read(work)
        finally:
            self._refuse(group or [])

    def _refuse(self, group: list[Work]) -> None:
        """Nobody waits for ever: once this thread has ended, for whatever reason, every open question is answered."""
        with self._gate:
            self._closed = True
        with suppress(Empty):
            while (work := self._waiting.get_nowait()) is not None:
                group.append(work)
        for work in group:
            if not work.answer.done():
                work.answer.set_exception(Unavailable("the queue is closed", hint="the hub is stopping"))

    def _next_group(self) -> list[Work] | None:
        first = self._waiting.get()
        if first is None:
            return None
        group = [first]
        with suppress(Empty):
            while len(group) < _GROUP:
                work = self._waiting.get_nowait()
                if work is None:
                    self._waiting.put(None)
                    break
                group.append(work)
        return group

    def _commit(self, changes: list[Work]) -> bool:
        """All changes in one transaction. False, with nothing changed and nobody answered, when the disk or the file fails."""
        try:
            self._spool.sync()
            self._connection.execute("BEGIN IMMEDIATE")
            answers = [(work, self._attempt(work)) for work in changes]
            self._connection.execute("COMMIT")
        except (sqlite3.Error, HubError):
            self._roll_back()
            return False
        for work, answer in answers:
            _settle(work, answer)
        return True

    def _attempt(self, work: Work) -> Any:
        """The work's result, or the error that concerns it alone (raised before it changed anything)."""
        try:
            if work.effect is Effect.TAKES:
                self.ballast.restore()
            return work.run(self._connection)
        except HubError as error:
            return error

    def _alone(self, work: Work) -> None:
        """One change in its own transaction; on a full disk, what frees space may use the ballast."""
        for last in (False, True):
            try:
                self._spool.sync()
                self._connection.execute("BEGIN IMMEDIATE")
                answer = self._attempt(work)
                self._connection.execute("COMMIT")
            except HubError as error:
                answer = error
            except sqlite3.Error as error:
                self._roll_back()
                answer = translated(error)
                if not last and work.effect is Effect.FREES and self.ballast.drop():
                    continue
            _settle(work, answer)
            return

    def _read(self, work: Work) -> None:
        try:
            answer = self._attempt(work)
        except sqlite3.Error as error:
            answer = translated(error)
        _settle(work, answer)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")


def _settle(work: Work, answer: Any) -> None:
    if isinstance(answer, HubError):
        work.answer.set_exception(answer)
    else:
        work.answer.set_result(answer)


def owned(directory: Path) -> int:
    """Lock the directory for this process (released by the kernel when it dies). Raises `Misconfigured` when another one has it."""
    _refuse_network(directory)
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise Misconfigured(
            "another process uses this embedded queue",
            hint="one hub per home directory: stop the other one, or use `broker: amqp://…` to spread the hub over processes",
        ) from error
    return lock


def _refuse_network(directory: Path) -> None:
    place = str(directory.absolute())
    with disk_errors(directory), open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        points = [line.split(" ")[1:3] for line in mounts]
    under = [(len(point), kind) for point, kind in points if place == point or place.startswith(point.rstrip("/") + "/")]
    if under and max(under)[1] in _FAR:
        raise Misconfigured("the embedded queue needs a local disk; locks and flushes are not safe on a network share", hint="choose a --home on a local disk")


@contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise translated(error) from error


def _opened(path: Path) -> sqlite3.Connection:
    with _file_errors():
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
        try:
            for statement in _SETTINGS.split(";"):
                connection.execute(statement)
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise _damaged()
            connection.executescript(files(__package__).joinpath("queue.sql").read_text(encoding="utf-8"))
        except BaseException:
            connection.close()
            raise
    return connection
