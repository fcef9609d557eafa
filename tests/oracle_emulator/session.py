"""One client's conversation: handshake, login, and calls until it leaves."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.oracle_emulator.answers import HANDSHAKES, accepted, data_types, described_rows, ended, protocol, refused, status, values_of
from tests.oracle_emulator.catalogue import Catalogue
from tests.oracle_emulator.database import Prepared, Result, Session
from tests.oracle_emulator.errors import WORDS, OracleError
from tests.oracle_emulator.faults import Call, Cut, Faults
from tests.oracle_emulator.lobs import Lobs
from tests.oracle_emulator.login import Login
from tests.oracle_emulator.requests import Kind, bound_type, end_to_end, kind, login, row
from tests.oracle_emulator.types import LOBS, Cell
from tests.oracle_emulator.wire import ACCEPT, BREAK, CONNECT, DATA, MARKER, REFUSE, RESET, Broken, Gone, Link, Request, counted, integer

_FUNCTION, _PIGGYBACK, _ROW = 3, 17, 7
_PARSE, _BIND, _DEFINE, _EXECUTE, _FETCH, _COMMIT, _DESCRIBE, _BATCH_ERRORS = 1, 8, 0x10, 0x20, 0x40, 0x100, 0x20000, 0x80000
_ROW_COUNTS = 0x4000
_CANCELLED = 1013
_LONG, _LONG_RAW = 8, 24
_BYTES = frozenset((1, 8, 23, 24, 96))


class Server(Protocol):
    """What a conversation needs to know of its server."""

    version: tuple[int, ...]
    service: str
    catalogue: Catalogue
    faults: Faults
    native_encryption: bool
    locked: set[str]

    def session(self, user: str, watch: Callable[[], bool]) -> Session:
        """A session on the data."""

    def refusal(self) -> int:
        """The error that every connection is refused with, 0 for none."""


@dataclass
class Cursor:
    """A parsed statement that the client refers to by number."""

    sql: str
    prepared: Prepared
    binds: list[Kind] = field(default_factory=list)  # type, character set form, size
    defines: list[int] = field(default_factory=list)
    values: Sequence[Cell] = ()
    result: Result | None = None
    fetched: int = 0


class Conversation:
    """Serves one connection. `run` returns when it is over."""

    def __init__(self, link: Link, server: Server) -> None:
        self._link, self._server = link, server
        self._cursors: dict[int, Cursor] = {}
        self._numbers = 0
        self._lobs = Lobs()
        self._session: Session | None = None
        self._login: Login | None = None
        self._user = ""
        self._field = next((field for least, field in HANDSHAKES if server.version >= least), 6)

    def run(self) -> None:
        """The whole conversation."""
        try:
            if self._connected():
                while self._served():
                    pass
        except (Gone, Cut, BrokenPipeError, ConnectionError):
            pass  # the client has gone, or is to believe that the server has
        finally:
            for cursor in self._cursors.values():
                if cursor.result is not None:
                    cursor.result.close()
            if self._session is not None:
                self._session.close()

    @property
    def session(self) -> Session:
        if self._session is None:
            raise OracleError(1012, "not logged on")
        return self._session

    def _connected(self) -> bool:
        kind, body = self._link.packet()
        if kind != CONNECT:
            return False
        size, offset = int.from_bytes(body[16:18], "big"), int.from_bytes(body[18:20], "big") - 8
        text = body[offset : offset + size] if len(body) >= offset + size else self._link.data()
        named = re.search(r"\(SERVICE_NAME\s*=\s*([^)]*)\)", text.decode(), re.IGNORECASE)
        code = self._refusal() or (0 if named and named[1].upper() == self._server.service.upper() else 12514)
        if code:
            self._link.send(REFUSE, refused(code))
            return False
        self._link.send(ACCEPT, accepted(self._server.version, native_encryption=self._server.native_encryption))
        self._link.large = True
        return self._server.version >= (12, 1)

    def _refusal(self) -> int:
        try:
            self._link.waiting(self._server.faults.meet("connect"))
        except OracleError as error:
            return error.code
        return self._server.refusal()

    def _served(self) -> bool:
        kind, body = self._link.packet()
        if kind == MARKER:
            self._broken()
            return True
        if kind != DATA or int.from_bytes(body[:2], "big") & 0x40:
            return False
        request = Request(self._link, body[2:])
        try:
            return self._message(request)
        except OracleError as error:
            if error.code == _CANCELLED and self._link.waiting() and self._link.packet()[0] == MARKER:
                self._broken()
            else:
                self._link.answer(self._ended(error=error))
        except Broken:
            self._broken()
        return True

    def _broken(self) -> None:
        """The client has broken the call: agree on where to go on, then say that it was cancelled."""
        self._link.marker(BREAK)
        while True:
            kind, body = self._link.packet()
            if kind == MARKER and body[2] == RESET:
                break
        self._link.marker(RESET)
        self._link.answer(self._ended(error=OracleError(_CANCELLED, WORDS[_CANCELLED])))

    def _message(self, request: Request) -> bool:
        kind = request.byte()
        if kind == 1:
            self._link.answer(protocol(self._field))
            return True
        if kind == 2:
            self._link.answer(data_types())
            return True
        while kind == _PIGGYBACK:
            function = request.byte()
            request.byte()
            self._piggyback(function, request)
            kind = request.byte()
        if kind != _FUNCTION:
            raise OracleError(3120, "two-task conversion routine: integer overflow")
        function = request.byte()
        request.byte()
        return self._call(function, request)

    def _call(self, function: int, request: Request) -> bool:
        if function == 9:
            self._link.answer(status())
            return False
        actions: dict[int, Callable[[Request], bytes]] = {
            118: self._first_login, 115: self._second_login, 94: self._execute, 4: self._again, 78: self._again_fetching, 5: self._fetch, 14: self._commit,
            15: self._rollback, 147: self._ping, 96: self._lob,
        }  # fmt: skip
        if function not in actions:
            raise OracleError(3115, f"unsupported network datatype or representation: function {function}")
        self._link.answer(actions[function](request))
        return True

    def _piggyback(self, function: int, request: Request) -> None:
        if function == 105:
            request.byte()
            for _ in range(request.integer()):
                self._cursors.pop(request.integer(), None)
        elif function == 96:
            self._lobs.freed(request)
        elif function == 135:
            end_to_end(request)
        elif function == 152:
            request.byte()
            request.counted()
        elif function == 176:
            request.integer()
        else:
            raise OracleError(3115, f"unsupported network datatype or representation: piggyback {function}")

    def _first_login(self, request: Request) -> bytes:
        user, _ = login(request)
        self._user = user.upper()
        known = {name.upper(): password for name, password in self._server.catalogue.users.items()}
        self._login = Login(known.get(self._user))
        return _parameters(self._login.challenge()) + status()

    def _second_login(self, request: Request) -> bytes:
        _, pairs = login(request)
        self._pause("login")
        if self._user in {user.upper() for user in self._server.locked}:
            raise OracleError(28000, WORDS[28000])
        if self._login is None or not self._login.accepts(pairs):
            raise OracleError(1017, WORDS[1017])
        self._session = self._server.session(self._user, self._watch)
        version = self._server.version + (0,) * 5
        number = version[0] << 24 | (
            version[1] << 16 | version[2] << 12 | version[3] << 4 | version[4]
            if self._field >= 11
            else version[1] << 20 | version[2] << 12 | version[3] << 8 | version[4]
        )
        told = {
            "AUTH_VERSION_STRING": "- Production", "AUTH_VERSION_SQL": "22", "AUTH_XACTION_TRAITS": "3", "AUTH_VERSION_NO": str(number), "AUTH_VERSION_STATUS": "0",
            "AUTH_SESSION_ID": str(id(self) % 60000), "AUTH_SERIAL_NUM": "1", "AUTH_SC_DBUNIQUE_NAME": "EMULATED", "AUTH_SC_SERVICE_NAME": self._server.service,
            "AUTH_INSTANCENAME": "emulated", "AUTH_SC_DB_DOMAIN": "", "AUTH_MAX_OPEN_CURSORS": "300", "AUTH_MAX_IDEN_LENGTH": "128" if self._server.version >= (12, 2) else "30",
            "AUTH_SVR_RESPONSE": self._login.response,
        }  # fmt: skip
        return _parameters({name: (value, 0) for name, value in told.items()}) + status()

    def _watch(self) -> bool:
        return self._link.waiting()

    def _pause(self, call: Call, sql: str = "") -> None:
        """Meet a fault; a pause ends as soon as the client says anything. Raises `Broken` then."""
        seconds = self._server.faults.meet(call, sql)
        if seconds and self._link.waiting(seconds):
            self._link.data()

    def _execute(self, request: Request) -> bytes:
        options, number = request.integer(), request.integer()
        request.byte()
        size = request.integer()
        request.skip("bibbi")
        rows_wanted = request.integer()
        request.skip("ib")
        count = request.integer()
        request.skip("bbbbbb")
        defines = request.integer()
        request.skip("ibbbibiibib")
        request.skip("bibib" if self._field >= 8 else "", "bi" if self._field >= 9 else "")
        sql = (request.string() or b"").decode() if size else ""
        numbers = [request.integer() for _ in range(13)]
        cursor = self._cursors.get(number)
        kinds = [kind(request, self._field) for _ in range(defines if options & _DEFINE else count)]
        rows: list[list[Cell]] = []
        if options & _DEFINE:
            if cursor is not None:
                cursor.defines = [kind for kind, _, _ in kinds]
        elif options & _BIND:
            rows = [row(request, kinds, self._lobs) for _ in range(1 if numbers[7] else max(numbers[1], 1))]
        if cursor is None or sql:
            if not sql:
                raise OracleError(1001, "invalid cursor")
            number, cursor = self._parsed(sql, kinds, number)
        elif kinds and not options & _DEFINE:
            cursor.binds = kinds
            cursor.prepared = self.session.prepare(cursor.sql, [bound_type(each) for each in kinds])
        return self._executed(number, cursor, options, numbers[9], rows, rows_wanted)

    def _parsed(self, sql: str, kinds: list[Kind], number: int = 0) -> tuple[int, Cursor]:
        prepared = self.session.prepare(sql, [bound_type(each) for each in kinds])
        if not number:
            self._numbers += 1
            number = self._numbers
        cursor = self._cursors[number] = Cursor(sql, prepared, kinds)
        return number, cursor

    def _executed(self, number: int, cursor: Cursor, options: int, flags: int, rows: list[list[Cell]], wanted: int) -> bytes:
        kind = cursor.prepared.kind
        self._pause("execute", cursor.sql)
        if kind == "query":
            return self._queried(number, cursor, options, rows, wanted)
        if options & _DESCRIBE and not options & _EXECUTE:
            return self._ended(cursor=number)
        if kind == "change":
            return self._changed(number, cursor, options, flags, rows or [[]])
        if kind == "definition":
            self.session.define(cursor.prepared)
        else:
            self.session.control(cursor.prepared)
        return self._ended(cursor=number)

    def _queried(self, number: int, cursor: Cursor, options: int, rows: list[list[Cell]], wanted: int) -> bytes:
        answer = b""
        columns = cursor.prepared.columns
        if options & _PARSE or options & _DESCRIBE:
            answer = described_rows(columns, self._field)
        if options & _EXECUTE:
            cursor.values, cursor.fetched = (rows[0] if rows else ()), 0
            cursor.result = self.session.query(cursor.prepared, cursor.values)
        large = any(column.type.name in LOBS for column in columns) and not cursor.defines
        if options & _FETCH and not large and cursor.result is not None:
            return answer + self._rows(number, cursor, wanted)
        return answer + self._ended(cursor=number)

    def _changed(self, number: int, cursor: Cursor, options: int, flags: int, rows: list[list[Cell]]) -> bytes:
        counts: list[int] = []
        errors: list[tuple[int, OracleError]] = []
        while len(counts) < len(rows):
            try:
                counts.extend(self.session.change(cursor.prepared, rows[len(counts) :])) if not options & _BATCH_ERRORS else counts.append(
                    sum(self.session.change(cursor.prepared, rows[len(counts) : len(counts) + 1]))
                )
            except OracleError as error:
                if not options & _BATCH_ERRORS:
                    return self._ended(error=error, cursor=number, rows=len(counts))
                errors.append((len(counts), error))
                counts.append(0)
        if options & _COMMIT:
            self.session.commit()
        told = b""
        if flags & _ROW_COUNTS:
            told = b"\x08" + b"\0\0\0\0" + integer(len(counts)) + b"".join(map(integer, counts))
        return told + self._ended(cursor=number, rows=sum(counts), batch=errors)

    def _again(self, request: Request) -> bytes:
        number, count, _, options = (request.integer() for _ in range(4))
        cursor = self._cursor(number)
        query = cursor.prepared.kind == "query"
        rows = [self._bound_row(request, cursor) for _ in range(1 if query else count)] if cursor.binds else []
        return self._executed(number, cursor, _EXECUTE | (_COMMIT if options & 1 else 0), 0, rows or [[]] * count, 0)

    def _again_fetching(self, request: Request) -> bytes:
        number, count, _, _ = (request.integer() for _ in range(4))
        cursor = self._cursor(number)
        rows = [self._bound_row(request, cursor)] if cursor.binds else []
        return self._executed(number, cursor, _EXECUTE | _FETCH, 0, rows, count)

    def _bound_row(self, request: Request, cursor: Cursor) -> list[Cell]:
        return row(request, cursor.binds, self._lobs)

    def _fetch(self, request: Request) -> bytes:
        number, count = request.integer(), request.integer()
        cursor = self._cursor(number)
        self._pause("fetch", cursor.sql)
        if cursor.result is None:
            raise OracleError(1002, "fetch out of sequence")
        return self._rows(number, cursor, count)

    def _rows(self, number: int, cursor: Cursor, count: int) -> bytes:
        assert cursor.result is not None
        taken = cursor.result.take(count)
        cursor.fetched += len(taken)
        answer = b"\x06\0\0\0\0\0\0\0" + values_of(taken, cursor.prepared.columns, cursor.defines, self._lobs) if taken else b""
        if len(taken) < count or cursor.result.ended:
            return answer + self._ended(error=OracleError(1403, WORDS[1403]), cursor=number, rows=cursor.fetched)
        return answer + self._ended(cursor=number, rows=cursor.fetched)

    def _cursor(self, number: int) -> Cursor:
        if number not in self._cursors:
            raise OracleError(1001, "invalid cursor")
        return self._cursors[number]

    def _commit(self, request: Request) -> bytes:
        self._pause("commit")
        self.session.commit()
        return self._ended()

    def _rollback(self, request: Request) -> bytes:
        self.session.rollback()
        return self._ended()

    def _ping(self, request: Request) -> bytes:
        self._pause("ping")
        return self._ended()

    def _lob(self, request: Request) -> bytes:
        return self._lobs.done(request) + self._ended()

    def _ended(self, *, error: OracleError | None = None, cursor: int = 0, rows: int = 0, batch: Sequence[tuple[int, OracleError]] = ()) -> bytes:
        busy = self._session is not None and self._session.in_transaction
        return ended(error, cursor, rows, batch, in_transaction=busy)


def _parameters(pairs: dict[str, tuple[str, int]]) -> bytes:
    return (
        b"\x08" + integer(len(pairs)) + b"".join(counted(name.encode()) + counted(value.encode()) + integer(number) for name, (value, number) in pairs.items())
    )
