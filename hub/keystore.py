"""The key ring on disk: made once with the home, readable by its owner only."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from hub.contracts.errors import Misconfigured
from hub.contracts.keys import KeyRing

_FILE = "ring.json"


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
        part = path.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        folder = os.open(directory, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return load_keys(directory)
