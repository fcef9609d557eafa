"""A connection to PostgreSQL for pulls: logging in, settings of a transaction, bounds on waiting, and errors as decisions.

The driver is reached through SQLAlchemy's dialect, so that it is imported nowhere here.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from connectors.databases.postgres_statements import ZONE
from hub.contracts.address import Address
from hub.contracts.errors import HubError, Misconfigured, Unavailable

GRACE_S: Final = 15.0
_KEEPALIVE: Final[dict[str, Any]] = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
_LOCK_MS: Final = 10_000
_READ_ONLY: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_PASSING: Final = frozenset(("40", "08", "53", "55", "57", "58", "25"))
"""Classes of SQLSTATE that pass: rolled back, connection, resources, object in use, operator's intervention, system, transaction state."""

_SAID: Final[dict[str, tuple[str, str]]] = {
    "28P01": ("refuses the password", "correct user and password"),
    "28000": ("refuses the login", "ask its administrator to let this machine and user in (pg_hba.conf)"),
    "3D000": ("has no such database", "correct `database`"),
    "3F000": ("has no such schema", "correct `schema`"),
    "42501": ("does not let this account read what the feed asks for", "ask for SELECT on it, and UPDATE on the status column where `done` is used"),
    "42P01": ("no longer has a table or view that the feed reads", "it was renamed or dropped: name the new one, or ask the agency"),
    "42703": ("no longer has a column that the feed reads", "it was renamed or dropped: correct the feed's columns, or ask the agency"),
    "42601": ("cannot read the query", "correct its SQL"),
    "22P05": ("holds characters that have no place in UTF-8", "ask its administrator which encoding its text really is in"),
    "22021": ("holds bytes that are no text in its own encoding", "ask its administrator which encoding its text really is in"),
    "25006": ("lets nothing be written: it is a read-only copy", "name the primary server, or leave out `done`"),
    "57014": ("stopped the statement after `timeout`", "let it run when the server is idle, add an index on the columns of `since`, or raise `timeout`"),
    "55P03": ("has the rows or the table locked by somebody else", "it is tried again; ask who holds the lock if it stays"),
    "53300": ("has no connection left", "it is tried again; ask for a connection of the hub's own"),
    "57P03": ("is starting or stopping", "it is tried again"),
    "40001": ("could not keep this view of the data", "it is tried again"),
    "40P01": ("broke a deadlock", "it is tried again"),
}
_SHUT: Final = ("starting up", "shutting down", "recovery", "too many", "slots", "启动", "关闭", "恢复", "太多", "过多", "保留")
_CERTIFICATE: Final = ("certificate", "does not support ssl", "ssl was required")


def decision(error: BaseException, place: str) -> HubError:
    """Which of the decisions an error of the driver asks for; never with its text, which may hold values."""
    state = getattr(error, "sqlstate", None)
    if not state:
        return _unanswered(str(error).lower(), place)
    said, hint = _SAID.get(state, ("", ""))
    if state != "25006" and state[:2] in _PASSING:
        return Unavailable(f"the database {place} {said or 'broke off'}", hint=hint or "it is tried again; look into the server's log if it stays", code=state)
    words = getattr(getattr(error, "diag", None), "message_primary", None) if state[:2] == "42" else None
    said = said or "refuses the statement"
    return Misconfigured(f"the database {place} {said}" + (f": {words}" if words else ""), hint=hint or "compare the feed with the table", code=state)


def _unanswered(said: str, place: str) -> HubError:
    """An error without a code: of the login, or of the wire."""
    if ("fatal" in said or "致命" in said) and not any(word in said for word in _SHUT):
        for word, state in (("password", "28P01"), ("认证", "28P01"), ("pg_hba", "28000"), ("database", "3D000"), ("数据库", "3D000")):
            if word in said:
                return Misconfigured(f"the database {place} {_SAID[state][0]}", hint=_SAID[state][1], code=state)
        return Misconfigured(f"the database {place} refuses the login", hint="correct user, password and database")
    if any(word in said for word in _CERTIFICATE):
        hint = 'name the authority of its certificate as `ca`, or write tls: "off" and say because: …'
        return Misconfigured(f"no encrypted connection to {place}, or its certificate is not the one expected", hint=hint)
    return Unavailable(f"the database {place} does not answer", hint="check that the server runs, and that this machine reaches its host and port")


