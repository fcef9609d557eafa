"""A server that is talked to over a connection which is made when it is needed, kept for a while, and made again when it broke. Blocking."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from connectors.sftp.client import Client, Entry
from connectors.sftp.session import connect, named, understood
from connectors.sftp.settings import SftpEndpoint
from hub.contracts.errors import Rejected, Unavailable

T = TypeVar("T")
Look = tuple[int, int]
"""Size in bytes and modification time in seconds: by these a file is told from another under its name."""
_TRIES = 4  # connections that may break one after the other without a byte of progress


def look_of(entry: Entry | None) -> Look | None:
    """The look of what lies at a path."""
    return (entry.size, entry.mtime) if entry is not None else None


class Remote:
    """The server and one connection to it; for one thread at a time. Raises `Unavailable` and `Misconfigured`."""

    def __init__(self, endpoint: SftpEndpoint, pause: Callable[[float], None] = time.sleep) -> None:
        self.endpoint = endpoint
        self.name = named(endpoint)
        self.root = endpoint.path.encode().rstrip(b"/") + b"/"
        self._pause = pause
        self._client: Client | None = None

    def run(self, doing: str, work: Callable[[Client], T]) -> T:
        """Do something that may be done twice: a connection that was kept may be dead by now, so it is tried once more on a new one."""
        if self._client is not None:
            try:
                return self._once(doing, work)
            except Unavailable:
                self.drop()
        return self._once(doing, work)

    def read(self, path: bytes, look: Look) -> Generator[bytes, None, None]:
        """The bytes of a file; where the link is cut, it goes on at the same place on a new one as long as the file is the same.

        Raises `Rejected` F009 when the file is not, or not any more, the one that has this look.
        """
        at, tries = 0, 0
        while True:
            try:
                with closing(self._rest(path, look, at)) as pieces:
                    for piece in pieces:
                        at, tries = at + len(piece), 0
                        yield piece
                return
            except Unavailable:
                self.drop()
                tries += 1
                if tries == _TRIES:
                    raise
                self._pause(0.1 * 4**tries)
            except GeneratorExit:
                self.drop()  # answers are on their way that nobody waits for
                raise

    def drop(self) -> None:
        """End the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.shut()

    def _once(self, doing: str, work: Callable[[Client], T]) -> T:
        if self._client is None:
            self._client = connect(self.endpoint)
        with understood(self.endpoint, doing):
            return work(self._client)

    def _rest(self, path: bytes, look: Look, at: int) -> Generator[bytes, None, None]:
        self._same(path, look)
        size = look[0]
        pieces = self._once("read a file", lambda client: client.fetch(path, at, size))
        while (piece := self._once("read a file", lambda _: next(pieces, None))) is not None:
            at += len(piece)
            yield piece
        if at < size:
            raise _changed()
        self._same(path, look)

    def _same(self, path: bytes, look: Look) -> None:
        if self._once("look at a file", lambda client: look_of(client.look(path))) != look:
            raise _changed()


def _changed() -> Rejected:
    return Rejected("the file is another than when it was listed", hint="write under a temporary name and rename, or send a marker last", code="F009")
