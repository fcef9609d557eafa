"""What an error of a database asks for: wait, set a row aside, or stop. Its text may hold values, so only names and codes are taken from it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy import exc

from connectors.stores.session import CONFLICT, LOST
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable

TOO_LONG = "长度超过库中该列的上限"
OUT_OF_RANGE = "数值超出库中该列的范围"
NO_DATE = "日期或时间超出库中该列的范围"
NO_CHARACTER = "含有库中该列不能保存的字符"
EMPTY = "库中该列不允许为空"
SAME_KEY = "库中已有同一主键的记录"
NO_FIT = "不符合库中该列的类型"
"""Why a database refuses a row, for the people who look at quarantine; the field's title is put before it."""
REFUSED = "the store's own rules refuse this row"

_ROW: Mapping[str, str] = {
    "22001": TOO_LONG, "22003": OUT_OF_RANGE, "22007": NO_DATE, "22008": NO_DATE, "22021": NO_CHARACTER, "22P05": NO_CHARACTER, "22P02": NO_FIT,
    "22P03": NO_FIT, "22P04": NO_FIT, "23502": EMPTY, "23505": SAME_KEY,
}  # fmt: skip
_ROW_AT_ORACLE: Mapping[str, str] = {
    "12899": TOO_LONG, "01461": TOO_LONG, "01438": OUT_OF_RANGE, "01426": OUT_OF_RANGE, "01400": EMPTY, "01407": EMPTY, "00001": SAME_KEY, "01722": NO_FIT,
    "01830": NO_DATE, "01839": NO_DATE, "01841": NO_DATE, "01843": NO_DATE, "01847": NO_DATE, "01861": NO_DATE, "02290": REFUSED, "02291": REFUSED,
    "20000": REFUSED,
}  # fmt: skip
_ORACLE = re.compile(r"ORA-(\d{5}):([^\n(]*)(\([^\n)]*\))?")
_AWAY = ("08", "57P")  # classes of connection exceptions, and of a server that is stopping
_REFUSES = ("28", "42501", "3D000", "3F000")
_NO_ENTRY = ("readonly", "unable to open", "denied", "authentication", "certificate", "does not exist", "ora-01017", "ora-01031", "ora-12514")
_COLUMN = re.compile(r"column (\w+)")


def refusal(why: str, column: str = "") -> Rejected:
    """One row cannot be stored."""
    return Rejected(why, code="S001", hint="compare the row with the table's columns and constraints", field=column)


def lost(place: str) -> Unavailable:
    """The connection went away; what became of the transaction is asked of the inbox."""
    return Unavailable(f"store {place} does not answer", hint="check that the database server runs and can be reached", code=LOST)


def locked(place: str, code: str = "") -> Unavailable:
    """Somebody else holds what the transaction needs."""
    return Unavailable(f"store {place} is locked by another program", hint="close the program that holds it; the batch is tried again", code=code)


def full(place: str) -> Unavailable:
    """The disk is full or failing."""
    return Unavailable(f"store {place} cannot be written: the disk is full or failing", hint="free space on the store's disk", code="S507")


def refuses(place: str) -> Misconfigured:
    """The database does not let us in, or not write."""
    return Misconfigured(f"store {place} refuses the hub", hint="check that the store exists and that the hub's user may create tables and write to it")


def unready(place: str) -> Misconfigured:
    """Tables or columns are missing."""
    return Misconfigured(f"store {place} does not have the tables that the catalogue asks for", hint="run `run_hub.py store plan`")


def by_sqlstate(state: str, column: str, place: str) -> HubError:
    """The decision for a code of the SQL standard's classes, as PostgreSQL uses them; `column` is what the server names."""
    if state[:2] in ("22", "23") or state == "P0001":
        return refusal(_ROW.get(state, REFUSED), column)
    if state in ("40P01", "40001"):
        return locked(place, CONFLICT)
    if state in ("55P03", "55006", "57014"):
        return locked(place)
    if state in ("53100", "58030"):
        return full(place)
    if state in ("25006", "57P03"):
        hint = "it may be a replica, or starting up, or a failover may be under way; point the address at the primary"
        return Unavailable(f"store {place} takes no writes at the moment", hint=hint)
    if state.startswith(_AWAY) or state == "25P03":
        return lost(place)
    if state.startswith("53"):
        return Unavailable(f"store {place} has no room for another connection or statement", hint="raise its limits, or run fewer loaders")
    return refuses(place) if state.startswith(_REFUSES) else unready(place)


def column_of(error: object) -> str:
    """The column that a PostgreSQL error names, in its field for it or in the line that says where a COPY stood."""
    said = getattr(error, "diag", None)
    if named := getattr(said, "column_name", None):
        return str(named)
    found = _COLUMN.search(str(getattr(said, "context", None) or "").partition(":")[0])
    return found[1] if found else ""


def decision(error: exc.SQLAlchemyError, place: str) -> HubError:
    """Which of the three decisions an error of any dialect asks for."""
    origin = getattr(error, "orig", None) or error
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return lost(place)
    number = origin.args[0] if origin.args else None
    if isinstance(number, int):  # PyMySQL's errors have an SQLSTATE too, which says less
        from connectors.stores import mysql_errors

        return mysql_errors.decision(number, str(origin), place)
    if state := getattr(origin, "sqlstate", None):
        return by_sqlstate(str(state), column_of(origin), place)
    if (found := _ORACLE.search(str(origin))) and found[1] in _ROW_AT_ORACLE:
        return refusal(_ROW_AT_ORACLE[found[1]], _column_at_oracle(f"{found[2]}{found[3] or ''}"))
    return _by_words(error, str(origin).lower(), place)


def _column_at_oracle(said: str) -> str:
    """The column of "HUB"."TABLE"."COLUMN", which Oracle writes in capitals where a table was made without quotation marks."""
    named = re.search(r'(?:column |\()(?:"[^"]+"\.)*"([^"]+)"', said)
    return (named[1].lower() if named[1].isupper() else named[1]) if named else ""


def _by_words(error: exc.SQLAlchemyError, said: str, place: str) -> HubError:
    if "ora-00942" in said or "ora-00904" in said:
        return unready(place)
    if isinstance(error, exc.DBAPIError) and any(word in said for word in ("locked", "busy", "lock wait", "deadlock", "ora-00060", "ora-00054", "ora-30006")):
        return locked(place, CONFLICT if "deadlock" in said else "")
    if any(word in said for word in ("disk is full", "disk i/o error", "no space", "ora-01653", "ora-01654", "ora-19809")):
        return full(place)
    if any(word in said for word in _NO_ENTRY):
        return refuses(place)
    if isinstance(error, (exc.IntegrityError, exc.DataError)):
        return refusal(REFUSED)
    if isinstance(error, exc.OperationalError) and "no such" not in said:
        return Unavailable(f"store {place} does not answer", hint="check that the database server runs and can be reached")
    return unready(place)
