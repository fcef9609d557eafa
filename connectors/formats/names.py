"""File names of other systems, made safe to show and to write."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path

_LONGEST = 180  # bytes, leaving room for a number and an ending within the 255 of a file name


def shown(path: str) -> str:
    """A name as text without control, bidirectional or undecodable characters: those are written as %XX of their bytes."""
    return "".join(_escaped(c) if c == "%" or unicodedata.category(c)[0] == "C" else c for c in path)


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))


def safe(path: str) -> str:
    """A single file name that shows where it comes from, whatever the original holds."""
    name = shown(os.path.basename(path)).lstrip(".") or "unnamed"
    if len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    return name.encode()[: _LONGEST - 9].decode("utf-8", "ignore") + "-" + digest


def free(folder: Path, name: str) -> Path:
    """A path in the folder that is not taken: x.csv, x.2.csv, x.3.csv, …"""
    stem, dot, ending = name.partition(".")
    number, path = 1, folder / name
    while os.path.lexists(path):
        number += 1
        path = folder / f"{stem}.{number}{dot}{ending}"
    return path
