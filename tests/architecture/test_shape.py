"""Sizes, names and habits that keep the code readable."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, name, product_files, tree

MOST_LINES = 400
LONGER = {"run_hub.py": 500}  # one short function per command, and users find all commands in one place
MOST_FUNCTION_LINES = 60
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers", "core", "shared"}


@pytest.mark.parametrize("file", product_files(), ids=name)
def test_a_file_is_one_idea(file: Path) -> None:
    module = tree(file)
    docstring = ast.get_docstring(module) or ""

    assert docstring or not module.body, f"{name(file)} does not say what it is"
    assert len(file.read_text("utf-8").splitlines()) <= LONGER.get(name(file), MOST_LINES)
    assert file.stem not in VAGUE


@pytest.mark.parametrize("file", product_files(), ids=name)
def test_a_function_fits_on_a_screen(file: Path) -> None:
    functions = [node for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    too_long = {node.name: lines for node in functions if (lines := (node.end_lineno or 0) - node.lineno + 1) > MOST_FUNCTION_LINES}

    assert too_long == {}


@pytest.mark.parametrize("file", product_files(), ids=name)
def test_annotations_are_postponed(file: Path) -> None:
    module = tree(file)
    has_code = any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in module.body)

    assert not has_code or "from __future__ import annotations" in file.read_text("utf-8")


@pytest.mark.parametrize("file", product_files(), ids=name)
def test_no_error_is_swallowed(file: Path) -> None:
    handlers = [node for node in ast.walk(tree(file)) if isinstance(node, ast.ExceptHandler)]

    swallowed = [
        node.lineno
        for node in handlers
        if (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
        and all(isinstance(step, ast.Pass | ast.Continue) for step in node.body)
    ]

    assert swallowed == []


def test_there_are_three_errors_and_no_fourth() -> None:
    decisions = {"HubError", "Unavailable", "Rejected", "Misconfigured"}
    found: list[str] = []

    for file in product_files():
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.ClassDef) and any(isinstance(one, ast.Name) and one.id in {"Exception", "BaseException", "HubError"} for one in node.bases):
                found.extend([] if node.name in decisions else [f"{name(file)}: {node.name}"])

    assert found == []


def test_nothing_of_this_machine_or_of_a_registry_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    markers = [b"/work/" + b"main", b"pypi" + b".org", b"pythonhosted" + b".org", b"--index" + b"-url"]

    files = [ROOT / entry.decode() for entry in listed.stdout.split(b"\0") if entry]
    found = [(name(file), marker.decode()) for file in files if file.is_file() for marker in markers if marker in file.read_bytes()]

    assert found == []
