"""An agency whose system calls the hub: 安监局 submits records by REST, and by SOAP in the dialect that such systems speak."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aiohttp import ClientSession, ClientTimeout

from tests.city.records import bad_record

AGENCY, ITEM = "A0017", "A0017-F04-01"
SAMPLE = "A0017/bljl_202606.json"
_SPACE = "http://service.credit-hub.example/InterfaceUploadService"
_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_PATIENCE = ClientTimeout(total=60)
_LOOKS = 300


async def submit(gateway: str, key: str, samples: Path, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> list[dict[str, Any]]:
    """Submit a batch by REST and another one by SOAP, and wait for both receipts: `{how, state, read, rejected}` each."""
    async with ClientSession(gateway, headers={"Authorization": f"Bearer {key}"}, timeout=_PATIENCE) as session:
        return [await _by_rest(session, (samples / SAMPLE).read_bytes(), sleep), await _by_soap(session)]


async def _by_rest(session: ClientSession, body: bytes, sleep: Callable[[float], Awaitable[None]]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "bljl-202606"}
    async with session.post(f"/v1/items/{ITEM}/batches", data=body, headers=headers) as answer:
        answer.raise_for_status()
        where = answer.headers["Location"]
    for _ in range(_LOOKS):
        async with session.get(where) as answer:
            receipt = await answer.json()
        if receipt["state"] in ("succeeded", "failed", "held"):
            break
        await sleep(0.1)
    counts = receipt.get("counts") or {}
    return {"how": "REST", "state": receipt["state"], "read": counts.get("read", 0), "rejected": counts.get("rejected", 0)}


async def _by_soap(session: ClientSession) -> dict[str, Any]:
    told = {"tableCode": ITEM, "departmentCode": AGENCY, "tableVersionId": "1", "body": [bad_record(number) for number in range(1701, 1706)]}
    argument = escape(json.dumps(told, ensure_ascii=False))
    body = f'<s:Envelope xmlns:s="{_ENVELOPE}"><s:Body><u:execute xmlns:u="{_SPACE}"><u:json>{argument}</u:json></u:execute></s:Body></s:Envelope>'
    async with session.post("/soap/InterfaceUploadService", data=body.encode(), headers={"Content-Type": "text/xml; charset=utf-8"}) as answer:
        text = ElementTree.fromstring(await answer.text()).findtext(f".//{{{_SPACE}}}return") or "{}"
    said = json.loads(text)
    return {"how": "SOAP", "state": said.get("errorMsg", "no answer"), "read": said.get("totalSize", 0), "rejected": said.get("errorSize", 0)}
