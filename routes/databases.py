"""Every database of one hub, opened beside it by a command of its own process: for changes of tables, for backups and for restoring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

import routes.city  # noqa: F401  every module that declares tables of the state
from config.resolved import HubConfig
from config.secrets import Secrets
from connectors.stores.tables import OWN_TABLES, item_table
from hub.contracts.address import Address, address_of
from hub.contracts.errors import HubError, Misconfigured, Unavailable
from hub.contracts.item import Item
from hub.engines import Target, file_engine, server_engine
from hub.state import metadata
from routes.places import state_of

STATE = "state"


@dataclass(frozen=True)
class HubDatabase:
    """One database and the tables that the hub wants in it. `names` are what it is to the hub: "state", "ent"; `items` by their tables' names."""

    names: tuple[str, ...]
    target: Target
    tables: tuple[Table, ...]
    items: Mapping[str, Item]

    @property
    def name(self) -> str:
        """What to call it: "ent", or "ent+psn" where stores share a database."""
        return "+".join(self.names)

    @property
    def place(self) -> str:
        """What to call it in a message."""
        return str(self.target) if isinstance(self.target, Path) else self.target.place

    @property
    def embedded(self) -> bool:
        """Whether it is a file."""
        return isinstance(self.target, Path)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot, until the end. A file that is not there reads as an empty database."""
        with self._engine(read_only=True) as engine, self._border(), engine.begin() as connection:
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """A connection whose caller commits. A file holds everybody else up as soon as something is asked."""
        with self._engine(read_only=False) as engine, self._border(), engine.connect() as connection:
            yield connection

    @contextmanager
    def _engine(self, *, read_only: bool) -> Iterator[Engine]:
        engine = self._opened(read_only=read_only)
        try:
            yield engine
        finally:
            engine.dispose()

    def _opened(self, *, read_only: bool) -> Engine:
        if isinstance(self.target, Path):
            if read_only and not self.target.exists():
                return create_engine("sqlite://", poolclass=StaticPool)
            return file_engine(self.target, read_only=read_only)
        if self.target.family in ("postgresql", "mysql"):
            return server_engine(self.target, read_only=read_only)
        return create_engine(self.target.url(), connect_args=self.target.connect_args(), poolclass=StaticPool, hide_parameters=True)

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise self._decision(error) from error

    def _decision(self, error: SQLAlchemyError) -> HubError:
        """What a driver says may hold values: only its code is told."""
        given = getattr(error, "orig", None)
        number = next((a for a in getattr(given, "args", ()) if isinstance(a, int)), "")
        code = getattr(given, "sqlstate", None) or getattr(given, "sqlite_errorname", None) or number or type(error).__name__
        if isinstance(error, DBAPIError) and type(error).__name__ in ("OperationalError", "InterfaceError"):
            hint = "check that it runs, that nobody holds it and that there is room on its disk; then give the same command again"
            return Unavailable(f"{self.name} at {self.place} does not answer ({code})", hint=hint)
        return Misconfigured(f"{self.name} at {self.place} refused a statement ({code}); nothing that was stored is lost", hint="see docs/operations/schema.md")


def databases_of(config: HubConfig, secrets: Secrets, home: Path) -> list[HubDatabase]:
    """The state and the stores; stores that share a database are one. Raises `Misconfigured` for an address or a secret that cannot be used."""
    found: dict[Target | str, HubDatabase] = {}
    wanted: list[tuple[str, Target, Sequence[Table], Sequence[Item]]] = [(STATE, state_of(config, secrets, home), metadata.sorted_tables, [])]
    for name, setting in config.stores.items():
        items = [item for item in config.items.values() if item.store == name]
        wanted.append((name, _target(config, name, setting, secrets, home), [*OWN_TABLES, *(item_table(item) for item in items)], items))
    for name, target, tables, of in wanted:
        key = target if isinstance(target, Path) else target.place
        before = found.get(key, HubDatabase((), target, (), {}))
        new = tuple(table for table in tables if table.name not in {t.name for t in before.tables})
        found[key] = HubDatabase((*before.names, name), target, (*before.tables, *new), {**before.items, **{item.table: item for item in of}})
    return list(found.values())


def _target(config: HubConfig, name: str, setting: str, secrets: Secrets, home: Path) -> Path | Address:
    if "://" not in setting:
        return home / setting
    return address_of(setting, config.because_of.get(name, ""), secrets.expand)
