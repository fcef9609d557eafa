"""The InterfaceUploadService dialect: its JSON in, its codes and sizes out, over the same landing and receipts as everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from connectors.formats.strict_json import parse, written
from connectors.formats.worker import Worker
from connectors.gateway.auth import Authentication
from connectors.gateway.exchange import Exchange
from connectors.gateway.problems import Refusal
from connectors.gateway.receipts import classic, shown
from hub.contracts.errors import HubError, Rejected
from hub.contracts.gateway import Caller, Offer, Reception, SubmissionReceipt
from hub.contracts.source import Landed, LandingWriter

PATIENCE_S = 20.0
ERRORS = 100
WORDS = {
    "200": "操作成功", "500": "服务器内部错误", "5001": "JSON解析失败", "3001": "目录编码不能为空", "3002": "目录编码不存在",
    "4001": "部门编码不能为空", "4002": "部门不存在", "6001": "数据结构体不能为空", "6002": "数据结构体JSON格式不正确",
}  # fmt: skip
_ROWS = 50_000
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.02, 0.5


class Said(Rejected):
    """A refusal that the dialect has a code for."""

    def __init__(self, code: str, tips: str = "") -> None:
        super().__init__(WORDS[code], hint=tips, code=code)


@dataclass(frozen=True)
class Call:
    """One call once its JSON is read."""

    caller: Caller
    offer: Offer
    rows: bytes
    version: str


class Dialect:
    """Rows are landed and numbered, then collect is waited for, for `PATIENCE_S` at most; `sleep` is passed in."""

    def __init__(
        self,
        reception: Reception,
        auth: Authentication,
        worker: Worker,
        spend: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reception = reception
        self._auth = auth
        self._worker = worker
        self._spend = spend
        self.sleep = sleep

    async def answer(self, exchange: Exchange, operation: str, text: str) -> str:
        """The answer to one operation. Raises `Refusal` 401 where nobody we know calls; everything else is told in the dialect."""
        try:
            call = await self._call(exchange, await self._worker.do(_envelope, text))
            receipt = await self._taken(exchange, call, operation)
            errors = await self._reception.errors(call.caller, receipt.id, 0, ERRORS)
        except Refusal:
            raise
        except Said as said:
            return _said(said.code, tips=said.hint)
        except HubError:
            return _said("500", tips="暂时无法接收，请稍后重试")
        body = [shown(error) for error in errors]
        if receipt.state == "failed":
            return _said("6002", tips=receipt.reason, task=receipt.id, sizes=classic(receipt), errors=body)
        return _said("200", tips=_tips(receipt), task=receipt.id, sizes=classic(receipt), errors=body)

    async def _call(self, exchange: Exchange, envelope: dict[str, Any]) -> Call:
        caller = exchange.caller if exchange.caller.agency else await self._caller(envelope.get("token"))
        table, department = envelope.get("tableCode"), envelope.get("departmentCode")
        if not table or type(table) is not str:
            raise Said("3001")
        if not department or type(department) is not str:
            raise Said("4001")
        if department != caller.agency:
            raise Said("4002", "部门编码须与接口密钥所属部门一致")
        offer = self._reception.offers(caller.agency).get(table)
        if offer is None:
            raise Said("3002")
        rows = await self._worker.do(_rows, envelope.get("body"))
        version = envelope.get("tableVersionId")
        return Call(caller, offer, rows, version[:64] if type(version) is str else "")

    async def _caller(self, token: Any) -> Caller:
        """The key may stand in the JSON; the network alone says nothing about who calls."""
        caller = await self._auth.bearer(token) if type(token) is str else None
        if caller is None:
            await self._reception.turned_away("key")
            raise Refusal(401, "unknown-caller", "no valid API key was given", hint="Authorization: Bearer chk_…, or the key token of the JSON")
        self._auth.admit(caller, signed=False)
        self._spend(caller.agency)
        return caller

    async def _taken(self, exchange: Exchange, call: Call, operation: str) -> SubmissionReceipt:
        self._reception.refuse_when_closed(call.offer)
        ticket = await self._reception.begin(call.caller, call.offer, f"soap {operation} {call.offer.item.code}", "")
        try:
            landed = await self._worker.do(_land, self._reception.writer(), call.rows)
        except BaseException:
            await self._reception.release(ticket)
            raise
        about = {"soap": operation, "table_version": call.version, "key": call.caller.key, "signed": bool(exchange.digest), "traceparent": exchange.trace}
        await self._reception.accept(ticket, landed, ".json", about)
        return await self._settled(call.caller, ticket.receipt)

    async def _settled(self, caller: Caller, receipt: str) -> SubmissionReceipt:
        """The receipt once collect is done with it, or as it stands when patience ends."""
        waited, step = 0.0, _FIRST_LOOK_S
        while True:
            found = await self._reception.receipt(caller, receipt)
            if found is None:
                raise Rejected("a receipt that was just given is gone", hint="report this")
            if found.settled or found.state == "held" or waited >= PATIENCE_S:
                return found
            await self.sleep(step)
            waited, step = waited + step, min(step * 2, _LONGEST_LOOK_S)


def _envelope(text: str) -> dict[str, Any]:
    try:
        found = parse(text.encode(errors="surrogatepass"), called="the argument")
    except Rejected as error:
        raise Said("5001") from error
    if not isinstance(found, dict):
        raise Said("5001", "应为一个JSON对象")
    return found


def _rows(body: Any) -> bytes:
    """The rows as JSON, exactly as they were written where `body` is a text, numbers as they were written where it is an array."""
    if body is None or body in ("", []):
        raise Said("6001")
    raw = body.encode() if type(body) is str else None
    try:
        rows = body if raw is None else parse(raw, called="body")
    except Rejected as error:
        raise Said("6002") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Said("6002", "应为JSON对象的数组")
    if not rows:
        raise Said("6001")
    if len(rows) > _ROWS:
        raise Said("6002", f"每次最多{_ROWS}行")
    return raw if raw is not None else written(rows).encode()


def _land(writer: LandingWriter, rows: bytes) -> Landed:
    try:
        writer.write(rows)
        return writer.commit()
    finally:
        writer.abort()


def _tips(receipt: SubmissionReceipt) -> str:
    if receipt.state == "held":
        return "已接收；错误比例超过上限，等待人工处理"
    if not receipt.settled:
        return "处理中"
    return "数据已报送过，未重复处理" if receipt.duplicate else ""


def _said(code: str, *, tips: str = "", task: str = "", sizes: dict[str, int] | None = None, errors: list[dict[str, Any]] | None = None) -> str:
    none = {"totalSize": 0, "successSize": 0, "failSize": 0, "errorSize": 0}
    found = {"errorCode": code, "errorMsg": WORDS[code], "taskCode": task, **(sizes or none), "errorBody": errors or [], "tips": tips}
    return orjson.dumps(found).decode()
