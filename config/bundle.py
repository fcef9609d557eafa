"""The YAML files of a configuration as bytes by name: read with caps, and told apart by a version."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from config.problems import Problem
from config.syntax import MAX_BYTES

MAX_FILES: Final = 5_000
MAX_TOTAL: Final = 64 << 20
FOLDERS: Final = ("codes", "catalogue", "agencies")
COMMON_FIELDS: Final = "catalogue/common.yaml"
COMMON: Final = {COMMON_FIELDS: "common.yaml", "calendar.yaml": "calendar.yaml"}
"""Files that have a packaged content where a configuration has none of its own."""


def version_of(bundle: Mapping[str, bytes]) -> str:
    """16 hex digits over names and contents; any change of any file changes it."""
    digest = hashlib.sha256()
    for name in sorted(bundle):
        digest.update(f"{len(name.encode())} {name} {len(bundle[name])} ".encode())
        digest.update(bundle[name])
    return digest.hexdigest()[:16]


def read_bundle(directory: Path) -> tuple[dict[str, bytes], list[Problem]]:
    """The files that count, and what is wrong with the set of them."""
    bundle: dict[str, bytes] = {}
    problems: list[Problem] = []
    total = 0
    names = ["hub.yaml", "agencies.yaml", "calendar.yaml", *(f"{folder}/{name}" for folder in FOLDERS for name in _listed(directory / folder))]
    for name in names[:MAX_FILES]:
        path = directory / name
        if name.endswith(".yml"):
            problems.append(Problem(name, 1, 1, "", "unknown-file", f"{name} is not read", "rename it so that it ends in .yaml"))
        elif name.endswith(".yaml") and (content := _content(path)) is not None and total <= MAX_TOTAL:
            bundle[name] = content
            total += len(content)
    if len(names) > MAX_FILES or total > MAX_TOTAL:
        problems.append(
            Problem("hub.yaml", 1, 1, "", "too-large", f"more than {MAX_FILES:,} files or {MAX_TOTAL >> 20} MiB", "move what is no configuration elsewhere")
        )
    return with_common(bundle), problems


def with_common(bundle: Mapping[str, bytes]) -> dict[str, bytes]:
    """The bundle with the packaged common fields and calendar where it has none of its own."""
    return {name: resources.files("config").joinpath(packaged).read_bytes() for name, packaged in COMMON.items() if name not in bundle} | dict(bundle)


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError:
        return []


def _content(path: Path) -> bytes | None:
    """A file's bytes, one more than is allowed at most; None for what is no regular file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError:
        return None


def sample_files(directory: Path) -> frozenset[str]:
    """Files that tests may name: those below samples/, at most `MAX_FILES`."""
    found = (path.relative_to(directory).as_posix() for path in directory.glob("samples/**/*") if path.is_file())
    return frozenset(name for name, _ in zip(found, range(MAX_FILES), strict=False))
