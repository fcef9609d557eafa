"""Where the table of a sheet begins: its heading of one to three rows, what stands above it, and what directly below is no record."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from connectors.formats.cut import HEADING_DEPTH
from hub.contracts.headings import normalise_heading

DEEPEST = 3  # rows of one heading
BELOW = 3  # rows directly under a heading that may explain it
TOP = 60  # rows of a sheet that are looked at
NOTE = r"(?:注|备注|附注|说明|填表说明|填报说明|填写说明)\d*[:：.、．].*"
_LABEL = re.compile(r"\[(tablecode|departmentcode)\]\s*[:：=]?\s*([^\[\]\s]*)", re.I)
_BREAK = re.compile(r"\s*[\r\n]+\s*")
_EXPLAINS = re.compile(r"[(（\[]?(?:必填|选填|非必填|必填项|选填项|必录|可空|可选|不为空|文本|文本型|字符|字符型|数字|数值|数值型|日期|日期型)[)）\]]?")

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Top:
    """The first rows of a sheet as text, from row `first` (from 0) on; `left` is its first column, `width` how many it has."""

    sheet: int
    name: str
    first: int
    left: int
    width: int
    rows: Rows

    @classmethod
    def of(cls, name: str, message: Mapping[str, Any]) -> Top:
        """As the reading process tells it."""
        return cls(message["sheet"], name, message["first"], message["left"], message["width"], message["rows"])


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a sheet: heading rows `begin` to `after` (from 0, without the last), a title per column of `columns`, `matched` of them known.

    `skip` are rows under the heading that explain it; `headings` what a repeated heading looks like.
    """

    top: Top
    begin: int
    after: int
    columns: tuple[int, ...]
    titles: tuple[str, ...]
    matched: int
    skip: tuple[int, ...]
    headings: tuple[tuple[str, ...], ...]


def find_table(top: Top, known: frozenset[str], heading: int | None = None) -> Table | None:
    """The table whose heading the item knows best, in as few rows as possible; None where it knows nothing. `heading` fixes its first row (from 1)."""
    best: tuple[tuple[int, int, int], int, list[str]] | None = None
    for row in _candidates(top, heading):
        for depth in range(1, DEEPEST + 1):
            rows = top.rows[row : row + depth]
            if len(rows) < depth or not any(cell.strip() for cell in rows[-1]):
                break
            titles = _titles(rows, known)
            score = (matched_of(titles, known) if known else _filled(titles), -depth, -row)
            if best is None or score > best[0]:
                best = score, row, titles
    if best is None or best[0][0] == 0:
        return None
    (matched, depth, _), row, titles = best
    return _table(top, row, row - depth, titles, matched, known)


def codes_of(top: Top, until: int | None) -> Iterator[tuple[str, str]]:
    """Labels of the standard template (`tablecode`, `departmentcode`) above row `until` (from 0), each with its value: in the cell, beside or below it."""
    rows = top.rows if until is None else top.rows[: max(until - top.first, 0)]
    for at, row in enumerate(rows):
        for column, cell in enumerate(row):
            for label in _LABEL.finditer(cell):
                beside = next((other for other in row[column + 1 :] if other.strip()), "")
                below = rows[at + 1][column] if at + 1 < len(rows) and column < len(rows[at + 1]) else ""
                value = label[2] or ("" if _LABEL.search(beside) else beside) or ("" if _LABEL.search(below) else below)
                yield label[1].lower(), value.strip()


def _candidates(top: Top, heading: int | None) -> list[int]:
    if heading is not None:
        row = heading - 1 - top.first
        return [row] if 0 <= row < len(top.rows) else []
    return [at for at, row in enumerate(top.rows) if any(cell.strip() for cell in row)][:HEADING_DEPTH]


def matched_of(titles: Sequence[str], known: frozenset[str]) -> int:
    """How many different headings of the item are among the titles."""
    return len({_normal(title) for title in titles} & known)


@lru_cache(maxsize=4096)
def _normal(text: str) -> str:
    return normalise_heading(text)


def _filled(titles: Sequence[str]) -> int:
    return sum(map(bool, titles))


def _titles(rows: Rows, known: frozenset[str]) -> list[str]:
    """A title per column. Over several rows an upper cell belongs to all columns to its right that have none of their own and something below."""
    width = max(map(len, rows))
    cells = [[_BREAK.sub("", cell).strip() for cell in (*row, *[""] * (width - len(row)))] for row in rows]
    for at in range(len(cells) - 2, -1, -1):
        under = [any(row[column] for row in cells[at + 1 :]) for column in range(width)]
        for column in range(1, width):
            if not cells[at][column] and under[column] and under[column - 1]:
                cells[at][column] = cells[at][column - 1]
    paths = [tuple(dict.fromkeys(filter(None, column))) for column in zip(*cells, strict=True)]
    lowest = Counter(_normal(path[-1]) for path in paths if path)
    taken: set[str] = set()
    return [_title(path, known, lowest, taken) for path in paths]


def _title(path: tuple[str, ...], known: frozenset[str], lowest: Counter[str], taken: set[str]) -> str:
    """The spelling that the item knows: the lowest part, all parts, or an upper one; all of them with `/` between where it knows none."""
    if len(path) < 2:
        return path[0] if path else ""
    spellings = ["".join(path), "".join(path[-2:]), path[-1], *path[-2::-1]]
    if lowest[_normal(path[-1])] == 1:
        spellings.insert(0, path[-1])
    found = next((spelling for spelling in spellings if _normal(spelling) in known and _normal(spelling) not in taken), None)
    if found is None:
        return "/".join(path)
    taken.add(_normal(found))
    return found


def _table(top: Top, row: int, after: int, titles: Sequence[str], matched: int, known: frozenset[str]) -> Table:
    columns = tuple(column for column, title in enumerate(titles) if title)
    heads = [tuple(cells[c] if c < len(cells) else "" for c in columns) for cells in top.rows[row:after]]
    skip = []
    for at, cells in enumerate(top.rows[after : after + BELOW], after):
        if not _explains([cells[c].strip() for c in columns if c < len(cells) and cells[c].strip()], len(columns), known):
            break
        skip.append(top.first + at)
    named = tuple(titles[c] for c in columns)
    return Table(top, top.first + row, top.first + after, columns, named, matched, tuple(skip), tuple(head for head in heads if any(head)))


def _explains(cells: Sequence[str], width: int, known: frozenset[str]) -> bool:
    """Whether a row under the heading explains it: column numbers, "required", the headings in another spelling, or a note over all columns."""
    if not cells:
        return True
    if len(cells) == 1 and width >= 3:
        return re.fullmatch(NOTE, "".join(cells[0].split()), re.S) is not None
    numbers = [int(cell) for cell in cells if cell.isascii() and cell.isdigit() and len(cell) < 5]
    counted = len(numbers) == len(cells) >= 3 and numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] in (0, 1)
    return counted or all(map(_EXPLAINS.fullmatch, cells)) or (len(cells) >= 2 and all(_normal(cell) in known for cell in cells))
