"""The character set of a web page: what header and page declare is only a hint, strict decoding decides."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from connectors.formats.charset import BOMS, to_utf8
from hub.contracts.errors import Rejected

_HEAD = 4096  # bytes in which a page declares its character set
_META = re.compile(rb"<meta[^>]{0,400}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_FAMILY = {"gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "cp936": "gb18030", "hz-gb-2312": "gb18030", "utf8": "utf-8"}
_ANYTHING = frozenset({"iso8859-1", "cp1252", "ascii"})  # declared by servers that were never set up; every byte fits


@dataclass(frozen=True, slots=True)
class Decoded:
    """A page as UTF-8. `declared` are the character sets of header and page, "" where they are silent; `conflict` says that one of them was wrong."""

    utf8: bytes
    encoding: str
    declared: tuple[str, str]

    @property
    def conflict(self) -> bool:
        """Whether header or page declares something else than what the page is written in."""
        return any(one and _family(one) != self.encoding for one in self.declared)


def decode(body: bytes, content_type: str) -> Decoded:
    """The page in the first character set that all of it fits: its byte order mark, UTF-8, what is declared, GB 18030.

    UTF-8 goes first because a page in another character set practically never passes for it. Raises `Rejected` F002 where nothing fits.
    """
    header, meta = _HEADER.search(content_type), _META.search(body[:_HEAD])
    declared = (header[1].lower() if header else "", meta[1].decode("ascii").lower() if meta else "")
    for mark, encoding in BOMS:
        if body.startswith(mark):
            return Decoded(to_utf8(body[len(mark) :], encoding), encoding, declared)
    for encoding in dict.fromkeys(("utf-8", *filter(None, map(_family, declared)), "gb18030")):
        try:
            return Decoded(to_utf8(body, encoding), encoding, declared)
        except Rejected:
            continue
    said = " and ".join(dict.fromkeys(one for one in declared if one)) or "nothing"
    raise Rejected(f"the page declares {said} and is text in no character set that fits", hint="look at the page; its snapshot is in landing", code="F002")


def _family(name: str) -> str:
    """The codec of a declared character set; "" for an unknown one and for those that fit anything."""
    try:
        codec = _FAMILY.get(name) or codecs.lookup(name).name
    except LookupError:
        return ""
    return "" if codec in _ANYTHING else _FAMILY.get(codec, codec)
