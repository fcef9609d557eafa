"""A SQLite file through ADBC, which takes and gives whole frames and brings its own SQLite library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import adbc_driver_sqlite.dbapi as adbc
import polars as pl
from sqlalchemy import Column, Select, Table, insert
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement
from sqlalchemy.sql.dml import UpdateBase

from connectors.stores.tables import to_add
from connectors.stores.types import dtype_of
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable

_DIALECT = pysqlite.dialect()
# ADBC takes a column's type from the rows of its first chunk, so an answer must fit in one.
_CHUNK = 131_072
_PROBES = 64
_FEW = 2_000
# Pages of 16 KiB and a checkpoint every 256 MiB: a random key touches most of its index in every batch, so writing that index
# once for several batches doubled the speed of loading. `page_size` counts for a new file only.
_SETTINGS = (
    "PRAGMA page_size=16384",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=16000",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA cache_size=-65536",
    "PRAGMA mmap_size=0",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
)
_BUSY = ("locked", "busy")
_FULL = ("disk is full", "disk i/o error")
_CLOSED = ("readonly", "read-only", "unable to open", "failed to open", "not authorized", "permission")
_BROKEN = ("malformed", "not a database", "no such table", "no such column", "has no column", "failed to prepare")


def _decision(error: adbc.Error, path: Path) -> HubError:
    """Which of the three decisions an error of SQLite asks for. Its text may hold names of tables and columns, never a value."""
    said = str(error).lower()
    if any(word in said for word in _BUSY):
        return Unavailable(f"store {path.name} is locked by another program", hint="close the program that holds the file open; the batch is tried again")
    if any(word in said for word in _FULL):
        return Unavailable(f"store {path.name} cannot be written: the disk is full or failing", hint=f"free space on the disk of {path.parent}", code="S507")
    if any(word in said for word in _CLOSED):
        return Misconfigured(f"store {path.name} cannot be opened for writing", hint=f"check that {path.parent} exists and belongs to the hub's user")
    if any(word in said for word in _BROKEN):
        return Misconfigured(
            f"store {path.name} does not have the tables that the catalogue asks for", hint="run `run_hub.py doctor`; restore the file if it is damaged"
        )
    return Rejected("the store's own rules refuse this row", code="S001", hint="compare the row with the table's constraints")


def _bound(frame: pl.DataFrame) -> pl.DataFrame:
    """Values as SQLite keeps them: dates, times and decimals as text."""
    changes = []
    for name, dtype in frame.schema.items():
        if dtype == pl.Datetime:
            changes.append(pl.col(name).dt.to_string("%Y-%m-%d %H:%M:%S"))
        elif dtype in (pl.Date, pl.Decimal, pl.Null):
            changes.append(pl.col(name).cast(pl.String))
        elif dtype == pl.Boolean:
            changes.append(pl.col(name).cast(pl.Int64))
    return frame.with_columns(changes) if changes else frame


def _typed(frame: pl.DataFrame, statement: Select[Any]) -> pl.DataFrame:
    """An answer with the types of the statement's columns, whatever ADBC made of them."""
    columns = []
    for name, column in zip(frame.columns, statement.selected_columns, strict=True):
        dtype, value = dtype_of(column.type), pl.col(name)
        if frame.schema[name] == dtype:
            columns.append(value)
        elif frame.schema[name] == pl.String and dtype == pl.Date:
            columns.append(value.str.to_date("%Y-%m-%d"))
        elif frame.schema[name] == pl.String and dtype == pl.Datetime:
            columns.append(value.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us"))
        elif isinstance(dtype, pl.Decimal):
            columns.append(value.cast(pl.Float64).round(dtype.scale).cast(dtype))
        else:
            columns.append(value.cast(dtype))
    return frame.select(columns)


class AdbcSession:
    """One connection to a SQLite file. `readonly` connections may stand beside the one that writes."""

    def __init__(self, path: Path, *, wait_s: float = 10.0, readonly: bool = False) -> None:
        self._path = path
        with self._border():
            self._connection = adbc.connect(f"file:{quote(str(path))}?mode=ro" if readonly else str(path), autocommit=True)
        self._cursor = self._connection.cursor()
        try:
            with self._border():
                self._cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(_CHUNK)})
                for setting in (f"PRAGMA busy_timeout={int(wait_s * 1000)}", *(() if readonly else _SETTINGS)):
                    self._say(setting)
        except HubError:
            self.close()
            raise

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except adbc.Error as error:
            raise _decision(error, self._path) from error

    def _say(self, sql: str) -> None:
        self._cursor.execute(sql)
        self._cursor.fetch_polars()

    def create(self, tables: list[Table]) -> None:
        """See `Session`."""
        with self.writing():
            for table in tables:
                self._run(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    self._run(CreateIndex(index, if_not_exists=True))
                self._check(table)

    def _check(self, table: Table) -> None:
        with self._border():
            self._cursor.execute("SELECT name FROM pragma_table_info(?)", (str(table.name),))
            found = set(self._cursor.fetch_polars().to_series())
        for statement in to_add(table, found, self._path.name):
            self._run(statement)

    def _run(self, statement: ExecutableDDLElement) -> None:
        with self._border():
            self._say(str(statement.compile(dialect=_DIALECT)))

    @contextmanager
    def _block(self, begin: str, commit: str, undo: tuple[str, ...]) -> Iterator[None]:
        with self._border():
            self._say(begin)
        try:
            yield
            with self._border():
                self._say(commit)
        except BaseException:
            self._undo(undo)
            raise

    def _undo(self, statements: tuple[str, ...]) -> None:
        for statement in statements:
            try:
                self._say(statement)
            except adbc.Error as error:
                # SQLite ends the transaction by itself where the disk is full or failing; then there is nothing left to undo.
                if "no transaction" not in str(error) and "no such savepoint" not in str(error):
                    raise _decision(error, self._path) from error

    def writing(self) -> Any:
        """See `Session`."""
        return self._block("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))

    def savepoint(self) -> Any:
        """See `Session`."""
        return self._block("SAVEPOINT part", "RELEASE part", ("ROLLBACK TO part", "RELEASE part"))

    def run(self, statement: UpdateBase, rows: pl.DataFrame | None = None) -> None:
        """See `Session`."""
        compiled = statement.compile(dialect=_DIALECT, column_keys=None if rows is None else rows.columns)
        names = compiled.positiontup or []
        with self._border():
            if rows is None:
                self._cursor.execute(str(compiled), tuple(compiled.params[name] for name in names))
                self._cursor.fetch_polars()
            elif rows.height:
                fixed = {name: value for name, value in compiled.params.items() if name not in rows.columns}
                frame = rows.with_columns(pl.lit(value).alias(name) for name, value in fixed.items()).select(names)
                self._cursor.executemany(str(compiled), _bound(frame))

    def add_new(self, table: Table, rows: pl.DataFrame) -> None:
        """See `Session`."""
        self.run(insert(table).prefix_with("OR IGNORE"), rows)

    def fetch(self, statement: Select[Any]) -> pl.DataFrame:
        """See `Session`."""
        compiled = statement.compile(dialect=_DIALECT)
        values = tuple(compiled.params[name] for name in compiled.positiontup or [])
        with self._border():
            self._cursor.execute(str(compiled), values) if values else self._cursor.execute(str(compiled))
            return _typed(self._cursor.fetch_polars(), statement)

    def lookup(self, statement: Select[Any], key: Column[Any], values: pl.Series) -> pl.DataFrame:
        """See `Session`. The statement runs once a value, inside the library."""
        if values.is_empty():
            return pl.DataFrame(schema={column.name: dtype_of(column.type) for column in statement.selected_columns})
        sql = str(statement.where(key == "?").compile(dialect=_DIALECT))
        with self._border():
            self._cursor.execute(sql, pl.DataFrame({"key": values}))
            return _typed(self._cursor.fetch_polars(), statement)

    def lookup_near(self, statement: Select[Any], key: Column[Any], values: pl.Series) -> pl.DataFrame:
        """As `lookup`, faster where the records were written together: a few of them tell the stretch of the table to read as a whole.

        `values` are sorted, as rows are when they are written.
        """
        if values.len() < _FEW:
            return self.lookup(statement, key, values)
        probes = values.gather(pl.Series([i * (values.len() - 1) // (_PROBES - 1) for i in range(_PROBES)]))
        with self._border():
            self._cursor.execute(f"SELECT rowid FROM {key.table.name} WHERE {key.name} = ?", pl.DataFrame({"key": probes}))
            places = self._cursor.fetch_polars().to_series()
        low, high = (int(places.min() or 0), int(places.max() or 0)) if places.len() else (0, 0)  # type: ignore[arg-type]
        if places.len() < _PROBES // 2 or high - low > 2 * values.len():
            return self.lookup(statement, key, values)
        return self._stretch(statement, key, values, low, high)

    def _stretch(self, statement: Select[Any], key: Column[Any], values: pl.Series, low: int, high: int) -> pl.DataFrame:
        sql = str(statement.compile(dialect=_DIALECT))
        with self._border():
            self._cursor.execute(f"{sql} WHERE rowid BETWEEN {low} AND {high}")
            near = _typed(self._cursor.fetch_polars(), statement)
        wanted = pl.DataFrame({key.name: values})
        rest = wanted.join(near, on=key.name, how="anti").to_series()
        near = near.join(wanted, on=key.name, how="semi") if near.height > values.len() - rest.len() else near
        return pl.concat([near, self.lookup(statement, key, rest)]) if rest.len() else near

    def version(self) -> int | None:
        """See `Session`."""
        with self._border():
            self._cursor.execute("PRAGMA data_version")
            return int(self._cursor.fetch_polars().item())

    def close(self) -> None:
        """See `Session`."""
        self._cursor.close()
        self._connection.close()
