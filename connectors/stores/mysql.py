"""A central store in MySQL or MariaDB, loaded with LOAD DATA LOCAL from memory, and with INSERT where the server does not take that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import BindParameter, Column, Insert, LargeBinary, MetaData, Select, String, Table, Text, Update, bindparam
from sqlalchemy.dialects.mysql import pymysql
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import UpdateBase

from connectors.stores.known import Memory
from connectors.stores.mysql_conversation import Conversation
from connectors.stores.mysql_errors import TOO_LARGE, decision, refusal
from connectors.stores.mysql_link import Answer, Spelled
from connectors.stores.mysql_text import chunks, literals, name, names, packed, plain, quoted, unpacked
from connectors.stores.table_store import TableStore, local_now
from connectors.stores.tables import to_add
from connectors.stores.types import dtype_of
from connectors.stores.worker import Worker
from hub.contracts.address import Address
from hub.contracts.errors import Misconfigured
from hub.contracts.keys import KeyRing

_DIALECT = pymysql.dialect()
_FEW = 20  # rows that are not worth a file
_KEYS = 10_000  # keys of one question, so that the server's optimiser keeps to the index
_MANY = 1_000  # keys that are worth a table of their own
_MOST = 50_000  # keys of such a table, of 8 MB at most: servers allow 16
_NARROW = 200  # bytes of a row of which so many may come as one text
_STAGING, _WANTED = "hub_staging", "hub_wanted"
_COLUMNS = """SELECT c.COLUMN_NAME, t.ENGINE FROM information_schema.COLUMNS c JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME)
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"""


def _width(column: Any) -> int:
    """Bytes of a column's values, where they are bounded."""
    if isinstance(column.type, String):
        return column.type.length + 3 if column.type.length and not isinstance(column.type, Text) else _NARROW + 1
    return _NARROW + 1 if isinstance(column.type, LargeBinary) else 20


