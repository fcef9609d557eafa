"""Oracle's errors, and which of them an error of SQLite stands for."""

from __future__ import annotations

import re
import sqlite3


class OracleError(Exception):
    """An error that is answered to the client: `ORA-00942: table or view does not exist`."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"ORA-{code:05d}: {text}")
        self.code = code


WORDS = {
    1: "unique constraint (HUB.SYS_C) violated", 28: "your session has been killed", 54: "resource busy and acquire with NOWAIT specified or timeout expired",
    60: "deadlock detected while waiting for resource", 904: "invalid identifier", 942: "table or view does not exist",
    1013: "user requested cancel of current operation", 1017: "invalid username/password; logon denied", 1031: "insufficient privileges",
    1033: "ORACLE initialization or shutdown in progress", 1089: "immediate shutdown or close in progress", 1403: "no data found", 1456: "may not perform insert/delete/update operation inside a READ ONLY transaction",
    1555: "snapshot too old: rollback segment number 9 with name \"_SYSSMU9\" too small", 3113: "end-of-file on communication channel", 3114: "not connected to ORACLE",
    3135: "connection lost contact", 12899: "value too large for column", 28000: "the account is locked", 28001: "the password has expired",
}  # fmt: skip
"""What the server says to a number, where the number is all that is known."""

_SAYINGS = (
    (r"no such table: (.+)", 942, "table or view does not exist"),
    (r"no such column: (.+)", 904, '"{0}": invalid identifier'),
    (r"no such function: (?:ORA_)?(.+)", 904, '"{0}": invalid identifier'),
    (r"ambiguous column name: (.+)", 918, "column ambiguously defined"),
    (r"UNIQUE constraint failed: (?:index ')?([^.']+)\.?.*", 1, "unique constraint ({0}.SYS_C) violated"),
    (r"NOT NULL constraint failed: (.+)", 1400, 'cannot insert NULL into ("{0}")'),
    (r"CHECK constraint failed.*", 2290, "check constraint (HUB.SYS_C) violated"),
    (r"FOREIGN KEY constraint failed.*", 2291, "integrity constraint (HUB.SYS_C) violated - parent key not found"),
    (r"database is locked.*|database table is locked.*", 54, WORDS[54]),
    (r"(?:table|index|view) .* already exists", 955, "name is already used by an existing object"),
    (r"interrupted", 1013, WORDS[1013]),
    (r"wrong number of arguments to function.*", 909, "invalid number of arguments"),
    (r"Cannot add a PRIMARY KEY.*|Cannot add a NOT NULL.*", 1758, "table must be empty to add mandatory (NOT NULL) column"),
    (r".*", 933, "SQL command not properly ended"),
)


def from_sqlite(error: sqlite3.Error) -> OracleError:
    """What Oracle would have said."""
    for pattern, code, words in _SAYINGS:
        if found := re.fullmatch(pattern, str(error), re.DOTALL):
            return OracleError(code, words.format(*(found.groups() or ("",))))
    return OracleError(600, "internal error")
