"""What the documents show is what the product does."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PREFIX = ".venv/bin/python run_hub.py"


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def shown(document: Path) -> list[str]:
    """Every line of a shell block, in order."""
    return [line for block in blocks(document, "sh") for line in block.splitlines() if line]


def hub(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(ROOT / "run_hub.py"), *arguments], cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "README.zh-CN.md"], ids=lambda path: path.name)
def test_the_readmes_first_feed_works_as_it_is_written(document: Path, tmp_path: Path) -> None:
    lines = [line for line in shown(document) if not line.startswith("make ")]

    for line in lines:
        if line.startswith(PREFIX):
            result = hub(shlex.split(line.removeprefix(PREFIX)), tmp_path)
        else:
            result = subprocess.run(shlex.split(line), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"

    assert len(lines) >= 9
    assert "balanced" in result.stdout


def test_every_command_shown_exists() -> None:
    commands = {tuple(shlex.split(line.removeprefix(PREFIX))) for document in DOCUMENTS for line in shown(document) if line.startswith(PREFIX)}

    for words in commands:
        verbs = words[: 2 if words[0] in {"quarantine", "feed", "share", "queue"} else 1]
        assert hub([*verbs, "--help"], ROOT).returncode == 0, words

    assert commands


def test_every_make_target_shown_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {
        target
        for document in DOCUMENTS
        for target in re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", document.read_text("utf-8"), re.MULTILINE)
        for target in target
        if target
    }

    assert targets
    assert {target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()


def test_the_configuration_page_shows_a_configuration_that_is_fine(tmp_path: Path) -> None:
    city = tmp_path / "city"
    shutil.copytree(ROOT / "config" / "changshu", city)
    (example,) = blocks(ROOT / "docs" / "configuration.md", "yaml")
    (city / "agencies" / "A0030.yaml").write_text(example, encoding="utf-8")
    (city / "samples" / "cf_mixed.csv").write_bytes((city / "samples" / "A0030" / "cf_20260701.csv").read_bytes())

    result = hub(["lint", "--config", str(city)], tmp_path)

    assert result.returncode == 0, result.stdout


def test_every_link_between_documents_leads_somewhere() -> None:
    dead = [
        f"{document.name}: {target}"
        for document in DOCUMENTS
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8"))
        if not (document.parent / target).exists()
    ]

    assert dead == []


def test_every_metric_has_the_name_that_the_page_says() -> None:
    named = set(re.findall(r"credit_hub_[a-z_]+", (ROOT / "docs" / "operations" / "running.md").read_text("utf-8")))
    source = (ROOT / "monitoring" / "metrics.py").read_text("utf-8")

    assert named
    assert {name for name in named if f'"{name.removesuffix("_total")}"' not in source} == set()


def test_both_readmes_show_the_same_commands() -> None:
    assert shown(ROOT / "README.md") == shown(ROOT / "README.zh-CN.md")
