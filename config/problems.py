"""What is wrong with a configuration, where, and what to write instead."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

CODES: Final = (
    "syntax",  # not YAML 1.2
    "encoding",  # not UTF-8
    "too-large",  # file, number of files or nesting of the document beyond its cap
    "not-allowed",  # anchors, aliases, tags, several documents
    "too-deep",  # more than four levels
    "duplicate-key",
    "denied-field",  # what may not be collected of persons (R131)
    "duplicate-name",  # two files or fields claim the same name
    "unknown-file",
    "missing-file",
    "unknown-key",
    "missing-key",
    "wrong-type",
    "bad-value",
    "unknown-item",
    "unknown-agency",
    "unknown-source",
    "unknown-connector",
    "unknown-feed",
    "unknown-field",
    "unknown-code-list",
    "unknown-function",
    "bad-expression",
    "literal-secret",
    "because-missing",
)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One finding of lint. Lines and columns count characters from 1; `path` is dotted ("feeds.penalty.map.uscc").

    `excerpt` is the offending line, left out where it could show a secret.
    """

    file: str
    line: int
    column: int
    path: str
    code: str
    message: str
    hint: str = ""
    excerpt: str = ""

    def to_json(self) -> dict[str, str | int]:
        """The fixed face of `lint --format json`."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }

    def to_text(self) -> str:
        """For people: place, cause, the line with a caret below the spot, and the way out."""
        head = f"{self.file}:{self.line}:{self.column}: {self.message} [{self.code}]"
        lines = [head]
        if self.excerpt:
            before = self.excerpt[: self.column - 1]
            gutter = f"{self.line:>5} | "
            lines.append(f"{gutter}{self.excerpt}")
            lines.append(" " * (len(gutter) - 2) + "| " + " " * width(before) + "^")
        if self.hint:
            lines.append(f"      hint: {self.hint}")
        return "\n".join(lines)


def width(text: str) -> int:
    """Columns that a text takes in a terminal: East Asian wide characters take two (Unicode UAX 11)."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def nearest(word: str, known: Iterable[str], *, noun: str = "") -> str:
    """A hint that names the nearest right word, or the first few of those known; empty when nothing is known."""
    choices = sorted(set(known))
    found = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if found:
        return f"did you mean {found[0]}?"
    if not choices:
        return ""
    shown = ", ".join(choices[:8]) + (", …" if len(choices) > 8 else "")
    return f"known {noun}: {shown}" if noun else f"known: {shown}"
