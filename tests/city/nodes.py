"""A hub spread over several processes: state and stores on a database server, RabbitMQ between the legs, one home that all share."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.databases import PASSWORD
from tests.servers import free_ports, requires, wait_until

ROOT = Path(__file__).resolve().parents[2]
_START_S, _END_S = 60.0, 30.0
_ENVIRONMENT = {"CITY_DB": PASSWORD, "CITY_MQ": "guest"}
"""Passwords, which a configuration only names."""


class Node:
    """One process of a hub: `run --roles … --node NAME`. `clock` is a time of day that it takes for the present one when it starts."""

    def __init__(self, name: str, roles: str, config: Path, home: Path, clock: str = "") -> None:
        self.name = name
        self.roles = roles
        self._config = config
        self._home = home
        self._clock: dict[str, str] = another_time(clock) if clock else {}
        (self.port,) = free_ports(1)
        self.log = home / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = [sys.executable, str(ROOT / "run_hub.py"), "run", "--config", str(self._config), "--home", str(self._home)]
        words += ["--node", self.name, "--roles", self.roles, "--listen", f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT, env=os.environ | _ENVIRONMENT | self._clock, start_new_session=True
            )
        wait_until(lambda: self.ended or self._answers(), _START_S, f"node {self.name} starts")
        if self.ended:
            raise RuntimeError(self.log.read_text(errors="replace")[-3000:])

    def _answers(self) -> bool:
        """Whether its health can be asked."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    @property
    def ended(self) -> bool:
        """Whether its process is gone."""
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None and not self.ended:
            self.process.kill()
            self.process.wait(_END_S)

    def freeze(self) -> None:
        """SIGSTOP: as a machine that hangs for a while."""
        assert self.process is not None, "it was not started"
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        assert self.process is not None, "it was not started"
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None, "it was not started"
        self.process.terminate()
        return self.process.wait(_END_S)


def another_time(clock: str) -> dict[str, str]:
    """The environment of a process whose time of day begins at `clock` (2026-11-23 10:00:40, in the city's zone); its other clocks go on as they are."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    requires("faketime", "a process with another time of day needs Debian's faketime")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": f"@{clock}", "DONT_FAKE_MONOTONIC": "1", "TZ": "Asia/Shanghai"}


@contextmanager
def nodes_at(config: Path, home: Path, **roles: str) -> Iterator[Mapping[str, Node]]:
    """Nodes by name with their roles, all started; ended at the end."""
    found = {name.replace("_", "-"): Node(name.replace("_", "-"), duties, config, home) for name, duties in roles.items()}
    try:
        for node in found.values():
            node.start()
        yield found
    finally:
        for node in found.values():
            node.kill()


def ask(config: Path, home: Path, *words: str) -> Any:
    """A command's JSON answer."""
    command = [sys.executable, str(ROOT / "run_hub.py"), *words, "--config", str(config), "--home", str(home), "--format", "json"]
    done = subprocess.run(command, capture_output=True, timeout=120, cwd=ROOT, env=os.environ | _ENVIRONMENT, check=False)
    if not done.stdout:
        raise RuntimeError(done.stderr.decode(errors="replace")[-2000:])
    return json.loads(done.stdout)
