"""What is said in YAML about a folder, and about the files of one feed in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from connectors.formats.answering import Answers
from connectors.formats.files import FilePattern, Ready
from connectors.formats.forms import FileFormat
from hub.contracts.endpoint import EndpointConfig


class FolderConfig(EndpointConfig):
    """A local directory shared with another system."""

    path: Path = Field(description="Directory to use; a relative one is below HOME. It is created when it is missing.")
    answers: Answers = Field(
        default=True,
        description="Whether the agency gets a receipt in `ack/` for each file, and the rows that were set aside in `err/`; `errors`: only where something is wrong.",
    )


class FolderRead(FileFormat):
    """The files of one feed in a folder."""

    files: FilePattern = Field(default="*.csv", description="Which file names are meant; letter case does not count.")
    ready: Ready = Field(default_factory=lambda: Ready(quiet=timedelta(seconds=10)), description="When a file is complete.")
    max_size: int = Field(default=2 << 30, gt=0, description="Bytes; a larger file is refused unread.")
