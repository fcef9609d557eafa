"""What an agency is told about a file that it sent (回执): the facts, from which a connector makes documents that it leaves beside the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Wish = Literal["all", "errors", "none"]
"""For which files a feed wants answers: `errors` means those that were refused or have rows that were set aside."""

UNREAD = "unread_bytes"
"""Key of evidence for the size of a file that was refused unread: what was landed in its place is a note."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A row that was set aside, with its cells as the sender wrote them; under "" what could not be read as cells.

    `row` counts the records of the document from 1; `line` is where it stands there.
    """

    row: int
    line: int | None
    code: str
    reason: str
    cells: Mapping[str, str | None]


def _none_returned() -> Iterator[Returned]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Answer:
    """How a file fared until its run closed; corrections that come later do not change it. Two answers with the same `key` are equal.

    `batch` is the number to quote (`A0030-F06-01-20261101-0003`); a `duplicate` quotes that of the arrival whose content it repeats.
    `digest` is the SHA-256 of the file, empty where it was refused unread; `size` its bytes; `evidence` what the source knew of it when it came.
    `counts` are the terms of the equation. They hold `gone` records that no row of the file names: those that a snapshot lacks and that were
    therefore withdrawn. `errors` counts rows set aside by their code, and `rows()` opens the first `returned` of them, in the file's order; blocking.
    """

    key: str
    batch: str
    item: str
    item_name: str
    file: str
    digest: str
    size: int
    state: Literal["succeeded", "failed", "duplicate"]
    received_at: str
    closed_at: str
    code: str = ""
    reason: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    gone: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    returned: int = 0
    rows: Callable[[], Iterator[Returned]] = field(default=_none_returned, repr=False, compare=False)
    evidence: Any = field(default=None, repr=False)

    @property
    def total(self) -> int:
        """Rows of the file that were read."""
        return self.counts.get("read", 0) - self.gone

    @property
    def fail(self) -> int:
        """Rows that were set aside."""
        return self.counts.get("rejected", 0)

    @property
    def success(self) -> int:
        """Rows that passed their checks and are accounted for in a store."""
        return self.total - self.fail - self.counts.get("filtered", 0)

    def wanted(self, wish: Wish) -> bool:
        """Whether a feed with this wish gets it."""
        return wish == "all" or (wish == "errors" and (self.state == "failed" or self.fail > 0))


@runtime_checkable
class Answering(Protocol):
    """A source that can leave something for the agency where it takes files from."""

    @property
    def answers(self) -> Wish:
        """For which files."""

    async def answer(self, answer: Answer) -> None:
        """Leave the documents of an answer durably; what lies there is never overwritten, and the same answer again changes nothing.

        Raises `Unavailable` and `Misconfigured`.
        """


def answering(source: object) -> Answering | None:
    """The source as one that answers; None for one that cannot, or does not want to."""
    return source if isinstance(source, Answering) and source.answers != "none" else None
