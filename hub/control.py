"""The running hub's own door: JSON over HTTP on a Unix socket that only its owner may open."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector, web

from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable

Call = Callable[[str, Mapping[str, Any]], Awaitable[Any]]

_STATUS: tuple[tuple[type[HubError], int], ...] = ((Unavailable, 503), (Rejected, 422), (Misconfigured, 409))
_BODY_LIMIT = 1024 * 1024
_PATIENCE_S = 3600
_LONGEST_PATH = 107  # sockaddr_un.sun_path of Linux without its last zero


class ControlDoor:
    """Answers `POST /v1/{verb}` with what `call` returns; errors travel as RFC 9457 problems."""

    def __init__(self, path: Path, call: Call) -> None:
        self.path = path
        self._call = call
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Listen. A socket left behind by a hub that died is replaced; the home's lock makes sure that there is no living one.

        Raises `Misconfigured` where the path is longer than the system allows for a socket.
        """
        if len(os.fsencode(self.path)) > _LONGEST_PATH:
            hint = "name a shorter directory with --home"
            raise Misconfigured(f"{self.path} is too long for a socket: {len(os.fsencode(self.path))} bytes, at most {_LONGEST_PATH}", hint=hint)
        self.path.unlink(missing_ok=True)
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_post("/v1/{verb}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        before = os.umask(0o177)
        try:
            await web.UnixSite(self._runner, str(self.path)).start()
        finally:
            os.umask(before)

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            arguments = await request.json()
            answer = await self._call(request.match_info["verb"], arguments)
        except HubError as error:
            status = next(code for kind, code in _STATUS if isinstance(error, kind))
            problem = {"title": error.message, "detail": error.hint, "code": error.code, "kind": type(error).__name__}
            return web.json_response(problem, status=status, content_type="application/problem+json")
        return web.json_response(answer)

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        self.path.unlink(missing_ok=True)


async def listens(path: Path) -> bool:
    """Whether somebody is behind the door, on this machine."""
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


async def ask(path: Path, verb: str, arguments: Mapping[str, Any]) -> Any:
    """Put a question to the running hub. Raises the hub's own error, or `Unavailable` when nobody answers at the door."""
    timeout = ClientTimeout(total=_PATIENCE_S, sock_connect=5)
    try:
        async with (
            ClientSession(connector=UnixConnector(str(path)), timeout=timeout) as session,
            session.post(f"http://hub/v1/{verb}", json=arguments) as answer,
        ):
            body = json.loads(await answer.text())
            if answer.status == 200:
                return body
    except (ClientError, OSError) as error:
        raise Unavailable(f"no hub answers at {path}", hint="start it with `run_hub.py run`") from error
    kind = {"Unavailable": Unavailable, "Rejected": Rejected}.get(body.get("kind", ""), Misconfigured)
    raise kind(body.get("title", "the hub refused"), hint=body.get("detail", ""), code=body.get("code", ""))
