"""The equation as people see it: what was read, and where every record of it ended."""

from __future__ import annotations

from collections.abc import Mapping

from hub.contracts.batch import FATE_WORDS

TERMS = (*FATE_WORDS, "in_flight")


def imbalance(counts: Mapping[str, int]) -> int:
    """Records read that no term holds; negative where the terms hold more than was read. 0 when the equation holds."""
    return counts.get("read", 0) - sum(counts.get(term, 0) for term in TERMS)


def terms(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The terms that are not zero, in the equation's order."""
    return [(term, counts[term]) for term in TERMS if counts.get(term)]
