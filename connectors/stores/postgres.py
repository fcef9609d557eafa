"""A central store in PostgreSQL: rows travel as whole frames in both directions, by COPY into tables and as one text out of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import (
    BigInteger,
    BinaryExpression,
    BindParameter,
    Boolean,
    Column,
    Connection,
    Insert,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    Text,
    Update,
    any_,
    cast,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import UpdateBase

from connectors.stores.generic import SqlAlchemySession
from connectors.stores.known import Memory
from connectors.stores.refusing import by_sqlstate, column_of, lost
from connectors.stores.table_store import TableStore, local_now
from connectors.stores.types import ID, dtype_of
from hub.contracts.address import Address
from hub.contracts.errors import Rejected
from hub.contracts.keys import KeyRing

_PIECE = 4_096
_NEAR = 2_000
_PROBES = 64
_ROWS_A_PAGE = 4  # at least so many of the wanted rows on each page that is read as part of a stretch
_LINK = {"prepare_threshold": None, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
"""A server that has gone is noticed within a minute. No prepared statements: each lookup is planned for its own number of keys."""
_MOMENT = "%Y-%m-%d %H:%M:%S"
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _plain(frame: pl.DataFrame) -> bool:
    return pl.Binary not in frame.dtypes


def _lines(rows: pl.DataFrame) -> bytes:
    r"""Rows in COPY's text format. Few hold a character that needs a backslash, and it is quicker to look for one afterwards than before each cell."""
    plain = _written(rows)
    nulls, cells = rows.null_count().sum_horizontal().item(), rows.height * (rows.width - 1)
    if b"\r" not in plain and [plain.count(mark) for mark in (b"\n", b"\t", b"\\")] == [rows.height, cells, nulls]:
        return plain
    return _written(rows.with_columns(pl.col(pl.String).str.replace_many(_ESCAPES)))


