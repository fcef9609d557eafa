"""The simulated agencies of the example city as a child process, which is told what to do in JSON lines."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Self

from hub.contracts.errors import Unavailable

ROOT = Path(__file__).resolve().parents[1]
_START_S, _ANSWER_S, _END_S = 150.0, 120.0, 20.0


class Simulation:
    """Enter it to start the agencies; leaving it ends them by closing their standard input, and by force where they do not listen.

    `config` is a copy of the example city that fits them, `day` the day it is there, `left_out` kinds of agencies that cannot be simulated, with the reason,
    `emulated` kinds whose other side is no real server, with what it is.
    """

    def __init__(self, home: Path) -> None:
        self._home = home.resolve()
        self._log = self._home / "agencies-outside" / "log"
        self.config = Path()
        self.day = 1
        self.left_out: dict[str, str] = {}
        self.emulated: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Raises `Unavailable` where they cannot be started."""
        if not (ROOT / "tests" / "city" / "__main__.py").is_file():
            raise Unavailable("the simulated agencies are not part of this installation", hint="run the demo in a checkout")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        words = (sys.executable, "-m", "tests.city", "--orders", "--home", str(self._home))
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log)
        try:
            told = await self._heard(_START_S)
        except BaseException:
            await self.__aexit__()
            raise
        self.config, self.day, self.left_out, self.emulated = Path(told["config"]), told["day"], told["left_out"], told["emulated"]
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._process.stdin is not None, "it was started with a pipe"
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_END_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def turn(self, day: int) -> None:
        """Let it be another day there."""
        self.day = (await self._ask({"day": day}))["day"]

    async def submit(self, gateway: str, key: str) -> list[dict[str, Any]]:
        """Let an agency call the hub, and wait for its receipts."""
        found: list[dict[str, Any]] = (await self._ask({"submit": {"gateway": gateway, "key": key}}))["submitted"]
        return found

    async def marked(self) -> dict[str, dict[str, int]]:
        """What stands in the status columns of agencies' own tables: how many rows have which, by table."""
        found: dict[str, dict[str, int]] = (await self._ask({"marked": True}))["marked"]
        return found

    async def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None, "it was started with a pipe"
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        return await self._heard(_ANSWER_S)

    async def _heard(self, seconds: float) -> dict[str, Any]:
        """The next answer. Raises `Unavailable` when there is none in time."""
        assert self._process.stdout is not None, "it was started with a pipe"
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise Unavailable("the simulated agencies do not answer", hint=f"what they said is in {self._log}; `pip install 'credit-hub[all]' python-stdnum`")
        answer: dict[str, Any] = json.loads(line)
        return answer
