"""Who may know whom, and which library lives where."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, imports, name, product_files, third_party

# Libraries that are a language of the whole project. Any other one is a driver, and a driver has one home.
LANGUAGES = {"polars", "numpy", "pydantic", "sqlalchemy", "orjson", "cryptography", "typer", "rich"}
# Libraries with several homes, and why.
SHARED = {
    "aiohttp": "we serve the console and the socket, and we call webhooks",
    "lxml": "records of files are streamed, pages are HTML, and our SOAP endpoint reads one envelope",
    "zstandard": "landing, stores, queues and the ledger each compress their own bytes",
}
# Libraries that work without being imported, and how.
UNSEEN = {
    "tzdata": "zoneinfo reads it where the system has no time zones",
    "adbc-driver-manager": "adbc-driver-sqlite is loaded through it",
}


def test_dependencies_run_one_way() -> None:
    result = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-1000:]


def test_nothing_knows_the_command_line() -> None:
    knowing = [name(file) for file in product_files() if "run_hub" in {module.split(".")[0] for module in imports(file)}]

    assert knowing == []


def test_a_driver_is_imported_in_exactly_one_file() -> None:
    homes: dict[str, set[str]] = defaultdict(set)

    for file in product_files():
        for library in third_party(file) - LANGUAGES - SHARED.keys():
            homes[library].add(name(file))

    crowded = {library: sorted(files) for library, files in homes.items() if len(files) > 1}
    assert crowded == {}


def test_every_library_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {canonical(line) for line in [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]}
    distributions = packages_distributions()

    used = {library for file in product_files() for library in third_party(file)}
    undeclared = {library for library in used if not declared & {canonical(one) for one in distributions.get(library, [library])}}

    assert undeclared == set()


def test_every_core_library_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    distributions = packages_distributions()

    used = {canonical(one) for file in product_files() for library in third_party(file) for one in distributions.get(library, [library])}
    unused = {canonical(line) for line in project["dependencies"]} - used - UNSEEN.keys()

    assert unused == set()


def canonical(requirement: str) -> str:
    """`SQLAlchemy>=2.1` as `sqlalchemy`."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


@pytest.mark.parametrize("file", product_files(), ids=name)
def test_nobody_uses_the_default_executor(file: Path) -> None:
    text = file.read_text("utf-8")

    assert "to_thread(" not in text
    assert not re.search(r"run_in_executor\(\s*None", text)


@pytest.mark.parametrize("file", [file for file in product_files() if name(file).startswith("transforms/")], ids=name)
def test_a_transform_does_no_input_or_output(file: Path) -> None:
    forbidden = {"os", "pathlib", "socket", "asyncio", "sqlite3", "subprocess", "tempfile", "shutil", "sqlalchemy", "aiohttp", "pika"}

    assert {module.split(".")[0] for module in imports(file)} & forbidden == set()
