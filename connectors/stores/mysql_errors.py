"""What MySQL's and MariaDB's error numbers ask for: wait, set aside, or stop."""

from __future__ import annotations

import re
from collections.abc import Mapping

from connectors.stores import refusing
from connectors.stores.session import CONFLICT
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable

LOST = frozenset((0, 1053, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013, 2014, 2055, 4031))
"""The connection is gone, or its answers can no longer be told apart."""

NO_LOAD = frozenset((1148, 3948, 4166))
"""The server takes no LOAD DATA LOCAL."""

MOVED = frozenset((1290, 1792, 1836))
"""The server only reads: it is a replica, or has become one."""

TLS, TOO_LARGE = 2026, 1301
_LOCKED, _DEADLOCK, _NO_DATABASE = 1205, 1213, 1049
_AWAY = frozenset((1040, 1129, 1203, 1226, 1317, 1969, 2002, 2003, 2004, 3024))
_FULL = frozenset((*range(1, 36), 1021, 1026, 1030, 1041, 1114, 1878))
_REFUSES = frozenset((1044, 1045, 1130, 1142, 1143, 1227, 1251, 1396, 1698, TLS, 2054, 2059, 2061, 3159, 3942, 4151))
_PACKET = frozenset((1118, 1153, TOO_LARGE, 2020))
_ROW: Mapping[int, str] = {
    1406: refusing.TOO_LONG, 1264: refusing.OUT_OF_RANGE, 1690: refusing.OUT_OF_RANGE, 1366: refusing.NO_CHARACTER, 1292: refusing.NO_DATE,
    1411: refusing.NO_DATE, 1265: refusing.NO_FIT, 1048: refusing.EMPTY, 1263: refusing.EMPTY, 1364: refusing.EMPTY, 1062: refusing.SAME_KEY,
}  # fmt: skip
_RULES = frozenset((1169, 1216, 1217, 1451, 1452, 1467, 1526, 1644, 3140, 3819, 4025))
_COLUMN = re.compile(r"column (?:`[^`]*`\.)*[`']([^`']+)[`']", re.IGNORECASE)


def column_of(message: str) -> str:
    """The column that a server's message names, "" where it names none. The rest of a message may hold a value, and goes nowhere."""
    found = _COLUMN.search(message)
    return found[1] if found else ""


def refusal(number: int, message: str) -> Rejected:
    """Why one row cannot be stored."""
    return refusing.refusal(_ROW.get(number, refusing.REFUSED), "" if number == 1062 else column_of(message))


def decision(number: int, message: str, place: str) -> HubError:
    """Which of the three decisions an error asks for."""
    if number in _ROW or number in _RULES:
        return refusal(number, message)
    if number in (_LOCKED, _DEADLOCK):
        return refusing.locked(place, CONFLICT if number == _DEADLOCK else "")
    if number in LOST:
        return refusing.lost(place)
    if number in _AWAY:
        return Unavailable(f"store {place} does not answer", hint="check that the database server runs, can be reached, and takes another connection")
    if number in MOVED:
        return Unavailable(
            f"store {place} takes no writes at the moment", hint="it may be a replica, or a failover under way; point the address at the primary"
        )
    if number in _FULL:
        return refusing.full(place)
    if number in _REFUSES:
        return refusing.refuses(place)
    if number in _PACKET:
        return Misconfigured(f"store {place} takes no statement of this size", hint="set max_allowed_packet of the database server to 64M")
    if number == _NO_DATABASE:
        return Misconfigured(f"database {place} does not exist", hint="create it with CHARACTER SET utf8mb4, and grant it to the hub's user")
    return refusing.unready(place)
