"""What must be in a store after an agency's files, folded row by row with plain dictionaries and nothing of the hub's own code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Row = Mapping[str, str]
Key = tuple[str, ...]


@dataclass
class Record:
    """One stored record: its values as the agency wrote them, and whether it was withdrawn."""

    values: dict[str, str]
    withdrawn: bool = False


@dataclass
class Filing:
    """The files of one item in their order. `key` names the natural key, `content` the fields that make two rows equal.

    A row is a dictionary of texts with two more entries that say what the test made of it: `made` ("good", "bad" for one that no check may pass, "stray"
    for one without a strong identifier) and `op` ("I" or "D"). Batches are `batch_rows` rows of one file.
    """

    key: Sequence[str]
    content: Sequence[str]
    batch_rows: int
    records: dict[Key, Record] = field(default_factory=dict)
    fates: Counter[str] = field(default_factory=Counter)

    def file(self, rows: Sequence[Row]) -> None:
        """Fold one more file in."""
        for start in range(0, len(rows), self.batch_rows):
            self._batch(rows[start : start + self.batch_rows])

    def _batch(self, rows: Sequence[Row]) -> None:
        """Bad and stray rows are counted; of the others only the last row of a key counts, and earlier ones give way to it."""
        self.fates.update(read=len(rows), rejected=_made(rows, "bad"), unmatched=_made(rows, "stray"))
        last: dict[Key, Row] = {}
        for row in reversed([row for row in rows if row["made"] == "good"]):
            key = self._key(row)
            if key not in last:
                last[key] = row
            else:
                self.fates["duplicate" if self._says(row) == self._says(last[key]) else "superseded"] += 1
        for key, row in last.items():
            self.fates[self._apply(key, row)] += 1

    def _apply(self, key: Key, row: Row) -> str:
        """The newest row wins; a withdrawal keeps what was known, and of an unknown record what it says itself."""
        known = self.records.get(key)
        values = {name: row[name] for name in self.content}
        if row["op"] == "D":
            before = self.records.setdefault(key, Record(values))
            fate = "unchanged" if before.withdrawn else "withdrawn"
            before.withdrawn = True
            return fate
        if known is not None and not known.withdrawn and known.values == values:
            return "unchanged"
        self.records[key] = Record(values)
        return "inserted" if known is None else "updated"

    def _key(self, row: Row) -> Key:
        return tuple(row[name] for name in self.key)

    def _says(self, row: Row) -> tuple[str, ...]:
        return (row["op"], *(row[name] for name in self.content))


def _made(rows: Iterable[Row], kind: str) -> int:
    return sum(row["made"] == kind for row in rows)
