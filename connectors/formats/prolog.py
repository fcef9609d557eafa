"""An XML document as UTF-8: its character set decided by what its bytes are, and no DOCTYPE ever shown to a parser."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from connectors.formats import charset, detection
from connectors.formats.charset import WIDE
from hub.contracts.errors import Rejected

PIECE = 64 << 10  # larger pieces leave the processor's cache, and were slower
STRETCH = 2 << 20
_PROLOG = 256 << 10
_SURE, _SURE_WITHIN = 8, 4 << 10  # that many characters in that many bytes are UTF-8 by no accident
_SPACE = re.compile(rb"[ \t\r\n]*")
_DECLARATION = re.compile(rb"\s*<\?xml\s[^>]{0,500}?encoding\s*=\s*[\"']\s*([^\"'<>]{1,60}?)\s*[\"']")
_XML = re.compile(rb"\s*<\?xml\s.*?\?>", re.DOTALL)
_MULTIBYTE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_HEAD = {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
_DECLARED = {
    **dict.fromkeys(("utf-8", "utf8"), "utf-8"),
    **dict.fromkeys(("gb18030", "gbk", "gb2312", "gb-2312", "gb_2312-80", "gb2312-80", "cp936", "ms936", "936", "x-gbk", "euc-cn"), "gb18030"),
    **dict.fromkeys(("utf-16", "utf16", "utf-16le", "utf-16be", "unicode", "ucs-2"), "utf-16"),
    **dict.fromkeys(("us-ascii", "ascii", "iso-8859-1", "iso8859-1", "latin1", "windows-1252"), "western"),
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """The character set that is used, how many bytes its mark takes, what the document declares ("" for nothing), and why we believe what we do."""

    encoding: str
    mark: int
    declared: str
    basis: str


def encoding_of(stream: BinaryIO, named: str = "auto") -> Encoding:
    """How to read an XML document. `named` is the feed's own word and outranks what the document says; a mark outranks its declaration.

    Raises `Rejected` F002 for a declared encoding that is never read here, and where mark and the feed's word differ.
    """
    head = detection.beginning(stream, 1 << 10)
    marked = charset.marked(head)
    wide = marked.encoding if marked is not None and marked.encoding in WIDE else _HEAD.get(head[:2], "")
    text = head[: len(head) & ~1].decode(wide, "ignore").encode() if wide else head
    found = _DECLARATION.match(text.removeprefix(b"\xef\xbb\xbf"))
    declared = found[1].decode("ascii", "replace").lower() if found else ""
    if named != "auto":
        return _named(named, marked, declared)
    if marked is not None:
        return Encoding(marked.encoding, marked.mark, declared, marked.basis)
    if wide:
        return Encoding(wide, 0, declared, "its first bytes")
    return _unmarked(stream, declared)


def _named(named: str, marked: charset.Charset | None, declared: str) -> Encoding:
    encoding = {"gbk": "gb18030", "utf-16": "utf-16-le"}.get(named, named)
    if marked is None:
        return Encoding(encoding, 0, declared, "named in the feed")
    if marked.encoding != encoding and named != "utf-16":
        raise Rejected(f"the feed says {named}, but the document starts with {marked.basis} ({marked.encoding})", hint="correct `encoding`", code="F002")
    return Encoding(marked.encoding, marked.mark, declared, f"named in the feed, {marked.basis}")


def _unmarked(stream: BinaryIO, declared: str) -> Encoding:
    """The declared encoding where the bytes bear it out, else the one that they are in."""
    meant = _DECLARED.get(declared, "")
    if declared and not meant:
        hint = "ask for UTF-8 or GB 18030; where the document is in one of these after all, name it: `xml: {encoding: …}`"
        raise Rejected(f"declares the encoding {declared}, which is not read here", hint=hint, code="F002")
    sample = detection.foreign(stream, 0)
    fits = {encoding: detection.fitting(sample, encoding) for encoding in ("utf-8", "gb18030")}
    if meant not in fits:
        found = detection.detected(stream)
        return Encoding(found.encoding, 0, declared, f"{found.basis}; {f'{declared} is declared' if declared else 'nothing is declared'}")
    other = "gb18030" if meant == "utf-8" else "utf-8"
    certain = other == "gb18030" or len(_MULTIBYTE.findall(sample[:_SURE_WITHIN])) >= _SURE
    if fits[meant] == len(sample) and not (meant == "gb18030" and fits[other] == len(sample) and certain):
        return Encoding(meant, 0, declared, "declared, and all looked at fits")
    if fits[other] == len(sample) and certain:
        return Encoding(other, 0, declared, f"declared {declared}, but the bytes are {other}")
    return Encoding(meant, 0, declared, "declared")


def lines(stream: BinaryIO, most: int) -> int:
    """Line ends of a document, counted no further than to `most`."""
    found = 0
    for piece in _narrow(stream, 0):
        found += piece.count(b"\n")
        if found >= most:
            return most
    return found


def content(stream: BinaryIO, found: Encoding) -> Iterator[bytes]:
    """The document in UTF-8 without its declaration, in pieces that end behind a `>`; lines are kept, so that line numbers are the document's own.

    Raises `Rejected` F001 (DOCTYPE, an endless prolog), F002 (undecodable, NUL), F003 (2 MiB without a tag).
    """
    return _without_declaration(_in_utf8(stream, found))


def _in_utf8(stream: BinaryIO, found: Encoding) -> Iterator[bytes]:
    """Pieces that end behind a `>`, which is never a part of a longer character in UTF-8 or GB 18030."""
    start, line, held = found.mark, 1, b""
    for piece in _wide(stream, found) if found.encoding in WIDE else _narrow(stream, found.mark):
        held += piece
        at = held.rfind(b">") + 1
        if not at and len(held) > STRETCH:
            raise Rejected(f"line {line}: more than {STRETCH >> 20} MiB without a tag", hint="no cell of a record is that long", code="F003")
        if at:
            yield _decoded(held[:at], found, start, line)
            start, line, held = start + at, line + held.count(b"\n", 0, at), held[at:]
    if held:
        yield _decoded(held, found, start, line)


def _decoded(raw: bytes, found: Encoding, start: int, line: int) -> bytes:
    return detection.utf8(raw, "utf-8" if found.encoding in WIDE else found.encoding, start=start, line=line, key="xml")


def _narrow(stream: BinaryIO, start: int) -> Iterator[bytes]:
    stream.seek(start)
    while piece := stream.read(PIECE):
        yield piece


def _wide(stream: BinaryIO, found: Encoding) -> Iterator[bytes]:
    """UTF-16 as UTF-8. Raises `Rejected` F002 for what is none."""
    decoder = codecs.getincrementaldecoder(found.encoding)()
    read, line = found.mark, 1
    try:
        for piece in _narrow(stream, found.mark):
            text = decoder.decode(piece).encode()
            read, line = read + len(piece), line + text.count(b"\n")
            yield text
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise Rejected(f"not {found.encoding} behind byte {read}, line {line}", hint="ask the agency to export the document again", code="F002") from error


def _without_declaration(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same without the XML declaration, whose encoding is not the one of these bytes; its lines stay. No DOCTYPE gets through."""
    head, rest = b"", iter(pieces)
    for piece in rest:
        head += piece
        if _root(head) >= 0:
            declaration = _XML.match(head)
            end = declaration.end() if declaration else 0
            blank = b" " + b"\n" * head.count(b"\n", 0, end) if end else b""  # never at the start again: a second declaration is an error
            yield blank + head[end:]
            yield from rest
            return
        if len(head) > _PROLOG:
            raise Rejected("more than 256 KiB before the first element", hint="the document is no XML of records", code="F001")
    yield head  # the parser says what is missing


def _root(head: bytes) -> int:
    """Where the root element, or something that is no prolog, begins; -1 where more is needed. Raises `Rejected` F001 at a DOCTYPE."""
    at = 0
    while True:
        at += len(_SPACE.match(head, at)[0])  # type: ignore[index]  # it matches nothing at all as well
        for opening, closing in ((b"<?", b"?>"), (b"<!--", b"-->")):
            if head.startswith(opening, at):
                end = head.find(closing, at + len(opening))
                break
        else:
            if head[at : at + 4] in (b"", b"<", b"<!", b"<!-"):
                return -1
            if head.startswith(b"<!", at):
                hint = "ask the agency for plain XML; entities and external definitions are never read"
                line = head.count(b"\n", 0, at) + 1
                raise Rejected(f"line {line}: a DOCTYPE, which is refused", hint=hint, code="F001")
            return at
        if end < 0:
            return -1
        at = end + len(closing)
