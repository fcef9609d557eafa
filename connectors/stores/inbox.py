"""The inbox of a store: which batches were applied, with the fate of every row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl
import zstandard
from sqlalchemy import insert, select

from connectors.stores.session import Session
from connectors.stores.tables import HEAD, INBOX
from hub.contracts.batch import REFUSED_SCHEMA, Header, Receipt

_MOST_ROWS = 1 << 24


def find_receipt(session: Session, batch_id: str) -> Receipt | None:
    """The receipt of a batch that was applied."""
    found = session.fetch(select(INBOX.c.fates, INBOX.c.refused, INBOX.c.seq).where(INBOX.c.batch_id == batch_id))
    if not found.height:
        return None
    fates, refused, seq = found.row(0)
    plain = zstandard.ZstdDecompressor().decompress(fates, max_output_size=_MOST_ROWS)
    return Receipt(
        batch_id=batch_id,
        fates=np.frombuffer(plain, dtype=np.uint8),
        refused=pl.DataFrame(json.loads(refused), schema=REFUSED_SCHEMA, orient="row"),
        seq=seq,
        seen=True,
    )


def keep_receipt(session: Session, header: Header, receipt: Receipt, at: datetime) -> None:
    """Write the inbox row of a batch."""
    row = {
        "batch_id": header.batch_id,
        "item": header.item,
        "feed": header.feed,
        "arrival": header.arrival,
        "first": header.first,
        "generation": header.generation,
        "config": header.config,
        "reenters": header.reenters,
        "rows": len(receipt.fates),
        "fates": zstandard.ZstdCompressor().compress(receipt.fates.tobytes()),
        "refused": json.dumps(receipt.refused.rows()),
        "counts": json.dumps(receipt.counts),
        "seq": receipt.seq,
        "applied_at": at,
    }
    schema = {"seq": pl.Int64, "fates": pl.Binary}
    session.run(insert(INBOX), pl.DataFrame([row], schema_overrides=schema))


def counts_of(session: Session, item: str) -> dict[str, Mapping[str, int]]:
    """Counts per fate word of every batch of an item."""
    found = session.fetch(select(INBOX.c.batch_id, INBOX.c.counts).where(INBOX.c.item == item))
    return {batch_id: json.loads(counts) for batch_id, counts in found.iter_rows()}


def head_of(session: Session, item: str) -> int:
    """The item's latest journal sequence, 0 before the first change."""
    found = session.fetch(select(HEAD.c.seq).where(HEAD.c.item == item))
    return int(found.item()) if found.height else 0
