"""The tutorial about databases does what it says, typed as it is written against a real MariaDB server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from routes.city import ZONE
from tests.acceptance.test_tutorial import BLOCK, Reader, Terminal
from tests.city.command import ROOT
from tests.city.database_agencies import MARIA_PROGRAM
from tests.servers import free_ports, requires

PAGE = ROOT / "docs" / "tutorials" / "first-database.md"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A newcomer's terminal on a machine with MariaDB."""
    requires("bash", "the tutorial is typed into it")
    requires(MARIA_PROGRAM, "the tutorial reads from Debian's mariadb-server")
    requires("mariadb", "the tutorial looks into a table with Debian's mariadb-client")
    opened = Terminal(tmp_path)
    yield opened
    opened.close()


class DatabaseReader(Reader):
    """Knows where the agencies' MySQL server really is."""

    def read(self, language: str, block: str) -> None:
        if found := re.search(r"^  MySQL .*?127\.0\.0\.1:(\d+)", self.said, re.MULTILINE):
            self.real |= {f"{words}18706": f"{words}{found[1]}" for words in ("127.0.0.1:", "port: ", "-P ")}
        super().read(language, block)


def blocks() -> list[tuple[str, str]]:
    page = PAGE.read_text("utf-8").replace(":8700", f":{free_ports(1)[0]}")
    return [(found[1], found[2]) for found in BLOCK.finditer(re.sub(r"_\d{8}\.jsonl", f"_{datetime.now(ZONE):%Y%m%d}.jsonl", page))]


@pytest.mark.timeout(900)
def test_the_tutorial_works_as_it_is_written(terminal: Terminal) -> None:
    reader = DatabaseReader(terminal)

    for language, block in blocks():
        reader.read(language, block)

    assert reader.done["yaml"] >= 5
    assert reader.done["sh"] >= 9
    assert "balanced" in reader.said


def test_each_way_of_telling_new_rows_is_shown() -> None:
    made = "".join(text for language, text in blocks() if language == "yaml")

    assert all(way in made for way in ("since: {time:", "since: {id:", "done: {column:", "query:", "-- reviewed:"))
