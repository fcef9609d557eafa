"""A folder, a clock that tests move, and a source that reads the folder through a real landing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from connectors.folder import FolderConfig, FolderRead, FolderSource
from connectors.memory import MemoryIntake
from hub.contracts.batch import Batch
from hub.contracts.keys import KeyRing
from hub.contracts.source import Arrival, Landed
from hub.landing import Landing
from tests.contract.source_contract import KNOWN, settle_all

KEYS = KeyRing("m" * 64, {"k1": b"1" * 32})
START = 1_800_000_000.0


class LandingIntake(MemoryIntake):
    """The in-memory intake with bytes in a real landing."""

    def __init__(self, landing: Landing) -> None:
        super().__init__()
        self.landing = landing

    async def receive(self, name: str, content: Path | bytes | Landed, *, cursor: Any = None, evidence: Any = None) -> Arrival:
        """Land for real, then number."""
        landed = content if isinstance(content, Landed) else self.landing.put(content)
        return self.numbered(name, landed.digest, landed.size)

    def open(self, landed: str) -> BinaryIO:
        """The landed bytes."""
        return self.landing.open(landed)


class FolderBench:
    """Drops files, moves the clock, reads, and looks at what became of them."""

    def __init__(self, home: Path, read: dict[str, Any] | None = None) -> None:
        self.home = home
        self.folder = home / "drop"
        self.folder.mkdir()
        self.now = START
        self.read = FolderRead.model_validate({"ready": {"quiet": "10s"}} | (read or {}))
        self.intake = LandingIntake(Landing(home / "landing", KEYS))
        self.source = self.restarted()

    def restarted(self, rows: int = 5) -> FolderSource:
        """A new source on the same folder."""
        self.source = FolderSource(
            FolderConfig(path=Path("drop")),
            self.read,
            feed="A0000.memory",
            item="A0000-F00-01",
            known=KNOWN,
            intake=self.intake,
            home=self.home,
            batch_rows=rows,
            clock=lambda: self.now,
        )
        return self.source

    def drop(self, name: str | bytes, content: bytes, age: float = 60.0) -> Path:
        """Put a file into the folder, last changed `age` seconds ago."""
        path = Path(os.fsdecode(os.path.join(os.fsencode(self.folder), os.fsencode(name))))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (self.now - age, self.now - age))
        return path

    async def drain(self) -> list[Batch]:
        """See what is there, wait out the quiet period, read and settle everything."""
        await self.source.next_ready()
        self.now += 11
        return await settle_all(self.source, self.intake)

    def lying(self, where: str = "") -> list[str]:
        """Names of files below a part of the folder."""
        return sorted(str(p.relative_to(self.folder / where)) for p in (self.folder / where).rglob("*") if not p.is_dir() or p.is_symlink())

    @property
    def codes(self) -> list[str]:
        """Codes of refused arrivals, in order."""
        return [error.code for _, error in sorted(self.intake.reasons.items())]
