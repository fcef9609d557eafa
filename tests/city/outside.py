"""The simulated agencies as people start them: `python -m tests.city` in a process of its own, ended by its id."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.city.command import ROOT
from tests.servers import wait_until


@contextlib.contextmanager
def agencies_outside(home: Path, *words: str) -> Iterator[str]:
    """They are open while this lasts; what they said of themselves."""
    log = home.parent / "agencies.txt"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "tests.city", "--home", str(home.absolute()), *words], cwd=ROOT, stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or b"run_hub.py run" in log.read_bytes(), 60, "the agencies open")
        assert process.poll() is None, log.read_text("utf-8")
        yield log.read_text("utf-8")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
