"""The whole of a table is compared with what it was last time, by sums over buckets of its rows; only buckets that differ are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.databases.columns import View
from connectors.databases.dialect import Ask, Database

_SIZES = ((100_000, 256), (1_000_000, 1024))
_MOST = 4096
Sums = Mapping[int, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found: buckets that `differ` of how many (`of`), and at least how many rows are `gone`."""

    of: int
    sums: Sums
    differ: frozenset[int]
    gone: int

    def ask(self, view: View) -> Ask | None:
        """The rows to be read again; None where nothing differs."""
        if not self.differ:
            return None
        whole = self.differ >= set(self.sums)
        return view.ask(buckets=None if whole else (self.differ, self.of))

    def document(self) -> bytes:
        """The sums, to be landed."""
        return json.dumps({"of": self.of, "sums": {str(bucket): list(found) for bucket, found in sorted(self.sums.items())}}).encode()


def compare(database: Database, view: View, rows: int, before: Any) -> Compared:
    """Compare with what `before` holds (see `Compared.document`; None at first, when everything is read). Blocking."""
    of = int(before["of"]) if before else next((size for most, size in _SIZES if rows < most), _MOST)
    sums = dict(database.sums(view.ask(), of))
    old = {int(bucket): (int(found[0]), str(found[1])) for bucket, found in before["sums"].items()} if before else {}
    differ = frozenset(bucket for bucket in sums if sums[bucket] != old.get(bucket))
    gone = sum(max(0, found[0] - sums.get(bucket, (0, ""))[0]) for bucket, found in old.items())
    return Compared(of, sums, differ, gone)
