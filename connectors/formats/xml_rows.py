"""Records of an XML document as lines of its plain form."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.formats.elements import MAX_COLUMNS, Element, Leaves, RecordPath, local, too_many
from connectors.formats.plain import SEPARATOR, line
from hub.contracts.errors import Rejected

MAX_CELL = 1 << 20
_SHAPES = 1_000


@dataclass(frozen=True, slots=True)
class Look:
    """What the beginning of a document shows: where its records are, their headings, the known ones where attributes count, whether lines tell records apart.

    `elsewhere` is where the item's fields are, when there are none at the path that the feed names.
    """

    path: RecordPath
    titles: tuple[str, ...]
    attributes: frozenset[str] | None
    by_line: bool
    elsewhere: str = ""


@dataclass(slots=True)
class Rows:
    """Lines of the plain form in the making. `unknown` are headings that were not announced: from then on only headings are gathered."""

    titles: tuple[str, ...]
    look: Look
    unknown: dict[str, None] = field(default_factory=dict)
    written: int = 0
    empty: int = 0
    waiting: int = 0  # bytes
    _pieces: list[bytes] = field(default_factory=list)
    _slots: dict[str, int] = field(default_factory=dict)
    _shapes: dict[tuple[str, ...], list[int] | None] = field(default_factory=dict)
    _in_order: list[int] = field(default_factory=list)
    _tags: list[str] = field(default_factory=list)  # of the record before
    _places: list[int] | None = None  # of its cells

    def __post_init__(self) -> None:
        self._slots = {title: slot for slot, title in enumerate(self.titles, 1)}
        self._in_order = list(self._slots.values())
        self._check_columns()

    def add(self, records: list[Element], *, flat: bool) -> None:
        """Write these records; `flat` ones have nothing but text in their cells."""
        cells_of = self._flat if flat and self.look.attributes is None else self._deep
        rows = []
        for record in records:
            cells = cells_of(record)
            if not any(cells):
                self.empty += 1
                continue
            self.written += 1
            cells[0] = str(record.sourceline if self.look.by_line else self.written + self.empty)
            rows.append(cells)
        if rows:
            self._write(rows)

    def take(self) -> bytes:
        """What has been written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self.waiting = 0
        return taken

    def _flat(self, record: Element) -> list[str]:
        children = record[:]
        tags = [child.tag for child in children]
        if tags != self._tags:
            self._tags, self._places = tags, self._shape(tuple(tags))
        if self._places is None:
            return self._deep(record)
        texts = [child.text or "" for child in children]
        if self._places is self._in_order:
            return ["", *texts]
        cells = [""] * (len(self.titles) + 1)
        for slot, text in zip(self._places, texts, strict=True):
            cells[slot] = text
        return cells

    def _shape(self, tags: tuple[str, ...]) -> list[int] | None:
        """Where the cells of records with these tags go; None where some are repeated or unknown."""
        if tags in self._shapes:
            return self._shapes[tags]
        names = [local(tag) for tag in tags]
        slots = [self._slots.get(name, 0) for name in names]
        found = slots if all(slots) and len(set(names)) == len(names) else None
        found = self._in_order if found == self._in_order else found
        if len(self._shapes) < _SHAPES:
            self._shapes[tags] = found
        return found

    def _deep(self, record: Element) -> list[str]:
        cells = [""] * (len(self.titles) + 1)
        for title, text in Leaves(record, self.look.attributes):
            slot = self._slots.get(title)
            if slot is None:
                self.unknown[title] = None
                self._check_columns()
            else:
                cells[slot] = text
        return cells

    def _check_columns(self) -> None:
        if len(self.titles) + len(self.unknown) > MAX_COLUMNS:
            raise too_many()

    def _write(self, rows: list[list[str]]) -> None:
        lines = [SEPARATOR.join(cells) for cells in rows]
        text = "\n".join(lines)
        if len(text) > MAX_CELL:
            _check_cells(rows)
        risky = '"' in text or "\r" in text or text.count("\n") >= len(rows)
        piece = b"".join(map(line, rows)) if risky else (text + "\n").encode()
        self._pieces.append(piece)
        self.waiting += len(piece)


def _check_cells(rows: list[list[str]]) -> None:
    for cells in rows:
        if max(map(len, cells)) > MAX_CELL:
            raise Rejected(
                f"record at {cells[0]}: a field over {MAX_CELL >> 20} MiB", hint="files inside records are not taken; leave the field out", code="F003"
            )
