"""The whole hub is killed between settling a file and tidying it up on the server; its next life does what is left, and nothing comes twice."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.life import finish, living, reconciled
from tests.faults.town import Town
from tests.servers import SshServer

pytestmark = [pytest.mark.server, pytest.mark.faults]
ROWS = 40


@pytest.fixture
def server(sshd: SshServer) -> SshServer:
    if not sshd.running:
        sshd.start()
    return sshd


def connected(tmp_path: Path, server: SshServer, folder: Path) -> Town:
    """A town whose penalties of firms come from an SFTP server."""
    town = Town(tmp_path, "http://127.0.0.1:9", seed=1)
    agency = town.config / "agencies" / "A0030.yaml"
    login = f'host: 127.0.0.1, port: {server.port}, user: {server.user}, key: "${{file:client}}", host_key: "{server.fingerprint()}", path: {folder}'
    text = agency.read_text("utf-8")
    assert "{folder: {path: drop/firms}}" in text, "the town's configuration has changed"
    agency.write_text(text.replace("{folder: {path: drop/firms}}", f"{{sftp: {{{login}}}}}"), "utf-8")
    secret = town.home / "secrets" / "client"
    secret.parent.mkdir(parents=True)
    secret.write_text(server.key)
    secret.chmod(0o600)
    return town


def own_files(folder: Path) -> list[Path]:
    """What the agency sent, wherever it lies by now."""
    return [path for path in folder.rglob("*.csv*") if path.parent != folder / "ack"]


@pytest.mark.parametrize("step", ["intake.numbered", "intake.cut", "collect.settled", "intake.finished"])
def test_a_hub_killed_between_reading_and_tidying_up_finishes_in_its_next_life(tmp_path: Path, server: SshServer, step: str) -> None:
    folder = server.folder()
    town = connected(tmp_path, server, folder)
    desk = town.desks[0]
    desk.folder = folder
    desk.drop(ROWS)
    server.own(folder)

    with living(town, 0, "--once", failpoints=f"{step}:kill@1") as life:
        died = life.wait()
    left = sorted(p.name for p in own_files(folder))
    finish(town, 1)

    status, answer = reconciled(town)
    assert died == -signal.SIGKILL
    assert left == ["f00001.csv", "f00001.csv.ok"]
    assert [p.name for p in sorted(own_files(folder))] == left
    assert all(p.parent.parent == folder / "done" for p in own_files(folder))
    assert status == 0
    assert answer["counts"]["read"] == ROWS
