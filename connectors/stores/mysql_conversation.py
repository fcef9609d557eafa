"""What is said on one connection to MySQL or MariaDB: made when needed, settled, in transactions, its errors in our words."""

from __future__ import annotations

import math
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl

from connectors.stores.mysql_errors import LOST, MOVED, NO_LOAD, TLS, decision
from connectors.stores.mysql_link import Answer, Link, ServerError, made_up_name, number_of
from connectors.stores.mysql_text import loading
from hub.contracts.address import Address
from hub.contracts.errors import HubError

_ANSWER_S = 600.0  # the longest that one statement may keep us waiting
# The whole of `sql_mode`, so that the server's own cannot let values be cut to fit.
_MODE = "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
_SETTINGS = (
    f"SET SESSION sql_mode='{_MODE}'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION default_storage_engine=InnoDB",
    "SET SESSION group_concat_max_len=16777216",
    "SET SESSION net_read_timeout=120",
    "SET SESSION net_write_timeout=120",
)
_NONSENSE = (AssertionError, IndexError, struct.error, UnicodeDecodeError)


class Conversation:
    """One connection, made when it is first needed and again after it was lost, but never in the middle of a transaction.

    `wait_s` is how long a lock is waited for. Raises `Unavailable`, `Misconfigured` and `Rejected`.
    """

    def __init__(self, address: Address, *, wait_s: float, readonly: bool) -> None:
        self._address, self._wait_s, self.readonly = address, wait_s, readonly
        self._link: Link | None = None
        self._writing = False
        self.place = address.place
        self.room = 1 << 20  # bytes that a statement may have
        self.loads = True  # whether the server takes LOAD DATA LOCAL

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except ServerError as error:
            number = number_of(error)
            if number in LOST or number in MOVED:
                self.drop()
            said = str(error.args[-1]) if error.args else ""
            raise decision(TLS if isinstance(getattr(error, "original_exception", None), ssl.SSLError) else number, said, self.place) from error
        except _NONSENSE as error:
            self.drop()
            raise decision(2013, "", self.place) from error

    def drop(self) -> None:
        """Close the connection; the server rolls back what was not committed."""
        link, self._link = self._link, None
        if link is not None and link.open:
            link.close()

    def _connected(self) -> Link:
        if self._link is None or not self._link.open:
            if self._writing:
                raise decision(2013, "", self.place)
            self._link = Link(self._address, answer_s=_ANSWER_S)
            self._settle(self._link)
        return self._link

    def _settle(self, link: Link) -> None:
        wait = max(1, math.ceil(self._wait_s))
        for setting in (*_SETTINGS, f"SET SESSION innodb_lock_wait_timeout={wait}", f"SET SESSION lock_wait_timeout={wait}"):
            link.ask(setting)
        if self.readonly:
            link.ask("SET SESSION TRANSACTION READ ONLY")
        ((room, loads),) = link.ask("SELECT @@max_allowed_packet, @@local_infile").rows
        self.room, self.loads = int(room) * 3 // 4, bool(int(loads))

    def ask(self, sql: str, values: tuple[Any, ...] = ()) -> Answer:
        """Run one statement, `%s` in it standing for the values."""
        with self._border():
            return self._connected().ask(sql, values)

    def load(self, table: str, frame: pl.DataFrame) -> Answer | None:
        """Append rows as a file is loaded; None where the server takes none. LOCAL makes errors warnings: look at the answer."""
        with self._border():
            link = self._connected()
            if not self.loads:
                return None
            file = made_up_name()
            try:
                return link.load(file, *loading(table, frame, file))
            except ServerError as error:
                if number_of(error) not in NO_LOAD:
                    raise
                self.loads = False
                return None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction. Where the connection is lost while it commits, nobody knows the outcome but the tables: `Unavailable`."""
        self.ask("START TRANSACTION")
        self._writing = True
        try:
            yield
            self.ask("COMMIT")
        except BaseException:
            self._undo("ROLLBACK")
            raise
        finally:
            self._writing = False

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction that can be undone alone."""
        self.ask("SAVEPOINT part")
        try:
            yield
            self.ask("RELEASE SAVEPOINT part")
        except HubError:
            self._undo("ROLLBACK TO SAVEPOINT part")
            raise

    def _undo(self, statement: str) -> None:
        """Undo what can be undone: a server that cannot be asked, or has undone it already, needs no telling."""
        if self._link is None or not self._link.open:
            return
        try:
            self._link.ask(statement)
        except (ServerError, *_NONSENSE):
            self.drop()
