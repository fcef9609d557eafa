"""Writes what an agency receives into a folder: a data file, then a manifest that says it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from connectors.folder.drop import on_disk, write
from connectors.formats.parcel import FileEncoding, FileKind, as_file
from connectors.formats.worker import Worker
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.share import Parcel


class FolderOutletConfig(EndpointConfig):
    """A directory from which an agency collects its files."""

    path: Path = Field(description="Directory to write to; a relative one is below HOME. It is created when it is missing.")
    format: FileKind = Field(default="csv", description="One table with a heading line, or one JSON object a line.")
    encoding: FileEncoding = Field(default="utf-8", description="Character set of a csv file; JSON is always UTF-8.")


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
        file = as_file(parcel, self._config.format, self._config.encoding)
        with on_disk(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            write(self._root / file.name, file.content)
            write(self._root / f"{file.name}.json", file.manifest)
        return file.evidence
