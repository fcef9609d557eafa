"""Where batches come from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from hub.contracts.batch import Batch, Header
from hub.contracts.errors import Rejected

SAMPLE_BYTES = 4 << 20
"""The most that `Source.sample` gives."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One delivery of a feed (到达), numbered per item by the state database when it is first seen.

    `landed` is the content address (sha256 hex of the raw bytes). `settled` is how many ordinals are settled already: reading goes on there,
    at byte `resume_at`. `duplicate` says that the feed has settled this content before: there is nothing to read.
    `released` says that a person let it pass its limits. `cut` is the evidence kept by the reader (encoding, dialect, heading), so that the
    same bytes are cut the same way again; empty until `Intake.keep_cut`. `evidence` is what the source knew of it when it came.
    """

    feed: str
    item: str
    number: int
    name: str
    landed: str
    size: int
    generation: int = 0
    duplicate: bool = False
    settled: int = 0
    resume_at: int = 0
    resume_line: int = 1
    released: bool = False
    finished: bool = False  # every row was offered and settled before; only tidying up is left
    refused: bool = False  # a person refused it, or it could not be read
    reason: str = ""  # why it was refused, in the words of who refused it
    cut: dict[str, Any] = field(default_factory=dict)
    evidence: Any = None


@dataclass(frozen=True, slots=True)
class Recognised:
    """A piece of a file that was seen before, in a batch of which every row was stored."""

    batch_id: str
    rows: int
    digest: str  # sha256 hex of its bytes


Recognise = Callable[[bytes], Recognised | None]


@dataclass(frozen=True, slots=True)
class Landed:
    """An object in landing: sha256 hex of the plain bytes, and how many they are."""

    digest: str
    size: int


class LandingWriter(Protocol):
    """Bytes on their way into landing, compressed and sealed as they come; nothing is kept unless `commit` returns. Blocking: for worker threads."""

    def write(self, piece: bytes) -> None:
        """Take some more bytes. Raises `Unavailable` when the disk is full."""

    def commit(self) -> Landed:
        """Make everything durable under its digest."""

    def abort(self) -> None:
        """Forget everything that was written; does nothing after `commit`."""


class Intake(Protocol):
    """What the hub offers a source: landing, numbering and identity. Safe to call again after a crash at any point."""

    async def receive(self, name: str, content: Path | bytes | Landed, *, cursor: Any = None, evidence: Any = None) -> Arrival:
        """Land the bytes durably (content-addressed, compressed, sealed, fsynced) and number them.

        Calling it again for the same claimed file gives the same arrival with `settled` and `finished` up to date. A `cursor` (JSON-able) says where
        the source goes on next time; it is kept in the same transaction, under the note "cursor". `evidence` (JSON-able) is what else is known of
        how the arrival came about (pages, digests, totals); it is kept with it and shown by `trace`.
        Raises `Unavailable` on a full disk.
        """

    async def waiting(self) -> list[Arrival]:
        """Arrivals that were numbered and are neither finished nor refused, oldest first: landing has them, whatever became of the other side."""

    def writer(self) -> LandingWriter:
        """A new object in landing, written piece by piece, for `receive`, or as evidence (a page, an archive, the plain form of a document)."""

    async def recall(self, key: str) -> Any:
        """A note (JSON-able) that this feed keeps over restarts, None where there is none. "cursor" is where a pull goes on."""

    async def remember(self, key: str, value: Any) -> None:
        """Keep a note durably; None deletes it."""

    async def recall_all(self, prefix: str) -> dict[str, Any]:
        """Every note whose key starts with `prefix`."""

    def open(self, landed: str) -> BinaryIO:
        """The landed bytes as a seekable plain stream; blocking, so use it in a worker thread."""

    async def keep_cut(self, arrival: Arrival, cut: dict[str, Any]) -> Arrival:
        """Record how this arrival is cut (JSON-able), before its first batch is offered."""

    def header(self, arrival: Arrival, *, first: int, rows: int, start: int, end: int, line: int, raw: bytes, seen: Recognised | None = None) -> Header:
        """Header of one batch; its id is a keyed hash over feed, arrival, first ordinal, raw bytes and generation."""

    def recognise(self, arrival: Arrival) -> Recognise:
        """Tells pieces (raw bytes) of this arrival, cut as `arrival.cut` says, that equal an earlier batch; quick, may be called from any thread."""

    async def finished(self, arrival: Arrival) -> None:
        """Every row of this arrival was offered and settled."""

    async def refused(self, arrival: Arrival, error: Rejected) -> None:
        """The whole arrival cannot be accepted (F-codes). Kept in the ledger with its reason; rows settled before stay."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What `run_hub.py check` found in one layer of a live connection. `said` never holds a value of a record."""

    layer: Literal["reach", "authenticate", "shape", "sample"]
    fine: bool
    said: str
    hint: str = ""


class Source(Protocol):
    """Offers everything the other side has, in order.

    Being resumed after a `yield` means that the batch is settled: only then may the source forget it, move the file, ack the message.
    Being closed instead means that it will be offered again. Do not yield inside a timeout or task group; consume with `aclosing`.
    `athrow(Rejected)` at a `yield` means that the whole arrival is refused (its heading does not fit, say): the source puts it aside and goes on.
    Raises only the three errors.
    """

    def batches(self) -> AsyncGenerator[Batch, None]:
        """Everything new since last time, oldest first; ends when the other side has no more for now."""

    def ahead(self, header: Header, rows: int) -> AsyncIterator[Batch]:
        """Batches of the first `rows` rows of the arrival that `header` starts, for testing limits before anything is published."""

    async def again(self, header: Header, cut: dict[str, Any]) -> Batch:
        """The very same batch again, from landing, by its recorded cut."""

    async def wake(self) -> None:
        """Return when there may be something new (a hint only; the scan is the truth). May wait for ever."""

    async def next_ready(self) -> float | None:
        """Seconds until something that is not finished yet may be ready (a quiet period); None when nothing is pending."""

    def probe(self) -> AsyncGenerator[Finding, None]:
        """Tests the live connection layer by layer, without side effects on either side; ends after the first layer that fails."""

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """One document of the live source, at most 4 MiB, as name and bytes that this feed can read, with about `rows` rows; without side effects.

        Raises `Unavailable` where there is none at present.
        """

    async def close(self) -> None:
        """Release what is held open."""


Opener = Callable[[], BinaryIO]
