"""The plain ways of loading rows that may be there already: what a careful person would write for each engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import polars as pl
import pymysql
from sqlalchemy import Table
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable

from tests.databases import HOST, PASSWORD, USER, MariaServer, PostgresServer

Way = AbstractContextManager[Callable[[pl.DataFrame], None]]
_MOMENT = "%Y-%m-%d %H:%M:%S"


def _ddl(table: Table, dialect: Dialect) -> str:
    return str(CreateTable(table).compile(dialect=dialect))


@contextmanager
def sqlite(path: Path, table: Table) -> Iterator[Callable[[pl.DataFrame], None]]:
    """`executemany` with an upsert on the record number, durable as the store is."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    names = [column.name for column in table.columns]
    connection.execute(f"CREATE TABLE t ({', '.join(names)}, PRIMARY KEY (record_id))")
    changes = ", ".join(f"{name}=excluded.{name}" for name in names[1:])
    upsert = f"INSERT INTO t VALUES ({', '.join('?' * len(names))}) ON CONFLICT (record_id) DO UPDATE SET {changes}"

    def load(rows: pl.DataFrame) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(upsert, rows.with_columns(pl.col(pl.Date, pl.Datetime, pl.Decimal).cast(pl.String)).rows())
        connection.execute("COMMIT")

    yield load
    connection.close()


@contextmanager
def postgres(server: PostgresServer, table: Table) -> Iterator[Callable[[pl.DataFrame], None]]:
    """COPY into a staging table, then a merge into the table with its key."""
    with server.connect(server.database()) as connection:
        connection.execute(_ddl(table, postgresql.dialect()))  # type: ignore[no-untyped-call]
        connection.execute(f"CREATE TEMP TABLE stage (LIKE {table.name}) ON COMMIT DELETE ROWS")
        changes = ", ".join(f"{column.name}=excluded.{column.name}" for column in table.columns if not column.primary_key)
        merge = f"INSERT INTO {table.name} SELECT * FROM stage ON CONFLICT (record_id) DO UPDATE SET {changes}"

        def load(rows: pl.DataFrame) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy("COPY stage FROM STDIN (FORMAT csv)") as copy:
                    copy.write(rows.write_csv(include_header=False, datetime_format=_MOMENT))
                cursor.execute(merge)

        yield load


@contextmanager
def maria(server: MariaServer, table: Table, folder: Path) -> Iterator[Callable[[pl.DataFrame], None]]:
    """LOAD DATA into a staging table, then an insert that updates where the key is there."""
    file = folder / "rows.csv"
    options = {"charset": "utf8mb4", "local_infile": True}
    with pymysql.connect(host=HOST, port=server.port, user=USER, password=PASSWORD, database=server.database(), **options) as connection:
        cursor = connection.cursor()
        cursor.execute(_ddl(table, mysql.dialect()))
        cursor.execute(f"CREATE TEMPORARY TABLE stage LIKE {table.name}")
        cursor.execute("ALTER TABLE stage DROP PRIMARY KEY")
        changes = ", ".join(f"{column.name}=VALUES({column.name})" for column in table.columns if not column.primary_key)

        def load(rows: pl.DataFrame) -> None:
            file.write_bytes(rows.write_csv(include_header=False, datetime_format=_MOMENT, null_value="\\N").encode())
            cursor.execute("TRUNCATE stage")
            cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE stage CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"'")
            cursor.execute(f"INSERT INTO {table.name} SELECT * FROM stage ON DUPLICATE KEY UPDATE {changes}")
            connection.commit()

        yield load
