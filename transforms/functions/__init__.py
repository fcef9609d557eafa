"""The function table of the pipe language: importing this package fills `FUNCTIONS`."""

from __future__ import annotations

from hub.contracts.plugins import plugins
from transforms.functions import choices, codes, dates, identifiers, money, numbers, patterns, spelling, text, times
from transforms.signature import FUNCTIONS, describe, describe_text

__all__ = ["FUNCTIONS", "choices", "codes", "dates", "describe", "describe_text", "identifiers", "money", "numbers", "patterns", "spelling", "text", "times"]

BROUGHT = dict(plugins("credit_hub.functions"))
"""Modules of packages of others; importing them has added their functions."""
