"""A hub of its own for each test that asks for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.city.command import Hub


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """A small city's configuration and an empty home."""
    return Hub(tmp_path)
