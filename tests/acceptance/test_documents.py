"""What the documents show is what the product does."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.loader import load
from connectors.registry import OUTLETS, SOURCES
from tests.architecture.sources import product_files
from tests.reference.markdown import anchor

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PREFIX = ".venv/bin/python run_hub.py"
CONFIGURATION = ROOT / "docs" / "configuration.md"
AGENCY = "agency: {code: A0030, name: 法制办公室}\n"
FEED = "feeds:\n  penalty: {item: A0030-F06-01, read: {from: api, READ}, when: {every: 1h}}\n"
SHARE = """\
shares:
  some:
    items: [A0030-F06-01]
    to: A0011
    basis: {purpose: 执行查控, document: "常信办〔2024〕17号", until: 2028-12-31}
    fields: [uscc]
    deliver: {WAY}
"""


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
        verbs = words[: 2 if words[0] in {"quarantine", "feed", "share", "queue", "key"} else 1]
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


@pytest.fixture(scope="module")
def example_city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example city without the agency that the page writes anew."""
    city = tmp_path_factory.mktemp("documents") / "city"
    shutil.copytree(ROOT / "config" / "changshu", city)
    (city / "agencies" / "A0030.yaml").unlink()
    (city / "samples" / "cf_mixed.csv").write_bytes((city / "samples" / "A0030" / "cf_20260701.csv").read_bytes())
    return city


def problems(city: Path, block: str) -> list[str]:
    """What lint has against the city with this piece of YAML in its place."""
    key = block.split(":", 1)[0]
    name = {"city": "hub.yaml", "years": "calendar.yaml"}.get(key, "agencies/A0030.yaml")
    place, text = city / name, block if key in ("city", "years", "agency") else AGENCY + block
    before = place.read_bytes() if place.exists() else None
    place.write_text(text, encoding="utf-8")
    try:
        return [f"{problem.file}:{problem.line}: {problem.message}" for problem in load(city).problems]
    finally:
        place.unlink() if before is None else place.write_bytes(before)


def rows(document: Path, heading: str) -> list[str]:
    """The code in the last column of the table with this heading, every row of it."""
    (table,) = re.findall(rf"^\| {re.escape(heading)} .*\|\n\|[-|]+\n((?:\|.*\n)+)", document.read_text("utf-8"), re.MULTILINE)
    return [found[1] for line in table.splitlines() if (found := re.search(r"`([^`]+)` \|$", line))]


@pytest.mark.parametrize("block", blocks(CONFIGURATION, "yaml"), ids=lambda block: block.split(":", 1)[0])
def test_every_piece_of_yaml_on_the_configuration_page_is_fine(example_city: Path, block: str) -> None:
    assert problems(example_city, block) == []


@pytest.mark.parametrize(
    ("heading", "way"),
    [
        ("way | written in `rest:`", 'sources: {api: {rest: {url: "https://api.agency.example", WAY}}}\n' + FEED.replace("READ", "path: /list")),
        ("way | written in `read:`", 'sources: {api: {rest: {url: "https://api.agency.example"}}}\n' + FEED.replace("READ", "path: /list, WAY")),
        ("key | what it is for | example", "sources: {api: {folder: {path: drop}}}\n" + FEED.replace("READ", "WAY")),
        ("kind | example", SHARE),
    ],
    ids=["logins", "pages", "forms", "outlets"],
)
def test_every_way_in_a_table_of_the_configuration_page_is_fine(example_city: Path, heading: str, way: str) -> None:
    found = rows(CONFIGURATION, heading)

    assert len(found) >= 4
    assert {each: said for each in found if (said := problems(example_city, way.replace("WAY", each)))} == {}


def test_every_kind_of_source_and_outlet_has_its_place_on_the_configuration_page() -> None:
    text = "\n".join([*blocks(CONFIGURATION, "yaml"), *rows(CONFIGURATION, "kind | example")])

    assert {kind for kind in (*SOURCES, *OUTLETS) if f"{kind}: {{" not in text and f"{kind}:\n" not in text} == set()


def test_every_message_that_connections_explains_is_one_of_the_hubs() -> None:
    code = "".join(file.read_text("utf-8") for file in product_files())
    (table,) = re.findall(r"^\| message \| way out \|\n\|[-|]+\n((?:\|.*\n)+)", (ROOT / "docs/operations/connections.md").read_text("utf-8"), re.MULTILINE)
    messages = [line.split(" | ")[0].strip("| ") for line in table.splitlines()]

    pieces = {piece.strip() for message in messages for piece in re.split(r"[;…]|, where|\(F\d+\)|\d{3}", message) if len(piece.strip()) > 3}

    assert len(messages) > 15
    assert {piece for piece in pieces if piece not in code} == set()


def test_every_link_between_documents_leads_somewhere() -> None:
    dead = [
        f"{document.name}: {target}"
        for document in DOCUMENTS
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8"))
        if not (document.parent / target).exists()
    ]

    assert dead == []


def test_every_link_to_a_heading_finds_it() -> None:
    targets = [
        (document, (document.parent / name if name else document).resolve(), heading)
        for document in DOCUMENTS
        for name, heading in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", document.read_text("utf-8"))
    ]

    dead = [f"{document.name}: {goal.name}#{heading}" for document, goal, heading in targets if heading not in headings(goal)]

    assert len(targets) > 10
    assert dead == []


def headings(document: Path) -> set[str]:
    return {anchor(found.replace("`", "")) for found in re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)}


def test_every_metric_has_the_name_that_the_page_says() -> None:
    named = set(re.findall(r"credit_hub_[a-z_]+", (ROOT / "docs" / "operations" / "running.md").read_text("utf-8")))
    source = (ROOT / "monitoring" / "metrics.py").read_text("utf-8")

    assert named
    assert {name for name in named if f'"{name.removesuffix("_total")}"' not in source} == set()


def test_both_readmes_show_the_same_commands() -> None:
    assert shown(ROOT / "README.md") == shown(ROOT / "README.zh-CN.md")
