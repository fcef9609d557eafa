"""What passes between the server that agencies call and the hub behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from hub.contracts.item import Item
from hub.contracts.source import Landed, LandingWriter


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the agency, and the id (never the secret) of the key it used."""

    agency: str
    key: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What an agency's signatures are checked with: the key's digests, which HMAC itself uses in place of a key longer than a block (RFC 2104)."""

    caller: Caller
    sha256: bytes = field(repr=False)
    sm3: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """How an agency may call: requests a second on average, so many at once, and whether every request must be signed."""

    rate: float
    burst: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """An item that an agency may submit: the feed that takes it, and the bytes of one submission at most."""

    item: Item
    feed: str
    max_size: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """One submission under way. `busy`: another request with its key is at work. `done`: it was accepted before, with a body of this `digest`."""

    receipt: str
    caller: Caller
    offer: Offer
    state: Literal["new", "busy", "done"] = "new"
    digest: str = ""


@dataclass(frozen=True, slots=True)
class SubmissionReceipt:
    """How a submission stands: a run's state, the equation's counts, and the reason (with its F-code) where it was refused as a whole.

    `settled` says that collect is done with it: rejected rows are final. `duplicate`: the same content had been delivered before and nothing was read again.
    """

    id: str
    item: str
    item_name: str
    at: str
    state: str  # running, loading, held, succeeded, failed
    settled: bool
    duplicate: bool = False
    code: str = ""
    reason: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """True where nothing of it will change by itself any more."""
        return self.state in ("succeeded", "failed")


@dataclass(frozen=True, slots=True)
class RowError:
    """One row that was set aside. `place` orders them; `row` counts the records of the document from 1; `line` is where it stands there. No values."""

    place: int
    row: int
    line: int | None
    code: str
    field: str
    reason: str
    state: str  # open, reentered, ignored


class Reception(Protocol):
    """What the hub offers the server. Every question about a receipt is answered to its own agency only. Raises only the three errors."""

    async def recognise(self, key: str) -> Caller | None:
        """The caller of an API key in force; None for any other."""

    async def signing(self, key_id: str) -> SigningKey | None:
        """What signatures of a key in force are checked with; None for any other."""

    async def first_use(self, caller: Caller, nonce: str) -> bool:
        """Keep a nonce durably; False where it was used before."""

    async def turned_away(self, why: str) -> None:
        """Somebody failed to show who they are. Counted; kept as an event from time to time."""

    def terms(self, agency: str) -> Terms | None:
        """How an agency may call; None where it has no gateway source."""

    def offers(self, agency: str) -> Mapping[str, Offer]:
        """What an agency may submit, by item code."""

    def refuse_when_closed(self, offer: Offer) -> None:
        """Raise `Unavailable` while the feed is paused, or (code "disk-full") while there is no room to land anything."""

    def writer(self) -> LandingWriter:
        """A new object in landing. Blocking: for worker threads."""

    async def begin(self, caller: Caller, offer: Offer, operation: str, key: str) -> Ticket:
        """Write down that a submission begins. `key` is the caller's idempotency key for this operation; without one every call is a new submission."""

    async def accept(self, ticket: Ticket, landed: Landed, suffix: str, evidence: Mapping[str, Any]) -> None:
        """Number what was landed and answer for it from now on; the feed is woken."""

    async def release(self, ticket: Ticket) -> None:
        """Forget a submission that came to nothing; its key may be used again."""

    async def nil(self, caller: Caller, offer: Offer, period: str, because: str) -> bool:
        """Keep that an agency has nothing to report for a period; False where it had said so before."""

    async def receipt(self, caller: Caller, receipt: str) -> SubmissionReceipt | None:
        """How a submission of this caller's agency stands; None for any other."""

    async def errors(self, caller: Caller, receipt: str, after: int, limit: int) -> list[RowError]:
        """Rows of a submission that were set aside, from the place `after` on."""

    async def returned(self, caller: Caller, receipt: str, limit: int) -> tuple[Sequence[str], list[tuple[RowError, dict[str, str | None]]]]:
        """The sender's own columns, and rows set aside with their cells as the sender wrote them."""
