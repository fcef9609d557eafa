"""Oracle's aggregates where SQLite's are not exact, or are missing."""

from __future__ import annotations

from decimal import Decimal, localcontext

from tests.oracle_emulator.types import Cell, as_text, stored, to_number


class Sum:
    """An exact sum."""

    def __init__(self) -> None:
        self.total: Decimal | int | None = None
        self.count = 0

    def step(self, value: Cell) -> None:
        if value is not None:
            with localcontext(prec=60):
                self.total = to_number(value) + (self.total or 0)
            self.count += 1

    def finalize(self) -> Cell:
        return None if self.total is None else stored(self.total)


class Average(Sum):
    """An exact average."""

    def finalize(self) -> Cell:
        if self.total is None:
            return None
        with localcontext(prec=40):
            return stored(Decimal(self.total) / self.count)


class Joined:
    """LISTAGG."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.separator = ""

    def step(self, value: Cell, separator: Cell = None) -> None:
        self.separator = "" if separator is None else as_text(separator)
        if value is not None:
            self.parts.append(as_text(value))

    def finalize(self) -> Cell:
        return self.separator.join(self.parts) or None
