"""Which page is made by what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.architecture.sources import ROOT
from tests.reference import codes, commands, functions, metrics, settings

FOLDER: Final = ROOT / "docs" / "reference"
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "commands.md": commands.page,
    "settings.md": settings.page,
    "functions.md": functions.page,
    "codes.md": codes.page,
    "metrics.md": metrics.page,
}
