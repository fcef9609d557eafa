"""One request while it is being answered: who calls, what is asked, and the body as it comes."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import HttpVersion11, web

from connectors.gateway.limits import GatewayLimits, pieces, too_large
from connectors.gateway.problems import HEADERS, Refusal
from hub.contracts.gateway import Caller

_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
EMPTY = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Exchange:
    """`digest` is the SHA-256 of the body that the caller signed, "" where it signed nothing. Nothing else of the request is believed."""

    request: web.BaseRequest
    id: str
    limits: GatewayLimits
    caller: Caller = field(default_factory=lambda: Caller("", ""))
    digest: str = ""
    words: Mapping[str, str] = field(default_factory=dict)  # of the path

    @property
    def trace(self) -> str:
        """The caller's `traceparent` (W3C Trace Context), "" where there is none or it is malformed."""
        given = self.header("traceparent")
        return given if _TRACE.fullmatch(given) else ""

    def header(self, name: str) -> str:
        """A request header, "" where it is missing. Raises `Refusal` 400 where it is there twice."""
        found = self.request.headers.getall(name, [])
        if len(found) > 1:
            raise Refusal(400, "header-twice", "a header stands twice", place=f"header {name}")
        return found[0].strip() if found else ""

    def number(self, name: str, default: int, highest: int) -> int:
        """A number in the query. Raises `Refusal` 400 for anything but one decimal number from 0 to `highest`."""
        found = self.request.query.getall(name, [])
        if not found:
            return default
        if len(found) > 1 or not re.fullmatch(r"[0-9]{1,18}", found[0]) or int(found[0]) > highest:
            raise Refusal(400, "bad-number", f"give one number from 0 to {highest}", place=f"query {name}")
        return int(found[0])

    async def body(self, largest: int) -> AsyncIterator[bytes]:
        """The body in pieces; read nothing before every cheaper question is answered. Raises `Refusal` 400, 408, 413, 415, 417."""
        if self.header("Content-Encoding") not in ("", "identity"):
            raise Refusal(415, "encoded", "a compressed body is not taken", hint="send it as it is, or a ZIP file", place="header Content-Encoding")
        if (self.request.content_length or 0) > largest:
            raise too_large(largest)
        await self._go_on()
        try:
            async for piece in pieces(self.request.content, self.limits, largest):
                yield piece
        except (web.RequestPayloadError, ConnectionError) as error:
            raise Refusal(400, "cut", "the body ended before its end, or is malformed", headers={"Connection": "close"}) from error

    async def whole(self, largest: int) -> bytes:
        """A small body in one piece, which is what was signed."""
        found = b"".join([piece async for piece in self.body(largest)])
        self.check(hashlib.sha256(found).hexdigest())
        return found

    def check(self, digest: str) -> None:
        """Raise `Refusal` 401 where the body is not what the caller signed."""
        if self.digest and not hmac.compare_digest(self.digest, digest):
            raise Refusal(401, "signature", "the body is not what was signed", place="header X-Hub-Content-SHA256")

    async def _go_on(self) -> None:
        """Answer `Expect: 100-continue` (RFC 9110, 10.1.1)."""
        expect = self.header("Expect").lower()
        if not expect or self.request.version < HttpVersion11:
            return
        if expect != "100-continue":
            raise Refusal(417, "expectation", "only 100-continue can be expected", place="header Expect")
        await self.request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.request.writer.output_size = 0  # what was written so far is not part of the answer

    def answer(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
        """A JSON answer."""
        return self.answer_bytes(orjson.dumps(body), "application/json", status, headers)

    def answer_bytes(self, body: bytes, content_type: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
        """An answer of any type."""
        return web.Response(status=status, body=body, headers={**HEADERS, "Content-Type": content_type, **(headers or {})})
