"""Writes what an agency receives into a table of its own database, each delivery in one transaction with a row in a table of deliveries there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import polars as pl
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Date,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    create_engine,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlalchemy.types import TypeEngine

from connectors.databases.outlet_settings import DatabaseOutletConfig
from connectors.formats.worker import Worker
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable
from hub.contracts.share import Parcel

_TRIES = 3
_AGAIN = frozenset(("40001", "40P01", "55P03", "1205", "1213"))
_REFUSED = {
    "28P01": "user or password is wrong", "28000": "the user may not log in", "1045": "user or password is wrong", "1044": "the user may not use the database",
    "3D000": "there is no such database", "1049": "there is no such database", "42501": "the user may not write there", "1142": "the user may not write there",
    "42P01": "the table is gone", "1146": "the table is gone", "42703": "a column is gone", "1054": "a column is gone",
    "25006": "it is read-only", "1290": "it is read-only", "1836": "it is read-only",
}  # fmt: skip
_SAID = {"password authentication failed": "28P01", "does not exist": "3D000"}
_TOO_MUCH = frozenset(("22001", "22003", "22007", "22008", "22021", "22P05", "1264", "1265", "1292", "1366", "1406", "23502", "23514", "1048", "4025"))


class DatabaseOutlet:
    """Hands parcels over as rows: one for each record, the newest that was handed over, kept up to date. A withdrawn record keeps its number and nothing else.

    A delivery that is noted there already changes nothing: that is how an attempt whose end was never heard of is told from one that failed.
    """

    def __init__(self, config: DatabaseOutletConfig) -> None:
        self._config = config
        self._address = config.address()
        self._worker = Worker("database-outlet", 1)
        self._engine: Engine | None = None
        self._known: dict[str, tuple[Table, Table]] = {}
        self._closed = False

    async def hand_over(self, parcel: Parcel) -> Mapping[str, Any]:
        """Write the parcel. Raises `Rejected` for values that the table cannot hold, else `Unavailable` and `Misconfigured`."""
        return await self._worker.do(self._bring, parcel)

    async def close(self) -> None:
        """End the connection and let the thread go."""
        if not self._closed:
            self._closed = True
            await self._worker.do(self._drop)
            self._worker.close()

    def _drop(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        self._engine, self._known = None, {}

    def _bring(self, parcel: Parcel) -> Mapping[str, Any]:
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                with self._connected().begin() as connection:
                    return self._write(connection, parcel)
            except SQLAlchemyError as error:
                code = _code(error)
                if code not in _AGAIN:
                    self._drop()
                if code not in _AGAIN or last:
                    raise self._decision(error, code) from error
        raise AssertionError("the last attempt returns or raises")

    def _connected(self) -> Engine:
        if self._engine is None:
            try:
                self._engine = create_engine(
                    self._address.url(), connect_args=self._address.connect_args(), poolclass=StaticPool, hide_parameters=True, isolation_level="READ COMMITTED"
                )
            except (ImportError, NoSuchModuleError) as error:
                extra = "mysql" if self._address.family == "mysql" else "postgres"
                raise Misconfigured(f"a library for {self._address.dialect} is not installed", hint=f"pip install 'credit-hub[{extra}]'") from error
        return self._engine

    def _write(self, connection: Connection, parcel: Parcel) -> Mapping[str, Any]:
        records, deliveries = self._tables(connection, parcel)
        if self._address.family == "mysql":
            connection.execute(text("SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'"))
        now = parcel.at.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        row = {"delivery_id": parcel.delivery_id, "share": parcel.share, "item": parcel.item, "sequence": parcel.sequence}
        row |= {"records": parcel.records.height, "basis": parcel.basis[:200], "received_at": now}
        told = {"delivery": parcel.delivery_id, "table": str(records.name), "rows": parcel.records.height}
        if not _first(connection, deliveries, row):
            return told | {"seen": True}
        rows = [self._row(record, parcel, now) for record in parcel.records.iter_rows(named=True)]  # at most 500
        _upsert(connection, records, rows)
        return told | {"seen": False, "commit": _transaction(connection)}

    def _row(self, record: Mapping[str, Any], parcel: Parcel, now: Any) -> dict[str, Any]:
        own = {"record_id": record["record_id"], "version": record.get("version"), "sequence": parcel.sequence, "delivery_id": parcel.delivery_id}
        own |= {"withdrawn_at": now if record["op"] == "withdraw" else None, "received_at": now}
        return own | {name: value for name, value in record.items() if name not in ("record_id", "op", "version")}

    def _tables(self, connection: Connection, parcel: Parcel) -> tuple[Table, Table]:
        name = self._config.table.replace("{item}", parcel.item.lower().replace("-", "_"))
        wanted = _records_table(name, parcel.records)
        if name not in self._known or not {c.name for c in wanted.columns} <= {c.name for c in self._known[name][0].columns}:
            self._known[name] = (self._found(connection, wanted), self._found(connection, _deliveries_table(self._config.deliveries)))
        return self._known[name]

    def _found(self, connection: Connection, wanted: Table) -> Table:
        """The table as it is there. Raises `Misconfigured` where it is missing, or lacks columns."""
        looked = inspect(connection)
        if not looked.has_table(str(wanted.name)):
            if not self._config.create:
                hint = f"let its owner make it with {', '.join(c.name for c in wanted.columns)}; or set create: true"
                raise Misconfigured(f"{self._address.place} has no table {wanted.name}", hint=hint)
            wanted.create(connection)
        there = {column["name"] for column in inspect(connection).get_columns(str(wanted.name))}
        if missing := [column.name for column in wanted.columns if column.name not in there]:
            raise Misconfigured(
                f"table {wanted.name} at {self._address.place} lacks {', '.join(missing)}", hint="let its owner add them, or take the fields out of the share"
            )
        return wanted

    def _decision(self, error: SQLAlchemyError, code: str) -> HubError:
        place = self._address.place
        if code in _REFUSED:
            return Misconfigured(f"{place} refuses the delivery: {_REFUSED[code]}", hint="ask the agency that owns the database, then resume the share")
        if code in _TOO_MUCH:
            return Rejected(
                f"{place} cannot hold a value of the delivery ({code})", hint="let its owner widen the columns, then replay the dead letter", code=code
            )
        if isinstance(error, DBAPIError):
            hint = "check that the server runs and can be reached; the delivery is tried again"
            return Unavailable(f"{place} did not take the delivery ({code or 'no connection'})", hint=hint)
        return Misconfigured(f"{place} cannot be written: {type(error).__name__}", hint="report this")


def _records_table(name: str, records: pl.DataFrame) -> Table:
    fields = [Column(field, _type(dtype)) for field, dtype in records.schema.items() if field not in ("record_id", "op", "version")]
    return Table(
        name, MetaData(),
        Column("record_id", String(32), primary_key=True), Column("version", String(64)), Column("sequence", BigInteger, nullable=False),
        Column("delivery_id", String(32), nullable=False), Column("withdrawn_at", DateTime), Column("received_at", DateTime, nullable=False), *fields,
        mysql_charset="utf8mb4",
    )  # fmt: skip


def _deliveries_table(name: str) -> Table:
    return Table(
        name, MetaData(),
        Column("delivery_id", String(32), primary_key=True), Column("share", String(96), nullable=False), Column("item", String(32), nullable=False),
        Column("sequence", BigInteger, nullable=False), Column("records", Integer, nullable=False), Column("basis", String(200), nullable=False),
        Column("received_at", DateTime, nullable=False), mysql_charset="utf8mb4",
    )  # fmt: skip


def _type(dtype: pl.DataType) -> TypeEngine[Any]:
    if dtype.is_integer():
        return BigInteger()
    if isinstance(dtype, pl.Decimal):
        return Numeric(18, dtype.scale)
    if dtype.is_float():
        return Numeric(18, 6)
    if dtype == pl.Date:
        return Date()
    return DateTime() if isinstance(dtype, pl.Datetime) else Text()


def _first(connection: Connection, deliveries: Table, row: Mapping[str, Any]) -> bool:
    """Note the delivery; False where it is noted already."""
    known = select(deliveries.c.delivery_id).where(deliveries.c.delivery_id == row["delivery_id"])
    if connection.execute(known).first() is not None:
        return False
    connection.execute(insert(deliveries).values(row))
    return True


def _upsert(connection: Connection, records: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Bring records up to date; what a later delivery brought stays."""
    if not rows:
        return
    names = [name for name in rows[0] if name != "record_id"]
    if connection.dialect.name == "postgresql":
        new = postgresql.insert(records)
        newer = records.c.sequence <= new.excluded.sequence
        connection.execute(new.on_conflict_do_update(index_elements=["record_id"], set_={n: new.excluded[n] for n in names}, where=newer), list(rows))
        return
    fresh = mysql.insert(records)
    later = [n for n in names if n != "sequence"]  # the sequence comes last: MariaDB reads columns that were set before
    changes = [(n, func.if_(records.c.sequence <= fresh.inserted.sequence, fresh.inserted[n], records.c[n])) for n in later]
    changes.append(("sequence", func.greatest(records.c.sequence, fresh.inserted.sequence)))
    connection.execute(fresh.on_duplicate_key_update(changes), list(rows))


def _transaction(connection: Connection) -> str:
    """The server's own number of the transaction, as evidence; empty where it gives none."""
    if connection.dialect.name != "postgresql":
        return ""
    return str(connection.execute(select(func.txid_current())).scalar_one())


def _code(error: SQLAlchemyError) -> str:
    original = getattr(error, "orig", None)
    arguments = getattr(original, "args", ())
    if arguments and isinstance(arguments[0], int):
        return str(arguments[0])
    return str(getattr(original, "sqlstate", None) or next((code for phrase, code in _SAID.items() if phrase in str(original)), ""))
