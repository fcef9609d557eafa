"""No citizen's number is in clear anywhere, and no citizen's name outside the store that is there for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.city.command import PERSON_HEADING, Hub, person_row
from tests.city.identities import citizen

NAME, WRONG_NAME = "欧阳样鳯", "司徒样驫"
NUMBER, WRONG_NUMBER = citizen(7), citizen(8)[:-1] + ("1" if citizen(8)[-1] != "1" else "2")
ENCODINGS = ("utf-8", "gb18030", "utf-16-le")


def holding(place: Path, *secrets: str) -> dict[str, list[str]]:
    """Files below a place that hold one of these, in any encoding; the agency's own folders are not the hub's."""
    needles = {secret: [secret.encode(code) for code in ENCODINGS] for secret in secrets}
    found: dict[str, list[str]] = {}
    for path in place.rglob("*"):
        if path.is_file() and "in" not in path.relative_to(place).parts[:1] and not path.is_symlink():
            content = path.read_bytes()
            for secret, forms in needles.items():
                if any(form in content for form in forms):
                    found.setdefault(str(path.relative_to(place)), []).append(secret)
    return found


@pytest.fixture(params=["utf-8", "gb18030"])
def told(request: pytest.FixtureRequest, hub: Hub) -> tuple[Hub, str]:
    """A hub that took in a person, refused another, was asked everything, and all that it said."""
    rows = [person_row(7, NAME), person_row(8, WRONG_NAME, code=WRONG_NUMBER), *(person_row(n) for n in range(20, 60))]
    hub.drop("persons", f"{NAME}{NUMBER}.csv", "\n".join([PERSON_HEADING, *rows, ""]).encode(request.param))
    hub.drop("firms", "notes.csv", f"{NAME},{NUMBER}\n{WRONG_NAME},{WRONG_NUMBER}\n".encode(request.param))
    said = [hub.once()]
    with hub.running() as running:
        said += [hub("status"), hub("quarantine", "list"), hub("quarantine", "show", "1"), hub("reconcile"), hub("events"), hub("queue", "list")]
        pages = [running.get(path)[1] for path in ("/", "/status.json", "/metrics", "/readyz")]
    said.append(hub("preview", "A0001.persons", str(next((hub.home / "in/persons/done").rglob("*.csv")))))
    return hub, "".join(a.out + a.err for a in said) + "".join(pages) + running.log.read_text()


def test_no_person_is_in_clear_in_any_file_nor_in_anything_shown_but_in_the_store(told: tuple[Hub, str]) -> None:
    hub, said = told

    found = holding(hub.home, NAME, WRONG_NAME, NUMBER, WRONG_NUMBER)
    lines = [line for line in said.splitlines() if any(secret in line for secret in (NAME, WRONG_NAME, NUMBER, WRONG_NUMBER))]

    assert hub.sql("psn", f"SELECT count(*) FROM a0001_z06_01 WHERE name = '{NAME}'") == [(1,)]
    assert {name: secrets for name, secrets in found.items() if not name.startswith("stores/psn.sqlite")} == {}
    assert {secret for secrets in found.values() for secret in secrets} <= {NAME}
    assert "R114" in said
    assert [line for line in lines if f"{NAME}{NUMBER}.csv" not in line] == []  # the agency's own name for its file, where a person asks for it
    assert [line for line in lines if line.startswith('{"timestamp"')] == []
