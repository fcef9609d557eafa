"""Fixtures that many tests share: servers are started once per test process, when the first test asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import RabbitServer


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitServer]:
    """A running RabbitMQ of this test process. A test that kills it starts it again."""
    with RabbitServer() as server:
        yield server
