"""Which character set a document is in, by its bytes: its mark, else strict UTF-8, else strict GB 18030."""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

from connectors.formats import charset
from connectors.formats.charset import Charset
from hub.contracts.errors import Rejected

SAMPLE = 1 << 20
_FOREIGN = re.compile(rb"[\x80-\xff]")
_BASES = {"utf-8": "strict utf-8", "gb18030": "strict gb18030, no utf-8"}


def detected(stream: BinaryIO, start: int = 0) -> Charset:
    """The encoding of what follows byte `start`, judged by the first MiB behind the first byte beyond ASCII. Where nothing fits, the one that fits longest."""
    if start == 0 and (marked := charset.marked(beginning(stream, 4))) is not None:
        return marked
    sample = foreign(stream, start)
    if not sample:
        return Charset("utf-8", 0, "ASCII throughout")
    lengths = {encoding: fitting(sample, encoding) for encoding in _BASES}
    best = max(lengths, key=lambda encoding: lengths[encoding])
    if lengths[best] < len(sample):
        return Charset(best, 0, "its beginning fits, not all of its text", fits=False)
    return Charset(best, 0, _BASES[best])


def foreign(stream: BinaryIO, start: int) -> bytes:
    """At most a MiB from the first byte beyond ASCII on; empty where there is none."""
    stream.seek(start)
    while piece := stream.read(SAMPLE):
        if not piece.isascii() and (found := _FOREIGN.search(piece)) is not None:
            return beginning(stream, SAMPLE, start + found.start())
        start += len(piece)
    return b""


def beginning(stream: BinaryIO, size: int, start: int = 0) -> bytes:
    """The first `size` bytes from byte `start` on, or all there are."""
    stream.seek(start)
    head = b""
    while len(head) < size and (piece := stream.read(size - len(head))):
        head += piece
    return head


def fitting(sample: bytes, encoding: str, *, final: bool = False) -> int:
    """How many bytes are text in this encoding; a character that the end cuts in two is forgiven unless the end is `final`."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample, final=final)
    except UnicodeDecodeError as error:
        return error.start
    return len(sample)


def utf8(raw: bytes, encoding: str, *, start: int, line: int, key: str) -> bytes:
    """The same text in UTF-8. Raises `Rejected` F002 with byte and line, and a hint that names the feed's `key` (xml, fixed)."""
    try:
        return charset.to_utf8(raw, encoding, start=start, line=line)
    except Rejected as refused:
        hint = f"name the right `encoding` in the feed's {key} block, or ask the agency to export the document again"
        raise Rejected(refused.message, hint=hint, code=refused.code) from refused
