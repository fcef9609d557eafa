"""Facts in the past tense. Logs, metrics and the console are listeners; the engine knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened. `what` is a closed word ("settled", "stumbled", "stopped", "held", "delivered", …), `where` a feed, item or share.

    `facts` hold counts and codes, never a value of a record.
    """

    what: str
    where: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


Listener = Callable[[Fact], None]


class Observer:
    """Tells every listener. A listener must be quick and must not raise."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def listen(self, listener: Listener) -> None:
        """Add a listener."""
        self._listeners.append(listener)

    def tell(self, what: str, where: str, **facts: Any) -> None:
        """Publish a fact."""
        fact = Fact(what, where, facts)
        for listener in self._listeners:
            listener(fact)
