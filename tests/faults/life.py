"""The hub as a child process through its real command line: born, watched, killed, asked."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.databases import PASSWORD
from tests.faults.town import HOOK_SECRET, Town
from tests.servers import guard, wait_until

ROOT = Path(__file__).parents[2]
_START = 60.0  # seconds that a busy machine may need until the first batch is settled
_FINISH = 120.0
SECRETS = {"POLICE_HOOK": HOOK_SECRET, "MQ_PASSWORD": "guest", "TOWN_DB": PASSWORD}
"""What configurations only name."""


class Life:
    """One process of the hub, from start to death. Its trace names the steps that it reached, in order."""

    def __init__(self, town: Town, number: int, *arguments: str, failpoints: str = "", under: Sequence[str] = ()) -> None:
        self.trace = town.root / f"trace-{number}"
        self.log = town.root / f"log-{number}"
        env = os.environ | {
            "HUB_TESTING": "1",
            "HUB_FAILPOINT_TRACE": str(self.trace),
            "HUB_FAILPOINTS": failpoints,
            **SECRETS,
        }
        command = [*under, sys.executable, str(ROOT / "run_hub.py"), "run", "--config", str(town.config), "--home", str(town.home)]
        command += ["--batch-rows", str(town.batch_rows), "--listen", "127.0.0.1:0", *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=env, cwd=town.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._guard = guard(self.process, {})

    def steps(self) -> list[str]:
        """Named steps reached so far."""
        return self.trace.read_text(encoding="ascii").split() if self.trace.exists() else []

    def until(self, step: str, times: int = 1, seconds: float = _START) -> None:
        """Wait until a step was reached so many times. Fails when the hub ends before."""
        wait_until(lambda: self.steps().count(step) >= times or self.process.poll() is not None, seconds, f"the hub reaches {step}", every=0.01)
        assert self.process.poll() is None, f"the hub ended by itself with {self.process.returncode}:\n{self.told()}"

    def end(self, number: signal.Signals = signal.SIGKILL, seconds: float = _FINISH) -> int:
        """Send the signal and wait for the end; the exit status."""
        self.process.send_signal(number)
        return self.wait(seconds)

    def wait(self, seconds: float = _FINISH) -> int:
        """Wait for the end; the exit status."""
        status = self.process.wait(seconds)
        self._dismiss()
        return status

    def told(self) -> str:
        """The end of what this life wrote."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def close(self) -> None:
        """Whatever happened, no process stays."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(_FINISH)
        self._dismiss()

    def _dismiss(self) -> None:
        if self._guard.poll() is None:
            self._guard.kill()
            self._guard.communicate()


@contextlib.contextmanager
def living(town: Town, number: int, *arguments: str, failpoints: str = "", under: Sequence[str] = ()) -> Iterator[Life]:
    """A life that ends with the block, if not before. `under` is a command that runs it."""
    life = Life(town, number, *arguments, failpoints=failpoints, under=under)
    try:
        yield life
    finally:
        life.close()


def finish(town: Town, number: int) -> None:
    """Let a last life do what is left and end by itself."""
    with living(town, number, "--once") as life:
        status = life.wait()
        assert status == 0, f"the last life ended with {status}:\n{life.told()}"


def reconciled(town: Town) -> tuple[int, dict[str, Any]]:
    """Exit status and answer of `reconcile`."""
    status, answer = asked(town, "reconcile")
    assert answer is not None
    return status, answer


def asked(town: Town, *question: str) -> tuple[int, Any]:
    """Exit status and answer of any command that takes `--format json`; None where it gave none."""
    command = [sys.executable, str(ROOT / "run_hub.py"), *question, "--config", str(town.config), "--home", str(town.home), "--format", "json"]
    env = os.environ | SECRETS
    done = subprocess.run(command, env=env, cwd=town.root, capture_output=True, timeout=_FINISH, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None