class MysqlSession:
    """See `Session`. The connection is made when it is first needed, and again after it was lost, but never in the middle of a transaction."""

    def __init__(self, address: Address, *, wait_s: float = 10.0, readonly: bool = False) -> None:
        self._server = Conversation(address, wait_s=wait_s, readonly=readonly)

    def note(self) -> str:
        """What an operator should know about the server, "" for nothing."""
        self._server.ask("DO 0")
        if self._server.loads:
            return ""
        return "the database server takes no LOAD DATA LOCAL, so rows go by INSERT, which is slower; set local_infile=1 there"

    def _say(self, statement: Any, given: dict[str, Any] | None = None, **options: Any) -> Answer:
        kwargs = {"render_postcompile": True} if isinstance(statement, Select) else {}
        compiled = statement.compile(dialect=_DIALECT, compile_kwargs=kwargs, **options)
        values = (compiled.params or {}) | (given or {})
        return self._server.ask(str(compiled), tuple(values[name] for name in getattr(compiled, "positiontup", None) or ()))

    def create(self, tables: list[Table]) -> None:
        """See `Session`. MySQL commits after each table."""
        for table in tables:
            found = self._columns(table)
            if not found:
                self._say(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    self._say(CreateIndex(index))
                found = self._columns(table)
            for statement in to_add(table, found, self._server.place):
                self._say(statement)

    def _columns(self, table: Table) -> set[str]:
        """Columns of a table, none where it is missing. One that cannot take part in a transaction is refused."""
        rows = self._server.ask(_COLUMNS, (table.name,)).rows
        if engines := {str(engine) for _, engine in rows} - {"InnoDB"}:
            said = f"table {table.name} of store {self._server.place} is kept by {engines.pop()}, which knows no transactions"
            raise Misconfigured(said, hint=f"ALTER TABLE {table.name} ENGINE=InnoDB")
        return {str(name) for name, _ in rows}

    def writing(self) -> AbstractContextManager[None]:
        """See `Session`. Where the connection is lost while it commits, nobody knows the outcome but the inbox: `Unavailable`."""
        return self._server.writing()

    def savepoint(self) -> AbstractContextManager[None]:
        """See `Session`."""
        return self._server.savepoint()

    def run(self, statement: UpdateBase, rows: pl.DataFrame | None = None) -> None:
        """See `Session`."""
        if rows is None:
            self._say(statement)
        elif isinstance(statement, Insert) and pl.Binary not in rows.dtypes:
            self._insert(statement, rows)
        elif isinstance(statement, Update) and rows.height > _FEW:
            self._update(statement, rows)
        else:
            for row in plain(rows).iter_rows(named=True):
                self._whole(self._say(statement, row, column_keys=list(row)), 0)

    def _whole(self, answer: Answer, rows: int) -> None:
        """Nothing was cut to fit and nothing left out: a warning is a value that is not stored as it was given."""
        if answer.warnings:
            _, number, message = self._server.ask("SHOW WARNINGS LIMIT 1").rows[0]
            raise refusal(int(number), str(message))
        if answer.affected < rows:
            raise refusal(1062, "")

    def _insert(self, statement: Insert, rows: pl.DataFrame) -> None:
        fixed = statement.compile(dialect=_DIALECT, column_keys=rows.columns).params
        frame = rows.with_columns(pl.lit(value).alias(name) for name, value in fixed.items() if name not in rows.columns)
        self._append(statement.table.name, frame)

    def _append(self, table: str, frame: pl.DataFrame) -> None:
        """Rows into a table, all of them or `Rejected`."""
        answer = self._server.load(table, frame) if frame.height > _FEW else None
        if answer is not None:
            self._whole(answer, frame.height)
            return
        for text, count in chunks(literals(frame), self._server.room):
            self._whole(self._server.ask(f"INSERT INTO {name(table)} ({names(frame)}) VALUES %s", (Spelled(text),)), count)

    def _update(self, statement: Update, rows: pl.DataFrame) -> None:
        """One UPDATE that joins the rows, put into a temporary table whose columns are those of the table itself."""
        table: Table = statement.table  # type: ignore[assignment]
        keys = _keys_of(statement)
        wanted = ", ".join(f"{name(keys[column].name if column in keys else column)} AS {name(column)}" for column in rows.columns)
        index = ", ".join(f"INDEX ({name(column)})" for column in keys)
        self._server.ask(f"DROP TEMPORARY TABLE IF EXISTS {_STAGING}")
        self._server.ask(f"CREATE TEMPORARY TABLE {_STAGING} ({index}) ENGINE=InnoDB SELECT {wanted} FROM {name(table.name)} LIMIT 0")
        self._append(_STAGING, rows)
        staged = Table(_STAGING, MetaData(), *(Column(column, (keys[column] if column in keys else table.c[column]).type) for column in rows.columns))

        def joined(element: Any, **_options: Any) -> Any:
            return staged.c[element.key] if isinstance(element, BindParameter) and element.key in keys else None

        changes = {table.c[column]: staged.c[column] for column in rows.columns if column not in keys}
        changed = statement.values(changes) if changes else statement
        self._whole(self._say(visitors.replacement_traverse(changed, {}, joined)), 0)
        self._server.ask(f"DROP TEMPORARY TABLE {_STAGING}")

    def add_new(self, table: Table, rows: pl.DataFrame) -> None:
        """See `Session`. Rows whose key is there are left out by the server; every other warning refuses."""
        if rows.is_empty():
            return
        answer = self._server.load(table.name, rows) if rows.height > _FEW else None
        if answer is not None:
            if answer.warnings != answer.skipped:
                raise refusal(1265, "")
            return
        key = name(next(iter(table.primary_key)).name)
        for text, _ in chunks(literals(rows), self._server.room):
            sql = f"INSERT INTO {name(table.name)} ({names(rows)}) VALUES %s ON DUPLICATE KEY UPDATE {key} = {name(table.name)}.{key}"
            self._whole(self._server.ask(sql, (Spelled(text),)), 0)

    def fetch(self, statement: Select[Any]) -> pl.DataFrame:
        """See `Session`."""
        if any(isinstance(column.type, LargeBinary) for column in statement.selected_columns):
            schema = {column.name: dtype_of(column.type) for column in statement.selected_columns}
            return pl.DataFrame(self._say(statement).rows, schema=schema, orient="row")
        return unpacked(self._texts(packed(statement)), statement)

    def _texts(self, statement: Select[Any], given: dict[str, Any] | None = None) -> list[str]:
        answer = self._say(statement, given)
        if answer.warnings:  # a text was cut off, or left out for its length
            raise decision(TOO_LARGE, "", self._server.place)
        return [text for (text,) in answer.rows if text is not None]

    def lookup(self, statement: Select[Any], key: Column[Any], values: pl.Series) -> pl.DataFrame:
        """See `Session`."""
        grouped = sum(_width(column) for column in statement.selected_columns) <= _NARROW
        if values.len() >= _MANY and self._server.loads and not self._server.readonly:
            return unpacked(self._joined(statement, key, values, grouped), statement)
        asked = packed(statement.where(key.op("IN")(bindparam("hub_keys", None))), grouped=grouped)
        texts: list[str] = []
        for part in self._parts(values, _KEYS):
            texts += self._texts(asked, {"hub_keys": Spelled(f"({','.join(quoted(part))})")})
        return unpacked(texts, statement)

    def _parts(self, values: pl.Series, most: int) -> Iterator[pl.Series]:
        """Keys of one question each: the answer must fit in a packet too."""
        size = min(most, self._server.room // (_NARROW + 50))
        return (values[start : start + size] for start in range(0, values.len(), size))

    def _joined(self, statement: Select[Any], key: Column[Any], values: pl.Series, grouped: bool) -> list[str]:
        """The same with the keys in a table in memory, which costs the server two thirds. What it believes about sizes must not turn the join round."""
        wanted = Table(_WANTED, MetaData(), Column("hub_key", key.type))
        (origin,) = statement.get_final_froms()
        asked = statement.select_from(wanted.join(origin, wanted.c.hub_key == key)).prefix_with("STRAIGHT_JOIN")
        texts: list[str] = []
        for part in self._parts(values, _MOST):
            self._server.ask(f"DROP TEMPORARY TABLE IF EXISTS {_WANTED}")
            self._server.ask(f"CREATE TEMPORARY TABLE {_WANTED} ENGINE=MEMORY SELECT {name(key.name)} AS hub_key FROM {name(key.table.name)} LIMIT 0")
            self._append(_WANTED, part.alias("hub_key").to_frame())
            texts += self._texts(packed(asked, grouped=grouped))
        self._server.ask(f"DROP TEMPORARY TABLE {_WANTED}")
        return texts

    def version(self) -> int | None:
        """See `Session`."""
        return None

    def close(self) -> None:
        """See `Session`."""
        self._server.drop()


def _keys_of(statement: Update) -> dict[str, Column[Any]]:
    """The columns that an UPDATE compares with parameters, by the parameter's name."""
    found: dict[str, Column[Any]] = {}

    def compared(element: Any) -> None:
        if isinstance(element.right, BindParameter) and isinstance(element.left, Column) and element.right.value is None:
            found[element.right.key] = element.left

    if statement.whereclause is not None:
        visitors.traverse(statement.whereclause, {}, {"binary": compared})
    return found


class MysqlStore(TableStore):
    """A store in a database of MySQL or MariaDB: one connection writes, one reads; `wait_s` is how long a lock is waited for."""

    def __init__(self, address: Address, keys: KeyRing, *, wait_s: float = 10.0, clock: Callable[[], datetime] = local_now) -> None:
        self._address = address
        super().__init__(lambda readonly: MysqlSession(address, wait_s=wait_s, readonly=readonly), keys, beside=True, memory=Memory(), clock=clock)

    async def note(self) -> str:
        """What an operator should know about the server, "" for nothing. Nothing is created."""
        return await note_of(self._address)


async def note_of(address: Address) -> str:
    """The same without a store. Raises `Unavailable` and `Misconfigured` where the server cannot be asked."""
    worker, session = Worker("store-note"), MysqlSession(address, readonly=True)
    try:
        return await worker.do(session.note)
    finally:
        await worker.do(session.close)
        worker.close()
