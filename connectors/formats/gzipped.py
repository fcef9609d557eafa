"""gzip (RFC 1952): one file, in one member or many, unpacked within bounds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from connectors.formats.zipped import PIECE, Budget
from hub.contracts.errors import Rejected

MAGIC = b"\x1f\x8b"
MEMBERS = 1 << 16
_WINDOW = zlib.MAX_WBITS | 16
_PADDING = b"\0"
_HINT = "ask the agency to pack and send it again"


def unpacked_gzip(stream: BinaryIO, budget: Budget) -> Iterator[bytes]:
    """What was packed, piece by piece. Raises `Rejected`: F001 (damaged, cut short, something added), F003 (too much, or more than 65,536 members)."""
    stream.seek(0)
    rest, taken, given = stream.read(PIECE), 0, 0
    for _ in range(MEMBERS):
        member = zlib.decompressobj(_WINDOW)
        while not member.eof:
            if not rest and not (rest := stream.read(PIECE)):
                raise Rejected("the gzip file is cut short", hint=_HINT, code="F001")
            try:
                piece = member.decompress(rest, PIECE)
            except zlib.error as error:
                raise Rejected("the gzip file is damaged", hint=_HINT, code="F001") from error
            left = member.unconsumed_tail or member.unused_data
            taken, given, rest = taken + len(rest) - len(left), given + len(piece), left
            budget.take(len(piece), given, taken)
            if piece:
                yield piece
        rest = rest or stream.read(PIECE)
        if not rest.strip(_PADDING):
            _check_padding(stream)
            return
    raise Rejected(f"the gzip file has more than {MEMBERS} members", hint=_HINT, code="F003")


def _check_padding(stream: BinaryIO) -> None:
    """Nothing but zeros may follow the end (tapes and some packers fill up)."""
    while piece := stream.read(PIECE):
        if piece.strip(_PADDING):
            raise Rejected("something follows the end of the gzip file", hint=_HINT, code="F001")
