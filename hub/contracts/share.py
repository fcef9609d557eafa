"""A share (共享): what one agency receives, on which basis, and by which way out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

import polars as pl


@dataclass(frozen=True, slots=True)
class Basis:
    """Why an agency may see it (依据): the grant. `document` is its number; it is in force from `start` to `until`, both inclusive."""

    purpose: str = ""
    document: str = ""
    start: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What one agency receives. `fields` are item identifiers, the only ones that may leave; `masks` turns masking off or on per field."""

    name: str  # "A0030.penalties-to-court"
    owner: str  # agency that provides
    to: str  # agency that receives
    items: tuple[str, ...]
    fields: tuple[str, ...]
    basis: Basis | None = None
    masks: Mapping[str, str] = field(default_factory=dict)


# `code` of an `Unavailable` by which an outlet says: reached and healthy, but full. Waiting for it costs no attempt.
BUSY = "busy"

# Why a record is withheld: a closed list, counted per share.
WITHHELD = (
    "no_grant",  # no basis where the level asks for one
    "grant_not_started",
    "grant_expired",
    "grant_revoked",
    "level",  # the item's level or the record's own scope is stricter than the basis allows
    "no_consent",
    "withdrawn",  # never delivered, and withdrawn by now
    "disputed",
    "not_normal",  # record status 3 and anything unknown
    "public_until",  # publication has ended
    "person",  # natural person, and the item does not allow it
    "unreadable",  # something needed for the decision is missing or malformed
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What may leave. `rows` holds record_id, op ("upsert" or "withdraw"), version and the granted fields, masked; `withheld` has record_id and reason."""

    rows: pl.DataFrame
    withheld: pl.DataFrame
    basis: str  # words for the record: grant document, or the level's standing rule

    @property
    def reasons(self) -> dict[str, int]:
        """Records per reason."""
        return dict(self.withheld.group_by("reason").len().iter_rows()) if self.withheld.height else {}


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is handed over in one call: at most 500 records. `delivery_id` stays the same over retries; `sequence` counts per share from 1."""

    delivery_id: str
    share: str
    to: str
    item: str
    item_name: str
    sequence: int
    records: pl.DataFrame
    basis: str
    at: datetime
    traceparent: str = ""


class Outlet(Protocol):
    """One way out to one agency.

    `hand_over` returns evidence (status, hashes, sizes: JSON-able) once the other side has it. `Unavailable` is tried again later, with the same
    delivery id; `Rejected` never again (dead letter); `Misconfigured` stops the share.
    """

    async def hand_over(self, parcel: Parcel) -> Mapping[str, Any]:
        """Deliver one parcel."""

    async def close(self) -> None:
        """Release what is held open."""
