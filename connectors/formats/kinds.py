"""What a document is, by its first bytes. Names and endings are only hints: agencies call anything `.xls`."""

from __future__ import annotations

import re
from typing import Literal

from connectors.formats.plain import Document
from connectors.formats.zipped import names_in_zip

Kind = Literal["text", "json", "xml", "html", "fault", "excel", "zip", "gzip", "foreign"]

HEAD = 4 << 10
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FOREIGN = (
    (b"%PDF", "a PDF document"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"{\\rtf", "a rich text document (RTF)"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstandard file"),
    (b"SQLite format 3\x00", "a SQLite database"),
)
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_HTML = re.compile(r"(?:<\?xml[^>]*>|<!--.*?-->|\s)*<(?:!doctype\s+html|html|head|body|script|meta|title|table|div|form)\b", re.IGNORECASE | re.DOTALL)
_LOGIN = re.compile(r"type\s*=\s*[\"']?password|登录|登陆|login|单点|验证码", re.IGNORECASE)
_FAULT = re.compile(r"<(?:[\w-]+:)?Envelope\b.*?<(?:[\w-]+:)?Fault\b", re.DOTALL)
_XML = re.compile(r"<[?!A-Za-z_\u4e00-\u9fff]")
_JSON = re.compile(r"\{\s*(?:[\"}]|\Z)|\[\s*(?:[\[{\]]|\Z)|\[\s*\"[^\"]*\"\s*[,\]]")
_WORKBOOK = re.compile(r"xl/workbook\.(?:xml|bin)")

TOLD: dict[Kind, str] = {
    "text": "delimited text",
    "json": "JSON",
    "xml": "XML",
    "html": "an HTML page",
    "fault": "a SOAP fault",
    "excel": "a workbook",
    "zip": "a ZIP archive",
    "gzip": "a gzip file",
}


def kind_of(document: Document) -> tuple[Kind, str]:
    """The kind, and what to call it: "an HTML page that asks to log in". Blocking."""
    document.stream.seek(0)
    head = document.stream.read(HEAD)
    for magic, called in _FOREIGN:
        if head.startswith(magic):
            return "foreign", called
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return _of_zip(document)
    if head.startswith(_OLE):
        return "excel", TOLD["excel"]
    if head.startswith(b"\x1f\x8b"):
        return "gzip", TOLD["gzip"]
    if head[257:262] == b"ustar":
        return "foreign", "a tar archive"
    return _of_text(_text(head), document.name)


def _of_zip(document: Document) -> tuple[Kind, str]:
    names = names_in_zip(document.stream, document.size)
    if any(_WORKBOOK.fullmatch(name) for name in names):
        return "excel", TOLD["excel"]
    if "word/document.xml" in names:
        return "foreign", "a Word document"
    if "ppt/presentation.xml" in names:
        return "foreign", "a presentation"
    if "mimetype" in names and "content.xml" in names:
        document.stream.seek(0)
        sheet = b"opendocument.spreadsheet" in document.stream.read(256)
        return ("excel", TOLD["excel"]) if sheet else ("foreign", "an OpenDocument that is no spreadsheet")
    return "zip", TOLD["zip"]


def _text(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "ignore").lstrip()
    wide = {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}.get(head[:2])
    if wide is not None:
        return head.decode(wide, "ignore")
    try:
        return head.decode().lstrip()
    except UnicodeDecodeError:
        return head.decode("gb18030", "ignore").lstrip()


def _of_text(text: str, name: str) -> tuple[Kind, str]:
    if text.startswith("<"):
        if _HTML.match(text):
            return "html", "an HTML page that asks to log in" if _LOGIN.search(text) else TOLD["html"]
        if _FAULT.search(text):
            return "fault", TOLD["fault"]
        if _XML.match(text):
            return "xml", TOLD["xml"]
    if _JSON.match(text) or name.lower().endswith((".json", ".jsonl", ".ndjson")):
        return "json", TOLD["json"]
    return "text", TOLD["text"]
