"""Markdown: tables, code, and links to headings of the same page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NOTE = "<!-- Made by `make docs` from the code; changes by hand are lost. -->"


def document(title: str, *parts: str) -> str:
    """A page: title, a note for those who would edit it, and its parts with a blank line between them."""
    return "\n\n".join([f"# {title}", NOTE, *(part.strip("\n") for part in parts if part)]) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under headings; a column in which no row has anything is left out."""
    lines = [list(row) for row in rows]
    kept = [place for place in range(len(headings)) if any(line[place] for line in lines)]
    shown = [[headings[place] for place in kept], ["---"] * len(kept), *([cell(line[place]) for place in kept] for line in lines)]
    return "\n".join("| " + " | ".join(line) + " |" for line in shown)


def cell(text: str) -> str:
    """Text that may stand in a table; what looks like a tag outside of code is none."""
    shown = re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))
    return re.sub(r"(`[^`]*`)|<", lambda found: found[1] or "&lt;", shown)


def code(text: object) -> str:
    """Text as it is typed; a backtick inside takes a longer fence."""
    shown = str(text)
    fence = "``" if "`" in shown else "`"
    return f"{fence}{shown}{fence}"


def codes(words: Iterable[object]) -> str:
    """Several words that are typed, with commas."""
    return ", ".join(code(word) for word in words)


def block(*lines: str) -> str:
    """Lines as they appear in a terminal."""
    return "\n".join(["```text", *lines, "```"])


def link(heading: str, text: str = "") -> str:
    """A link to a heading of the same page."""
    return f"[{text or heading}](#{anchor(heading)})"


def anchor(heading: str) -> str:
    """The name that a heading gets when the page is shown."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
