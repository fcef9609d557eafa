"""The tutorial does what it says: each YAML block is written, each command run in one shell, and each line of output that it promises comes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from routes.city import ZONE
from tests.city.command import ROOT
from tests.servers import free_ports, requires, wait_until

PAGE = ROOT / "docs" / "tutorials" / "first-agency.md"
BLOCK = re.compile(r"^```(sh|yaml|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
END = "-- that was it --"


class Terminal:
    """One shell in a directory that looks like a checkout; what a background process says goes into a file."""

    def __init__(self, place: Path) -> None:
        for name in ("run_hub.py", "tests", "config"):
            (place / name).symlink_to(ROOT / name)
        python = place / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        self.place = place
        self._shell = subprocess.Popen(["bash"], cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def type(self, line: str) -> tuple[int, str]:
        """Exit code and output of one line."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f'{line}\nended=$?; echo; echo "{END} $ended"\n')
        self._shell.stdin.flush()
        said = ""
        for heard in self._shell.stdout:
            if heard.startswith(END):
                return int(heard.split()[-1]), said
            said += heard
        raise AssertionError(f"the shell ended at {line}")

    def close(self) -> None:
        """End the shell and what it left running."""
        self.type("kill $(jobs -p) 2>/dev/null; wait")
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(60)
        assert self._shell.stdout is not None
        self._shell.stdout.close()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A newcomer's terminal."""
    requires("bash", "the tutorial is typed into it")
    requires("curl", "the tutorial calls the gateway with it")
    opened = Terminal(tmp_path)
    yield opened
    opened.close()


def blocks() -> list[tuple[str, str]]:
    """Language and text of every block, in order, on ports that are free here and with today's date."""
    page = PAGE.read_text("utf-8")
    for usual, free in zip((8700, 8701), free_ports(2), strict=True):
        page = page.replace(f":{usual}", f":{free}")
    return [(found[1], found[2]) for found in BLOCK.finditer(re.sub(r"_\d{8}\.jsonl", f"_{datetime.now(ZONE):%Y%m%d}.jsonl", page))]


def squeezed(text: str) -> str:
    return re.sub(r"[ \t]+", " ", text)


class Reader:
    """Goes through the page block by block."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.said = ""
        self.real: dict[str, str] = {}  # what the agencies really have instead of what the page shows
        self.done = {"sh": 0, "yaml": 0, "text": 0}

    def read(self, language: str, block: str) -> None:
        for shown, real in self.real.items():
            block = block.replace(shown, real)
        {"sh": self._type, "yaml": self._write, "text": self._expect}[language](block)
        self.done[language] += 1

    def _type(self, block: str) -> None:
        self.said = ""
        for line in block.splitlines():
            if "tests.city" in line:
                self._open_agencies(line)
            elif line.startswith("sleep "):
                wait_until(self._settled, 90, "the hub has read what was submitted", every=0.5)
            else:
                code, said = self.terminal.type(line)
                self.said += said
                assert code == 0, f"{line}\n{said}"

    def _settled(self) -> bool:
        _, said = self.terminal.type(".venv/bin/python run_hub.py status --config my-city --home my-city/var --format json")
        runs = [feed["last_run"] for feed in json.loads(said)["feeds"]]
        return all(run is not None and run["state"] == "succeeded" for run in runs)

    def _open_agencies(self, line: str) -> None:
        self.terminal.type(line.removesuffix("&") + "> agencies.txt 2>&1 &")
        self.terminal.type("for i in $(seq 300); do grep -q 'run_hub.py run' agencies.txt && break; sleep 0.1; done")
        self.said = (self.terminal.place / "agencies.txt").read_text("utf-8")
        kinds = {"REST": "127.0.0.1:18780", "SOAP": "127.0.0.1:18781", "bulletin": "127.0.0.1:18782", "SFTP": "127.0.0.1:18722"}
        for kind, usual in kinds.items():
            found = re.search(rf"^  {kind} .*?(127\.0\.0\.1:\d+)", self.said, re.MULTILINE)
            assert found, self.said
            self.real[usual] = found[1]
        self.real["port: 18722"] = "port: " + self.real["127.0.0.1:18722"].partition(":")[2]
        fingerprint = re.search(r"SHA256:\S{43}", self.said)
        assert fingerprint, self.said
        self.real["SHA256:simulated+agencies+make+a+key+of+their+own+"] = fingerprint[0]

    def _write(self, block: str) -> None:
        named = re.match(r"# (my-city/\S+\.yaml)(, at its end)?\n", block)
        assert named, f"a YAML block begins with the name of its file:\n{block}"
        path = self.terminal.place / named[1]
        before = path.read_text("utf-8") + "\n" if named[2] else ""
        path.write_text(before + block[named.end() :], encoding="utf-8")

    def _expect(self, block: str) -> None:
        said = squeezed(self.said)
        for line in block.splitlines():
            wanted = ".*".join(map(re.escape, squeezed(line).strip().split("…")))
            assert re.search(wanted, said), f"{line}\nis not in\n{self.said}"


@pytest.mark.timeout(900)
def test_the_tutorial_works_as_it_is_written(terminal: Terminal) -> None:
    reader = Reader(terminal)

    for language, block in blocks():
        reader.read(language, block)

    assert reader.done["yaml"] >= 12
    assert reader.done["sh"] >= 24
    assert "balanced" in reader.said


def test_each_kind_of_agency_is_connected_with_the_same_commands() -> None:
    shown = "".join(text for language, text in blocks() if language == "sh")
    made = "".join(text for language, text in blocks() if language == "yaml")

    kinds = re.findall(r"^  \w+: ?\{?\n? *(folder|sftp|rest|soap|web|gateway):", made, re.MULTILINE)

    assert sorted(kinds) == ["folder", "gateway", "rest", "sftp", "soap", "web"]
    for command, times in {"check": 6, "record": 5, "test": 6, "preview": 6, "run --once": 5, "status": 6, "trace": 6}.items():
        assert shown.count(f"run_hub.py {command} ") == times, command
