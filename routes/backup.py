"""A backup of a whole hub, which may run meanwhile: state, stores, landing, claims, keys and configuration in one encrypted file."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from config.resolved import HubConfig
from config.secrets import Secrets
from hub.contracts.errors import Misconfigured, Unavailable
from hub.tables import batch
from routes.backup_file import BackupWriter, Key
from routes.backup_tables import described, packed, pieces, reflected, settle
from routes.databases import STATE, HubDatabase, databases_of

OBJECTS = ("landing", "claims")
_ITEM_TABLE = re.compile(r"[a-z]\d{4}_[fzgj]\d{2}_\d{2}")
"""Items that the catalogue no longer names have tables still."""


def back_up(config: HubConfig, bundle: Mapping[str, bytes], home: Path, file: Path, key: Key, *, clock: datetime | None = None) -> dict[str, Any]:
    """Write a backup; its manifest, without the members. A file is there when it is whole, never before.

    All databases are read as they were at one moment at which no batch was being opened, so a store holds nothing that the state does not know, and what
    the state knows as opened is sent again from landing by `reconcile --repair`. Raises `Misconfigured` and `Unavailable`.
    """
    if file.exists():
        raise Misconfigured(f"{file} is there already", hint="a backup never overwrites another: name a new file")
    databases = databases_of(config, Secrets(home / "secrets"), home)
    if not (home / "keys" / "ring.json").exists():
        raise Misconfigured(f"no hub has ever run in {home}", hint="name another home with --home")
    part = file.with_name(file.name + ".part")
    try:
        with _new(part) as out, snapshots(databases) as opened:
            at = (clock or datetime.now(UTC)).isoformat(timespec="microseconds")
            writer = BackupWriter(out, key)
            _add(writer, "keys/ring.json", (home / "keys" / "ring.json").read_bytes())
            for name, content in sorted(bundle.items()):
                _add(writer, f"config/{name}", content)
            tables = [_dump(writer, database, connection) for database, connection in opened]
            for folder in OBJECTS:
                _objects(writer, home / folder, folder)
            manifest = writer.finish(at=at, city=config.city, config=config.version, databases=tables)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Unavailable(f"the backup cannot be written: {error.strerror}", hint=f"make room and check the rights of {file.parent}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.rename(file)
    _sync(file.parent)
    members = manifest.pop("members")
    return summary(manifest) | {"file": str(file), "bytes": file.stat().st_size, "members": len(members)}


def summary(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What people are told of a backup."""
    rows = {"+".join(d["names"]): sum(t["rows"] for t in d["tables"]) for d in manifest["databases"]}
    return {"at": manifest["at"], "city": manifest["city"], "config": manifest["config"], "rows": rows}


@contextmanager
def snapshots(databases: list[HubDatabase]) -> Iterator[list[tuple[HubDatabase, Connection]]]:
    """Every database as it was at one moment: while the state's batches are held for an instant, all are begun to be read."""
    with ExitStack() as stack:
        with _held(next(d for d in databases if STATE in d.names)):
            opened = [(database, _begun(stack.enter_context(database.reading()))) for database in databases]
        yield opened


@contextmanager
def _held(state: HubDatabase) -> Iterator[None]:
    """Nobody opens a batch meanwhile."""
    with state.changing() as connection:
        match connection.dialect.name:
            case "postgresql":
                connection.execute(text(f"LOCK TABLE {batch.name} IN SHARE MODE"))
            case "mysql":
                connection.execute(text(f"LOCK TABLES {batch.name} READ"))
            case _:
                connection.execute(text("SELECT count(*) FROM sqlite_master"))  # the transaction began with a lock
        yield
        if connection.dialect.name == "mysql":
            connection.execute(text("UNLOCK TABLES"))
        connection.rollback()


def _begun(connection: Connection) -> Connection:
    """Fix what the connection sees."""
    if connection.dialect.name == "mysql":
        connection.execute(text("START TRANSACTION WITH CONSISTENT SNAPSHOT"))
    else:
        settle(connection)
        connection.execute(text("SELECT count(*) FROM sqlite_master" if connection.dialect.name == "sqlite" else "SELECT 1"))
    return connection


def _dump(writer: BackupWriter, database: HubDatabase, connection: Connection) -> dict[str, Any]:
    tables = []
    for found in reflected(connection, [table.name for table in database.tables], also=_ITEM_TABLE):
        rows = 0
        for number, frame in enumerate(pieces(connection, found)):
            _add(writer, f"tables/{database.name}/{found.name}/{number:06}.parquet", packed(frame))
            rows += frame.height
        tables.append({"name": found.name, "rows": rows, "columns": described(found, connection)})
    return {"names": list(database.names), "dialect": connection.dialect.name, "tables": tables}


def _objects(writer: BackupWriter, root: Path, name: str) -> None:
    """Sealed objects as they lie there. One that is gone by now was handed on; half-written ones are no objects."""
    for path in sorted(root.glob("[0-9a-f][0-9a-f]/*")):
        try:
            opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        with open(opened, "rb") as file:
            found = os.fstat(opened)
            if stat.S_ISREG(found.st_mode):
                writer.add(f"{name}/{path.name}", file, found.st_size)


def _add(writer: BackupWriter, name: str, content: bytes) -> None:
    writer.add(name, io.BytesIO(content), len(content))


@contextmanager
def _new(part: Path) -> Iterator[io.BufferedWriter]:
    """A file for its owner only; durable when the block ends."""
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
