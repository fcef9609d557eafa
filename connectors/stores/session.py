"""What a store needs of a database: transactions, statements with a frame of values, and looking keys up."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

import polars as pl
from sqlalchemy import Column, Select, Table
from sqlalchemy.sql.dml import UpdateBase

CONFLICT = "S409"
"""Code of `Unavailable`: two transactions stood in each other's way (deadlock, serialization failure); the whole transaction may be repeated at once."""

LOST = "S408"
"""Code of `Unavailable`: the connection went away, perhaps in the middle of a commit. What became of the transaction is found out by repeating it: it begins with
the item's lock, which waits for the end of the lost one, and with the inbox."""

FENCED = "fenced"
"""Code of `Unavailable`: another loader has taken the item over."""


class Session(Protocol):
    """One connection, used by one thread at a time; every call blocks.

    Raises `Unavailable` (locked, full, away; with `CONFLICT` or `LOST` where the transaction may be repeated), `Misconfigured` (wrong schema, no permission)
    and, where a statement refuses a row's values, `Rejected`, whose `field` is the column if the database names it. A connection that was lost is made
    anew by the next call outside of a transaction. Answers are frames typed after the statement's columns.
    """

    def create(self, tables: list[Table]) -> None:
        """Create the tables that are missing, and columns that have a default. A table that lacks another column is `Misconfigured`."""

    def writing(self) -> AbstractContextManager[None]:
        """One transaction: committed at the end of the block, rolled back where it raises."""

    def savepoint(self) -> AbstractContextManager[None]:
        """A part of the transaction that can be undone alone."""

    def run(self, statement: UpdateBase, rows: pl.DataFrame | None = None) -> None:
        """Run a statement once, or once for each row, whose columns are its parameters."""

    def add_new(self, table: Table, rows: pl.DataFrame) -> None:
        """Insert rows, leaving out those whose primary key is there already."""

    def fetch(self, statement: Select[Any]) -> pl.DataFrame:
        """All rows of a statement that is known to answer with few."""

    def lookup(self, statement: Select[Any], key: Column[Any], values: pl.Series) -> pl.DataFrame:
        """The statement's rows whose key is among the values, in any order."""

    def version(self) -> int | None:
        """A number that changes when somebody else wrote; None where the database cannot say."""

    def close(self) -> None:
        """Release the connection."""
