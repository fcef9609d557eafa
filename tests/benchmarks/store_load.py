"""How fast a store takes new rows and known rows, beside the plain way of loading the same rows into the same engine in the same run.

Run as `python -m tests.benchmarks.store_load [--engine sqlite|postgres|maria] [--rows N] [--folder DIR]`. Servers are started for it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl

from connectors.stores import open_store
from connectors.stores.stored import to_stored
from connectors.stores.tables import item_table
from hub.contracts.batch import OP, ORDINAL, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS, SUBJECT_ID, Batch, Header, Origin
from hub.contracts.item import Field, Item, Kind, Level
from hub.contracts.keys import KeyRing
from hub.contracts.store import SUBJECTS_SCHEMA, Store
from tests.benchmarks import plain_loads
from tests.databases import MariaServer, PostgresServer

ROWS = 32_000
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


async def measure(store: Store, batches: int, arrivals: int = 2) -> list[float]:
    """Rows per second of each arrival."""
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
    return speeds


def plainly(way: plain_loads.Way, batches: int) -> float:
    """Rows per second of the plain way, which is given the rows as the store keeps them and commits each batch."""
    spent = 0.0
    with way as load:
        for number in range(batches):
            rows, _ = batch(number, 1)
            kept = to_stored(rows.frame, ITEM, rows.header, KEYS, datetime(2026, 11, 1))
            started = time.perf_counter()
            load(kept)
            spent += time.perf_counter() - started
    return batches * ROWS / spent


@contextmanager
def engine(name: str, folder: Path) -> Iterator[tuple[Store, plain_loads.Way]]:
    """A store and the plain way on one engine, with a database each."""
    table = item_table(ITEM)
    if name == "sqlite":
        yield open_store(str(folder / "store.sqlite"), KEYS), plain_loads.sqlite(folder / "plain.sqlite", table)
    elif name == "postgres":
        with PostgresServer() as postgres:
            yield open_store(postgres.url(postgres.database()), KEYS), plain_loads.postgres(postgres, table)
    else:
        with MariaServer() as maria:
            yield open_store(maria.url(maria.database()), KEYS), plain_loads.maria(maria, table, folder)


def main() -> None:
    """Print speeds, ratios and peak memory as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("sqlite", "postgres", "maria"), default="sqlite")
    parser.add_argument("--rows", type=int, default=1_312_000)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    batches = max(1, options.rows // ROWS)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, engine(options.engine, Path(folder)) as (store, way):
        new, again = asyncio.run(measure(store, batches))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        plain = plainly(way, batches)
    speeds = {"new_rows_per_s": round(new), "again_rows_per_s": round(again), "plain_rows_per_s": round(plain)}
    ratios = {"new_ratio": round(new / plain, 2), "again_ratio": round(again / plain, 1)}
    print(json.dumps({"engine": options.engine, "rows": batches * ROWS, **speeds, **ratios, "peak_mb": peak}))


if __name__ == "__main__":
    main()
