"""What comes over the wire: its characters, whatever they are declared as, and the message in it, or what stands in its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from xml.etree.ElementTree import Element

from connectors.formats.charset import is_text, marked, to_utf8
from connectors.formats.http import Answer
from connectors.soap.markup import children, joined, local, parse
from hub.contracts.errors import Rejected, Unavailable

SHORT = 1_000
"""Characters: what is longer is data, and is not searched for error texts."""
_ENVELOPES = ("{http://schemas.xmlsoap.org/soap/envelope/}Envelope", "{http://www.w3.org/2003/05/soap-envelope}Envelope")
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_CHINESE = frozenset({"gbk", "gb2312", "gb18030", "cp936", "ms936", "x-gbk"})
_WESTERN = frozenset({"iso-8859-1", "latin1", "us-ascii", "ascii", "windows-1252"})
_PAGE = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_ATTACHED = b"http://www.w3.org/2004/08/xop/include"
_SURE = 8  # bytes beyond ASCII from which text that is valid UTF-8 is UTF-8


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault (1.1 section 4.4, 1.2 section 5.4): its code without prefix, subcodes, and its words."""

    codes: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered: the `message` (the first element of the SOAP body), a `fault`, or neither: then a short `text`, or a web `page`."""

    charset: str
    message: Element | None = None
    fault: Fault | None = None
    text: str = ""
    page: bool = False
    asks_for_login: bool = False


def read(answer: Answer, name: str) -> Reply:
    """The reply in an HTTP answer. Raises `Unavailable` where nothing whole came, `Rejected` for XML that is never read."""
    body, declared = _root_part(answer, name)
    if not body.strip() and answer.status >= 400:
        return Reply(declared)  # the number says it all
    if not body.strip():
        raise Unavailable(f"{name} answered {answer.status} with nothing", hint="tried again by the schedule; ask the agency if it stays so")
    utf8, charset = decoded(body, declared)
    start = utf8[:2048].lstrip()
    if _PAGE.match(start) or (_PAGE.search(start) and b"Envelope" not in start):
        return Reply(charset, page=True, asks_for_login=b"password" in utf8.lower())
    if not start.startswith(b"<"):
        return Reply(charset, text=utf8[: SHORT * 4].decode(errors="ignore").strip()[:SHORT])
    try:
        root = parse(utf8, called=f"the answer of {name}", encoding="utf-8")
    except Rejected as error:
        raise Unavailable(error.message, hint="it was cut off or damaged, and is not used; tried again by the schedule", code=error.code) from error
    if root.tag not in _ENVELOPES:
        return Reply(charset, text=" ".join(text.strip() for text in root.itertext())[:SHORT])
    return _opened(root, charset, name)


def decoded(body: bytes, declared: str = "") -> tuple[bytes, str]:
    """The bytes in UTF-8, and the charset that they were in, as evidence ("gb18030, declared utf-8").

    What is declared is believed as far as the bytes allow: byte order mark, HTTP, the document itself, then strict UTF-8, then GB 18030.
    Raises `Rejected` F002 where nothing fits.
    """
    if mark := marked(body):
        return to_utf8(body[mark.mark :], mark.encoding), mark.encoding
    inner = match[1].decode() if (match := _DECLARED.match(body[:400])) else ""
    said = (declared or inner or "utf-8").lower()
    names = [_plain(name.lower()) for name in (declared, inner) if name]
    if is_text(body, "utf-8") and (sum(byte > 127 for byte in body[: 64 << 10]) >= _SURE or body.isascii()):
        names.insert(0, "utf-8")
    for name in (*names, "utf-8", "gb18030"):
        if name and _fits(body, name):
            return to_utf8(body, name), name if _plain(said) == name else f"{name}, declared {said}"
    raise Rejected("the answer is neither UTF-8 nor GB 18030", hint="ask the agency which encoding it writes", code="F002")


def _plain(name: str) -> str:
    """The encoding to try for a declared one; none for western ones, which fit anything and are declared by servers that do not know."""
    if name in _CHINESE:
        return "gb18030"
    return "" if name in _WESTERN else {"utf8": "utf-8"}.get(name, name)


def _fits(body: bytes, encoding: str) -> bool:
    try:
        body.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def _root_part(answer: Answer, name: str) -> tuple[bytes, str]:
    """The body, or the first part of one with attachments, and its declared charset."""
    kind = Message()
    kind["content-type"] = answer.header("content-type") or "text/xml"
    if kind.get_content_maintype() != "multipart":
        return answer.body, kind.get_content_charset() or ""
    whole = message_from_bytes(b"Content-Type: " + kind["content-type"].encode() + b"\r\n\r\n" + answer.body)
    parts = whole.get_payload()
    root = parts[0] if isinstance(parts, list) and parts else None
    content = root.get_payload(decode=True) if isinstance(root, Message) else None
    if whole.defects or not isinstance(root, Message) or not isinstance(content, bytes):
        raise Unavailable(f"{name} answered with parts that are not whole", hint="tried again by the schedule")
    if _ATTACHED in content:
        raise Rejected(f"{name} answers with attachments, which are not read", hint="ask the agency for the records in the message itself", code="F001")
    return content, root.get_content_charset() or ""


def _opened(root: Element, charset: str, name: str) -> Reply:
    bodies = children(root, "Body")
    if len(bodies) != 1:
        raise Unavailable(f"{name} answered with an envelope that has no body", hint="tried again by the schedule")
    joined(bodies[0])
    message = next((child for child in bodies[0]), None)
    if message is None:
        raise Unavailable(f"{name} answered with an empty body", hint="tried again by the schedule; ask the agency if it stays so")
    if local(message) == "Fault" and message.tag.rpartition("}")[0] == root.tag.rpartition("}")[0]:
        return Reply(charset, fault=_fault(message))
    return Reply(charset, message=message)


def _fault(element: Element) -> Fault:
    """Both kinds: `faultcode` and `faultstring`; `Code`, `Subcode` and `Reason`."""
    values = [one.text or "" for one in element.iter() if local(one) in ("faultcode", "Value")]
    words = [one.text or "" for one in element.iter() if local(one) in ("faultstring", "Text")]
    return Fault(tuple(value.strip().rpartition(":")[2] for value in values), " ".join(words).strip()[:SHORT])
