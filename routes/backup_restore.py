"""Restoring a backup into a new home: everything is verified before anything is written, and the home is there when it is whole, never before."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Column, Connection, MetaData, String, Table, create_engine, delete, insert, inspect, select, text
from sqlalchemy.pool import NullPool

from config.resolved import HubConfig
from config.secrets import Secrets
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from hub.keystore import identity
from hub.lock import HomeLock
from hub.tables import event
from routes.backup import OBJECTS, summary
from routes.backup_file import BackupReader, Key, Member
from routes.backup_tables import count, go_on_counting, put, reflected, table_for, unpacked
from routes.databases import STATE, HubDatabase, databases_of

SECRETS, LANDING = "secrets", "landing"
CONFIG = "restored-config"
_MEMBER = re.compile(rf"keys/ring\.json|config/(?:[\w-]+/)?[\w.-]+\.yaml|(?:{'|'.join(OBJECTS)})/[0-9a-f]{{64}}|tables/[a-z+]+/[a-z0-9_]+/\d{{6}}\.parquet")
_LARGEST_PIECE = 1 << 30
_UNDER_WAY = Table("restore_under_way", MetaData(), Column("number", String(32), primary_key=True))
_NUMBER = ".restore"
"""Both hold one number while rows are brought back to a server: the restore that has the same one may drop what is there and begin again."""


def restore(config: HubConfig, file: Path, home: Path, key: Key, *, force: bool = False) -> dict[str, Any]:
    """Bring a backup back into an empty home and the empty databases that the configuration names; what was restored.

    Nothing of a backup is run, and its configuration is laid down as files to look at. Raises `Rejected` for a file that is not what `back_up` wrote or is
    older than one that was restored here before (unless `force`), `Misconfigured` for a home or database that is not empty, and `Unavailable`.
    """
    try:
        with file.open("rb") as source:
            _empty(home)
            manifest = verified(source, key)
            _newer(home, manifest, force=force)
            source.seek(0)
            alone = _beside(home, "restored-by")
            with HomeLock(alone):
                done = _restore(config, BackupReader(source, key), manifest, home)
                shutil.rmtree(alone)
                return done
    except OSError as error:
        raise Unavailable(f"the backup cannot be restored: {error.strerror}", hint=f"check {file}, and the room and rights of {home.parent}") from error


def verified(source: Any, key: Key) -> dict[str, Any]:
    """Read a backup from end to end; its manifest. Raises `Rejected` where anything was altered or is not understood."""
    reader = BackupReader(source, key)
    for member in reader.members():
        if not _MEMBER.fullmatch(member.name):
            raise Rejected(f"the backup holds a member that no hub writes: {member.name[:80]!r}", hint="restore another backup")
    return reader.manifest


def _empty(home: Path) -> None:
    found = sorted(path.name for path in home.iterdir()) if home.is_dir() else ["a file"] if home.exists() else []
    if set(found) - {SECRETS}:
        raise Misconfigured(f"{home} is not empty", hint="name a new home; only its secrets/ may be there already")


def _beside(home: Path, what: str) -> Path:
    return home.absolute().with_name(f".{home.absolute().name}.{what}")


def _newer(home: Path, manifest: Mapping[str, Any], *, force: bool) -> None:
    """Refuse to go back behind what was restored here before."""
    note = _beside(home, "restored.json")
    before = json.loads(note.read_text("utf-8"))["at"] if note.exists() else ""
    if manifest["at"] < before and not force:
        cause = f"this backup is of {manifest['at']}, and one of {before} was restored here before"
        raise Rejected(cause, hint="take the newer one, or say --force where the older one is really meant")


def _restore(config: HubConfig, reader: BackupReader, manifest: dict[str, Any], home: Path) -> dict[str, Any]:
    part = _beside(home, "restoring")
    number = _begin_again(part, home)
    with ExitStack() as stack:
        intakes = _intakes(stack, config, manifest, home, part, number)
        for member in reader.members():
            if member.name.startswith("tables/"):
                _, group, table, _ = member.name.split("/")
                intakes[group].take(table, _bounded(member))
            else:
                _write(part / _place(member.name), member)
        if reader.manifest != manifest:
            raise Rejected("the backup was changed while it was read", hint="give the command again")
        for intake in intakes.values():
            intake.finish(part)
    (part / SECRETS).mkdir(mode=0o700, exist_ok=True)
    if (home / SECRETS).exists():
        (part / SECRETS).rmdir()
        (home / SECRETS).rename(part / SECRETS)
    for folder in OBJECTS:
        (part / folder).mkdir(mode=0o700, exist_ok=True)
    os.sync()
    _beside(home, "restored.json").write_text(json.dumps({"at": manifest["at"]}), "utf-8")
    part.rename(home)
    for intake in intakes.values():
        intake.unmark()
    (home / _NUMBER).unlink()
    os.sync()
    return summary(manifest) | {"home": str(home)}


def _begin_again(part: Path, home: Path) -> str:
    """Remove what a restore left that did not come to its end, and take its number over; secrets that it had moved go back."""
    left = part / _NUMBER
    number = left.read_text("ascii") if left.exists() else secrets.token_hex(16)
    if (part / SECRETS).exists() and any((part / SECRETS).iterdir()) and not (home / SECRETS).exists():
        home.mkdir(mode=0o700, exist_ok=True)
        (part / SECRETS).rename(home / SECRETS)
    for path in part.iterdir() if part.exists() else ():
        if path.name != _NUMBER:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    part.mkdir(mode=0o700, parents=True, exist_ok=True)
    left.write_text(number, "ascii")
    os.sync()
    return number


def _place(name: str) -> Path:
    kind, _, rest = name.partition("/")
    if kind in OBJECTS:
        return Path(kind) / rest[:2] / rest
    return Path(CONFIG if kind == "config" else kind) / rest


def _bounded(member: Member) -> bytes:
    if member.size > _LARGEST_PIECE:
        raise Rejected(f"{member.name} is larger than any piece that a hub writes", hint="restore another backup")
    return member.whole()


def _write(path: Path, member: Member) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        for piece in member.pieces:
            out.write(piece)


def _intakes(stack: ExitStack, config: HubConfig, manifest: Mapping[str, Any], home: Path, part: Path, number: str) -> dict[str, Intake]:
    """Where each database of the backup goes, by its name there. All are looked at before the first row is written."""
    databases = {database.names: database for database in databases_of(config, Secrets(home / SECRETS), part)}
    intakes: dict[str, Intake] = {}
    for given in manifest["databases"]:
        database = databases.get(tuple(given["names"]))
        if database is None:
            cause = f"the backup holds {' and '.join(given['names'])} in one database, and the configuration does not"
            raise Misconfigured(cause, hint="let the same stores share a database as before, and restore again")
        _prepare_file(database)
        intakes["+".join(given["names"])] = Intake(database, stack.enter_context(_opened(database)), given, manifest["at"], number)
    for intake in intakes.values():
        intake.look()
    for intake in intakes.values():
        intake.make()
    return intakes


def _prepare_file(database: HubDatabase) -> None:
    """A new file of a store has the pages that its loader likes; they can be chosen only before the first table."""
    if isinstance(database.target, Path) and STATE not in database.names:
        database.target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = create_engine(URL.create("sqlite", database=str(database.target)), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text("PRAGMA page_size=16384"))
            connection.execute(text("VACUUM"))


@contextmanager
def _opened(database: HubDatabase) -> Iterator[Connection]:
    with database.changing() as connection:
        yield connection
        connection.rollback()


@dataclass
class Intake:
    """One database on its way back. PostgreSQL takes everything in one transaction; MariaDB cannot, and a new file need not."""

    database: HubDatabase
    connection: Connection
    given: Mapping[str, Any]
    at: str
    number: str
    _targets: dict[str, Table] = field(default_factory=dict)

    def _step(self) -> None:
        if self.connection.dialect.name != "postgresql":
            self.connection.commit()

    def _names(self) -> list[str]:
        return sorted({*(t["name"] for t in self.given["tables"]), *(t.name for t in self.database.tables)})

    def look(self) -> None:
        """Refuse a database that holds rows of a hub; one that an unfinished restore left is emptied."""
        marked = inspect(self.connection).has_table(_UNDER_WAY.name)
        unfinished = marked and self.connection.execute(select(_UNDER_WAY.c.number)).scalar() == self.number
        for found in reflected(self.connection, self._names()):
            if not unfinished and count(self.connection, found):
                raise Misconfigured(f"the database of {self.database.name} at {self.database.place} is not empty", hint="name an empty database in hub.yaml")

    def make(self) -> None:
        """Make the tables."""
        if not self.database.embedded:
            _UNDER_WAY.create(self.connection, checkfirst=True)
            self.connection.execute(delete(_UNDER_WAY))
            self.connection.execute(insert(_UNDER_WAY).values(number=self.number))
            self._step()
        for found in reflected(self.connection, self._names()):
            found.drop(self.connection)
        known = {table.name: table for table in self.database.tables}
        same = self.given["dialect"] == self.connection.dialect.name
        for described in self.given["tables"]:
            name = str(described["name"])
            made = table_for(name, described["columns"], known.get(name), self.connection, same_engine=same)
            made.create(self.connection)
            self._targets[name] = made
        self._step()

    def take(self, table: str, piece: bytes) -> None:
        """Insert one piece."""
        put(self.connection, self._targets[table], unpacked(piece))
        self._step()

    def finish(self, part: Path) -> None:
        """Count everything, and make it last; the landing that comes back is the one that the state belongs to."""
        for described in self.given["tables"]:
            target = self._targets[described["name"]]
            if (there := count(self.connection, target)) != described["rows"]:
                raise Rejected(f"{target.name} has {there} rows, and the backup says {described['rows']}", hint="restore another backup")
            go_on_counting(self.connection, target)
        if STATE in self.database.names:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            mark = self.connection.execute(select(identity.c.value).where(identity.c.name == LANDING)).scalar()
            if mark is not None:
                (part / LANDING).mkdir(mode=0o700, exist_ok=True)
                (part / LANDING / ".hub").write_text(mark, "ascii")
            self.connection.execute(insert(event).values(at=now, what="restored", where="hub", detail=json.dumps({"backup": self.at})))
        self.connection.commit()

    def unmark(self) -> None:
        """The home is there: what was restored is a hub's from now on."""
        if not self.database.embedded:
            with self.database.changing() as connection:
                _UNDER_WAY.drop(connection)
                connection.commit()
