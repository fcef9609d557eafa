"""Brings what an agency receives to a folder on its SFTP server: a data file, then a manifest that says it is complete, then a marker where one is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from connectors.formats.parcel import ParcelFile, as_file
from connectors.formats.worker import Worker
from connectors.sftp.client import Client
from connectors.sftp.remote import Remote
from connectors.sftp.settings import SftpOutletConfig
from hub.contracts.errors import Unavailable
from hub.contracts.share import Parcel


class SftpOutlet:
    """Hands parcels over as files whose names hold the delivery id, so that a repeat overwrites its equal.

    A file is written under a name that ends in .part, read back, and renamed when size and hash are right. A connection is kept from one parcel to the next.
    """

    def __init__(self, config: SftpOutletConfig) -> None:
        self._config = config
        self._remote = Remote(config)
        self._worker = Worker("sftp-outlet", 1)
        self._closed = False

    async def hand_over(self, parcel: Parcel) -> Mapping[str, Any]:
        """Bring file, manifest and marker, in this order. Raises `Rejected` when the encoding lacks a character, else `Unavailable` and `Misconfigured`."""
        return await self._worker.do(self._bring, parcel)

    async def close(self) -> None:
        """End the connection and let the thread go."""
        if not self._closed:
            self._closed = True
            await self._worker.do(self._remote.drop)
            self._worker.close()

    def _bring(self, parcel: Parcel) -> Mapping[str, Any]:
        file = as_file(parcel, self._config.format, self._config.encoding)
        return self._remote.run("write a file", lambda client: self._write(client, file))

    def _write(self, client: Client, file: ParcelFile) -> Mapping[str, Any]:
        client.make_folder(self._remote.root.rstrip(b"/"))
        name = file.name.encode()
        seen = self._put(client, name, file.content)
        self._put(client, name + b".json", file.manifest)
        if self._config.marker is not None:
            self._put(client, name + self._config.marker.encode(), b"")
        return {**file.evidence, "read_back": seen}

    def _put(self, client: Client, name: bytes, content: bytes) -> bool:
        """Write a file so that it appears whole; whether it could be read back."""
        path, part = self._remote.root + name, self._remote.root + name + b".part"
        client.store(part, content)
        seen = self._checked(client, part, content)
        if not client.replaces and client.look(path) is not None:
            client.remove(path)  # its equal, from an attempt whose end we did not hear of
        client.rename(part, path, replace=True)
        if (there := client.look(path)) is None or there.size != len(content):
            raise self._not_kept()
        return seen

    def _checked(self, client: Client, path: bytes, content: bytes) -> bool:
        there = client.look(path)
        if there is None or there.size != len(content):
            raise self._not_kept()
        digest = hashlib.sha256()
        try:
            for piece in client.fetch(path, 0, len(content)):
                digest.update(piece)
        except PermissionError:
            return False  # a letter box: what is in it may not be read
        if digest.digest() != hashlib.sha256(content).digest():
            raise self._not_kept()
        return True

    def _not_kept(self) -> Unavailable:
        hint = "quota and disk are the usual causes; ask its owner. The file is brought again, under the same name"
        return Unavailable(f"{self._remote.name} does not hold what was written", hint=hint)
