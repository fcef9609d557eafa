"""A parcel as a file: its rows, a name that holds the delivery id, and the manifest that goes last."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from connectors.formats import names
from hub.contracts.errors import Rejected
from hub.contracts.share import Parcel

FileKind = Literal["csv", "jsonl"]
FileEncoding = Literal["utf-8", "gb18030", "gbk"]


@dataclass(frozen=True, slots=True)
class ParcelFile:
    """One parcel as it is written: `manifest` is JSON with `evidence` (file, rows, bytes, sha256) and what the delivery is about."""

    name: str
    content: bytes
    manifest: bytes
    evidence: Mapping[str, Any]


def as_file(parcel: Parcel, kind: FileKind, encoding: FileEncoding) -> ParcelFile:
    """The file `<share>_<sequence>_<delivery id>.<kind>`, the same for each attempt. Raises `Rejected` when the encoding lacks a character."""
    content = _content(parcel, kind, encoding)
    name = names.safe(f"{parcel.share}_{parcel.sequence:06}_{parcel.delivery_id}.{kind}")
    evidence = {"file": name, "rows": parcel.records.height, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    told = evidence | {"share": parcel.share, "sequence": parcel.sequence, "delivery_id": parcel.delivery_id, "item": parcel.item, "basis": parcel.basis}
    return ParcelFile(name, content, json.dumps(told, ensure_ascii=False).encode(), evidence)


def _content(parcel: Parcel, kind: FileKind, encoding: FileEncoding) -> bytes:
    first = [c for c in ("record_id", "op", "version") if c in parcel.records.columns]
    rows = parcel.records.select(*first, pl.exclude(first))
    out = io.BytesIO()
    if kind == "jsonl":
        rows.write_ndjson(out)
        return out.getvalue()
    rows.write_csv(out, line_terminator="\r\n")
    if encoding == "utf-8":
        return out.getvalue()
    try:
        return out.getvalue().decode().encode(encoding)
    except UnicodeEncodeError as error:
        hint = "set `encoding: utf-8` or `gb18030` for this outlet"
        raise Rejected(f"a character of the parcel does not exist in {encoding}", hint=hint, code="encoding") from error
