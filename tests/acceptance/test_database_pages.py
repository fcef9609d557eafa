"""What the page about agencies' databases says of messages, evidence and settings is what the product has."""

from __future__ import annotations

import re

from connectors.databases.settings import DatabaseRead, MysqlConfig, OracleConfig, Since
from tests.architecture.sources import product_files
from tests.city.command import ROOT

PAGE = (ROOT / "docs" / "operations" / "databases.md").read_text("utf-8")


def column(heading: str, number: int) -> list[str]:
    """Cells of one column of the table whose heading row begins like this."""
    (table,) = re.findall(rf"^\| {re.escape(heading)} .*\|\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [line.split(" | ")[number].strip("| ") for line in table.splitlines()]


def test_every_message_is_one_of_the_hubs() -> None:
    code = "".join(file.read_text("utf-8") for file in product_files())

    messages = [piece.strip() for cell in column("message", 0) for piece in cell.split(";")]

    assert len(messages) > 18
    assert [message for message in messages if message not in code] == []


def test_every_word_of_evidence_is_one_of_the_hubs() -> None:
    code = "".join(file.read_text("utf-8") for file in product_files())

    words = re.findall(r"`(\w+)`", " ".join(column("what | what becomes of it", 2)))

    assert len(words) > 6
    assert [word for word in words if f'"{word}"' not in code] == []


def test_every_setting_is_one_of_the_connectors() -> None:
    known = {field.alias or name for model in (DatabaseRead, MysqlConfig, OracleConfig, Since) for name, field in model.model_fields.items()}

    named = set(re.findall(r"`([a-z_]+):(?: [^`]*)?`", PAGE)) - {"snapshot", "map", "type"}

    assert len(named) > 8
    assert named - known == set()
