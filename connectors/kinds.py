"""What the registry knows of each kind of source and outlet; packages of others describe theirs with the same two shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from hub.contracts.share import Outlet
from hub.contracts.source import Source


@dataclass(frozen=True)
class SourceKind:
    """`config` are the settings of the endpoint, `read` those of a feed that reads from it; `build` takes both and what the hub offers.

    `build(config, read, *, feed, item, known, intake, home, batch_rows)`: the feed's name, the item's code, its headings (normalised), the feed's
    `Intake`, HOME, and the most rows of a batch. One that `pulls` has to be told when to ask: its feeds need a cron line or a period. One that `replies` tells
    the sender of every rejected row at once, so that rejected rows hold nothing up unless the feed sets a limit.
    `pages(config, read, content)` gives the rows of one saved page or answer, for `preview` and `tests:`; without it only recordings can be tried.
    """

    config: type[BaseModel]
    read: type[BaseModel]
    build: Callable[..., Source]
    pulls: bool = False
    replies: bool = False
    pages: Callable[[Any, Any, bytes], Iterable[Mapping[str, str | None]]] | None = None


@dataclass(frozen=True)
class OutletKind:
    """`config` are the settings; `build(config, *, share, home, broker)` takes them with the share's name, HOME and the broker."""

    config: type[BaseModel]
    build: Callable[..., Outlet]
