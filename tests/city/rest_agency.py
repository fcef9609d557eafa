"""Agencies with REST interfaces, as domain experience knows them: each speaks a dialect of its own, and each can be told to misbehave."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from aiohttp import web
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.city.identities import citizen, firm

ZONE = ZoneInfo("Asia/Shanghai")
GATEWAY_ID, GATEWAY_KEY, GATEWAY_SECRET = "changshu-credit", "0123456789abcdef", "licence-centre-secret"
COURT_KEY = "court-api-key"
MD5_KEY, MD5_SECRET = "APPKEY001", "SECRET001"
SM3_KEY, SM3_SECRET = "CSCREDIT", "secret-key"
RID, SID, NATIONAL_KEY, NATIONAL_SECRET = "RID001", "SID001", "national-app-key", "demo-app-secret"
LOGIN_PAGE = "<!DOCTYPE html><html><head><title>登录</title></head><body><form>用户名</form></body></html>"
_EPOCH = datetime(2026, 1, 5, 9, 0, tzinfo=ZONE)

Row = dict[str, Any]


@dataclass
class Faults:
    """What goes wrong, each until it is taken away; numbers count down."""

    total_moves: int = 0  # answers whose total is one higher each time
    repeats: int = 0  # this page number answers with the page before it
    skips: int = 0  # this page number answers with half of its rows
    limited: int = 0  # answers with 429 and `retry_after`
    retry_after: str = "1"
    login_page: bool = False
    refuses: bool = False  # 401, whatever is shown
    error_code: str = ""  # a code of the dialect with status 200
    cut_after: int | None = None  # bytes of a body after which the connection ends
    announced: bool = True  # with a Content-Length
    charset: str = "utf-8"
    declared: str = "utf-8"
    slow: float = 0.0  # seconds before an answer
    expire_tokens: int = 0  # so many business calls hear that their token has ended


@dataclass
class Agencies:
    """The other side: its rows, its faults, and what it was asked."""

    licences: list[Row] = field(default_factory=lambda: [licence(n) for n in range(1, 1201)])
    judgments: list[Row] = field(default_factory=lambda: [judgment(n) for n in range(1, 301)])
    ratings: list[Row] = field(default_factory=lambda: [rating(n) for n in range(1, 151)])
    faults: Faults = field(default_factory=Faults)
    now: Callable[[], float] = time.time
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    tokens: dict[str, str] = field(default_factory=dict)  # gateway_rtime of each token that lives
    nonces: set[str] = field(default_factory=set)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asks(self, path: str) -> list[dict[str, str]]:
        """Parameters of the requests for a path."""
        return [values for where, values in self.asked if where == path]


def licence(number: int) -> Row:
    """A licence of the licence centre (许可)."""
    return {"统一社会信用代码": firm(number), "企业名称": f"常熟市示例{number}有限公司", "许可编号": f"常许〔2026〕{number:05d}号", "决定日期": "2026-01-05"}


def judgment(number: int) -> Row:
    """A person who did not keep a judgment; ids rise, several share one second."""
    changed = _EPOCH + timedelta(seconds=number // 3 * 60)
    person = {"姓名": "赵样甲", "证件号码": citizen(number), "案号": f"（2026）苏0581执{number}号"}
    return {"id": number, **person, "更新时间": f"{changed:%Y-%m-%d %H:%M:%S}"}


def rating(number: int) -> Row:
    """An environmental rating."""
    return {"统一社会信用代码": firm(number), "企业名称": f"常熟市示例{number}厂", "评价结果": "绿色", "评价年度": 2026}


Handler = Callable[[Agencies, web.Request, Mapping[str, str]], Awaitable[Any]]


def make_app(agencies: Agencies) -> web.Application:
    """All of them behind one address."""
    app = web.Application(client_max_size=1 << 20)

    def route(method: str, path: str, handler: Handler) -> None:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await _answered(agencies, request, handler)

        app.router.add_route(method, path, handle)

    route("POST", "/licence/auth/token", _gateway_token)
    route("*", "/licence/list", _licences)
    route("*", "/court/changes", _court_by_id)
    route("*", "/court/since", _court_since)
    route("*", "/court/window", _court_window)
    route("*", "/court/cursor", _court_cursor)
    route("*", "/court/link", _court_link)
    route("*", "/environment/gateway/api/rating.htm", _ratings)
    route("*", "/national/data", _national)
    route("POST", "/national/secret", _national_secret)
    route("*", "/modern/licences", _modern)
    route("POST", "/oauth/token", _oauth_token)
    route("*", "/oauth/licences", _oauth_licences)
    return app


async def serve(host: str, port: int, agencies: Agencies | None = None) -> web.AppRunner:
    """The agencies on an address; port 0 takes a free one. End it with `cleanup`."""
    agencies = agencies or Agencies()
    runner = web.AppRunner(make_app(agencies), shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    agencies.port = runner.addresses[0][1]
    return runner


async def _answered(agencies: Agencies, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count, misbehave, and otherwise answer."""
    faults = agencies.faults
    values = {**dict(request.query), **await _members(request)}
    if request.method != "HEAD":
        agencies.asked.append((request.path, values))
    agencies.under_way += 1
    agencies.most_under_way = max(agencies.most_under_way, agencies.under_way)
    try:
        await asyncio.sleep(faults.slow)
        if faults.refuses:
            return web.json_response({"message": "forbidden"}, status=401)
        if faults.limited:
            faults.limited -= 1
            return web.Response(status=429, headers={"Retry-After": faults.retry_after})
        if faults.login_page:
            return web.Response(text=LOGIN_PAGE, content_type="text/html")
        found = await handler(agencies, request, values)
        headers = found.pop("headers", {}) if isinstance(found, dict) else {}
        return await _written(faults, request, found, headers)
    except (PermissionError, KeyError):  # a wrong signature, or none
        return web.json_response({"message": "wrong signature"}, status=401)
    finally:
        agencies.under_way -= 1


