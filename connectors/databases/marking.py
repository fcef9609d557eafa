"""Writes into an agency's status column what became of its rows, once they are settled; rows that it changed meanwhile go on waiting."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from connectors.databases.columns import View
from connectors.databases.dialect import Database
from connectors.databases.frames import bounded, frame_of, hashes
from connectors.databases.settings import Done


def mark(database: Database, view: View, done: Done, landed: pl.DataFrame, refused: Sequence[int]) -> None:
    """Mark the rows of a landed part; `refused` counts them from 0. Blocking; doing it again changes nothing.

    A row is marked only if it still stands there as it was read, and still waits.
    """
    if not landed.height:
        return
    names = list(view.columns)
    same = landed.select(names).with_columns(pl.Series("⟨refused⟩", range(landed.height)).is_in(list(refused)))
    now = _now(database, view, done, str(same.get_column(view.id)[-1]))
    kept = pl.concat([same, hashes(same.select(names))], how="horizontal").join(hashes(now), on=["a", "b"], how="semi", maintain_order="left")
    for value, rows in ((done.taken, kept.filter(~pl.col("⟨refused⟩"))), (done.refused, kept.filter(pl.col("⟨refused⟩")))):
        if rows.height:
            keys = [str(key) for key in rows.get_column(view.id)]
            database.mark(view.relation, done.column, value, key=view.id, keys=keys, expected=done.waiting)


def _now(database: Database, view: View, done: Done, last: str) -> pl.DataFrame:
    """The rows up to an id that wait at this moment."""
    ask = view.ask(order=(view.id,), equals={done.column: done.waiting}, until=(view.id, last), limit=10 * 20_000)
    database.begin()
    try:
        return frame_of(b"".join(bounded(piece.lines, view.columns)[0] for piece in database.read(ask)), view.columns)
    finally:
        database.end()
