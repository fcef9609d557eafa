"""The hub's own small web server: health, metrics, status and the console page, on loopback only."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
from aiohttp import web

from hub.contracts.errors import HubError, Misconfigured, Unavailable
from monitoring.health import Heartbeat, live_report, ready_report
from monitoring.metrics import CONTENT_TYPE
from monitoring.page import CONSOLE, choose_language, render, render_trouble
from monitoring.view import View

PATIENCE_S = 10.0
STATUS_FRESH_S = 1.0
_HOSTS = frozenset(("localhost", "127.0.0.1", "[::1]"))
_STATIC = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Look:
    """One status for everybody who asks within a second, so that many watchers cost no more than one."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = asyncio.Lock()
        self._at = float("-inf")
        self._status: dict[str, Any] = {}

    async def status(self) -> dict[str, Any]:
        """A status at most `STATUS_FRESH_S` old. Raises `Unavailable` when there is none in time."""
        async with self._lock:
            if time.monotonic() - self._at > STATUS_FRESH_S:
                self._status = await _in_time(self._view.status())
                self._at = time.monotonic()
            return self._status


async def _in_time(asked: Awaitable[Any]) -> Any:
    try:
        return await asyncio.wait_for(asked, PATIENCE_S)
    except TimeoutError as error:
        raise Unavailable(f"the hub did not answer within {PATIENCE_S:.0f} s", hint="it may be very busy; the page tries again by itself") from error


_VIEW = web.AppKey("view", View)
_CLOCK: web.AppKey[Callable[[], datetime]] = web.AppKey("clock", Callable)  # type: ignore[arg-type]
_HEART = web.AppKey("heart", Heartbeat)
_LOOK = web.AppKey("look", Look)


_CITY_ZONE = timezone(timedelta(hours=8), "Asia/Shanghai")  # one zone for the whole country, without summer time since 1991


def _city_now() -> datetime:
    return datetime.now(_CITY_ZONE)


def make_app(view: View, *, clock: Callable[[], datetime] = _city_now, pages: bool = True) -> web.Application:
    """`/livez` `/readyz` `/metrics`, and with `pages` `/` and `/status.json`. Answers GET only, and only when it is addressed as this machine."""
    app = web.Application(middlewares=[_guarded], client_max_size=16 << 10)
    app[_VIEW], app[_CLOCK], app[_HEART], app[_LOOK] = view, clock, Heartbeat(), Look(view)
    if pages:
        app.router.add_get("/", _page)
        app.router.add_get("/status.json", _status)
    app.router.add_get("/livez", _live)
    app.router.add_get("/readyz", _ready)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/static/{name}", _static)
    app.cleanup_ctx.append(_beating)
    return app


async def serve(view: View, host: str, port: int, *, pages: bool = True) -> web.AppRunner:
    """Start listening; `await runner.cleanup()` ends it. `port` 0 takes a free one (see `runner.addresses`). `pages` is the console.

    Raises `Misconfigured` for an address that others could reach, and for a port that is taken.
    """
    refuse_beyond_loopback(host)
    runner = web.AppRunner(make_app(view, pages=pages), access_log=None, shutdown_timeout=5.0, keepalive_timeout=15.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host.strip("[]"), port).start()
    except OSError as error:
        await runner.cleanup()
        taken = error.errno == errno.EADDRINUSE
        hint = "another hub or program uses it: stop that one, or set another `listen:` in hub.yaml" if taken else "set `listen: 127.0.0.1:8700` in hub.yaml"
        raise Misconfigured(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint) from error
    return runner


def refuse_beyond_loopback(host: str) -> None:
    """Raise `Misconfigured` unless `host` is this machine itself: the console has no login."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        hint = "write `listen: 127.0.0.1:8700`, and reach it through an SSH tunnel or a reverse proxy that asks for a login"
        raise Misconfigured(f"the console has no login and would be open to others on {host}", hint=hint)


@web.middleware
async def _guarded(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Refuse a foreign name for this machine (DNS rebinding), turn the hub's errors into problem documents, set the headers."""
    try:
        if request.host.rsplit(":", 1)[0].lower() not in _HOSTS and request.host.lower() not in _HOSTS:
            response: web.StreamResponse = _problem(421, "this server answers only as localhost", "open it as http://127.0.0.1 with its port")
        else:
            response = await handler(request)
    except HubError as error:
        response = _problem(503, error.message, error.hint)
        response.headers["Retry-After"] = "5"
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    response.headers.update(_HEADERS)
    return response


def _problem(status: int, title: str, hint: str) -> web.Response:
    """A problem document (RFC 9457)."""
    return _json(status, {"type": "about:blank", "status": status, "title": title, "detail": hint}, "application/problem+json")


def _json(status: int, body: Mapping[str, Any], content_type: str = "application/json") -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body, default=str), content_type=content_type)


async def _beating(app: web.Application) -> AsyncIterator[None]:
    async with app[_HEART].beating():
        yield


async def _page(request: web.Request) -> web.Response:
    language = choose_language(request.query.get("lang"), request.headers.get("Accept-Language", ""))
    part = request.query.get("part") == "main"
    try:
        status, checks = await request.app[_LOOK].status(), await _in_time(request.app[_VIEW].ready())
    except HubError as error:
        return web.Response(status=503, text=render_trouble(error.message, error.hint, language=language, part=part), content_type="text/html")
    html = render(status, checks, language=language, now=request.app[_CLOCK](), part=part)
    return web.Response(text=html, content_type="text/html", headers={"Content-Language": language, "Vary": "Accept-Language"})


async def _status(request: web.Request) -> web.Response:
    return _json(200, await request.app[_LOOK].status())


async def _live(request: web.Request) -> web.Response:
    return _json(*live_report(request.app[_HEART]))


async def _ready(request: web.Request) -> web.Response:
    status, body = ready_report(await _in_time(request.app[_VIEW].ready()))
    response = _json(status, body)
    if status != 200:
        response.headers["Retry-After"] = "5"
    return response


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=request.app[_VIEW].metrics(), headers={"Content-Type": CONTENT_TYPE})


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in _STATIC:
        raise web.HTTPNotFound
    return web.Response(body=(CONSOLE / name).read_bytes(), content_type=_STATIC[name], charset="utf-8")