class Wire:
    """One connection in autocommit; transactions are begun and ended by statement. A statement may take `wait_s`, and we wait `grace_s` longer."""

    def __init__(self, address: Address, wait_s: float, grace_s: float) -> None:
        self._place, self._wait_s = address.place, wait_s + grace_s
        self._statement_ms = max(1, int(wait_s * 1000))
        dialect = address.url().get_dialect()()
        self._driver: Any = dialect.import_dbapi()
        arguments, named = dialect.create_connect_args(address.url())
        named = _KEEPALIVE | dict(named) | address.connect_args() | {"client_encoding": "utf8", "fallback_application_name": "credit-hub"}
        with self.border():
            self.connection: Any = self._driver.connect(*arguments, **named, autocommit=True, prepare_threshold=None)

    @contextmanager
    def border(self) -> Iterator[None]:
        """Errors of the driver become decisions."""
        try:
            yield
        except self._driver.Error as error:
            raise decision(error, self._place) from error

    @property
    def usable(self) -> bool:
        """Whether it can be asked again."""
        return not self.connection.closed

    @property
    def encoding(self) -> str:
        """The database's own encoding: "UTF8", "SQL_ASCII"."""
        return str(self.connection.info.parameter_status("server_encoding"))

    def back(self, name: str) -> None:
        """Back to a savepoint, and done with it; the connection is given up where that fails."""
        try:
            self.rows(f"ROLLBACK TO SAVEPOINT {name}")
            self.rows(f"RELEASE SAVEPOINT {name}")
        except HubError:
            self.close()

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """Run one statement; all of its rows, which are few."""
        with self.border(), self.watched():
            cursor = self.connection.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def changed(self, sql: str, values: Sequence[object]) -> int:
        """Run one statement that writes; how many rows it changed."""
        with self.border(), self.watched():
            return int(self.connection.execute(sql, values).rowcount)

    def described(self, sql: str) -> tuple[list[str], list[int], list[int]]:
        """Names, type numbers and type modifiers of what a statement answers with. Asked in binary, so that the protocol takes no second statement."""
        with self.border(), self.watched():
            cursor = self.connection.cursor(binary=True).execute(sql, ())
            names = [column.name for column in cursor.description]
            return names, [column.type_code for column in cursor.description], [cursor.pgresult.fmod(number) for number in range(len(names))]

    def begin(self, *, write: bool = False, more_s: float = 0.0) -> None:
        """Begin a transaction with its own settings, which hold behind a connection pooler too. `more_s` lets its statements run longer."""
        self.rows("BEGIN" if write else _READ_ONLY)
        statement = self._statement_ms + int(more_s * 1000)
        settings = {
            "statement_timeout": statement, "lock_timeout": min(_LOCK_MS, max(1, statement // 2)), "idle_in_transaction_session_timeout": 2 * statement + 600_000,
            "datestyle": "ISO, YMD", "intervalstyle": "postgres", "timezone": ZONE, "extra_float_digits": 1, "bytea_output": "hex",
        }  # fmt: skip
        calls = ", ".join("set_config(%s, %s, true)" for _ in settings)
        self.rows(f"SELECT {calls}", [text for name, value in settings.items() for text in (name, str(value))])

    def end(self, word: str = "ROLLBACK") -> None:
        """End the transaction; safe where there is none, or no connection any more."""
        if word != "ROLLBACK":
            self.rows(word)
            return
        with suppress(HubError):
            if self.usable and self.connection.info.transaction_status != 0:
                self.rows(word)

    @contextmanager
    def copied(self, sql: str, values: Sequence[object]) -> Iterator[Iterator[Any]]:
        """The answer of a COPY, one message for each row (so the protocol says). Left early, the server is told to stop.

        The driver puts parameters in by itself, as COPY knows none, and leaves doubled percent signs where there is none to put in.
        """
        sql = sql if values else sql.replace("%%", "%")
        with self.border(), self.connection.cursor() as cursor, cursor.copy(sql, values) as copy:
            yield iter(copy)

    @contextmanager
    def watched(self, more_s: float = 0.0) -> Iterator[Watch]:
        """Cuts the connection when the server is silent for the statement's time and a little."""
        watch = Watch(self.connection, self._wait_s + more_s)
        try:
            yield watch
        finally:
            watch.close()

    def close(self) -> None:
        """Release it."""
        with suppress(self._driver.Error):
            self.connection.close()


class Watch:
    """A timer beside a wait that the driver does not bound: a server that is frozen keeps its connection for ever."""

    def __init__(self, connection: Any, wait_s: float) -> None:
        self._socket = os.dup(connection.fileno())
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._arm()

    def _arm(self) -> None:
        with self._lock:
            self._timer = threading.Timer(self._wait_s, self._cut)
            self._timer.daemon = True
            self._timer.start()

    def _disarm(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                return
            with suppress(OSError), socket.socket(fileno=os.dup(self._socket)) as connection:
                connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """While nobody waits for the server, because what it sent is being used; afterwards the wait begins anew."""
        self._disarm()
        try:
            yield
        finally:
            self._arm()

    def close(self) -> None:
        """Stop watching."""
        self._disarm()
        os.close(self._socket)
