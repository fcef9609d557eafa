"""Where a configuration says that things are kept: the hub's state and the central stores; and which of them only one process can use."""

from __future__ import annotations

import re
from pathlib import Path

from config.resolved import HubConfig
from config.secrets import Secrets
from connectors.stores import open_store
from hub.contracts.address import address_of
from hub.contracts.errors import Misconfigured
from hub.contracts.keys import KeyRing
from hub.contracts.store import Store
from hub.engines import Target
from hub.leases import ROLES


def state_of(config: HubConfig, secrets: Secrets, home: Path) -> Target:
    """The file or the server that holds the hub's own tables."""
    if "://" not in config.state:
        return home / config.state
    return address_of(config.state, config.because_of.get("state", ""), secrets.expand)


def stores_of(config: HubConfig, secrets: Secrets, home: Path, keys: KeyRing) -> dict[str, Store]:
    """The central stores by name. Nothing is opened before first use."""
    return {name: _store(config, name, setting, secrets, home, keys) for name, setting in config.stores.items()}


def _store(config: HubConfig, name: str, setting: str, secrets: Secrets, home: Path, keys: KeyRing) -> Store:
    if "://" in setting:
        return open_store(setting, keys, config.because_of.get(name, ""), secrets.expand)
    path = home / setting
    path.parent.mkdir(parents=True, exist_ok=True)
    return open_store(str(path), keys)


def embedded(config: HubConfig) -> list[str]:
    """Parts that live in files of one process."""
    parts = ["state"] if "://" not in config.state else []
    parts += ["broker"] if config.broker == "embedded" else []
    return parts + [f"stores.{name}" for name, setting in config.stores.items() if "://" not in setting]


def roles_of(text: str, config: HubConfig, node: str) -> frozenset[str]:
    """The roles of a process by their names. Raises `Misconfigured` for an unknown one, and where parts of the configuration allow one process only."""
    roles = frozenset(filter(None, (word.strip() for word in text.split(","))))
    if unknown := sorted(roles - set(ROLES)):
        raise Misconfigured(f"there is no role {unknown[0]!r}", hint=f"the roles are {', '.join(ROLES)}")
    parts = embedded(config)
    if parts and (node or (roles and roles != set(ROLES))):
        cause = f"{', '.join(parts)} of hub.yaml {'is' if len(parts) == 1 else 'are'} kept in files of one process"
        raise Misconfigured(
            f"roles and nodes need parts that processes can share, and {cause}", hint="name a database URL for state and stores, and an amqp:// broker"
        )
    return roles or frozenset(ROLES)


def node_of(name: str) -> str:
    """A node's name as it was given. Raises `Misconfigured` for one that cannot be a file's."""
    if name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise Misconfigured("a node's name has letters, digits, '.', '_' and '-', at most 64", hint="such as --node load-2")
    return name