async def _members(request: web.Request) -> dict[str, str]:
    """Members of a POST body, JSON or form."""
    body = await request.text()
    if not body:
        return {}
    return dict(json.loads(body)) if "json" in request.content_type else dict(parse_qsl(body))


async def _written(faults: Faults, request: web.Request, found: Any, headers: dict[str, str]) -> web.StreamResponse:
    body = json.dumps(found, ensure_ascii=False).encode(faults.charset)
    headers |= {"Content-Type": f"application/json; charset={faults.declared}" if faults.declared else "application/json"}
    if faults.cut_after is None and faults.announced:
        return web.Response(body=body, headers=headers)
    response = web.StreamResponse(headers=headers)
    if faults.announced:
        response.content_length = len(body)
    else:
        response.force_close()
        request.protocol.force_close()
    await response.prepare(request)
    await response.write(body[: faults.cut_after])
    if faults.cut_after is not None and request.transport is not None:
        request.transport.close()
    return response


def _signed(key: str, text: str) -> str:
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), "sha256")).decode()


def _sealed(plain: str, key: str) -> str:
    room = 16 - len(plain.encode()) % 16
    cipher = Cipher(algorithms.AES(key.encode()), modes.ECB()).encryptor()
    return base64.b64encode(cipher.update(plain.encode() + bytes([room]) * room) + cipher.finalize()).decode()


def _must(fine: bool) -> None:
    if not fine:
        raise PermissionError


