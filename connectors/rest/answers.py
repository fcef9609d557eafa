"""What an answer says: its text, whether it is an error with status 200, its rows and how many there are in all."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from connectors.formats.charset import marked, to_utf8
from connectors.formats.http import Answer
from connectors.formats.strict_json import flat, parse
from connectors.rest.json_path import arrays, found_at, is_null, usual_total, whole
from connectors.rest.settings import RestConfig, RestRead
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable
from hub.contracts.headings import normalise_heading

Cells = dict[str, str | None]
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_GB = frozenset({"gb2312", "gbk", "gb18030", "gb-2312", "cp936", "x-gbk"})
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,32}")
_DIGITS = re.compile(r"\d{6,}[0-9A-Za-z]*")
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `digest` is that of its rows, whatever else the answer says; `raw` is the answer as it came."""

    rows: list[Cells]
    total: int | None
    digest: str
    document: Any
    raw: bytes
    link: str = ""
    encoding: str = "utf-8"
    rows_at: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)


class Expired(Misconfigured):
    """The answer says that token or secret has ended: fetched again once, and only then a matter for people."""


class Reader:
    """Reads the answers of one feed. `known` are the item's headings, normalised; `name` is the host, for messages."""

    def __init__(self, read: RestRead, known: frozenset[str], name: str) -> None:
        self._read = read
        self._known = known
        self._name = name

    def page(self, answer: Answer) -> Page:
        """The page of an answer. Raises `Expired`, or `Unavailable` and `Misconfigured` for what is no page."""
        if answer.status == 202:
            raise Unavailable(f"{self._name} is still preparing its answer (202)", hint="tried again by the schedule")
        if answer.status in (204, 205):
            return self._made([], None, None, answer, "utf-8", "")
        text, encoding = self._decoded(answer)
        document = self._parsed(text, answer)
        if self._says_empty(document):
            return self._made([], 0, document, answer, encoding, "")
        rows_at, found = self._rows(document)
        total = self._total(document, rows_at, len(found))
        try:
            rows = [flat(one) for one in found]
        except ValueError as error:
            raise Misconfigured(f"{self._name} sent a row in which {error}", hint="ask the agency; a nested name and a dotted one may be equal") from error
        return self._made(rows, total, document, answer, encoding, rows_at)

    def _made(self, rows: list[Cells], total: int | None, document: Any, answer: Answer, encoding: str, rows_at: str) -> Page:
        digest = hashlib.sha256(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
        return Page(rows, total, digest, document, answer.body, next_link(answer.header("link")), encoding, rows_at)

    def _decoded(self, answer: Answer) -> tuple[bytes, str]:
        """The body in UTF-8, and the encoding that it really had: what is declared, unless only another one fits."""
        body = answer.body
        if (mark := marked(body)) is not None:
            candidates = [mark.encoding]
            body = body[mark.mark :]
        else:
            declared = _CHARSET.search(answer.header("content-type"))
            names = [_canonical(declared[1])] if declared and not _is_chinese_utf8(body) else []
            candidates = list(dict.fromkeys([*names, "utf-8", "gb18030"]))
        if _is_markup(body):
            kind = "XML" if body.lstrip()[:5].lower() == b"<?xml" else "a web page"
            raise Misconfigured(f"{self._name} answered with {kind} instead of JSON", hint="is it a login page? check address, credentials and white list")
        for encoding in candidates:
            try:
                return to_utf8(body, encoding), encoding
            except (Rejected, LookupError):
                continue
        raise Unavailable(f"{self._name} sent bytes that are no text", hint=f"tried as {', '.join(candidates)}; ask the agency which encoding it is")

    def _parsed(self, text: bytes, answer: Answer) -> Any:
        try:
            return parse(text, called="the answer")
        except Rejected as error:
            cut = "" if answer.announced else "; it may have been cut off, as its length was not announced"
            raise Unavailable(f"{self._name}: {error.message}{cut}", hint="tried again by the schedule; if it stays, ask the agency", code="F001") from error

    def _says_empty(self, document: Any) -> bool:
        """Whether the code says that there is nothing; raises what any other error code means."""
        ok, errors = self._read.ok, self._read.errors
        if ok is None:
            return False
        value = found_at(document, ok.field)
        code = ("true" if value else "false") if isinstance(value, bool) else value if isinstance(value, str) else None
        if code in ok.values:
            return False
        if code in ok.empty:
            return True
        if code in errors.expired:
            raise Expired(f"{self._name} calls the token expired", hint="check the credentials")
        raise self._error(code, document)

    def _error(self, code: str | None, document: Any) -> HubError:
        ok, errors = self._read.ok, self._read.errors
        if code is None:
            hint = "correct `ok`, or ask the agency what has changed"
            return Misconfigured(f"{self._name}: the answer has no code at `{ok.field if ok else ''}`", hint=hint)
        said = f"{self._name} answered with code {code if _CODE.fullmatch(code) else '…'}{self._message(document)}"
        if code in errors.misconfigured:
            return Misconfigured(said, hint="compare parameters, rights and clock with the agency's description")
        hint = "tried again by the schedule" if code in errors.unavailable else "tried again by the schedule; name what this code means under `errors`"
        return Unavailable(said, hint=hint)

    def _message(self, document: Any) -> str:
        text = found_at(document, self._read.message) if self._read.message else None
        if not isinstance(text, str):
            return ""
        plain = "".join(c for c in _DIGITS.sub("…", text) if c.isprintable())
        return f": {plain[:_SHOWN]}"

    def _rows(self, document: Any) -> tuple[str, list[Any]]:
        if self._read.rows:
            found = found_at(document, self._read.rows)
            if found is None and (is_null(document, self._read.rows) or self._total(document, "", 0) == 0):
                found = []
            if isinstance(found, list) and all(isinstance(one, dict) for one in found):
                return self._read.rows, found
            raise Misconfigured(f"{self._name}: the answer has no rows at `{self._read.rows}`", hint=self._seen(document))
        best = max(arrays(document), key=lambda pair: (self._matches(pair[1]), len(pair[1])), default=None)
        if best is None or (best[1] and self._known and not self._matches(best[1])):
            hint = "name where they are with `rows`, or what an error looks like with `ok`"
            raise Misconfigured(f"{self._name}: the answer holds no rows with columns of the item", hint=hint)
        return best

    def _matches(self, rows: list[Any]) -> int:
        return len({normalise_heading(name) for name in rows[0]} & self._known) if rows else 0

    def _seen(self, document: Any) -> str:
        places = ", ".join(f"`{path}`" for path, _ in arrays(document) if _CODE.fullmatch(path))[:200]
        return f"correct `rows`; arrays of objects are at {places or 'no place'}"

    def _total(self, document: Any, rows_at: str, rows: int) -> int | None:
        if not self._read.total:
            return usual_total(document, rows_at, rows)
        if (found := whole(found_at(document, self._read.total))) is None:
            raise Misconfigured(f"{self._name}: the answer has no total at `{self._read.total}`", hint="correct `total`")
        return found


def saved_rows(config: RestConfig, read: RestRead, content: bytes) -> list[Cells]:
    """Rows of one saved answer, as a pull would find them. Raises `Unavailable` and `Misconfigured` for what is none."""
    return Reader(read, frozenset(), "the saved answer").page(Answer(200, {}, content, config.url)).rows


def next_link(header: str) -> str:
    """Target of the first link with rel=next (RFC 8288), empty where there is none."""
    for target, parameters in re.findall(r"<([^<>]*)>([^<]*)", header[:8192]):
        relations = re.search(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,]+))", parameters, re.IGNORECASE)
        if relations and "next" in (relations[1] or relations[2] or "").casefold().split():
            return str(target)
    return ""


def _canonical(name: str) -> str:
    return "gb18030" if name.casefold() in _GB else "utf-8" if name.casefold() in ("utf8", "utf-8") else name.casefold()


def _is_chinese_utf8(body: bytes) -> bool:
    """Whether the body is UTF-8 beyond doubt: GB 18030 bytes that happen to be UTF-8 too never give a character of three bytes."""
    try:
        return max(body.decode(), default="") >= "\u0800"
    except UnicodeDecodeError:
        return False


def _is_markup(body: bytes) -> bool:
    return body.lstrip()[:1] == b"<"
