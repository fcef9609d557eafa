"""Refusals as problem documents (RFC 9457) with `errors[]`; no value of a request or a record is ever echoed."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from hub.contracts.errors import HubError, Rejected, Unavailable

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "credit-hub",
}
"""On every answer."""


class Refusal(Rejected):
    """A request that is refused: HTTP `status`, a `code` from a closed list, and where in the request the reason lies ("header Idempotency-Key")."""

    def __init__(self, status: int, code: str, message: str, *, hint: str = "", place: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, hint=hint, code=code)
        self.status = status
        self.place = place
        self.headers = dict(headers or {})


def problem(status: int, code: str, message: str, *, hint: str = "", place: str = "", request_id: str = "") -> web.Response:
    """A problem document. `errors[]` always has an entry: `code`, `detail`, and where it applies `place` and `hint`."""
    entry = {"code": code, "detail": message, "place": place, "hint": hint}
    body: dict[str, Any] = {"type": "about:blank", "title": _title(status), "status": status, "detail": message}
    body["errors"] = [{key: value for key, value in entry.items() if value}]
    if request_id:
        body["request_id"] = request_id
    response = web.Response(status=status, body=orjson.dumps(body), content_type="application/problem+json")
    response.headers.update(HEADERS)
    return response


def of(error: HubError, request_id: str) -> web.Response:
    """The problem document of one of the three errors."""
    if isinstance(error, Refusal):
        response = problem(error.status, error.code, error.message, hint=error.hint, place=error.place, request_id=request_id)
        response.headers.update(error.headers)
        return response
    if isinstance(error, Unavailable):
        full = error.code == "disk-full"
        response = problem(507 if full else 503, "full" if full else "unavailable", error.message, request_id=request_id)
        response.headers["Retry-After"] = str(max(1, round(error.retry_after or (60 if full else 5))))
        return response
    if isinstance(error, Rejected):
        return problem(422, error.code or "rejected", error.message, hint=error.hint, request_id=request_id)
    return problem(503, "unavailable", "the hub needs its operator before it can go on", request_id=request_id)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"
