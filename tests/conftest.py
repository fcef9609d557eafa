"""Fixtures that many tests share: servers are started once per test process, when the first test asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import RabbitServer, SshServer


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitServer]:
    """A running RabbitMQ of this test process. A test that kills it starts it again."""
    with RabbitServer() as server:
        yield server


@pytest.fixture(scope="session")
def sshd() -> Iterator[SshServer]:
    """A running sshd of this test process. A test that stops it starts it again, and each uses a folder of its own."""
    with SshServer() as server:
        yield server
