"""How fast the SQLite store takes new rows and known rows, beside a plain `sqlite3` upsert of the same rows.

Run as `python -m tests.benchmarks.store_load [--batches N] [--folder DIR]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl

from connectors.stores.sqlite import SqliteStore
from connectors.stores.stored import to_stored
from connectors.stores.tables import item_table
from hub.contracts.batch import OP, ORDINAL, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS, SUBJECT_ID, Batch, Header, Origin
from hub.contracts.item import Field, Item, Kind, Level
from hub.contracts.keys import KeyRing
from hub.contracts.store import SUBJECTS_SCHEMA

ROWS = 50_000
SUBJECTS = 200_000
KEYS = KeyRing("0" * 64, {"k1": b"1" * 32})
TEXTS = ("uscc", "name", "doc_no", "basis", "facts", "content", "office", "office_code", "remark")
ITEM = Item(
    code="A0030-F06-01",
    name="行政处罚信息",
    name_en="penalties",
    agency="A0030",
    subject="F",
    level=Level.OPEN,
    store="ent",
    natural_key=(("doc_no",),),
    fields=(
        *(Field(name, name) for name in TEXTS),
        Field("fine", "fine", Kind.NUMBER, scale=2),
        Field("months", "months", Kind.NUMBER),
        Field("decided", "decided", Kind.DATE),
        Field("public_until", "public_until", Kind.DATE),
    ),
)


def batch(number: int, arrival: int) -> tuple[Batch, pl.DataFrame]:
    """One batch of `ROWS` rows, the same for every arrival but for its id, and its subjects."""
    row = pl.Series("i", np.arange(number * ROWS, (number + 1) * ROWS))
    text, subject = pl.col("i").cast(pl.String), (pl.col("i") % SUBJECTS).cast(pl.String)
    frame = row.to_frame().select(
        pl.col("i").alias(ORDINAL),
        pl.lit("U").alias(OP),
        KEYS.hash(text).alias(RECORD_ID),
        KEYS.hash(pl.lit("row") + text).alias(ROW_HASH),
        KEYS.hash(pl.lit("uscc:") + subject).alias(SUBJECT_ID),
        pl.lit(None, dtype=pl.Datetime("us")).alias(SOURCE_TIME),
        pl.lit(0, dtype=pl.Int8).alias(STATUS),
        (pl.lit("9132") + subject.str.zfill(14)).alias("uscc"),
        *(pl.format("{}第{}号", pl.lit(name), text).alias(name) for name in TEXTS[1:]),
        (pl.col("i") / 4).round(2).cast(pl.Decimal(18, 2)).alias("fine"),
        pl.col("i").alias("months"),
        pl.lit(date(2024, 3, 5)).alias("decided"),
        pl.lit(date(2027, 3, 5)).alias("public_until"),
    )
    named = frame.select(SUBJECT_ID, pl.lit("legal").alias("kind"), pl.lit("uscc").alias("scheme"), pl.col("uscc").alias("identifier"), "name")
    subjects = named.rename({SUBJECT_ID: "subject_id"}).unique("subject_id").cast(SUBJECTS_SCHEMA)  # type: ignore[arg-type]
    header = Header(KEYS.hash_text(f"{number}/{arrival}"), "A0030.penalty", ITEM.code, arrival, number * ROWS, ROWS, "c1", Origin("0" * 64, "a.csv", 0, 1))
    return Batch(header, frame), subjects


async def measure(path: Path, batches: int, arrivals: int = 2) -> Iterator[float]:
    """Rows per second of each arrival."""
    store = SqliteStore(path, KEYS)
    await store.prepare([ITEM])
    speeds = []
    for arrival in range(1, arrivals + 1):
        spent = 0.0
        for number in range(batches):
            rows, subjects = batch(number, arrival)
            started = time.perf_counter()
            await store.apply(rows, ITEM, subjects)
            spent += time.perf_counter() - started
        speeds.append(batches * ROWS / spent)
    assert await store.count(ITEM.code) == batches * ROWS
    await store.close()
    return iter(speeds)


def floor(path: Path, batches: int) -> float:
    """Rows per second of `executemany` with an upsert on the record number, durable as the store is."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    names = [column.name for column in item_table(ITEM).columns]
    connection.execute(f"CREATE TABLE t ({', '.join(names)}, PRIMARY KEY (record_id))")
    changes = ", ".join(f"{name}=excluded.{name}" for name in names[1:])
    upsert = f"INSERT INTO t VALUES ({', '.join('?' * len(names))}) ON CONFLICT (record_id) DO UPDATE SET {changes}"
    spent = 0.0
    for number in range(batches):
        rows, _ = batch(number, 1)
        plain = to_stored(rows.frame, ITEM, rows.header, KEYS, datetime(2026, 11, 1)).with_columns(pl.col(pl.Date, pl.Datetime, pl.Decimal).cast(pl.String))
        started = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(upsert, plain.rows())
        connection.execute("COMMIT")
        spent += time.perf_counter() - started
    connection.close()
    return batches * ROWS / spent


def main() -> None:
    """Print speeds and peak memory as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=26)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        new, again = asyncio.run(measure(Path(folder) / "store.sqlite", options.batches))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        plain = floor(Path(folder) / "floor.sqlite", options.batches)
    print(json.dumps({"new_rows_per_s": round(new), "again_rows_per_s": round(again), "floor_rows_per_s": round(plain), "peak_mb": peak}))


if __name__ == "__main__":
    main()
