"""What MySQL and MariaDB say is wrong, as a decision: wait, or stop until a person acts."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hub.contracts.errors import Misconfigured, Unavailable

DEADLOCK, LOCK_WAIT, INTERRUPTED = 1213, 1205, 1317
LOST = frozenset((1053, 1077, 1079, 1080, 1152, 1153, 1158, 1159, 1160, 1161, 1184, 1927, 2003, 2006, 2013, 2014, 2027, 2055, 4031))
"""After these nothing more can be said over the connection."""

_RIGHTS = "the account needs SELECT on what is read, and UPDATE on the status column where a feed writes one: GRANT SELECT ON …"
_STATUS = "compare taken: and refused: of done: with the type of the status column"
_LATER = "it is tried again; if it stays so, ask who looks after their server"
_MISCONFIGURED: dict[int, tuple[str, str]] = {
    1044: ("the account may not use the database", _RIGHTS),
    1045: ("the server refuses the account or its password", "check user: and password:, and that the account may log in from this machine"),
    1049: ("there is no such database on the server", "check database:"),
    1054: ("a column is gone", "somebody changed the table: compare its columns with what the feed reads (run_hub.py check FEED)"),
    1060: ("two columns of the query have the same name", "give one of them another name with AS"),
    1064: ("the server does not understand the statement", "a reviewed query must be one SELECT in the server's own dialect"),
    1130: ("the server does not take connections from this machine", "the account must be allowed for this machine's address"),
    1142: ("the account may not read or write the table", _RIGHTS),
    1143: ("the account may not read or write a column", _RIGHTS),
    1146: ("the table is gone", "it was renamed or dropped: check table:"),
    1227: ("the account lacks a right", _RIGHTS),
    1251: ("the server wants an older way to log in", "let the account use mysql_native_password or caching_sha2_password"),
    1264: ("a status does not fit its column", _STATUS),
    1265: ("a status does not fit its column", _STATUS),
    1267: ("a value cannot be compared with a column of another character set", "read without it in where:, or ask for a view that converts the column"),
    1290: ("the server is started so that it cannot do this", "a copy that may only be read cannot take a status: point done: at the first server"),
    1356: ("a view does not work any more", "a table or column behind the view is gone, or its owner may not read it: ask who made the view"),
    1366: ("a status does not fit its column", _STATUS),
    1370: ("the account may not run a function that a view uses", _RIGHTS),
    1406: ("a status does not fit its column", _STATUS),
    1449: ("the owner of a view is gone", "ask who made the view"),
    1524: ("the way of logging in is not known", "let the account use mysql_native_password or caching_sha2_password"),
    1792: ("only reading is allowed here", "a reviewed query may not write"),
    1820: ("the account's password has run out", "somebody must set a new one on the server"),
    1862: ("the account's password has run out", "somebody must set a new one on the server"),
    2026: ("no encrypted connection came about", "the server must offer TLS with a certificate that ca: has signed, or write tls: off with because:"),
    2054: ("the way of logging in is not known", "let the account use mysql_native_password or caching_sha2_password"),
    2059: ("the way of logging in is not known", "let the account use mysql_native_password or caching_sha2_password"),
    3118: ("the account is locked", "somebody must unlock it on the server"),
    3159: ("the server wants an encrypted connection", "write tls: verify, and ca: where its certificate is signed by an authority of their own"),
    4151: ("the account is locked", "somebody must unlock it on the server"),
}
_UNAVAILABLE: dict[int, tuple[str, str]] = {
    1040: ("the server has no connection left", _LATER),
    1053: ("the server is shutting down", _LATER),
    1129: ("the server blocks this machine after too many broken connections", "somebody must run FLUSH HOSTS on the server"),
    1203: ("the account has no connection left", "close other users of the account, or raise max_user_connections"),
    1205: ("rows stayed locked by somebody else", _LATER),
    1213: ("the server ended a deadlock at our cost", _LATER),
    1226: ("the account has used up what it may", "its limits per hour can be raised on the server"),
    1317: ("the statement was stopped on the server", _LATER),
    1927: ("the connection was killed on the server", _LATER),
    1969: ("the statement took longer than timeout: allows", "raise timeout:, read less at a time, or ask for an index on the columns of since: or done:"),
    2003: ("the server does not answer", "check host: and port:, the network, and whether the server runs"),
    2006: ("the connection was lost", _LATER),
    2013: ("the connection was lost", _LATER),
    3024: ("the statement took longer than timeout: allows", "raise timeout:, read less at a time, or ask for an index on the columns of since: or done:"),
    4031: ("the server closed a connection that was quiet for too long", _LATER),
}
_FOREIGN = (SQLAlchemyError, OSError, struct.error, IndexError, UnicodeError, AssertionError, AttributeError, RuntimeError, ValueError)
"""What the driver raises besides its own errors when what it reads is no answer of such a server."""


def number(error: BaseException) -> int:
    """The server's or driver's number of an error, 0 where it has none."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) and not isinstance(error, OSError) else 0


def lost(error: BaseException) -> bool:
    """Whether nothing more can be said over the connection."""
    return number(error) in LOST or number(error) == 0


@contextmanager
def translated(place: str, driver: type[BaseException], *, own_words: bool = False) -> Iterator[None]:
    """Turns errors of the driver (`driver` is the root of its own) into the three.

    `own_words` adds the server's words; only for statements that hold no values of records.
    """
    try:
        yield
    except (driver, *_FOREIGN) as error:
        raise _decision(error, place, own_words) from error


def _decision(error: BaseException, place: str, own_words: bool) -> Misconfigured | Unavailable:
    found = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(getattr(found, "original_exception", found), ssl.SSLError):
        message, hint = _MISCONFIGURED[2026]
        return Misconfigured(f"{place}: {message}", hint=hint)
    code = number(found)
    words = f": {found.args[1]}" if own_words and code and len(found.args) > 1 else ""
    suffix = f" (error {code}){words}" if code else ""
    if code in _MISCONFIGURED:
        message, hint = _MISCONFIGURED[code]
        return Misconfigured(f"{place}: {message}{suffix}", hint=hint)
    if code in _UNAVAILABLE or code >= 2000 or not code:
        message, hint = _UNAVAILABLE.get(code, ("the server broke off, or what answers is no MySQL server", "check host: and port:, and the server's own log"))
        return Unavailable(f"{place}: {message}{suffix}", hint=hint)
    if own_words:
        return Misconfigured(f"{place}: the server refuses the statement{suffix}", hint=_MISCONFIGURED[1064][1])
    return Unavailable(f"{place}: the server refused a statement{suffix}", hint="look the number up in the server's manual; it is tried again")
