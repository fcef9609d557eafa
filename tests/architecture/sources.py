"""The project's own source files and what they import."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("hub", "connectors", "routes", "transforms", "config", "monitoring")


def product_files() -> list[Path]:
    """Every Python file that is shipped, in order."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return sorted(file for file in [*files, ROOT / "run_hub.py"] if file.exists())


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes(), filename=str(file))


def imports(file: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in the file it does."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(file)} imports relatively"
            yield node.module or ""


def third_party(file: Path) -> set[str]:
    """Top-level names of other people's packages that a file imports."""
    own = {*PACKAGES, "run_hub", "tests"}
    return {top for module in imports(file) if (top := module.split(".")[0]) not in own and top not in {*sys.stdlib_module_names, "_typeshed"}}


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()
