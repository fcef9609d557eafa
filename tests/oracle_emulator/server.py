"""The emulator: a listener on loopback, its conversations in threads of their own, its data in a temporary file."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.oracle_emulator.catalogue import Catalogue
from tests.oracle_emulator.database import Session, create
from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.faults import Faults
from tests.oracle_emulator.session import Conversation
from tests.oracle_emulator.types import EXACT, Cell, number_from, spelled, stored
from tests.oracle_emulator.wire import Link

HOST = "127.0.0.1"
_END = 5.0


class OracleEmulator:
    """An Oracle server as far as this package's own words say. `version` is what it passes for, `users` their passwords; the first owns what `execute` makes."""

    def __init__(
        self,
        *,
        version: tuple[int, ...] = (19, 3, 0, 0, 0),
        users: Mapping[str, str] | None = None,
        service: str = "FREEPDB1",
        port: int = 0,
        native_encryption: bool = False,
    ) -> None:
        self.version, self.service, self.port, self.native_encryption = version, service, port, native_encryption
        self.catalogue = Catalogue(version, dict(users or {"hub": "hub-Pass-1"}))
        self.user, self.password = next(iter(self.catalogue.users.items()))
        self.faults = Faults()
        self.locked: set[str] = set()
        self.refuse = 0
        self._home = Path(tempfile.mkdtemp(prefix="hub-oracle-"))
        self._file = self._home / "data.sqlite"
        create(self._file, self.catalogue)
        self._own = Session(self._file, self.catalogue, self.user.upper())
        self._lock, self._own_lock = threading.Lock(), threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self.logins = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Listen, on the port of before if there was one."""
        listener = socket.create_server((HOST, self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), name="oracle-listener", daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """Close the port and cut every connection; the data stay."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        if self._acceptor is not None:
            self._acceptor.join(_END)
        self.cut()

    def cut(self) -> None:
        """Cut every connection; new ones are taken."""
        with self._lock:
            open_ones = dict(self._connections)
        for connection, thread in open_ones.items():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            if thread is not threading.current_thread():
                thread.join(_END)

    def close(self) -> None:
        """End it and remove its data."""
        self.stop()
        self._own.close()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        with self._lock:
            return len(self._connections)

    def settings(self) -> dict[str, Any]:
        """Settings of a source that reads from here."""
        return {"host": HOST, "port": self.port, "database": self.service, "user": self.user, "password": self.password}

    @property
    def home(self) -> Path:
        """The folder of its data."""
        return self._home

    @property
    def dsn(self) -> str:
        """Where it is, in the driver's short form."""
        return f"{HOST}:{self.port}/{self.service}"

    @property
    def url(self) -> str:
        """Where it is, as SQLAlchemy and `hub.contracts.address.address_of` read it."""
        return f"oracle://{self.user}:{self.password}@{HOST}:{self.port}/{self.service}"

    def execute(self, sql: str, *binds: object) -> list[tuple[object, ...]]:
        """Run one statement of Oracle's SQL at the server, as the first user, and commit it; its rows, where it has any."""
        return self._run(sql, [binds])

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one change for each row of binds, and commit."""
        self._run(sql, list(rows))

    def _run(self, sql: str, rows: Sequence[Sequence[object]]) -> list[tuple[object, ...]]:
        with self._own_lock:
            prepared = self._own.prepare(sql)
            values = [[_cell(value) for value in row] for row in rows]
            try:
                if prepared.kind == "query":
                    result = self._own.query(prepared, values[0])
                    return [tuple(map(_plain, row)) for row in result.take(1 << 30)]
                if prepared.kind == "change":
                    for _ in self._own.change(prepared, values):
                        pass
                elif prepared.kind == "definition":
                    self._own.define(prepared)
                else:
                    self._own.control(prepared)
                self._own.commit()
            except OracleError:
                self._own.rollback()
                raise
        return []

    def forbid(self, table: str, what: str = "update") -> None:
        """Nobody but its owner may "select" from a table (ORA-00942), nobody may "update" it (ORA-01031)."""
        owner, _, name = table.rpartition(".")
        self.catalogue.forbidden.add((f"{owner or self.user.upper()}.{name}", what))
        self.catalogue.generation += 1

    def session(self, user: str, watch: Callable[[], bool]) -> Session:
        """A session for a conversation."""
        self.logins += 1
        return Session(self._file, self.catalogue, user, watch)

    def refusal(self) -> int:
        """The error that connections are refused with: `refuse`."""
        return self.refuse

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), name="oracle-session", daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                Conversation(Link(connection), self).run()
        finally:
            with self._lock:
                self._connections.pop(connection, None)


def _cell(value: object) -> Cell:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        return spelled(value, value.microsecond * 1000, None if value.tzinfo is None else int((value.utcoffset() or value.resolution).total_seconds() // 60))
    if isinstance(value, date):
        return f"{value.isoformat()} 00:00:00"
    if isinstance(value, timedelta):
        return f"interval {value.total_seconds()!r}"
    if isinstance(value, int | Decimal):
        return stored(value)
    if value is None or isinstance(value, str | float | bytes):
        return value
    raise TypeError(f"{type(value).__name__} cannot be bound")


def _plain(value: Cell) -> object:
    return number_from(value[len(EXACT) :]) if isinstance(value, bytes) and value.startswith(EXACT) else value
