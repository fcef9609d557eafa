"""What was found about a document, in lines for people; and which part of it (sheet, member, page) a row came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SHOWN = 20
_LINE = 600


def flat_evidence(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Name and value of everything that was found, the innermost last; of long lists the beginning."""
    for key, value in found.items():
        name = f"{before}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from flat_evidence(value, f"{name}: ")
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            for number, one in enumerate(value[:_SHOWN], 1):
                yield f"{name} {number}", told(one)
        elif value not in (None, "", [], ()):
            yield name, ", ".join(map(str, value[:_SHOWN])) if isinstance(value, list) else str(value)


def part_of(found: Mapping[str, Any], ordinal: int) -> str:
    """The part of the document that holds the row of an ordinal, as "处罚, row 3 of 20"; parts within parts are named from the outside in."""
    for part in found.get("parts") or ():
        first, rows = int(part.get("first", 0)), int(part.get("rows", 0))
        if first <= ordinal < first + rows:
            inner = part_of(part.get("found") or {}, ordinal - first)
            return f"{part.get('name', '')}, {inner or f'row {ordinal - first + 1} of {rows}'}"
    return ""


def told(found: Mapping[str, Any]) -> str:
    """Everything that was found in one line, at most 600 characters."""
    line = ", ".join(f"{name} {value}" for name, value in flat_evidence(found))
    return line if len(line) <= _LINE else f"{line[: _LINE - 1]}…"


def told_cut(cut: Mapping[str, Any]) -> str:
    """How a document was cut, as kept in the ledger: form, encoding and why, delimiter, headings that the item knows."""
    placed = bool(cut.get("placed"))
    about = {name: value for name, value in (cut.get("found") or {}).items() if name != "parts"} if placed else {}
    if not placed:
        about = {"encoding": f"{cut['encoding']} ({cut['basis']})", "delimiter": repr(cut["delimiter"])}
    known = f"{cut['matched']} of {len(cut['titles']) - placed} headings known"
    return ", ".join(filter(None, (str(cut.get("form", "csv")), told(about), known)))
