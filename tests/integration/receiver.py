"""A receiving agency: a real HTTP server on a free loopback port that keeps what it is sent and answers as it is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from connectors.webhook import WebhookConfig

MOST = 1_000  # requests; more than any test makes
SECRET = "whsec_" + "c2hhcmVkIHNlY3JldCBvZiB0aGUgY291cnQgaG9vaw=="
LOOPBACK = ["127.0.0.0/8"]


@dataclass(frozen=True)
class Call:
    """One request as it came in."""

    headers: dict[str, str]
    body: bytes

    @property
    def delivery_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """`answers` are used up first, each a response; then everything is 200."""

    def __init__(self, *answers: web.Response) -> None:
        self.answers = list(answers)
        self.calls: list[Call] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def config(self, **changes: Any) -> WebhookConfig:
        """Settings that reach this receiver."""
        return WebhookConfig.model_validate({"url": self.url, "secret": SECRET, "allow": LOOPBACK} | changes)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        assert len(self.calls) < MOST
        self.calls.append(Call({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        return self.answers.pop(0) if self.answers else web.Response(text="ok")

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._runner.cleanup()
