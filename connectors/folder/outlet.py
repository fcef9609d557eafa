"""Writes what an agency receives into a folder: a data file, then a manifest that says it is complete."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from connectors.folder import names
from connectors.folder.drop import on_disk, write
from connectors.formats.worker import Worker
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Rejected
from hub.contracts.share import Parcel


class FolderOutletConfig(EndpointConfig):
    """A directory from which an agency collects its files."""

    path: Path = Field(description="Directory to write to; a relative one is below HOME. It is created when it is missing.")
    format: Literal["csv", "jsonl"] = Field(default="csv", description="One table with a heading line, or one JSON object a line.")
    encoding: Literal["utf-8", "gb18030", "gbk"] = Field(default="utf-8", description="Character set of a csv file; JSON is always UTF-8.")


class FolderOutlet:
    """Hands parcels over as files `<share>_<sequence>_<delivery id>.csv`. The same delivery has the same name, so a repeat overwrites its equal."""

    def __init__(self, config: FolderOutletConfig, home: Path) -> None:
        self._root = home / config.path
        self._config = config
        self._worker = Worker("folder-outlet", 1)

    async def hand_over(self, parcel: Parcel) -> Mapping[str, Any]:
        """Write file and manifest durably. Raises `Rejected` when the encoding cannot hold a character, `Unavailable` and `Misconfigured` by the disk."""
        return await self._worker.do(self._write, parcel)

    async def close(self) -> None:
        """Let the thread go."""
        self._worker.close()

    def _write(self, parcel: Parcel) -> Mapping[str, Any]:
        content = self._content(parcel)
        name = names.safe(f"{parcel.share}_{parcel.sequence:06}_{parcel.delivery_id}.{self._config.format}")
        evidence = {"file": name, "rows": parcel.records.height, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        told = evidence | {"share": parcel.share, "sequence": parcel.sequence, "delivery_id": parcel.delivery_id, "item": parcel.item, "basis": parcel.basis}
        with on_disk(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            write(self._root / name, content)
            write(self._root / f"{name}.json", json.dumps(told, ensure_ascii=False).encode())
        return evidence

    def _content(self, parcel: Parcel) -> bytes:
        first = [c for c in ("record_id", "op", "version") if c in parcel.records.columns]
        rows = parcel.records.select(*first, pl.exclude(first))
        out = io.BytesIO()
        if self._config.format == "jsonl":
            rows.write_ndjson(out)
            return out.getvalue()
        rows.write_csv(out, line_terminator="\r\n")
        if self._config.encoding == "utf-8":
            return out.getvalue()
        try:
            return out.getvalue().decode().encode(self._config.encoding)
        except UnicodeEncodeError as error:
            hint = "set `encoding: utf-8` or `gb18030` for this outlet"
            raise Rejected(f"a character of the parcel does not exist in {self._config.encoding}", hint=hint, code="encoding") from error
