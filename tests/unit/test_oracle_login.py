"""Logins that harm nobody: refused passwords rest, and what comes too late is closed."""

from __future__ import annotations

import threading

import pytest

from connectors.databases.oracle_login import COOLING, Door
from hub.contracts.errors import Misconfigured, Unavailable


class Session:
    """What a login opens."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def refused() -> Session:
    raise Misconfigured("user or password is wrong", hint="correct it", code="ORA-01017")


def test_a_refused_password_rests_and_is_tried_again_later() -> None:
    now = [0.0]
    knocks: list[int] = []
    door: Door[Session] = Door(clock=lambda: now[0])

    def knock() -> Session:
        knocks.append(1)
        return refused() if len(knocks) < 3 else Session()

    for _ in range(5):
        with pytest.raises(Misconfigured):
            door.enter(knock, 5.0, "db")
    tried_at_once = len(knocks)
    now[0] = COOLING + 1
    with pytest.raises(Misconfigured):
        door.enter(knock, 5.0, "db")
    now[0] = 2 * COOLING + 2
    session = door.enter(knock, 5.0, "db")

    assert tried_at_once == 1
    assert len(knocks) == 3
    assert not session.closed.is_set()


def test_an_error_that_locks_nothing_is_tried_again_at_once() -> None:
    door: Door[Session] = Door()
    knocks: list[int] = []

    def knock() -> Session:
        knocks.append(1)
        raise Unavailable("it is starting")

    for _ in range(3):
        with pytest.raises(Unavailable, match="starting"):
            door.enter(knock, 5.0, "db")

    assert len(knocks) == 3


def test_a_login_that_comes_too_late_is_closed_and_nobody_knocks_meanwhile() -> None:
    door: Door[Session] = Door()
    session, go_on = Session(), threading.Event()
    knocks: list[int] = []

    def slow() -> Session:
        knocks.append(1)
        assert go_on.wait(10)
        return session

    for _ in range(3):
        with pytest.raises(Unavailable, match="does not answer"):
            door.enter(slow, 0.05, "db")
    waited = len(knocks)
    go_on.set()

    assert waited == 1
    assert session.closed.wait(10), "nobody has it, so it must not stay open"
