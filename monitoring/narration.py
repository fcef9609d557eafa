"""What happens, in short lines, for a person who watches a run in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from hub.contracts.batch import FATE_WORDS
from hub.contracts.observer import Fact
from monitoring.logs import safe_text

_STYLES = {"held": "yellow", "refused": "yellow", "stumbled": "yellow", "unreadable": "yellow", "dead": "red", "stopped": "red"}


class Narrator:
    """Tells each fact as one line; what waits or went wrong is told with its reason and the way out."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)

    def __call__(self, fact: Fact) -> None:
        """Write one fact."""
        place = fact.where.partition(":")[2] or fact.where
        line = f"{fact.at.astimezone():%H:%M:%S}  {fact.what:<10} {place}  {_told(fact)}".rstrip()
        self._console.print(Text(safe_text(line), style=_STYLES.get(fact.what, "")))


def _told(fact: Fact) -> str:
    facts = fact.facts
    if fact.what == "settled":
        return f"read {facts['read']}" + (f", {facts['refused']} set aside" if facts["refused"] else "")
    if fact.what == "loaded":
        return ", ".join(f"{word} {facts[word]}" for word in FATE_WORDS if facts.get(word)) or "nothing new"
    if "records" in facts:
        return f"{facts['records']} records" + (f", {facts['withheld']} withheld" if facts.get("withheld") else "")
    return _reason(facts)


def _reason(facts: Mapping[str, Any]) -> str:
    reason, hint = str(facts.get("reason") or facts.get("error") or ""), str(facts.get("hint") or "")
    return f"{reason} ({hint})" if reason and hint else reason
