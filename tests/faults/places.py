"""Where a hub of the fault tests keeps its state and its stores, and how somebody looks into them who is not the hub."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import pymysql

from tests.databases import PASSWORD, MariaServer, PostgresServer

STORES = ("ent", "psn", "gov", "fin")
Row = tuple[Any, ...]


class View(Protocol):
    """One database. `?` stands for a value, `"name"` for a name; dates come as text."""

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """All rows of a statement."""

    def sound(self) -> bool:
        """Whether the database finds nothing wrong with itself."""


class Places(Protocol):
    """The databases of one hub."""

    settings: str  # lines of hub.yaml

    def look(self, name: str) -> Any:
        """A context manager that gives the `View` of "state" or of a store."""

    def look_at_what_was_left(self, scratch: Path) -> Any:
        """The same of the state of a hub that was killed, without mending anything of it."""


class _File:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, *values: Any) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def sound(self) -> bool:
        return self.rows("PRAGMA quick_check") == [("ok",)]


class Files:
    """SQLite files below `home`, as without any setting."""

    settings = ""

    def __init__(self, home: Path) -> None:
        self._home = home

    @contextmanager
    def look(self, name: str) -> Iterator[View]:
        path = self._home / "hub.sqlite" if name == "state" else self._home / "stores" / f"{name}.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            yield _File(connection)

    @contextmanager
    def look_at_what_was_left(self, scratch: Path) -> Iterator[View]:
        """A copy of the file with its log; opening it recovers it, as the next life will."""
        scratch.mkdir(exist_ok=True)
        for old in scratch.iterdir():
            old.unlink()
        for name in ("hub.sqlite", "hub.sqlite-wal"):
            if (self._home / name).exists():
                shutil.copyfile(self._home / name, scratch / name)
        with closing(sqlite3.connect(scratch / "hub.sqlite")) as connection:
            yield _File(connection)


class _Served:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, *values: Any) -> list[Row]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(sql.replace("?", "%s"), values)
            return [tuple(cell.isoformat() if isinstance(cell, date) else cell for cell in row) for row in cursor.fetchall()]

    def sound(self) -> bool:
        """A server that takes logins has recovered its files, by its own checksums."""
        return self.rows("SELECT 1") == [(1,)]


class OnServer:
    """A database of one server for the state and one for each store."""

    def __init__(self, server: PostgresServer | MariaServer) -> None:
        self._server = server
        self._names: Mapping[str, str] = {name: server.database() for name in ("state", *STORES)}
        urls = {name: server.url(database).replace(PASSWORD, "${env:TOWN_DB}") for name, database in self._names.items()}
        stores = "".join(f'  {name}: "{urls[name]}"\n' for name in STORES)
        self.settings = f'state: "{urls["state"]}"\nstores:\n{stores}'

    @contextmanager
    def look(self, name: str) -> Iterator[View]:
        with closing(self._connect(self._names[name])) as connection:
            yield _Served(connection)

    def look_at_what_was_left(self, scratch: Path) -> Any:
        """The server lives on."""
        return self.look("state")

    def _connect(self, database: str) -> Any:
        if isinstance(self._server, PostgresServer):
            return self._server.connect(database)
        return pymysql.connect(host="127.0.0.1", port=self._server.port, user="root", password="", database=database, charset="utf8mb4", sql_mode="ANSI_QUOTES")
