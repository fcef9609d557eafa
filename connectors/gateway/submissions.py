"""Submitting: a body streamed into landing, numbered, and answered 202 before anybody looks into it; and saying that there is nothing to report."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Any

from aiohttp import web

from connectors.formats.strict_json import parse
from connectors.formats.worker import Worker
from connectors.gateway.exchange import Exchange
from connectors.gateway.problems import Refusal
from hub.contracts.errors import Rejected
from hub.contracts.gateway import Offer, Reception, Ticket
from hub.contracts.source import Landed, LandingWriter

SUFFIXES = {
    "application/json": ".json",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "text/csv": ".csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.ms-excel": ".xls",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/zip": ".zip",
    "application/octet-stream": ".dat",
}
"""Media types that are taken, and the ending of the arrival's name; what is really inside is told by its first bytes."""
KEY_PATTERN = r'"[!#-\[\]-~]{1,200}"|[A-Za-z0-9._:-]{1,200}'
PERIOD_PATTERN = r"[12][0-9]{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?|-Q[1-4]|-W(0[1-9]|[1-4][0-9]|5[0-3]))?"
LONGEST_REASON = 200
_KEY = re.compile(KEY_PATTERN)
_PERIOD = re.compile(PERIOD_PATTERN)
_NIL_BYTES = 16 << 10


class Submitting:
    """Takes batches and nil returns."""

    def __init__(self, reception: Reception, worker: Worker, uploads: int) -> None:
        self._reception = reception
        self._worker = worker
        self._room = asyncio.Semaphore(uploads)

    async def batch(self, exchange: Exchange) -> web.StreamResponse:
        """`POST /v1/items/{item}/batches`. The same key and body again answers as the first time did."""
        offer = self.offer(exchange)
        suffix = suffix_of(exchange)
        key = _idempotency_key(exchange)
        self._reception.refuse_when_closed(offer)
        if self._room.locked():
            raise Refusal(503, "busy", "as many submissions as can be are being received", headers={"Retry-After": "2"})
        async with self._room:
            ticket = await self._reception.begin(exchange.caller, offer, f"POST /v1/items/{offer.item.code}/batches", key)
            if ticket.state == "busy":
                raise Refusal(409, "in-progress", "a request with this key is being answered", place="header Idempotency-Key", headers={"Retry-After": "1"})
            if ticket.state == "done":
                await self._same(exchange, ticket)
            else:
                await self._take(exchange, ticket, suffix)
        location = f"/v1/receipts/{ticket.receipt}"
        return exchange.answer({"receipt": ticket.receipt, "item": offer.item.code, "state": "accepted", "href": location}, 202, {"Location": location})

    async def nil(self, exchange: Exchange) -> web.StreamResponse:
        """`POST /v1/items/{item}/nil`: 201 the first time, 200 when it is said again."""
        offer = self.offer(exchange)
        if exchange.request.content_type != "application/json":
            raise Refusal(415, "media-type", "a nil return is application/json", place="header Content-Type")
        period, because = _nil(await exchange.whole(_NIL_BYTES))
        new = await self._reception.nil(exchange.caller, offer, period, because)
        return exchange.answer({"item": offer.item.code, "period": period, "state": "kept"}, 201 if new else 200)

    def offer(self, exchange: Exchange) -> Offer:
        """The item that is submitted. Raises `Refusal` 404 for one that this caller does not submit."""
        offer = self._reception.offers(exchange.caller.agency).get(exchange.words["item"])
        if offer is None:
            raise Refusal(404, "unknown-item", "there is no such item, or it is not yours to submit", hint="GET /v1/items lists yours", place="path item")
        return offer

    async def _take(self, exchange: Exchange, ticket: Ticket, suffix: str) -> None:
        try:
            landed = await self._land(exchange, ticket.offer.max_size)
        except BaseException:
            await self._reception.release(ticket)
            raise
        about: dict[str, Any] = {"content_type": exchange.request.content_type, "charset": exchange.request.charset or "", "key": exchange.caller.key}
        about |= {"signed": bool(exchange.digest), "traceparent": exchange.trace}
        await self._reception.accept(ticket, landed, suffix, about)

    async def _land(self, exchange: Exchange, largest: int) -> Landed:
        writer, digest = self._reception.writer(), hashlib.sha256()
        size = 0
        try:
            async for piece in exchange.body(largest):
                await self._worker.do(_write, writer, digest, piece)
                size += len(piece)
            if not size:
                raise Refusal(400, "empty", "there is no body", hint="for a period without records use the nil return")
            exchange.check(digest.hexdigest())
            return await self._worker.do(writer.commit)
        finally:
            await self._worker.do(writer.abort)

    async def _same(self, exchange: Exchange, ticket: Ticket) -> None:
        """Raise `Refusal` 422 where the key was used for another body."""
        digest = hashlib.sha256()
        async for piece in exchange.body(ticket.offer.max_size):
            await self._worker.do(digest.update, piece)
        exchange.check(digest.hexdigest())
        if digest.hexdigest() != ticket.digest:
            hint = "each submission needs a key of its own"
            raise Refusal(422, "key-reused", "this key was used for another body", hint=hint, place="header Idempotency-Key")


def _write(writer: LandingWriter, digest: Any, piece: bytes) -> None:
    digest.update(piece)
    writer.write(piece)


def suffix_of(exchange: Exchange) -> str:
    """The ending that belongs to the body's media type. Raises `Refusal` 415."""
    suffix = SUFFIXES.get(exchange.request.content_type.lower()) if exchange.header("Content-Type") else None
    if suffix is None:
        raise Refusal(415, "media-type", "this media type is not taken", hint="one of " + ", ".join(SUFFIXES), place="header Content-Type")
    return suffix


def _idempotency_key(exchange: Exchange) -> str:
    given = exchange.header("Idempotency-Key")
    if not _KEY.fullmatch(given):
        hint = 'a new one for each submission, the same when it is sent again: Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324"'
        raise Refusal(400, "no-key", "a submission needs an idempotency key", hint=hint, place="header Idempotency-Key")
    return given.strip('"')


def _nil(raw: bytes) -> tuple[str, str]:
    try:
        found = parse(raw, called="the nil return")
    except Rejected as error:
        raise Refusal(400, "not-json", error.message, hint=error.hint) from error
    if not isinstance(found, dict) or not found.keys() <= {"period", "because"}:
        raise Refusal(400, "bad-nil", "a nil return is an object of period and because")
    period, because = found.get("period"), found.get("because", "")
    if type(period) is not str or not _PERIOD.fullmatch(period):
        raise Refusal(
            400, "bad-period", "the period is a year, quarter, month, week or day", hint="2026, 2026-Q4, 2026-10, 2026-W45, 2026-10-31", place="period"
        )
    if type(because) is not str or len(because) > LONGEST_REASON:
        raise Refusal(400, "bad-reason", f"because is a text of at most {LONGEST_REASON} characters", place="because")
    return period, because
