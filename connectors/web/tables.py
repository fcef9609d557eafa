"""Records in the tables of a page: found by the item's headings, whatever their order, as rows or as pairs of label and value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from connectors.formats.cut import TOTALS
from hub.contracts.headings import normalise_heading

T = TypeVar("T")
Cells = dict[str, str | None]
WIDEST = 500  # columns
_NOTHING = re.compile("暂无|没有|无数据|无记录")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, how many columns and rows it covers, whether it is marked as a heading."""

    text: str
    columns: int = 1
    rows: int = 1
    heads: bool = False


@dataclass(frozen=True, slots=True)
class Line(Generic[T]):
    """One row of a table: its own cells, the text in every column that they and merged cells above cover, and what it was made from."""

    cells: tuple[Cell, ...]
    wide: tuple[str, ...]
    made_from: T


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """One record; `cells` is None where the row does not have the columns of its heading."""

    cells: Cells | None
    made_from: T


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """The records of a page: headings as written, how many of them the item knows, rows passed over (titles, notes, totals, repeated headings)."""

    titles: tuple[str, ...] = ()
    known: int = 0
    records: tuple[Record[T], ...] = ()
    passed: int = 0


def spread(rows: Iterable[tuple[Sequence[Cell], T]]) -> list[Line[T]]:
    """Lines with merged cells repeated in every place that they cover; columns beyond `WIDEST` are left out."""
    hanging: dict[int, tuple[int, str]] = {}  # column → rows that the cell above still covers, its text
    lines = []
    for cells, made_from in rows:
        wide: list[str] = []
        below: dict[int, tuple[int, str]] = {}
        for cell in [*cells, None]:
            while len(wide) in hanging:
                _cover(wide, below, 1, *hanging[len(wide)])
            if cell is not None:
                _cover(wide, below, cell.columns, cell.rows, cell.text)
        hanging = below
        lines.append(Line(tuple(cells), tuple(wide), made_from))
    return lines


def _cover(wide: list[str], below: dict[int, tuple[int, str]], columns: int, rows: int, text: str) -> None:
    for _ in range(min(columns, WIDEST - len(wide))):
        if rows > 1:
            below[len(wide)] = (rows - 1, text)
        wide.append(text)


def find(tables: Sequence[Sequence[Line[T]]], known: frozenset[str], *, chosen: bool) -> Found[T]:
    """The records of a page's tables; `known` are the item's headings, normalised.

    `chosen` says that a person named the tables: then one whose headings the item does not know is read by its first row. Otherwise tables count when
    the item knows at least two of their headings.
    """
    listed: list[Found[T]] = []
    paired: list[tuple[str, str | None, T]] = []
    for lines in tables:
        rows, pairs = _listed(lines, known, chosen=chosen), _pairs(lines, known)
        fitting = known_among((label for label, _, _ in pairs), known)
        if fitting > rows.known or (fitting and fitting == rows.known and not rows.records):
            paired += pairs
        else:
            listed.append(rows)
    best = max((_merged(listed), _record(paired, known)), key=lambda found: found.known)
    return best if best.known >= min(2, len(known)) or (chosen and best.titles) else Found()


def _merged(listed: Sequence[Found[T]]) -> Found[T]:
    """The table that fits best, and those with the very same headings."""
    best: Found[T] = max(listed, key=lambda found: (found.known, len(found.records)), default=Found())
    same = [found for found in listed if set(found.titles) == set(best.titles)]
    return Found(best.titles, best.known, tuple(r for found in same for r in found.records), sum(found.passed for found in same))


def _listed(lines: Sequence[Line[T]], known: frozenset[str], *, chosen: bool) -> Found[T]:
    """One record per row, below the row that holds most of the headings (the lowest of them where cells are merged over two rows)."""
    scores = [known_among(line.wide, known) for line in lines]
    best = max(scores, default=0)
    if not lines or (not best and not chosen):
        return Found()
    at = scores.index(best) if best else 0
    while best and at + 1 < len(scores) and scores[at + 1] == best:
        at += 1
    heading, names = lines[at].wide, _names(lines[at].wide)
    records, passed = [], at
    for line in lines[at + 1 :]:
        if _no_record(line, heading):
            passed += 1
            continue
        fits = len(line.wide) == len(heading)
        records.append(Record({name: text or None for name, text in zip(names, line.wide, strict=True) if name} if fits else None, line.made_from))
    return Found(tuple(filter(None, names)), best, tuple(records), passed)


def _no_record(line: Line[T], heading: tuple[str, ...]) -> bool:
    """An empty row, the heading again, a note over the whole width, or a closing total."""
    filled = [text for text in line.wide if text]
    if not filled or line.wide == heading or normalise_heading(filled[0]) in TOTALS:
        return True
    whole = len(line.wide) >= len(heading) or _NOTHING.search(filled[0]) is not None
    return len(line.cells) == 1 and len(heading) > 1 and whole


def _pairs(lines: Sequence[Line[T]], known: frozenset[str]) -> list[tuple[str, str | None, T]]:
    return [(label, value, line.made_from) for line in lines for label, value in _labelled(line.cells, known)]


def _labelled(cells: Sequence[Cell], known: frozenset[str]) -> list[tuple[str, str | None]]:
    """Labels of a row with their values: `th` before `td` where the page marks them, every other cell otherwise; a group's name at the side is none."""
    row = list(cells[1:] if len(cells) % 2 and cells[0].rows > 1 else cells)
    marked = any(cell.heads for cell in row) and not all(cell.heads for cell in row)
    found = []
    at = 0
    while at + 1 < len(row):
        label, value = row[at], row[at + 1]
        if label.text and (label.heads and not value.heads if marked else normalise_heading(value.text) not in known):
            found.append((label.text.rstrip("：: "), value.text or None))
            at += 2
        else:
            at += 1
    return found


def _record(pairs: Sequence[tuple[str, str | None, T]], known: frozenset[str]) -> Found[T]:
    """Pairs of several tables (firm, entry, removal) make one record; a label that comes again with another value begins the next."""
    records: list[Record[T]] = []
    current: Cells = {}
    for label, value, made_from in pairs:
        if not records or current.get(label, value) != value:
            current = {}
            records.append(Record(current, made_from))
        current[label] = value
    titles = tuple(dict.fromkeys(label for label, _, _ in pairs))
    return Found(titles, known_among(titles, known), tuple(records))


def known_among(titles: Iterable[str], known: frozenset[str]) -> int:
    """How many different headings of the item these are."""
    return len({name for name in map(normalise_heading, titles) if name in known})


def _names(heading: Sequence[str]) -> list[str]:
    """Headings as column names: repeated ones numbered, "" for a column without one."""
    names: list[str] = []
    for position, title in enumerate(heading, 1):
        name = title.lstrip("_")
        names.append(f"{name}_{position}" if name and name in names else name)
    return names
