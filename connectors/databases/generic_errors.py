"""Errors of any driver as decisions: by SQLSTATE or number where it has one, else by its kind and its words."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import exc

from hub.contracts.errors import HubError, Misconfigured, Unavailable

_DENIED: Final = frozenset(("28000", "28P01", "3D000", "42501", "42000", "42P01", "42S02", "42703", "42S22", "42601", "1044", "1045", "1049", "1142", "1698"))
_BUSY: Final = frozenset(
    (
        "1205",
        "1213",
        "55P03",
        "40P01",
        "40001",
        "60",
        "1040",
        "1053",
        "1158",
        "1159",
        "1160",
        "1161",
        "1226",
        "1317",
        "1927",
        "53300",
        "57P03",
        "57P01",
        "57014",
        "3024",
        "1969",
    )
)
_PASSING: Final = ("08", "40", "53", "55", "57", "58")
_AGAIN: Final = frozenset(("1205", "1213", "55P03", "40P01", "40001", "60"))
_LOGIN: Final = ("denied", "authentication", "password", "login", "unknown database", "does not exist", "no such", "invalid user", "not exist")
_TLS: Final = ("certificate", "ssl is required", "does not support ssl")


def codes_of(error: exc.DBAPIError) -> set[str]:
    """SQLSTATE and the driver's own number, as far as there are any."""
    driver: Any = error.orig
    found = {str(code) for name in ("sqlstate", "pgcode", "code", "errno") if (code := getattr(driver, name, None))}
    return found | {str(code) for code in getattr(driver, "args", ())[:1] if isinstance(code, int)}


def again(error: exc.DBAPIError) -> bool:
    """Whether the same transaction may succeed when it is begun anew: a deadlock, or a lock that was not got in time."""
    return bool(codes_of(error) & _AGAIN)


def decision(error: exc.SQLAlchemyError, place: str) -> HubError:
    """Which of the decisions an error asks for; never with its text, which may hold values."""
    if not isinstance(error, exc.DBAPIError):
        return Misconfigured(f"the dialect cannot do for {place} what a pull needs", hint="compare the feed with the table, or ask the dialect's authors")
    codes, said = codes_of(error), str(error.orig).lower()
    code = min(codes, default="", key=lambda each: (len(each) != 5, each))
    if not error.connection_invalidated and any(word in said for word in _TLS):
        hint = 'name the authority of its certificate as `ca`, or write tls: "off" and say because: …'
        return Misconfigured(f"no encrypted connection to {place}, or its certificate is not the one expected", hint=hint, code=code)
    if codes & _BUSY or any(each.startswith(_PASSING) and len(each) == 5 for each in codes):
        return Unavailable(f"the database {place} is busy, or broke off", hint="it is tried again; look into the server's log if it stays", code=code)
    if isinstance(error.orig, Exception) and (codes & _DENIED or (not codes and any(word in said for word in _LOGIN))):
        return _refused(error, place, code)
    if error.connection_invalidated or isinstance(error, exc.OperationalError | exc.InterfaceError):
        if not error.connection_invalidated and any(len(each) == 4 and each.startswith("1") for each in codes):  # MySQL's server speaks: 1000 to 1999
            return _refused(error, place, code)
        return Unavailable(f"the database {place} does not answer", hint="check that the server runs, and that this machine reaches it", code=code)
    return _refused(error, place, code)


def _refused(error: exc.DBAPIError, place: str, code: str) -> Misconfigured:
    if error.statement is None:
        return Misconfigured(f"the database {place} refuses the login", hint="correct user, password and database", code=code)
    hint = "a table or column was renamed, or the account may not read it: compare the feed with the table"
    return Misconfigured(f"the database {place} refuses the statement", hint=hint, code=code)
