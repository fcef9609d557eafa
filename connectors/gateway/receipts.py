"""Receipts: how a submission stands, its errors by row, and the rows themselves in the sender's own columns, to be corrected and sent again."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
from collections.abc import Sequence
from typing import Any

import orjson
from aiohttp import web

from connectors.formats.workbook import CODE_TITLE, LINE_TITLE, REASON_TITLE, error_workbook
from connectors.formats.worker import Worker
from connectors.gateway.exchange import Exchange
from connectors.gateway.problems import Refusal
from hub.contracts.gateway import Reception, RowError, SubmissionReceipt

PAGE = 100
LARGEST_PAGE = 1000
RETURNED_ROWS = 10_000
_POLL_S = 2
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_RISKY = ("=", "+", "-", "@", "\t", "\r")
_PLACES = (1 << 53) - 1

Returned = Sequence[tuple[RowError, dict[str, str | None]]]


class Receipts:
    """Answers to the agency that submitted; for everybody else there is no such receipt."""

    def __init__(self, reception: Reception, worker: Worker) -> None:
        self._reception = reception
        self._worker = worker

    async def show(self, exchange: Exchange) -> web.StreamResponse:
        """`GET /v1/receipts/{id}?after=&limit=`: state, counts and a page of errors; `Retry-After` while it is at work."""
        after = exchange.number("after", 0, _PLACES)
        limit = max(1, exchange.number("limit", PAGE, LARGEST_PAGE))
        receipt = await self._mine(exchange)
        errors = await self._reception.errors(exchange.caller, receipt.id, after, limit + 1)
        body = summary(receipt) | {"errors": [shown(error) for error in errors[:limit]]}
        headers = {} if receipt.final else {"Retry-After": str(_POLL_S)}
        if len(errors) > limit:
            body["next"] = f"/v1/receipts/{receipt.id}?after={errors[limit - 1].place}&limit={limit}"
            headers["Link"] = f'<{body["next"]}>; rel="next"'
        raw = orjson.dumps(body)
        tag = f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
        if hmac.compare_digest(exchange.header("If-None-Match").encode(), tag.encode()):
            return exchange.answer_bytes(b"", "application/json", 304, headers | {"ETag": tag})
        return exchange.answer_bytes(raw, "application/json", headers=headers | {"ETag": tag})

    async def errors_csv(self, exchange: Exchange) -> web.StreamResponse:
        """`GET …/errors.csv`: rows set aside, as text that a spreadsheet opens without running anything."""
        receipt, columns, rows = await self._returned(exchange)
        body = await self._worker.do(_csv, columns, rows)
        return exchange.answer_bytes(body, "text/csv; charset=utf-8; header=present", headers=_attachment(receipt.id, "csv"))

    async def errors_xlsx(self, exchange: Exchange) -> web.StreamResponse:
        """`GET …/errors.xlsx`: the same as a workbook (疑问数据表)."""
        receipt, columns, rows = await self._returned(exchange)
        body = await self._worker.do(_workbook, columns, rows)
        return exchange.answer_bytes(body, _XLSX, headers=_attachment(receipt.id, "xlsx"))

    async def _returned(self, exchange: Exchange) -> tuple[SubmissionReceipt, Sequence[str], Returned]:
        receipt = await self._mine(exchange)
        columns, rows = await self._reception.returned(exchange.caller, receipt.id, RETURNED_ROWS)
        return receipt, columns, rows

    async def _mine(self, exchange: Exchange) -> SubmissionReceipt:
        receipt = await self._reception.receipt(exchange.caller, exchange.words["receipt"])
        if receipt is None:
            raise Refusal(404, "unknown-receipt", "there is no such receipt", place="path receipt")
        return receipt


def summary(receipt: SubmissionReceipt) -> dict[str, Any]:
    """A receipt as JSON: the equation's words, and beside them the names that agencies know from older platforms (domain of 双公示)."""
    counts = dict(receipt.counts)
    named = {"receipt": receipt.id, "item": receipt.item, "name": receipt.item_name, "at": receipt.at, "state": receipt.state, "settled": receipt.settled}
    why = {"code": receipt.code, "reason": receipt.reason} if receipt.reason else {}
    return named | {"duplicate": receipt.duplicate, "counts": counts | {"passed": passed(receipt)}, **classic(receipt), **why}


def passed(receipt: SubmissionReceipt) -> int:
    """Records that passed their checks."""
    counts = receipt.counts
    return counts.get("read", 0) - counts.get("rejected", 0) - counts.get("filtered", 0)


def classic(receipt: SubmissionReceipt) -> dict[str, int]:
    """`totalSize`, `successSize`, `failSize`, `errorSize` of the batch receipt that older platforms give."""
    rejected = receipt.counts.get("rejected", 0)
    return {"totalSize": receipt.counts.get("read", 0), "successSize": passed(receipt), "failSize": rejected, "errorSize": rejected}


def shown(error: RowError) -> dict[str, Any]:
    """An error as JSON: where it is and what is wrong, never the value."""
    found = {"row": error.row, "line": error.line, "field": error.field, "code": error.code, "reason": error.reason, "state": error.state}
    return {key: value for key, value in found.items() if value not in ("", None)}


def _workbook(columns: Sequence[str], rows: Returned) -> bytes:
    return error_workbook(columns, ((str(e.line or e.row), *(cells.get(c) for c in columns), e.code, e.reason) for e, cells in rows))


def _csv(columns: Sequence[str], rows: Returned) -> bytes:
    own = [column for column in columns if column not in (LINE_TITLE, CODE_TITLE, REASON_TITLE)]
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow([LINE_TITLE, *map(_harmless, own), CODE_TITLE, REASON_TITLE])
    for error, cells in rows:
        writer.writerow([_harmless(cell) for cell in (str(error.line or error.row), *(cells.get(c) for c in own), error.code, error.reason)])
    return b"\xef\xbb\xbf" + text.getvalue().encode(errors="replace")


def _harmless(cell: str | None) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP ASVS 1.2.10)."""
    return f"'{cell}" if cell and cell.startswith(_RISKY) else cell or ""


def _attachment(receipt: str, ending: str) -> dict[str, str]:
    """A file to be saved; its Chinese name is 疑问数据's usual one (RFC 6266)."""
    name = f"{receipt}-%E9%94%99%E8%AF%AF%E6%95%B0%E6%8D%AE%E8%A1%A8.{ending}"
    return {"Content-Disposition": f"attachment; filename=\"{receipt}-errors.{ending}\"; filename*=UTF-8''{name}"}
