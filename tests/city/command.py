"""The hub as other programs meet it: its command line in a process of its own, its files and its SQLite stores."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.city.configuration import write_city
from tests.servers import wait_until

ROOT = Path(__file__).parents[2]
_PATIENCE = 120
_NO_CONFIG = {"init", "demo", "schema", "functions", "version", "bench", "lint", "test"}

FIRM_HEADING = "统一社会信用代码,企业名称,荣誉名称,认定日期"
PERSON_HEADING = "姓名,证件号码,决定书文号,罚款金额（元）,处罚决定日期"


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def here(*words: str) -> Answer:
    """Run one command to its end in this process: the same entry point and arguments, without the time that a new interpreter takes to start.

    What is meant to die, to listen or to have an environment of its own gets a process: `command`.
    """
    import run_hub

    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run_hub.app(list(words), standalone_mode=True)
        except SystemExit as end:
            code = int(end.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def command(*words: str, cwd: Path | None = None, **environment: str) -> Answer:
    """Run one command to its end, as a process."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_hub.py"), *words],
        cwd=cwd,
        env=_environment(environment),
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)


def _environment(more: dict[str, str]) -> dict[str, str]:
    """Ours, with compiled modules kept: hundreds of starts need not compile everything anew."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | more


class Hub:
    """One configuration and one home."""

    def __init__(self, place: Path, **files: str) -> None:
        self.config = place / "city"
        self.home = place / "home"
        write_city(self.config, **files)

    def __call__(self, *words: str, **environment: str) -> Answer:
        """A command on this configuration and home; one with an environment of its own is a process of its own."""
        words = (*words, "--config", str(self.config), "--home", str(self.home))
        return command(*words, **environment) if environment else here(*words)

    def ask(self, *words: str) -> Any:
        """What a command answers in JSON."""
        answer = self(*words, "--format", "json")
        assert answer.code in (0, 1), answer.err
        return answer.json

    def once(self, *words: str) -> Answer:
        """Let the hub work once."""
        return self("run", "--once", *words)

    def drop(self, feed: str, name: str, content: bytes | str | Sequence[str]) -> Path:
        """Do what an agency does: write a file, then its marker. Rows get the heading of the feed's item."""
        if not isinstance(content, bytes | str):
            content = "\n".join([FIRM_HEADING if feed == "firms" else PERSON_HEADING, *content, ""])
        path = self.home / "in" / feed / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(name + ".tmp").write_bytes(content if isinstance(content, bytes) else content.encode())
        path.with_name(name + ".tmp").rename(path)
        path.with_name(name + ".ok").touch()
        return path

    def sql(self, store: str, query: str) -> list[tuple[Any, ...]]:
        """Ask (or change) a store with plain sqlite3, as any other program can."""
        with contextlib.closing(sqlite3.connect(self.home / "stores" / f"{store}.sqlite")) as connection, connection:
            return connection.execute(query).fetchall()

    def counts(self) -> dict[str, int]:
        """The terms of the equation that are not zero."""
        proof = self.ask("reconcile")
        assert proof["balanced"], proof
        return {word: number for word, number in proof["counts"].items() if number}

    @contextlib.contextmanager
    def running(self, *words: str, **environment: str) -> Iterator[Running]:
        """The hub as a process that stays; ended by SIGTERM."""
        log = self.home.parent / "log.jsonl"
        with log.open("ab") as output:
            line = [sys.executable, str(ROOT / "run_hub.py"), "run", "--config", str(self.config), "--home", str(self.home), "--listen", "127.0.0.1:0", *words]
            process = subprocess.Popen(line, env=_environment(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        running = Running(process, log)
        try:
            wait_until(lambda: process.poll() is not None or running.events("started") != [], 60, "the hub starts")
            assert process.poll() is None, log.read_text()[-3000:]
            yield running
        finally:
            running.stop()


class Running:
    """A hub that runs: its log, its address and its end."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def events(self, what: str) -> list[dict[str, Any]]:
        """Lines of the log about this."""
        lines = [json.loads(line) for line in self.log.read_bytes().splitlines() if line.startswith(b"{") and line.endswith(b"}")]
        return [line for line in lines if line["event"] == what]

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        try:
            with urllib.request.urlopen(self.events("started")[-1]["console"].rstrip("/") + path, timeout=20) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def firm_row(number: int, name: str = "", *, code: str = "", honor: str = "守合同", day: str = "2025-03-05") -> str:
    """One row of the firms' feed."""
    from tests.city.identities import firm

    return f"{code or firm(number)},{name or f'常熟市示例{number}有限公司'},{honor},{day}"


def person_row(number: int, name: str = "赵样甲", *, code: str = "", fine: str = "100") -> str:
    """One row of the persons' feed."""
    from tests.city.identities import citizen

    return f"{name},{code or citizen(number)},常样罚〔2026〕{number}号,{fine},2026-01-05"
