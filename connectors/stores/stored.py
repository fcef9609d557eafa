"""Rows between their two forms: plain and typed in a batch, and as a store keeps them."""

from __future__ import annotations

import io
from datetime import datetime

import polars as pl
from sqlalchemy import Table

from connectors.stores.tables import dtype_of, hash_column, item_table
from hub.contracts.batch import OP, ORDINAL, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS, SUBJECT_ID, Fate, Header
from hub.contracts.item import HUB_COLUMNS, Item
from hub.contracts.keys import KeyRing

JOURNAL_OP = "_op"
_OPS = {int(Fate.INSERTED): "insert", int(Fate.UPDATED): "update", int(Fate.WITHDRAWN): "withdraw"}
_UNMATCHED_COLUMNS = (ORDINAL, OP, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS)


def schema_of(table: Table) -> dict[str, pl.DataType]:
    """Column names and types of a table's frame."""
    return {column.name: dtype_of(column.type) for column in table.columns}


def _own_columns(rows: pl.DataFrame, item: Item, keys: KeyRing) -> list[pl.Series]:
    """The item's fields as stored; only sealed ones cost anything."""
    stored = []
    for field in item.fields:
        values = rows[field.name] if field.name in rows.columns else pl.Series(field.name, [None] * rows.height, dtype=pl.String)
        if field.sealed:
            text = values.cast(pl.String)
            stored.append(keys.seal_values(text).alias(field.name))
            stored.append(rows.select(keys.hash(pl.lit(text)).alias(hash_column(field.name))).to_series())
        else:
            stored.append(values)
    return stored


def to_stored(rows: pl.DataFrame, item: Item, header: Header, keys: KeyRing, at: datetime) -> pl.DataFrame:
    """Rows of a batch as the item's table keeps them; a `first_seen` column is kept, else it is now."""
    first_seen = pl.col("first_seen") if "first_seen" in rows.columns else pl.lit(at)
    withdrawn = pl.when(pl.col(OP) == "D").then(1).otherwise(pl.col(STATUS).fill_null(0))
    hub = rows.select(
        pl.col(RECORD_ID).alias("record_id"),
        pl.col(SUBJECT_ID).alias("subject_id"),
        pl.col(ROW_HASH).alias("row_hash"),
        pl.col(SOURCE_TIME).dt.truncate("1s").alias("source_time"),
        pl.lit(header.arrival).alias("arrival"),
        pl.lit(header.feed).alias("feed"),
        pl.lit(header.batch_id).alias("batch_id"),
        pl.col(ORDINAL).alias("ordinal"),
        withdrawn.cast(pl.Int64).alias("status"),
        first_seen.cast(pl.Datetime("us")).alias("first_seen"),
        pl.lit(at).cast(pl.Datetime("us")).alias("updated_at"),
    )
    frame = hub.hstack(_own_columns(rows, item, keys))
    return frame.cast(schema_of(item_table(item)))  # type: ignore[arg-type]


def withdrawn(stored: pl.DataFrame, rows: pl.DataFrame, header: Header, at: datetime) -> pl.DataFrame:
    """Stored rows with their content kept and everything else from the deleting rows."""
    deleting = rows.select(pl.col(RECORD_ID).alias("record_id"), pl.col(ORDINAL).alias("ordinal"), pl.col(SOURCE_TIME).dt.truncate("1s").alias("source_time"))
    kept = stored.drop("ordinal", "source_time").join(deleting, on="record_id", how="inner")
    marks = {"arrival": header.arrival, "feed": header.feed, "batch_id": header.batch_id, "status": 1}
    frame = kept.with_columns(*(pl.lit(value).alias(name) for name, value in marks.items()), pl.lit(at).cast(pl.Datetime("us")).alias("updated_at"))
    return frame.select(stored.columns).cast(dict(stored.schema))  # type: ignore[arg-type]


def opened(stored: pl.DataFrame, item: Item, keys: KeyRing) -> pl.DataFrame:
    """Stored rows with sealed fields in clear and without their hashes: the hub's columns, then the item's fields."""
    frame = stored.select(*HUB_COLUMNS, *(field.name for field in item.fields))
    return frame.with_columns(keys.open_values(frame[field.name]) for field in item.fields if field.sealed)


def sealed_rows(rows: pl.DataFrame, item: Item, keys: KeyRing) -> pl.Series:
    """Each row as sealed JSON, for the rows that wait for their subject."""
    names = [*_UNMATCHED_COLUMNS, *(field.name for field in item.fields if field.name in rows.columns)]
    return keys.seal_values(rows.select(pl.struct(names).struct.json_encode().alias("row")).to_series())


def op_of(fates: pl.Expr) -> pl.Expr:
    """The journal's word for a fate."""
    return fates.cast(pl.Int64).replace_strict(_OPS, return_dtype=pl.String)


def _about(item: str, seq: int) -> bytes:
    return f"{item}/{seq}".encode()


def journal_body(rows: pl.DataFrame, item: str, seq: int, keys: KeyRing) -> bytes:
    """Changed rows (`JOURNAL_OP` and the table's columns) as sealed Parquet."""
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
    return keys.seal(buffer.getvalue(), _about(item, seq))


def journal_rows(body: bytes, item: str, seq: int, keys: KeyRing) -> pl.DataFrame:
    """Inverse of `journal_body`, with the record number as `RECORD_ID` too."""
    rows = pl.read_parquet(io.BytesIO(keys.open(body, _about(item, seq))))
    return rows.select(pl.col("record_id").alias(RECORD_ID), pl.col(JOURNAL_OP), pl.exclude(JOURNAL_OP))
