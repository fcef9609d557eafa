"""Documents left for the agency in `ack/` and `err/` of its folder on the server. Blocking; over a connection of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from connectors.sftp.client import Client
from connectors.sftp.remote import Remote
from connectors.sftp.settings import SftpEndpoint
from hub.contracts.errors import Unavailable

_OTHER_NAMES = "gb18030"


def names_of(path: bytes) -> dict[str, str]:
    """Evidence that the server's names are not UTF-8, so that ours there can be written like the agency's own."""
    try:
        path.decode()
    except UnicodeDecodeError:
        return {"names": _OTHER_NAMES}
    return {}


class Beside:
    """The `Shelf` of a folder on a server; `close` when the documents of an answer are there. `evidence` is what was known of the file answered."""

    def __init__(self, endpoint: SftpEndpoint, evidence: Any, pause: Callable[[float], None]) -> None:
        self._remote = Remote(endpoint, pause)
        self._names = _OTHER_NAMES if isinstance(evidence, dict) and evidence.get("names") == _OTHER_NAMES else "utf-8"

    def holds(self, folder: str, name: str, content: bytes) -> bool | None:
        """Whether a name holds this content; None where nothing has it. Where we may write and not read, size and name must do."""
        return self._remote.run("look for a receipt", lambda client: _holds(client, self._path(folder, name), content))

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Write it under a hidden name, look at it, and give it its own."""
        part = self._path(folder, f".{hashlib.sha256(content).hexdigest()[:16]}.part")
        self._remote.run("leave a receipt", lambda client: self._put(client, part, self._path(folder, name), content))

    def close(self) -> None:
        """End the connection."""
        self._remote.drop()

    def _put(self, client: Client, part: bytes, path: bytes, content: bytes) -> None:
        if _holds(client, path, content):
            return  # only the reply was lost
        client.make_folder(path.rpartition(b"/")[0])
        client.store(part, content)
        if not _holds(client, part, content):
            hint = "quota and disk are the usual causes; ask its owner. The receipt is left again"
            raise Unavailable(f"{self._remote.name} does not hold what was written", hint=hint)
        client.rename(part, path)

    def _path(self, folder: str, name: str) -> bytes:
        return self._remote.root + f"{folder}/".encode() + name.encode(self._names, "replace")


def _holds(client: Client, path: bytes, content: bytes) -> bool | None:
    there = client.look(path)
    if there is None or there.size != len(content):
        return None if there is None else False
    try:
        return b"".join(client.fetch(path, 0, len(content))) == content
    except PermissionError:
        return True
