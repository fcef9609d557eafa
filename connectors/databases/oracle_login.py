"""Logging in without harm: no account is locked by many tries of a wrong password, and no thread is held by a listener that never answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from hub.contracts.errors import HubError, Misconfigured, Unavailable

COOLING = 600.0  # seconds in which a refused password is not tried again


class Closable(Protocol):
    """A session that somebody may have to end."""

    def close(self) -> None:
        """End it."""


S = TypeVar("S", bound=Closable)


class Attempt(Generic[S]):
    """One login in a thread of its own, since the driver bounds only the connection, not the answer. What comes too late is closed."""

    def __init__(self, knock: Callable[[], S]) -> None:
        self._knock = knock
        self._lock = threading.Lock()
        self._given_up = False
        self._session: S | None = None
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="oracle-login", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            session = self._knock()
        except BaseException as error:  # noqa: BLE001  it is raised again where it is waited for
            self._error = error
            return
        with self._lock:
            self._session = session
            late = self._given_up
        if late:
            session.close()

    def wait(self, patience: float) -> S | None:
        """The session; None where there is none after `patience` seconds. Raises what the login raised."""
        self.thread.join(patience)
        with self._lock:
            if self._error is not None:
                raise self._error
            self._given_up = self._session is None
            return self._session


class Door(Generic[S]):
    """The one way in for a user at a place: one login at a time; a password that was refused is not tried again for ten minutes by anybody."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._refused: tuple[float, HubError] | None = None
        self._silent: Attempt[S] | None = None

    def enter(self, knock: Callable[[], S], patience: float, place: str) -> S:
        """What `knock` opens; it raises only the three errors. Raises `Unavailable` where nobody answers in time."""
        with self._lock:
            self._refuse_again()
            if self._silent is not None and self._silent.thread.is_alive():
                raise _silence(place)
            attempt = Attempt(knock)
            try:
                session = attempt.wait(patience)
            except Misconfigured as error:
                if error.code == "ORA-01017":
                    self._refused = (self._clock() + COOLING, error)
                raise
            if session is None:
                self._silent = attempt
                raise _silence(place)
            return session

    def _refuse_again(self) -> None:
        if self._refused is None or self._clock() >= self._refused[0]:
            return
        error = self._refused[1]
        raise Misconfigured(error.message, hint=f"{error.hint}; the hub tries this password again after ten minutes", code=error.code)


def _silence(place: str) -> Unavailable:
    return Unavailable(f"Oracle at {place} takes the connection and does not answer", hint="is it Oracle's listener, and does it hang? (lsnrctl status)")
