"""Parcels as CloudEvents 1.0 in structured JSON mode (cloudevents.io, JSON event format 1.0.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import orjson
import polars as pl

from hub.contracts.share import Parcel

CONTENT_TYPE = "application/cloudevents+json"
TYPE = "cn.credit-hub.records.v1"
_OFFSET = "+08:00"  # times in stores are local to Asia/Shanghai, which has no summer time
_ENVELOPE = ("record_id", "op", "version")


def to_event(parcel: Parcel) -> bytes:
    """One event: `id` is the delivery id and the same at each attempt, `sequence` (the extension, as text) counts per share from 1.

    `data.records` holds up to 500 objects of record_id, op, version and fields; `fields` is missing where op is withdraw. Decimals are text, so that
    no digit is lost; dates are ISO 8601, times carry their offset.
    """
    records = orjson.Fragment(b"[" + b",".join(line.encode() for line in _lines(parcel.records)) + b"]")
    data = {"share": parcel.share, "to": parcel.to, "item": parcel.item, "item_name": parcel.item_name, "basis": parcel.basis, "count": parcel.records.height}
    event = {
        "specversion": "1.0",
        "id": parcel.delivery_id,
        "source": f"/credit-hub/shares/{quote(parcel.share, safe='')}",
        "type": TYPE,
        "subject": parcel.item,
        "time": _instant(parcel.at),
        "datacontenttype": "application/json",
        "sequence": str(parcel.sequence),
        "sequencetype": "Integer",
        **({"traceparent": parcel.traceparent} if parcel.traceparent else {}),
        "data": {**data, "records": records},
    }
    return orjson.dumps(event)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _lines(records: pl.DataFrame) -> list[str]:
    """Each record as one JSON object, in order."""
    fields = [name for name in records.columns if name not in _ENVELOPE]
    head = [pl.col(name) for name in _ENVELOPE]
    whole = pl.struct(*head, pl.struct(*(_plain(name, records.schema[name]) for name in fields)).alias("fields")) if fields else pl.struct(*head)
    ended = pl.col("op") == "withdraw"
    chosen = pl.when(ended).then(pl.struct(*head).struct.json_encode()).otherwise(whole.struct.json_encode())
    return records.select(chosen.alias("line"))["line"].to_list()


def _plain(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S") + pl.lit(_OFFSET)
    return column.cast(pl.String) if isinstance(dtype, pl.Date | pl.Decimal) else column
