"""What every place where files are dropped agrees on: which names are meant, when a file is complete, and what is said beside a refused one."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from connectors.formats.answering import ACK, ERR
from hub.contracts.endpoint import Duration, EndpointConfig
from hub.contracts.errors import Rejected

UNFINISHED = (".part", ".tmp", ".filepart", ".swp", "~")
MOST_FILES = 100_000
SETTLING = 10.0  # seconds that a manifest may stay unreadable


def _pattern(value: str) -> str:
    parts = value.split("/")
    if value.startswith("/") or "\\" in value or any(part in ("", ".", "..", "**") for part in parts) or len(parts) > 8:
        raise ValueError('name files below the folder, like "*.csv" or "out/cf_*.csv"')
    if len(parts) > 1 and parts[0] in (ACK, ERR):
        raise ValueError(f"{parts[0]}/ is where the agency finds what the hub leaves for it; name another folder")
    return value


FilePattern = Annotated[str, AfterValidator(_pattern)]
"""Names below a folder, with `*` and `?`, at most eight levels deep."""


class Ready(EndpointConfig):
    """How a finished file is told from one that is still being written: exactly one of these."""

    marker: str | None = Field(default=None, pattern=r"^\.[^/]+$", description="A file beside it, like x.csv.ok or x.ok for `.ok`, says that it is complete.")
    manifest: str | None = Field(default=None, pattern=r"^\.[^/]+$", description="A JSON file beside it gives rows, bytes and digest, which must agree.")
    quiet: Duration | None = Field(default=None, description="It has not changed for so long.")
    rename: Literal[True] | None = Field(default=None, description="It is written under a name that ends in .tmp or .part and renamed when it is complete.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.marker, self.manifest, self.quiet, self.rename].count(None) != 3:
            raise ValueError("give one of marker, manifest, quiet, rename")
        return self

    @property
    def suffix(self) -> str | None:
        """Ending of the file that goes with a data file."""
        return self.marker or self.manifest


def reason(name: str, error: Rejected) -> str:
    """The page beside a refused file."""
    return f"文件 {name} 未被接收。\n代码：{error.code}\n原因：{error.message}\n处理：{error.hint}\n\n{name} was refused.\ncode: {error.code}\nreason: {error.message}\nway out: {error.hint}\n"
