"""Corrected rows come back as a new batch that names the batch and ordinals it resolves; the settled one never changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
from sqlalchemy import Row, func, select

from hub.contracts.batch import LINE, ORDINAL, RECORD_ID, Batch, Header, Origin
from hub.contracts.blocking import to_its_end
from hub.contracts.errors import Misconfigured, Rejected
from hub.contracts.item import Item
from hub.contracts.source import Source
from hub.landing import Landing
from hub.tables import batch as batches
from hub.tables import quarantine
from routes.snapshot import closing_batch

if TYPE_CHECKING:
    from routes.city import City

_LARGEST = 64 << 20
_AT_ONCE = 10_000


async def again_from_landing(source: Source, item: Item, landing: Landing, header: Header, cut: dict[str, Any]) -> Batch:
    """The very same batch again, with its rows: cut from the agency's bytes, or, for corrected rows and the end of a snapshot, read as they were landed."""
    if header.withdraws:
        with landing.open(header.origin.landed) as stream:
            return closing_batch(header, item, stream.read(_LARGEST))
    if not header.reenters:
        return await source.again(replace(header, same_as=""), cut)
    with landing.open(header.origin.landed) as stream:
        return Batch(header, frame_of(json.loads(stream.read(_LARGEST))))


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows `{ordinal, line, cells}` as an intake frame: text columns under the agency's own headings."""
    headings = list(dict.fromkeys(heading for row in rows for heading in row["cells"]))
    columns: dict[str, Any] = {
        ORDINAL: pl.Series([row["ordinal"] for row in rows], dtype=pl.Int64),
        LINE: pl.Series([row["line"] for row in rows], dtype=pl.Int64),
    }
    return pl.DataFrame(columns | {h: pl.Series([row["cells"].get(h) for row in rows], dtype=pl.String) for h in headings})


async def reenter(city: City, ids: Sequence[int], changes: Mapping[str, str], because: str) -> dict[str, int]:
    """Send quarantined rows again under the present configuration, cells corrected first; one batch for each batch they were set aside from."""
    query = select(quarantine).where(quarantine.c.id.in_(list(ids)[:_AT_ONCE]), quarantine.c.state == "open").order_by(quarantine.c.ordinal)
    rows = await city.state.read(lambda c: c.execute(query).all())
    groups: dict[str, list[Row[Any]]] = {}
    for row in rows:
        groups.setdefault(row.batch_id, []).append(row)
    for batch_id, group in groups.items():
        cells = await _as_written(city, batch_id, group)
        await _send(city, batch_id, [_corrected(row, cells[row.ordinal], changes) for row in group])
    await city.ledger.note("reentered", "quarantine", ids=[row.id for row in rows][:100], because=because, corrected=sorted(changes))
    return {"reentered": len(rows), "batches": len(groups), "skipped": len(set(ids)) - len(rows)}


async def _as_written(city: City, batch_id: str, rows: Sequence[Row[Any]]) -> dict[int, dict[str, Any]]:
    """Cells by ordinal, under the agency's own headings. A row that a store refused was kept as the store was to have it, and is read again from landing."""
    cells = {row.ordinal: json.loads(city.keys.open(row.raw, row.batch_id.encode())) for row in rows}
    refused_by_store = [ordinal for ordinal, found in cells.items() if RECORD_ID in found]
    if refused_by_store:
        header = city.ledger.header(await _found(city, batch_id))
        route = city.feeds[header.feed]
        whole = await again_from_landing(route.source, route.feed.item, city.landing, header, await city.ledger.cut_of(header))
        chosen = whole.frame.filter(pl.col(ORDINAL).is_in(refused_by_store)).drop(LINE)
        cells |= {row.pop(ORDINAL): row for row in chosen.iter_rows(named=True)}
    return cells


def _corrected(row: Row[Any], cells: Mapping[str, Any], changes: Mapping[str, str]) -> dict[str, Any]:
    if not cells or "" in cells:
        raise Rejected(f"row {row.id} could not be read as cells, so it cannot be sent again", hint="ask the agency for a corrected file, or ignore the row")
    if unknown := changes.keys() - cells.keys():
        raise Misconfigured(f"row {row.id} has no heading {min(unknown)!r}", hint="its headings: " + "、".join(cells))
    return {"ordinal": row.ordinal, "line": row.line, "cells": {**cells, **changes}}


async def _send(city: City, batch_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Land, open, check, publish and settle: the order that every batch has."""
    route, header = await _header(city, batch_id, rows)
    await city.feeds[route].pipeline.carry(Batch(header, frame_of(rows)))


async def _header(city: City, batch_id: str, rows: Sequence[Mapping[str, Any]]) -> tuple[str, Header]:
    found = await _found(city, batch_id)
    latest = select(func.max(batches.c.generation)).where(batches.c.item == found.item, batches.c.arrival == found.arrival)
    generation = int(await city.state.read(lambda c: c.execute(latest).scalar_one())) + 1
    content = json.dumps(rows, ensure_ascii=False).encode()
    landed = await _landed(city.executor, city.landing, content)
    ordinals = tuple(int(row["ordinal"]) for row in rows)
    parts = (found.feed, str(found.arrival), str(ordinals[0]), hashlib.sha256(content).hexdigest(), str(generation))
    origin = Origin(landed, city.ledger.open_text(found.name), 0, len(content), int(rows[0]["line"] or 1))
    identity = city.keys.hash_text("\x1f".join(parts))
    version = city.config.version
    header = Header(identity, found.feed, found.item, found.arrival, ordinals[0], len(rows), version, origin, generation, batch_id, ordinals)
    return found.feed, header


async def _found(city: City, batch_id: str) -> Row[Any]:
    found = await city.state.read(lambda c: c.execute(select(batches).where(batches.c.batch_id == batch_id)).one())
    if found.feed not in city.feeds:
        raise Misconfigured(f"feed {found.feed} is not configured any more", hint="bring it back to send its rows again")
    return found


async def _landed(executor: ThreadPoolExecutor, landing: Landing, content: bytes) -> str:
    return (await to_its_end(executor, landing.put, content)).digest
