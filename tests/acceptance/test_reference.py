"""The reference is what the code says, whole and up to date."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from config.problems import CODES
from hub.contracts.batch import FATE_WORDS
from hub.contracts.share import WITHHELD
from monitoring.view import FEED_STATES, SHARE_STATES
from tests.architecture.sources import ROOT, product_files
from tests.reference import codes, commands, words
from tests.reference.described import IDLE, SAID
from tests.reference.markdown import anchor
from tests.reference.pages import FOLDER, PAGES
from tests.reference.settings import defined, definitions, models
from transforms.functions import FUNCTIONS

DECISIONS = {"resume", "release", "refuse"}  # verbs that `Standing.clear` keeps as events


def page(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    made = PAGES[name]()

    assert (FOLDER / name).exists(), f"docs/reference/{name} is missing: run `make docs`"
    assert page(name) == made, f"docs/reference/{name} is out of date: run `make docs`"


def test_no_page_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


def test_every_function_has_its_section() -> None:
    headings = re.findall(r"^### `(\w+)`$", page("functions.md"), re.MULTILINE)

    assert sorted(headings) == sorted(FUNCTIONS)


def test_every_command_has_its_section() -> None:
    headings = re.findall(r"^## `([\w -]+)`$", page("commands.md"), re.MULTILINE)

    assert headings == [name for name, _ in commands.commands()]
    assert {"run", "demo", "feed replay", "quarantine retry", "queue purge"} <= set(headings)


def test_every_key_of_every_file_has_its_line() -> None:
    wanted = Counter(key for model in models() for key in definitions()[defined(model)]["properties"])
    wanted["from"] -= wanted["from"]  # told with `read`, which is a map of it and what the source's kind has

    lines = Counter(re.findall(r"^\| `(\w+)` \|", page("settings.md"), re.MULTILINE))

    assert lines == +wanted


def test_what_is_said_for_the_models_is_needed() -> None:
    keys = {f"{model.__name__}.{name}": field for model in models() for name, field in model.model_fields.items()}

    assert SAID.keys() | IDLE.keys() <= keys.keys()


@pytest.mark.parametrize("setting", IDLE)
def test_a_setting_that_is_called_idle_is(setting: str) -> None:
    _, use = IDLE[setting]

    users = [file.name for file in product_files() if not file.is_relative_to(ROOT / "config") and re.search(use, file.read_text("utf-8"))]

    assert users == [], f"{setting} has an effect now: take its note out of tests/reference/described.py"


def test_every_numbered_code_is_documented_and_used() -> None:
    documented = {code for code in {**words.FILE_CODES, **words.ROW_CODES, **words.OTHER_CODES} if re.fullmatch(r"[A-Z]\d{3}", code)}

    assert codes.numbered() == documented


def test_every_worded_code_is_documented_and_used() -> None:
    documented = {code for code in words.OTHER_CODES if not re.fullmatch(r"[A-Z]\d{3}", code)}

    assert codes.worded() == documented


def test_every_problem_of_a_configuration_is_documented_and_used() -> None:
    assert tuple(words.LINT_CODES) == CODES
    assert set(CODES) - codes.strings_of("config", but="problems.py") == set()


def test_every_fate_state_and_reason_is_documented() -> None:
    assert tuple(words.FATES) == ("read", *FATE_WORDS, "in_flight")
    assert tuple(words.STATES["feed"]) == FEED_STATES
    assert tuple(words.STATES["share"]) == SHARE_STATES
    assert tuple(words.WITHHELD) == WITHHELD
    assert set(WITHHELD) - codes.strings_of("routes") == set()


@pytest.mark.parametrize(("table", "kind"), [("tables.py", "run"), ("tables.py", "quarantine"), ("delivery_tables.py", "delivery")])
def test_the_states_that_are_stored_are_documented(table: str, kind: str) -> None:
    source = (ROOT / "hub" / table).read_text("utf-8")

    definition = re.search(rf'^{kind} = Table\(.*?Column\("state".*?# ([a-z, ]+)$', source, re.MULTILINE | re.DOTALL)

    assert definition is not None
    assert set(definition[1].split(", ")) == set(words.STATES[kind])


def test_every_difference_is_documented_and_used() -> None:
    assert codes.first_words("differ") == set(words.DIFFERENCES)


def test_every_event_is_documented_and_used() -> None:
    assert codes.first_words("note") | DECISIONS == set(words.EVENTS)


def test_every_fact_is_documented_and_told() -> None:
    assert codes.first_words("tell", "_tell") | codes.first_words("_stand", place=1) == set(words.FACTS)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_inside_a_page_leads_somewhere(name: str) -> None:
    headings = {anchor(heading.replace("`", "")) for heading in re.findall(r"^#+ (.+)$", page(name), re.MULTILINE)}

    dead = set(re.findall(r"\]\(#([^)]*)\)", page(name))) - headings

    assert dead == set()
