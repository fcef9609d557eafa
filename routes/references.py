"""What a share's queue carries: references to journal entries (item, sequence, record ids), never a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from hub.contracts.broker import Message
from hub.contracts.errors import Misconfigured
from hub.deliveries import Part

PARCEL = 500  # records in one hand-over, at most
RECORDS = 5_000  # record ids in one message, about 180 KB
_CONTENT_TYPE = "application/json"


def share_queue(share: str) -> str:
    """Name of the queue that holds a share's references."""
    return f"share.{share}"


@dataclass(frozen=True, slots=True)
class Reference:
    """Records of one journal entry, from place `first` of it on."""

    message_id: str
    share: str
    item: str
    seq: int
    first: int
    record_ids: Sequence[str]

    def to_message(self) -> Message:
        """The message of the reference; its id is the reference's, so that a repeated one is recognised."""
        body = {"v": 1, "share": self.share, "item": self.item, "seq": self.seq, "first": self.first, "record_ids": list(self.record_ids)}
        headers: dict[str, str | int] = {"v": 1, "item": self.item, "rows": len(self.record_ids)}
        return Message(self.message_id, orjson.dumps(body), headers, _CONTENT_TYPE)

    @classmethod
    def from_message(cls, message: Message) -> Reference:
        """Inverse of `to_message`. Raises `Misconfigured` for a message that is none of ours."""
        try:
            body = orjson.loads(message.body)
            return cls(message.id, str(body["share"]), str(body["item"]), int(body["seq"]), int(body["first"]), [str(r) for r in body["record_ids"]])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            hint = "look with `run_hub.py queue peek`; somebody else may be writing into the share's queue"
            raise Misconfigured(f"message {message.id} is no reference to records: {type(error).__name__}", hint=hint) from error

    def parts(self, size: int) -> Iterator[tuple[Part, Sequence[str]]]:
        """The reference in parts of at most `size` records, with their ids. The same message is always divided the same way."""
        for number, start in enumerate(range(0, len(self.record_ids), size)):
            ids = self.record_ids[start : start + size]
            yield Part(self.share, self.item, self.message_id, number, self.seq, self.first + start, len(ids)), ids


def references(share: str, item: str, seq: int, record_ids: Sequence[str]) -> Iterator[Reference]:
    """The references to all records of a journal entry."""
    for start in range(0, len(record_ids), RECORDS):
        yield Reference(f"{share}/{item}/{seq}/{start}", share, item, seq, start, record_ids[start : start + RECORDS])
