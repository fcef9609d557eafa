"""A source and a function for Credit Hub. Entry points in `pyproject.toml` name them; nothing else is needed."""

from __future__ import annotations

from credit_hub_example import functions
from credit_hub_example.ini import INI

__all__ = ["INI", "functions"]
