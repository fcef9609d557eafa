"""Changes of tables after the catalogue has changed: what is to be done, in words and SQL; and doing exactly what somebody has read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import zstandard
from sqlalchemy import Connection, func, inspect, select

from config.loader import load_bundle
from config.resolved import HubConfig
from config.secrets import Secrets
from connectors.stores.schema import Refusal, SchemaPlan, plan_tables
from hub.contracts.errors import Misconfigured
from hub.contracts.item import Item
from hub.engines import lock_all, unlock_all
from hub.lock import HomeLock
from hub.migrating import addable
from hub.tables import batch, config_version
from routes.databases import STATE, HubDatabase, databases_of

_READ_IT = "run `run_hub.py store plan`, read it, and give its number: run_hub.py store apply --plan …"


@dataclass(frozen=True)
class Planned:
    """The plans of all databases. `number` changes with any statement."""

    plans: tuple[tuple[HubDatabase, SchemaPlan], ...]

    @property
    def number(self) -> str:
        """12 hex digits over every statement, or "" where there is nothing to do."""
        said = [(database.name, [step.sql for step in plan.steps]) for database, plan in self.plans if plan.steps]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12] if said else ""

    @property
    def clean(self) -> bool:
        """Whether nothing is to be done and nothing is refused."""
        return not any(plan.steps or plan.refused for _, plan in self.plans)

    def as_json(self) -> dict[str, Any]:
        """The fixed face of `store plan --format json`."""
        return {
            "plan": self.number,
            "databases": [{"name": database.name, "place": database.place} | asdict(plan) for database, plan in self.plans],
        }


def plan(config: HubConfig, home: Path) -> Planned:
    """Compare every database with the catalogue. Changes nothing, and may run beside a hub. Raises `Unavailable` and `Misconfigured`."""
    databases = databases_of(config, Secrets(home / "secrets"), home)
    keys = _other_keys(config, next(d for d in databases if STATE in d.names))
    plans = []
    for database in databases:
        with database.reading() as connection:
            found = _plan(connection, database)
        found.refused += [refusal for refusal in keys if refusal.table in database.items]
        plans.append((database, found))
    return Planned(tuple(plans))


def apply(config: HubConfig, home: Path, number: str) -> dict[str, Any]:
    """Make the changes of the plan with this number: of each database in one transaction where it can, else step by step.

    Raises `Misconfigured` where the plan is another one by now, or where a hub has the files open.
    """
    planned = plan(config, home)
    if not planned.number:
        return planned.as_json() | {"applied": []}
    if number != planned.number:
        cause = "no plan was named" if not number else f"plan {number} is not what is to be done now"
        raise Misconfigured(f"{cause}: tables are changed only as somebody has read it", hint=_READ_IT)
    todo = [(database, found) for database, found in planned.plans if found.steps]
    alone: AbstractContextManager[object] = HomeLock(home) if any(database.embedded for database, _ in todo) else nullcontext()
    with alone:
        for database, found in todo:
            _change(database, found)
    left = plan(config, home).as_json()
    return left | {"applied": [{"name": database.name, "steps": [asdict(step) for step in found.steps]} for database, found in todo]}


def _plan(connection: Connection, database: HubDatabase) -> SchemaPlan:
    return plan_tables(connection, database.tables, database.items, addable)


def _change(database: HubDatabase, reviewed: SchemaPlan) -> None:
    with database.changing() as connection:
        lock_all(connection)
        try:
            if _plan(connection, database).steps != reviewed.steps:
                raise Misconfigured(f"the tables of {database.name} were changed by somebody else just now", hint=_READ_IT)
            for step in reviewed.steps:
                for statement in step.sql:
                    connection.execution_options(no_parameters=True).exec_driver_sql(statement)
            connection.commit()
        finally:
            connection.rollback()
            unlock_all(connection)


def _other_keys(config: HubConfig, state: HubDatabase) -> list[Refusal]:
    """Items whose stored records were numbered by another natural key: the same record would get a second number."""
    with state.reading() as connection:
        known = set(inspect(connection).get_table_names())
        if not {batch.name, config_version.name} <= known:
            return []
        latest = select(batch.c.item, func.max(batch.c.opened_at).label("at")).where(batch.c.applied_at.is_not(None)).group_by(batch.c.item).subquery()
        query = select(batch.c.item, batch.c.config).join(latest, (batch.c.item == latest.c.item) & (batch.c.opened_at == latest.c.at)).distinct()
        last = {row.item: row.config for row in connection.execute(query) if row.config != config.version}
        stored = select(config_version).where(config_version.c.version.in_(sorted(set(last.values()))))
        bundles = {row.version: row.bundle for row in connection.execute(stored)}
    before = {version: _items(bundle) for version, bundle in bundles.items()}
    found = []
    for code, version in sorted(last.items()):
        now, then = config.items.get(code), before.get(version, {}).get(code)
        if now is not None and then is not None and now.natural_key != then.natural_key:
            found.append(_refused_key(now, then))
    return found


def _items(bundle: bytes) -> dict[str, Item]:
    loaded = load_bundle({name: text.encode() for name, text in json.loads(zstandard.decompress(bundle)).items()})
    return dict(loaded.hub.items) if loaded.hub is not None else {}


def _refused_key(now: Item, then: Item) -> Refusal:
    reason = f"records are stored under the key {_said(then.natural_key)}, and the key is now {_said(now.natural_key)}: each would be stored a second time"
    return Refusal(now.table, "", reason, "bring the former key back in the catalogue, or give the item a new code")


def _said(key: Sequence[Sequence[str]]) -> str:
    return " + ".join("|".join(part) for part in key)
