"""What goes wrong on purpose: an error, a cut connection, silence or delay at the n-th call of a kind."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

from tests.oracle_emulator.errors import WORDS, OracleError

Call = Literal["connect", "login", "execute", "fetch", "commit", "ping"]


class Cut(ConnectionError):
    """The connection is to be closed instead of an answer."""


@dataclass
class Fault:
    """`after` calls of the kind pass, the next `times` are met. `holding` must occur in the SQL of the statement that is executed or fetched."""

    call: Call
    after: int = 0
    times: int = 1
    code: int = 0
    cut: bool = False
    wait: float = 0.0
    holding: str = ""
    met: int = 0


class Faults:
    """The list of what is to go wrong; it may be changed at any time, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Fault] = []

    def fail(self, code: int, call: Call = "execute", after: int = 0, times: int = 1, holding: str = "") -> Fault:
        """Answer with an Oracle error: 1555 at the third fetch is `fail(1555, "fetch", after=2)`."""
        return self._add(Fault(call, after, times, code=code, holding=holding))

    def cut(self, call: Call = "fetch", after: int = 0, times: int = 1, holding: str = "") -> Fault:
        """Close the connection instead of answering."""
        return self._add(Fault(call, after, times, cut=True, holding=holding))

    def wait(self, seconds: float, call: Call = "execute", after: int = 0, times: int = 1, holding: str = "") -> Fault:
        """Be silent for so long before answering, or until the client breaks the call: 3600 is a hang."""
        return self._add(Fault(call, after, times, wait=seconds, holding=holding))

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._all.clear()

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self._all.append(fault)
        return fault

    def meet(self, call: Call, sql: str = "") -> float:
        """To be called before each call is answered; the seconds to wait first. Raises `OracleError` or `Cut`."""
        wait = 0.0
        with self._lock:
            for fault in self._all:
                if fault.call != call or fault.holding.upper() not in sql.upper():
                    continue
                fault.met += 1
                if not fault.after < fault.met <= fault.after + fault.times:
                    continue
                if fault.cut:
                    raise Cut
                if fault.code:
                    raise OracleError(fault.code, WORDS.get(fault.code, "an error on purpose"))
                wait += fault.wait
        return wait
