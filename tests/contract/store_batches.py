"""Batches as the load leg hands them to a store, and what a store then holds, for the tests of stores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import polars as pl

from hub.contracts.batch import OP, ORDINAL, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS, SUBJECT_ID, Batch, Fate, Header, Origin, Receipt
from hub.contracts.item import Field, Identifier, Item, Kind, Level
from hub.contracts.keys import KeyRing
from hub.contracts.store import SUBJECTS_SCHEMA, Store
from tests.contract.store_oracle import Said

KEYS = KeyRing("5" * 64, {"k1": b"7" * 32})
FEED = "A0030.penalty"
NOW = datetime(2026, 11, 1, 8, 0)
ID_NO = "11010519491231002X"


def item(code: str = "A0030-F06-01", **more: Any) -> Item:
    """An item with a field of every kind, an ID number among them."""
    fields = (
        Field("doc_no", "文书号"),
        Field("text", "内容"),
        Field("fine", "罚款", Kind.NUMBER, scale=2),
        Field("months", "月数", Kind.NUMBER),
        Field("decided", "决定日期", Kind.DATE),
        Field("noted", "时间", Kind.TIME),
        Field("id_no", "身份证号", identifier=Identifier.ID_NO, personal="S"),
    )
    return Item(code, "处罚", "penalties", "A0030", "F", Level.OPEN, "ent", (("doc_no",),), fields, **more)


PENALTY = item()


def batch(rows: Sequence[Said], *, of: Item = PENALTY, feed: str = FEED, arrival: int = 1, generation: int = 0, first: int = 0) -> Batch:
    """A batch as the load leg hands it over; its id depends on all that is said."""
    target = [1 if row.op == "D" else row.status for row in rows]
    frame = pl.DataFrame(
        {
            ORDINAL: range(first, first + len(rows)),
            OP: [row.op for row in rows],
            RECORD_ID: [KEYS.hash_text(row.key) for row in rows],
            ROW_HASH: [KEYS.hash_text(row.text) for row in rows],
            SUBJECT_ID: [row.subject and KEYS.hash_text(row.subject) for row in rows],
            SOURCE_TIME: [row.time for row in rows],
            STATUS: target,
            "doc_no": [row.key for row in rows],
            "text": [row.text for row in rows],
            "fine": ["1234.50"] * len(rows),
            "months": [3] * len(rows),
            "decided": [date(2026, 3, 5)] * len(rows),
            "noted": [datetime(2026, 3, 5, 6, 7, 8)] * len(rows),
            "id_no": [ID_NO] * len(rows),
        },
        schema_overrides={ORDINAL: pl.Int64, SUBJECT_ID: pl.String, SOURCE_TIME: pl.Datetime("us"), STATUS: pl.Int8},
    ).with_columns(pl.col("fine").cast(pl.Decimal(18, 2)))
    batch_id = KEYS.hash_text(f"{of.code}/{feed}/{arrival}/{generation}/{first}/{rows}")
    return Batch(Header(batch_id, feed, of.code, arrival, first, len(rows), "c1", Origin("0" * 64, "a.csv", 0, 1), generation), frame)


def subjects(rows: Sequence[Said]) -> pl.DataFrame:
    """The subjects that the rows name."""
    names = sorted({row.subject for row in rows if row.subject})
    return pl.DataFrame([(KEYS.hash_text(name), "legal", "uscc", name, f"{name}公司") for name in names], schema=SUBJECTS_SCHEMA, orient="row")


async def say(store: Store, *rows: Said, of: Item = PENALTY, fence: int = 0, **header: Any) -> Receipt:
    """Apply rows as one batch."""
    return await store.apply(batch(rows, of=of, **header), of, subjects(rows), fence=fence)


def fates(receipt: Receipt) -> list[Fate]:
    """Fates as words."""
    return [Fate(number) for number in receipt.fates]


async def content(store: Store, of: Item = PENALTY) -> list[dict[str, Any]]:
    """Every stored row, sealed values as they are."""
    columns = [
        "record_id",
        "row_hash",
        "status",
        "arrival",
        "ordinal",
        "feed",
        "batch_id",
        "first_seen",
        "updated_at",
        "source_time",
        "text",
        "id_no",
        "id_no_hash",
    ]
    return [row async for chunk in store.scan(of, columns=columns) for row in chunk.to_dicts()]


async def texts(store: Store) -> dict[str, tuple[str, int]]:
    """Text and status by document number."""
    return {row["doc_no"]: (row["text"], row["status"]) for row in (await store.find(PENALTY)).to_dicts()}
