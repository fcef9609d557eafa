"""The key ring on disk: made once with the home, readable by its owner only."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

from sqlalchemy import Column, Connection, String, Table, select

from hub.contracts.errors import Misconfigured
from hub.contracts.keys import KeyRing
from hub.engines import epoch
from hub.leases import rising
from hub.state import State, metadata
from hub.upserts import add_new, put

_FILE = "ring.json"
_MARK = ".hub"

identity = Table("identity", metadata, Column("name", String(32), primary_key=True), Column("value", String(64), nullable=False))
"""What every node must have in common."""


def load_keys(directory: Path) -> KeyRing:
    """The key ring of a home. Raises `Misconfigured` when it is missing, readable by others, or malformed."""
    path = directory / _FILE
    try:
        mode = path.stat().st_mode
        content = json.loads(path.read_text(encoding="ascii"))
        seals = {name: bytes.fromhex(key) for name, key in content["seals"].items()}
    except FileNotFoundError as error:
        raise Misconfigured(f"no key ring in {directory}", hint="restore it from the backup; without it sealed data cannot be read") from error
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise Misconfigured(f"the key ring {path} cannot be read: {type(error).__name__}", hint="restore it from the backup") from error
    if mode & 0o077:
        raise Misconfigured(f"the key ring {path} is readable by others", hint=f"chmod 600 {path}")
    return KeyRing(content["match"], seals)


def ensure_keys(directory: Path) -> KeyRing:
    """The key ring of a home, made with fresh random keys when the home is new."""
    path = directory / _FILE
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = {"match": secrets.token_hex(32), "seals": {"k1": secrets.token_hex(32)}}
        part = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another node that shares the home was quicker: its keys are the hub's
            os.link(part, path)
        part.unlink()
        folder = os.open(directory, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return load_keys(directory)


def mark_of(landing: Path) -> str:
    """The name that a landing shared by nodes was given; empty where it has none."""
    mark = landing / _MARK
    return mark.read_text("ascii") if mark.exists() else ""


async def agree(state: State, keys: KeyRing, landing: Path) -> int:
    """Make sure that this node has the keys and the landing that belong to the state. Raises `Misconfigured` where it has others.

    The first that comes says which they are. Answers with a number that rises each time: a loader without a lease is fenced by it.
    """
    mark = landing / _MARK
    mine = {"keys": keys.hash_text("key ring"), "landing": mark_of(landing) or secrets.token_hex(16)}

    def work(connection: Connection) -> dict[str, str]:
        for name, value in mine.items():
            add_new(connection, identity, {"name": name, "value": value})
        known = {row.name: row.value for row in connection.execute(select(identity))}
        known["fence"] = str(rising(int(known.get("fence", "0")), epoch(connection)))
        put(connection, identity, {"name": "fence", "value": known["fence"]}, fresh=("value",))
        return known

    known = await state.write(work)
    if known["keys"] != mine["keys"]:
        hint = "give every node the same HOME/keys: copy it from the first node, or restore it with the state from one backup"
        raise Misconfigured("the keys of this home are not those that the hub's state was made with", hint=hint)
    if known["landing"] != mine["landing"] and state.shared:
        hint = "let every node see the same HOME/landing and HOME/claims (a shared file system)"
        raise Misconfigured(f"{landing} is not the landing that the hub's state belongs to", hint=hint)
    if state.shared and not mark.exists():
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(mine["landing"], "ascii")
    return int(known["fence"])