def _numbered(agencies: Agencies, rows: list[Row], number: int, size: int) -> tuple[list[Row], int]:
    """One page of rows and the total, with the faults of paging."""
    faults, total = agencies.faults, len(rows)
    if faults.total_moves:
        faults.total_moves -= 1
        total += faults.total_moves + 1
    shown = number - 1 if number == faults.repeats else number
    page = rows[(shown - 1) * size : shown * size]
    return (page[: len(page) // 2] if number == faults.skips else page), total


async def _gateway_token(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    stamp = request.headers["gateway_rtime"]
    _must(request.headers["gateway_appid"] == GATEWAY_ID and request.headers["gateway_sig"] == _signed(GATEWAY_KEY, GATEWAY_ID + stamp))
    _must(abs(int(stamp) / 1000 - agencies.now()) < 300)
    secret = f"{GATEWAY_SECRET}-{len(agencies.tokens)}"
    agencies.tokens[stamp] = secret
    return {"code": "0", "body": {"access_token": _sealed(secret, GATEWAY_KEY)}}


async def _licences(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    stamp = request.headers["gateway_rtime"]
    _must(stamp in agencies.tokens and request.headers["gateway_sig"] == _signed(agencies.tokens[stamp], GATEWAY_ID + stamp))
    if agencies.faults.error_code:
        return {"code": agencies.faults.error_code, "msg": "参数错误 320581190012310015", "data": None}
    if agencies.faults.expire_tokens:
        agencies.faults.expire_tokens -= 1
        agencies.tokens.pop(stamp)
        return {"code": "token_expired", "msg": "令牌已过期", "data": None}
    rows, total = _numbered(agencies, agencies.licences, int(values["pageNo"]), int(values["pageSize"]))
    return {"code": "0", "msg": "成功", "data": {"total": total, "list": rows}}


def _court(request: web.Request) -> None:
    _must(request.headers.get("X-Api-Key") == COURT_KEY)


async def _court_by_id(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    _court(request)
    after = int(values.get("lastId", "0"))
    return {"code": 200, "records": [row for row in agencies.judgments if row["id"] > after][: int(values.get("rows", "100"))]}


async def _court_since(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    _court(request)
    since = values.get("updatedAfter", "")
    found = sorted((row for row in agencies.judgments if row["更新时间"] >= since), key=lambda row: (row["更新时间"], row["id"]))
    rows, total = _numbered(agencies, found, int(values["pageNum"]), int(values["rows"]))
    return {"code": 200, "count": total, "records": rows}


async def _court_window(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    _court(request)
    return {"code": 200, "data": [row for row in agencies.judgments if values["startTime"] <= row["更新时间"] <= values["endTime"]]}


async def _court_cursor(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    _court(request)
    start = int(values.get("cursor", "p0").removeprefix("p"))
    if agencies.faults.repeats:
        start = 0  # leads round in a circle
    following = start + 100
    return {"data": {"items": agencies.judgments[start:following], "next": f"p{following}" if following < len(agencies.judgments) else None}}


async def _court_link(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    _court(request)
    start = int(values.get("start", "0"))
    headers = {"Link": f'</court/link?start={start + 100}>; rel="next", </court/link>; rel="first"'} if start + 100 < len(agencies.judgments) else {}
    return {"items": agencies.judgments[start : start + 100], "headers": headers}


async def _ratings(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    made = hashlib.md5((MD5_KEY + MD5_SECRET + values["requestTime"]).encode(), usedforsecurity=False).hexdigest()
    if values["appKey"] != MD5_KEY or values["sign"] != made:
        return {"code": "98", "msg": "签名错误", "dataCount": 0, "datas": []}
    if agencies.faults.error_code:
        return {"code": agencies.faults.error_code, "msg": "失败", "dataCount": 0, "datas": []}
    rows, total = _numbered(agencies, agencies.ratings, int(values["currentPage"]), int(values["pageSize"]))
    return {"code": "00", "msg": "成功", "dataCount": total, "datas": rows}


async def _national(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    stamp = request.headers["gjgxjhpt_rtime"]
    _must(request.headers["gjgxjhpt_sign"] == _signed(NATIONAL_SECRET, SID + RID + stamp) and abs(int(stamp) / 1000 - agencies.now()) < 300)
    return {"code": "0", "data": agencies.licences[:20]}


async def _national_secret(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    _must(values["gjgxjhpt_sign"] == _signed(NATIONAL_KEY, SID + RID + values["gjgxjhpt_rtime"]))
    ends = int((agencies.now() + 3600) * 1000)
    return {"code": "0", "message": "", "data": {"secret": _sealed(NATIONAL_SECRET, NATIONAL_KEY), "secretEndTime": str(ends)}}


async def _modern(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    headers = request.headers
    nonce, stamp = headers["X-Nonce"], headers["X-Timestamp"]
    made = hmac.new(SM3_SECRET.encode(), (headers["X-App-Key"] + stamp + nonce).encode(), "sm3").hexdigest()
    _must(headers["X-App-Key"] == SM3_KEY and made == headers["X-Sign"] and abs(int(stamp) / 1000 - agencies.now()) < 300 and nonce not in agencies.nonces)
    agencies.nonces.add(nonce)
    start = int(values.get("offset", "0"))
    return {"result": {"totalCount": len(agencies.licences), "rows": agencies.licences[start : start + int(values["limit"])]}}


async def _oauth_token(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    _must(request.headers.get("Authorization") == "Basic " + base64.b64encode(b"credit:hub").decode() and values["grant_type"] == "client_credentials")
    agencies.tokens["oauth"] = f"t{len(agencies.asked)}"
    return {"access_token": agencies.tokens["oauth"], "token_type": "Bearer", "expires_in": 3600}


async def _oauth_licences(agencies: Agencies, request: web.Request, values: Mapping[str, str]) -> Any:
    _must(request.headers.get("Authorization") == f"Bearer {agencies.tokens.get('oauth')}")
    if agencies.faults.expire_tokens:
        agencies.faults.expire_tokens -= 1
        agencies.tokens.clear()
        raise PermissionError
    return agencies.licences[:30]
