"""The kinds of sources and outlets that a configuration may name, each with the models of its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel


class SourceShape(Protocol):
    """Settings of a kind of source: of the endpoint, and of a feed's `read` block without `from`."""

    @property
    def config(self) -> type[BaseModel]:
        """Settings of the endpoint."""

    @property
    def read(self) -> type[BaseModel]:
        """Settings of a feed that reads from it."""

    @property
    def pulls(self) -> bool:
        """Whether it has to be told when to ask."""

    @property
    def replies(self) -> bool:
        """Whether the sender hears of every rejected row at once."""


class OutletShape(Protocol):
    """Settings of a kind of outlet."""

    @property
    def config(self) -> type[BaseModel]:
        """Settings of the outlet."""


@dataclass(frozen=True)
class Kinds:
    """Everything that the registry knows."""

    sources: Mapping[str, SourceShape]
    outlets: Mapping[str, OutletShape]


def registered() -> Kinds:
    """The kinds of `connectors/registry.py`; imported late, because connectors are heavy."""
    from connectors.registry import OUTLETS, SOURCES

    return Kinds(SOURCES, OUTLETS)
