"""What is said in YAML about a folder, and about the files of one feed in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from connectors.formats.forms import FileFormat
from hub.contracts.endpoint import Duration, EndpointConfig


def _pattern(value: str) -> str:
    parts = value.split("/")
    if value.startswith("/") or "\\" in value or any(part in ("", ".", "..", "**") for part in parts) or len(parts) > 8:
        raise ValueError('name files below the folder, like "*.csv" or "out/cf_*.csv"')
    return value


class FolderConfig(EndpointConfig):
    """A local directory shared with another system."""

    path: Path = Field(description="Directory to use; a relative one is below HOME. It is created when it is missing.")


class Ready(EndpointConfig):
    """How a finished file is told from one that is still being written: exactly one of these."""

    marker: str | None = Field(default=None, pattern=r"^\.[^/]+$", description="A file beside it, like x.csv.ok or x.ok for `.ok`, says that it is complete.")
    manifest: str | None = Field(default=None, pattern=r"^\.[^/]+$", description="A JSON file beside it gives rows, bytes and digest, which must agree.")
    quiet: Duration | None = Field(default=None, description="It has not changed for so long.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.marker, self.manifest, self.quiet].count(None) != 2:
            raise ValueError("give one of marker, manifest, quiet")
        return self

    @property
    def suffix(self) -> str | None:
        """Ending of the file that goes with a data file."""
        return self.marker or self.manifest


class FolderRead(FileFormat):
    """The files of one feed in a folder."""

    files: Annotated[str, AfterValidator(_pattern)] = Field(default="*.csv", description="Which file names are meant; letter case does not count.")
    ready: Ready = Field(default_factory=lambda: Ready(quiet=timedelta(seconds=10)), description="When a file is complete.")
    max_size: int = Field(default=2 << 30, gt=0, description="Bytes; a larger file is refused unread.")
