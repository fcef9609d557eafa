"""What a configuration means once every name in it is resolved: plain frozen objects that the legs are built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import BaseModel

from config.models import GatewayPart
from hub.calendar import Due, Window, WorkingDays
from hub.contracts.item import Item
from hub.contracts.share import Share
from transforms.checks import CheckRule
from transforms.expression import Compiled


@dataclass(frozen=True, slots=True)
class Agency:
    """An organisation that sends or receives (委办局). `now` is its present name or successor."""

    code: str
    name: str
    name_en: str = ""
    now: str = ""


@dataclass(frozen=True, slots=True)
class When:
    """When a feed wakes: a cron line, a period, or (neither) as soon as something arrives. `due` is the time allowed after the event."""

    cron: str | None = None
    every: timedelta | None = None
    due: Due | None = None
    quiet: tuple[Window, ...] = ()
    workdays: bool = False

    @property
    def said(self) -> str:
        """Its rule in words: "at 0 2 * * *", "every 1:00:00"; empty where it waits for what arrives."""
        return f"at {self.cron}" if self.cron else f"every {self.every}" if self.every else ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Shares of records, 0 to 1, beyond which a run is held and asks; 1 is never."""

    rejected: float = 0.05
    shrink: float = 0.3


@dataclass(frozen=True)
class Feed:
    """One way an agency delivers one item (报送). `name` is "A0030.penalty"; `kind` the source's kind ("folder")."""

    name: str
    agency: str
    item: Item
    kind: str
    source_config: BaseModel
    read: BaseModel
    when: When | None = None
    rules: Mapping[str, Compiled] = field(default_factory=dict)
    checks: tuple[CheckRule, ...] = ()
    only: Compiled | None = None
    limits: Limits = Limits()
    priority: int = 0
    snapshot: int = 0  # after how many arrivals on end a missing record is withdrawn; 0 where an arrival is not the whole


@dataclass(frozen=True)
class ShareConfig:
    """A share and its way out: `kind` of outlet ("folder", "webhook", "queue") and that kind's settings."""

    share: Share
    kind: str
    config: BaseModel
    because: str = ""

    @property
    def name(self) -> str:
        """As it is written everywhere: "A0030.penalties-to-court"."""
        return self.share.name


@dataclass(frozen=True)
class FeedTest:
    """A file that a feed is tried on, and what must come of it: counts of rows."""

    agency: str
    feed: str
    given: str
    passed: int | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    filtered: int | None = None
    warned: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Keep:
    """How long landing, `done/` folders and journals are kept."""

    landing: timedelta
    done: timedelta
    journal: timedelta


@dataclass(frozen=True)
class HubConfig:
    """One version of a whole configuration. `broker`, `state` and `stores` may hold secret references; `config.secrets` opens them at start.

    `state` and each of `stores` is a file below HOME or a URL for `hub.contracts.address.address_of`, whose second argument is in `because_of`
    ("state", "ent", …) where somebody gave one.
    """

    version: str
    city: str
    broker: str
    stores: Mapping[str, str]
    listen: str
    keep: Keep
    calendar: WorkingDays
    agencies: Mapping[str, Agency]
    codes: Mapping[str, Mapping[str, str]]
    items: Mapping[str, Item]
    feeds: Mapping[str, Feed]
    shares: Mapping[str, ShareConfig]
    tests: tuple[FeedTest, ...]
    gateway: GatewayPart | None = None
    state: str = "hub.sqlite"
    because_of: Mapping[str, str] = field(default_factory=dict)
