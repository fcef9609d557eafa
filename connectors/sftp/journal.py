"""What has become of each file on the server, kept in the feed's notes until it is tidied up there: so that a cut or a crash in between is made good later."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from connectors.formats.manifest import Manifest
from connectors.sftp.listing import Found
from connectors.sftp.remote import Look
from hub.contracts.errors import Rejected
from hub.contracts.source import Intake

_PREFIX = "tidy:"


@dataclass(frozen=True, slots=True)
class Handled:
    """A file that was downloaded. `state` is reading, settled or refused until it is tidied up, and kept where it stays on the server.

    `target` is where it is being moved to, chosen before the move; `error` is code, message and way out of a refusal.
    """

    path: bytes
    name: str
    look: Look
    arrival: int
    state: Literal["reading", "settled", "refused", "kept"] = "reading"
    companion: tuple[bytes, Look] | None = None
    manifest: Manifest | None = None
    target: bytes | None = None
    error: tuple[str, str, str] | None = None

    @classmethod
    def of(cls, found: Found, arrival: int) -> Self:
        """A file that has just got its number."""
        return cls(found.path, found.name, found.look, arrival, companion=found.companion, manifest=found.manifest)

    @property
    def key(self) -> str:
        """Key of its note; a file's name may be a person's, so it is hashed."""
        return _PREFIX + digest_of(self.path)

    def to_wire(self) -> dict[str, Any]:
        """Plain dictionary for the note."""
        wire = asdict(self) | {"path": self.path.hex(), "target": self.target.hex() if self.target is not None else None}
        wire["companion"] = (self.companion[0].hex(), self.companion[1]) if self.companion is not None else None
        wire["manifest"] = self.manifest.model_dump(exclude_none=True) if self.manifest is not None else None
        return wire

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """Inverse of `to_wire`."""
        companion, said, error = wire["companion"], wire["manifest"], wire["error"]
        return cls(
            path=bytes.fromhex(wire["path"]),
            name=wire["name"],
            look=_look(wire["look"]),
            arrival=int(wire["arrival"]),
            state=wire["state"],
            companion=(bytes.fromhex(companion[0]), _look(companion[1])) if companion is not None else None,
            manifest=Manifest.model_validate(said) if said is not None else None,
            target=bytes.fromhex(wire["target"]) if wire["target"] is not None else None,
            error=(error[0], error[1], error[2]) if error is not None else None,
        )

    def refusal(self) -> Rejected:
        """Why it was refused."""
        code, message, hint = self.error or ("held", "refused by a person", "send a corrected file under any name")
        return Rejected(message, hint=hint, code=code)


class Journal:
    """The notes of one feed about its files, read once and then kept in step: nobody else writes them."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._handled: dict[bytes, Handled] | None = None

    async def all(self) -> dict[bytes, Handled]:
        """Every file that is not forgotten, by path."""
        if self._handled is None:
            notes = await self._intake.recall_all(_PREFIX)
            self._handled = {one.path: one for one in map(Handled.from_wire, notes.values())}
        return self._handled

    async def write(self, handled: Handled) -> Handled:
        """Keep what is known of a file."""
        known = await self.all()
        await self._intake.remember(handled.key, handled.to_wire())
        known[handled.path] = handled
        return handled

    async def forget(self, handled: Handled) -> None:
        """There is nothing left to do for a file."""
        known = await self.all()
        await self._intake.remember(handled.key, None)
        known.pop(handled.path, None)


def digest_of(path: bytes) -> str:
    """What stands for a path where its name must not."""
    return hashlib.sha256(path).hexdigest()


def _look(wire: Any) -> Look:
    return int(wire[0]), int(wire[1])
