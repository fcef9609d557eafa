"""The file that a sender puts beside its data: how many rows and bytes, and which digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hub.contracts.errors import Rejected

LONGEST = 64 << 10
_HINT = "ask the agency to send file and manifest again"


class Manifest(BaseModel):
    """What the sender says about its file. Other keys are left alone."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, frozen=True)

    rows: int | None = Field(default=None, ge=0)
    bytes: int | None = Field(default=None, ge=0)
    sha256: str | None = Field(default=None, pattern="^[0-9a-fA-F]{64}$")
    md5: str | None = Field(default=None, pattern="^[0-9a-fA-F]{32}$")
    sm3: str | None = Field(default=None, pattern="^[0-9a-fA-F]{64}$")

    def check(self, opened: Callable[[], BinaryIO], size: int, landed: str) -> None:
        """Raise `Rejected` F009 unless bytes and digests agree; `landed` is the file's sha256, `opened` gives its bytes where another digest is asked for."""
        if self.bytes is not None and self.bytes != size:
            raise Rejected(f"the manifest announces {self.bytes} bytes, the file has {size}", hint=_HINT, code="F009")
        if self.sha256 is not None and self.sha256.lower() != landed:
            raise Rejected("the manifest's sha256 is not that of the file", hint=_HINT, code="F009")
        for name in ("md5", "sm3"):
            wanted = getattr(self, name)
            if wanted is not None and wanted.lower() != _digest(opened, name):
                raise Rejected(f"the manifest's {name} is not that of the file", hint=_HINT, code="F009")


def parse(text: bytes) -> Manifest | None:
    """The manifest, None where the text is none (it may still be being written)."""
    try:
        return Manifest.model_validate(json.loads(text.decode("utf-8-sig")), strict=True)
    except (ValueError, ValidationError, RecursionError):
        return None


def unreadable() -> Rejected:
    """The error for a manifest that stays unreadable."""
    return Rejected("the manifest is no JSON object with rows, bytes and sha256, md5 or sm3", hint=_HINT, code="F009")


def _digest(opened: Callable[[], BinaryIO], name: str) -> str:
    try:
        digest = hashlib.new(name, usedforsecurity=False)
    except ValueError as error:
        raise Rejected(f"the manifest gives {name}, which this machine cannot compute", hint="ask for sha256", code="F009") from error
    with opened() as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
