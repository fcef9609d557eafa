"""A loopback server that Oracle's own, unmodified clients talk to: the protocol (TNS, TTC) as the thin driver speaks it, with SQLite behind it.

It stands in for a server where none can be installed. It shows that the hub and the driver agree on statements, types, errors and faults; it does not show
that Oracle Database would do the same. Bound to 127.0.0.1, no TLS, made for tests and the simulated city.

Known: login with a checked password, binds of text, numbers, dates, times, RAW and floats, results in any number of fetches, large objects, array inserts
with row counts and batch errors, transactions, read-only transactions with one view, breaking a call. Statements: see `sql.py`, `changes.py`,
`definitions.py`. Not known: PL/SQL, RETURNING INTO, object types, XML, JSON, CONNECT BY, sequences, time zones with names other than China's.

Otherwise than at Oracle: a writer locks all of the database, not rows (ORA-00054 after ten seconds); ORA_HASH has other values; CHAR is padded in results
only; NLS settings are taken and left aside, so that TO_CHAR of a date without a mask is ISO text.
"""

from __future__ import annotations

from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.faults import Fault, Faults
from tests.oracle_emulator.server import OracleEmulator

__all__ = ["Fault", "Faults", "OracleEmulator", "OracleError"]
