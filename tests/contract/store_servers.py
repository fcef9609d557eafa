"""Stores on real servers for the contract: a folder stands for a database, so that a store can be opened again, by another process too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.databases import MariaServer, PostgresServer

Server = MariaServer | PostgresServer
_URL = "url"


def url_of(folder: Path, server: Server | None) -> str:
    """The URL of a folder's database, which is made when it is first asked for."""
    kept = folder / _URL
    if not kept.exists():
        assert server is not None, "another process made the folder"
        kept.write_text(server.url(server.database()))
    return kept.read_text()


def database_of(folder: Path) -> str:
    """The name of a folder's database."""
    return (folder / _URL).read_text().rpartition("/")[2]


@contextmanager
def held(folder: Path, server: Server) -> Iterator[None]:
    """The head table is locked by somebody else."""
    lock: dict[type[Any], str] = {PostgresServer: "LOCK TABLE head", MariaServer: "SELECT * FROM head FOR UPDATE"}
    with server.connect(database_of(folder)) as connection:
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute(lock[type(server)])
        yield
        cursor.execute("ROLLBACK")


def bytes_at_rest(folder: Path, server: Server) -> bytes:
    """Everything that the server's files hold, its log included."""
    ask = ("CHECKPOINT", "SHOW data_directory") if isinstance(server, PostgresServer) else ("SELECT @@datadir",)
    ((home,),) = server.execute(*ask)
    found = []
    for place, _, names in os.walk(home):
        found += [Path(place, name).read_bytes() for name in names if Path(place, name).is_file()]
    return b"".join(found)