def _written(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_csv(buffer, include_header=False, separator="\t", quote_style="never", null_value="\\N", datetime_format=_MOMENT)
    return buffer.getvalue()


def _cell(column: Any) -> Any:
    text: Any = cast(column, Text)
    if isinstance(column.type, String) and column.type is not ID:
        text = literal('"').concat(func.replace(text, '"', '""')).concat(literal('"'))
    return func.coalesce(text, "")


def _line(columns: list[Any]) -> Any:
    """A row as a line of CSV. Empty text is null in a store, so both are written as nothing."""
    line = _cell(columns[0])
    for column in columns[1:]:
        line = line.concat(literal(",")).concat(_cell(column))
    return line


def _typed(name: str, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(name)
    if dtype == pl.Date:
        return value.str.to_date("%Y-%m-%d")
    if dtype == pl.Datetime:
        return value.str.to_datetime(_MOMENT, time_unit="us")
    return value if dtype == pl.String else value.cast(dtype)


class PostgresSession(SqlAlchemySession):
    """One connection to a PostgreSQL server; the frames of its statements take the fast way."""

    def __init__(self, address: Address, *, wait_s: float = 10.0) -> None:
        super().__init__(address, wait_s=wait_s, more={name: value for name, value in _LINK.items() if name not in address.options})
        self._errors: Any = self._engine.dialect.dbapi
        self._mixed: set[str] = set()  # tables to which rows came that were there already

    @contextmanager
    def _driver(self) -> Iterator[Any]:
        """A cursor of the driver within the running transaction, or within one of its own."""
        with self._connected() as connection:
            try:
                driver: Any = connection.connection.driver_connection
                with driver.cursor() as cursor:
                    yield cursor
            except self._errors.Error as error:
                raise self._decided(error, connection) from error

    def _decided(self, error: Any, connection: Connection) -> Exception:
        if getattr(connection.connection.driver_connection, "closed", False):
            connection.invalidate()
            return lost(self._place)
        return by_sqlstate(error.sqlstate, column_of(error), self._place) if error.sqlstate else lost(self._place)

    def _copy(self, table: Table, rows: pl.DataFrame) -> None:
        prepare = self._engine.dialect.identifier_preparer
        columns = ", ".join(prepare.quote(name) for name in rows.columns)
        statement = f"COPY {prepare.format_table(table)} ({columns}) FROM STDIN"
        with self._driver() as cursor, cursor.copy(statement) as copy:
            for part in rows.iter_slices(_PIECE):  # the server reads one while the next is written
                copy.write(_lines(part))

    @contextmanager
    def _staged(self, like: Mapping[str, Column[Any]], rows: pl.DataFrame) -> Iterator[Table]:
        """Rows in a table that ends with the transaction; its columns are those of other tables, so that they refuse the same."""
        stage = Table("hub_stage", MetaData(), *(Column(name, like[name].type) for name in rows.columns))
        empty = select(*(like[name].label(name) for name in rows.columns)).compile(dialect=self._engine.dialect)
        with self._connected() as connection:
            connection.exec_driver_sql(f"CREATE TEMPORARY TABLE hub_stage ON COMMIT DROP AS {empty} WITH NO DATA")
            self._copy(stage, rows)
            yield stage
            connection.exec_driver_sql("DROP TABLE hub_stage")

    def run(self, statement: UpdateBase, rows: pl.DataFrame | None = None) -> None:
        """See `Session`. Even one row goes by COPY, which says what column it refuses."""
        if rows is None or rows.is_empty() or not _plain(rows):
            super().run(statement, rows)
        elif isinstance(statement, Insert):
            self._copy(statement.table, rows)  # type: ignore[arg-type]
        elif isinstance(statement, Update):
            self._update(statement, rows)
        else:
            super().run(statement, rows)

    def _update(self, statement: Update, rows: pl.DataFrame) -> None:
        """An update for each row, as one update from a staging table: parameters and values become its columns."""
        target: Any = statement.table
        where: Any = statement.whereclause
        tests = [part for part in visitors.iterate(where) if isinstance(part, BinaryExpression) and isinstance(part.right, BindParameter)]
        named: dict[str, Any] = {test.right.key: test.left for test in tests if test.right.key in rows.columns}
        like = {name: named.get(name, target.c.get(name)) for name in rows.columns}
        with self._staged(like, rows) as stage, self._connected() as connection:

            def replace(element: Any, **_options: Any) -> Any:
                return stage.c[element.key] if isinstance(element, BindParameter) and element.key in named else None

            whole: Any = visitors.replacement_traverse(statement, {}, replace)
            changes = {name: stage.c[name] for name in rows.columns if name not in named}
            connection.execute(whole.values(changes) if changes else whole)

    def add_new(self, table: Table, rows: pl.DataFrame) -> None:
        """See `Session`. As long as all rows of a table were new they are copied straight into it, which costs half."""
        if table.name not in self._mixed:
            try:
                with self.savepoint():
                    self._copy(table, rows)
                return
            except Rejected:
                self._mixed.add(str(table.name))
        with self._staged(dict(table.columns), rows) as stage, self._connected() as connection:
            chosen = select(*(stage.c[name] for name in rows.columns))
            connection.execute(insert_postgresql(table).from_select(rows.columns, chosen).on_conflict_do_nothing())

    def fetch(self, statement: Select[Any]) -> pl.DataFrame:
        """See `Session`. The server puts all rows into one text, which costs a fifth of taking them one by one."""
        columns = list(statement.selected_columns)
        if len(columns) == 1 or statement._for_update_arg is not None or any(isinstance(column.type, LargeBinary) for column in columns):
            return super().fetch(statement)
        schema = {column.name: dtype_of(column.type) for column in columns}
        inner = statement.subquery()
        with self._connected() as connection:
            text = connection.execute(select(func.string_agg(_line(list(inner.columns)), "\n"))).scalar()
        if text is None:
            return pl.DataFrame(schema=schema)
        frame = pl.read_csv(text.encode(), has_header=False, schema=dict.fromkeys(schema, pl.String), null_values="")
        return frame.select(_typed(name, dtype) for name, dtype in schema.items())

    def lookup(self, statement: Select[Any], key: Column[Any], values: pl.Series) -> pl.DataFrame:
        """See `Session`. The keys, which hold no comma, travel as one text."""
        if values.is_empty():
            return pl.DataFrame(schema={column.name: dtype_of(column.type) for column in statement.selected_columns})
        return self.fetch(statement.where(key == any_(func.string_to_array(values.str.join(",").item(), ","))))

    def lookup_near(self, statement: Select[Any], key: Column[Any], values: pl.Series) -> pl.DataFrame:
        """As `lookup`, faster where the records were written together: a few of them tell the pages of the table to read as a whole.

        `values` are sorted, as rows are when they are written.
        """
        if values.len() < _NEAR:
            return self.lookup(statement, key, values)
        probes = values.gather([i * (values.len() - 1) // (_PROBES - 1) for i in range(_PROBES)])
        page = cast(literal_column("(ctid::text::point)[0]"), BigInteger).label("page")
        pages = self.lookup(select(page, key).select_from(key.table), key, probes)["page"]
        low, high = (int(pages.min() or 0), int(pages.max() or 0)) if pages.len() else (0, 0)  # type: ignore[arg-type]
        if pages.len() < _PROBES // 2 or high - low > values.len() // _ROWS_A_PAGE:
            return self.lookup(statement, key, values)
        near = self.fetch(statement.where(literal_column(f"ctid BETWEEN '({low},0)'::tid AND '({high},65535)'::tid", Boolean)))
        wanted = pl.DataFrame({key.name: values})
        rest = wanted.join(near, on=key.name, how="anti").to_series()
        near = near.join(wanted, on=key.name, how="semi")
        return pl.concat([near, self.lookup(statement, key, rest)]) if rest.len() else near


class PostgresStore(TableStore):
    """A store in a PostgreSQL database: one connection writes, one reads; `wait_s` is how long a lock is waited for."""

    def __init__(self, address: Address, keys: KeyRing, *, wait_s: float = 10.0, clock: Callable[[], datetime] = local_now) -> None:
        super().__init__(lambda _readonly: PostgresSession(address, wait_s=wait_s), keys, beside=True, memory=Memory(), clock=clock)
