"""What a store needs of a database: transactions, statements with a frame of values, and looking keys up."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

import polars as pl
from sqlalchemy import Column, Select, Table
from sqlalchemy.sql.dml import UpdateBase


class Session(Protocol):
    """One connection, used by one thread at a time; every call blocks.

    Raises `Unavailable` (locked, full, away), `Misconfigured` (wrong schema, no permission) and, where a statement refuses a row's values, `Rejected`.
    Answers are frames typed after the statement's columns.
    """

    def create(self, tables: list[Table]) -> None:
        """Create the tables that are missing. A table that lacks a column is `Misconfigured`."""

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
