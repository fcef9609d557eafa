"""A connection to MySQL or MariaDB that gives a server our bytes, and nothing of this machine's files.

A server may answer any statement by asking for any file of the client (LOAD DATA LOCAL). Here it gets an answer only while a load of ours runs, only
for the name that was made up for that load, and then from memory: no file is ever opened.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pymysql import MySQLError  # type: ignore[import-untyped]
from pymysql.connections import Connection  # type: ignore[import-untyped]
from pymysql.constants import CLIENT, COMMAND, CR  # type: ignore[import-untyped]
from pymysql.protocol import LoadLocalPacketWrapper, OKPacketWrapper  # type: ignore[import-untyped]

from hub.contracts.address import Address
from hub.contracts.errors import Misconfigured

ServerError: type[Exception] = MySQLError
_PIECE = 256 << 10  # below any server's max_allowed_packet
_ASKED = "the database server asked for a file of this machine, which no server of ours does"
_ASKED_HINT = "nothing was sent; check that the address leads to your own database server, and who stands between"


def number_of(error: Exception) -> int:
    """The server's or the driver's number of an error, 0 where there is none."""
    number = error.args[0] if error.args else 0
    return number if isinstance(number, int) else 0


def made_up_name() -> str:
    """A file's name that no file has, for one load."""
    return f"credit-hub-{secrets.token_hex(12)}"


class Spelled(str):
    """SQL that stands for a value as it is: a list of quoted keys."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement brought: its rows, how many it changed, how many warnings it left; a load also how many rows it left out."""

    rows: Sequence[Sequence[Any]] = ()
    affected: int = 0
    warnings: int = 0
    skipped: int = 0


def _skipped(message: bytes | str) -> int:
    """`Records: 5  Deleted: 0  Skipped: 2  Warnings: 2` as 2."""
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else message
    found = re.search(r"Skipped: (\d+)", text)
    return int(found[1]) if found else 0


class Link(Connection):  # type: ignore[misc]
    """One connection. Raises `ServerError` as PyMySQL does, and `Misconfigured` where the server asks for what is not its own: then it is closed."""

    def __init__(self, address: Address, *, answer_s: float) -> None:
        more = address.connect_args() | {"connect_timeout": int(address.options.get("connect_timeout", 10))}
        super().__init__(
            host=address.host, port=address.port or 3306, user=address.user, password=address.password, database=address.database,
            charset="utf8mb4", autocommit=True, read_timeout=answer_s, write_timeout=answer_s, client_flag=CLIENT.LOCAL_FILES, **more,
        )  # fmt: skip

    def ask(self, sql: str, values: Sequence[Any] = ()) -> Answer:
        """Run one statement, `%s` in it standing for the values and `%%` for a percent sign."""
        self.query(sql.encode() % tuple(self._quoted(value) for value in values))
        result = self._result
        return Answer(result.rows or (), result.affected_rows or 0, result.warning_count or 0)

    def _quoted(self, value: Any) -> bytes:
        if isinstance(value, Spelled):
            return value.encode()
        if isinstance(value, bytes):
            return b"_binary'" + value.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"
        return bytes(self.escape(value), "utf-8")

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        """PyMySQL stops with a RuntimeError where the server asks for a file and `local_infile` was not set; the conversation must not go on."""
        try:
            return super()._read_query_result(unbuffered)
        except RuntimeError as error:
            self._force_close()
            raise Misconfigured(_ASKED, hint=_ASKED_HINT) from error

    def load(self, file: str, sql: str, pieces: Iterable[bytes]) -> Answer:
        """Run a LOAD DATA LOCAL statement that names `file`, and hand over the pieces when the server asks for just that.

        LOCAL makes errors warnings and leaves rows out: the caller compares `affected` and looks at `warnings`.
        """
        self._execute_command(COMMAND.COM_QUERY, sql)
        request = self._read_packet()
        if not request.is_load_local_packet():
            self._force_close()
            raise MySQLError(CR.CR_COMMANDS_OUT_OF_SYNC, "a load was answered without asking for its file")
        if LoadLocalPacketWrapper(request).filename != file.encode():
            self._force_close()
            raise Misconfigured(_ASKED, hint=_ASKED_HINT)
        self._send(pieces)
        done = OKPacketWrapper(self._read_packet())
        self.server_status = done.server_status
        return Answer((), done.affected_rows, done.warning_count, _skipped(done.message))

    def _send(self, pieces: Iterable[bytes]) -> None:
        try:
            for piece in pieces:
                for start in range(0, len(piece), _PIECE):
                    self.write_packet(piece[start : start + _PIECE])
        except BaseException:
            self._force_close()  # half a file must not be taken for the whole
            raise
        self.write_packet(b"")
