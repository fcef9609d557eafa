"""What a batch changes: each row's fate, found out before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from hub.contracts.batch import OP, ORDINAL, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS, SUBJECT_ID, Fate, Header

ROW = "_row"  # position of a row in the batch's frame
KNOWN = "_known"
FATE = "_fate"
# What the store says about the records of a batch: first what tells sameness, then what tells order.
STATE_COLUMNS = ("record_id", "row_hash", "status")
ORDER_COLUMNS = ("record_id", "source_time", "feed", "arrival", "ordinal", "first_seen", "generation")
WITHDRAWN = 1  # record status

Fates = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write. The four frames hold `ROW` and, for known records, `first_seen`; `withdraw` keeps the stored content."""

    fates: Fates
    insert: pl.DataFrame
    update: pl.DataFrame
    withdraw: pl.DataFrame
    unmatched: pl.DataFrame


def one_row_per_record(frame: pl.DataFrame) -> tuple[pl.DataFrame, Fates]:
    """The last row of each record, cut to what decides, and the fates of the rows before it.

    An earlier row is a duplicate where it says the same as the last, superseded where not.
    """
    rows = frame.select(
        RECORD_ID,
        ROW_HASH,
        ORDINAL,
        pl.col(SOURCE_TIME).cast(pl.Datetime("us")).dt.truncate("1s"),
        pl.col(OP).eq("D").alias("_delete"),
        pl.when(pl.col(OP) == "D").then(WITHDRAWN).otherwise(pl.col(STATUS).fill_null(0)).cast(pl.Int64).alias("_target"),
        pl.col(SUBJECT_ID).is_null().alias("_unmatched"),
    ).with_row_index(ROW)
    fates = np.zeros(frame.height, dtype=np.uint8)
    if rows[RECORD_ID].n_unique() == rows.height:
        return rows, fates
    said = pl.struct(ROW_HASH, "_target", "_delete")
    marked = rows.with_columns(last=pl.col(ROW).last().over(RECORD_ID), same=said.last().over(RECORD_ID) == said)
    earlier = pl.col(ROW) != pl.col("last")
    fate = pl.when(earlier & pl.col("same")).then(int(Fate.DUPLICATE)).when(earlier).then(int(Fate.SUPERSEDED)).otherwise(0)
    fates[:] = marked.select(fate).to_series().to_numpy()
    return rows.filter(marked.select(~earlier).to_series()), fates


def _same() -> pl.Expr:
    withdrawn_already = pl.col("status") == WITHDRAWN
    equal = (pl.col(ROW_HASH) == pl.col("row_hash")) & (pl.col("_target") == pl.col("status"))
    return pl.col(KNOWN).is_not_null() & pl.when("_delete").then(withdrawn_already).otherwise(equal)


def compare(rows: pl.DataFrame, states: pl.DataFrame, header: Header) -> pl.DataFrame:
    """Join rows with the store's `STATE_COLUMNS`; `FATE` is set where that is enough to decide, null where order decides.

    The end of a snapshot withdraws nothing that is not there.
    """
    fate = (
        pl.when(pl.col(KNOWN).is_null() & pl.lit(header.withdraws))
        .then(int(Fate.UNCHANGED))
        .when(pl.col(KNOWN).is_null() & (pl.col("_delete") | (~pl.col("_unmatched") & (pl.col("_target") == WITHDRAWN))))
        .then(int(Fate.WITHDRAWN))
        .when(pl.col(KNOWN).is_null() & pl.col("_unmatched"))
        .then(int(Fate.UNMATCHED))
        .when(pl.col(KNOWN).is_null())
        .then(int(Fate.INSERTED))
        .when(_same())
        .then(int(Fate.UNCHANGED))
    )
    known = states.with_columns(pl.lit(True).alias(KNOWN))
    return rows.join(known, left_on=RECORD_ID, right_on="record_id", how="left", maintain_order="left").with_columns(fate.cast(pl.UInt8).alias(FATE))


def _newer(header: Header, priority: Mapping[str, int]) -> pl.Expr:
    """Later source time where both have one; then the feed's priority; then arrival, ordinal, generation."""
    mine, theirs = pl.col(SOURCE_TIME), pl.col("source_time")
    timed = mine.is_not_null() & theirs.is_not_null() & (mine != theirs)
    rank = pl.col("feed").replace_strict(dict(priority), default=0, return_dtype=pl.Int64) if priority else pl.lit(0, dtype=pl.Int64)
    own_rank = priority.get(header.feed, 0)
    arrival, ordinal = pl.col("arrival"), pl.col("ordinal")
    return (
        pl.when(timed)
        .then(mine > theirs)
        .when(rank != own_rank)
        .then(rank < own_rank)
        .when(arrival != header.arrival)
        .then(arrival < header.arrival)
        .when(ordinal != pl.col(ORDINAL))
        .then(ordinal < pl.col(ORDINAL))
        .otherwise(pl.col("generation").fill_null(0) < header.generation)
    )


def _decide(differing: pl.DataFrame, order: pl.DataFrame, header: Header, priority: Mapping[str, int]) -> pl.DataFrame:
    """Fates of rows that say something else than the store, by the store's `ORDER_COLUMNS`."""
    newer = _newer(header, priority)
    if header.withdraws:  # only what this feed wrote last
        newer = newer & (pl.col("feed") == header.feed)
    fate = (
        pl.when(~newer)
        .then(int(Fate.SUPERSEDED))
        .when(pl.col("_delete"))
        .then(int(Fate.WITHDRAWN))
        .when(pl.col("_unmatched"))
        .then(int(Fate.UNMATCHED))
        .when(pl.col("_target") == WITHDRAWN)
        .then(int(Fate.WITHDRAWN))
        .otherwise(int(Fate.UPDATED))
    )
    joined = differing.join(order, left_on=RECORD_ID, right_on="record_id", how="left", maintain_order="left")
    return joined.with_columns(fate.cast(pl.UInt8).alias(FATE))


def undecided(compared: pl.DataFrame) -> pl.Series:
    """Record numbers whose order has to be looked up."""
    return compared.filter(pl.col(FATE).is_null())[RECORD_ID]


def finish(compared: pl.DataFrame, order: pl.DataFrame, header: Header, priority: Mapping[str, int], fates: Fates) -> Plan:
    """The plan of a batch; `fates` holds those of the rows that `one_row_per_record` left out."""
    fresh = compared.filter(pl.col(FATE).is_not_null())
    decided = _decide(compared.filter(pl.col(FATE).is_null()), order, header, priority)
    for part in (fresh, decided):
        fates[part[ROW].to_numpy()] = part[FATE].to_numpy()
    writes = decided.filter(pl.col(FATE).is_in([int(Fate.UPDATED), int(Fate.WITHDRAWN)]))
    unmatched = pl.concat([part.filter(pl.col(FATE) == int(Fate.UNMATCHED)).select(ROW) for part in (fresh, decided)])
    return Plan(
        fates=fates,
        insert=fresh.filter(pl.col(KNOWN).is_null() & ~pl.col(FATE).is_in([int(Fate.UNMATCHED), int(Fate.UNCHANGED)])).select(ROW),
        update=writes.filter(~pl.col("_delete")).select(ROW, "first_seen"),
        withdraw=writes.filter(pl.col("_delete")).select(ROW, "first_seen"),
        unmatched=unmatched.sort(ROW),
    )
