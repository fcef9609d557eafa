"""The emulator as a process: `python -m tests.oracle_emulator --script tables.sql`. Prints its port, and ends when its input does or it is asked to."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from tests.oracle_emulator.server import OracleEmulator


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle_emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--service", default="FREEPDB1")
    parser.add_argument("--user", default="hub")
    parser.add_argument("--release", default="19.3.0.0.0", help="what it passes for")
    parser.add_argument("--script", type=Path, help="statements to begin with, one a line")
    chosen = parser.parse_args()
    password = os.environ.get("ORACLE_EMULATOR_PASSWORD", "hub-Pass-1")
    release = tuple(map(int, chosen.release.split(".")))
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with OracleEmulator(version=release, users={chosen.user: password}, service=chosen.service, port=chosen.port) as db:
        for line in chosen.script.read_text("utf-8").splitlines() if chosen.script else ():
            if line.strip():
                db.execute(line)
        print(db.port, flush=True)
        threading.Thread(target=_until_closed, args=(stopping,), daemon=True).start()
        stopping.wait()


def _until_closed(stopping: threading.Event) -> None:
    sys.stdin.read()
    stopping.set()


if __name__ == "__main__":
    main()
