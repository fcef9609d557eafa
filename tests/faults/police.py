"""A receiving agency that outlives the hub: a real HTTP server that keeps what was delivered to it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

MOST = 50_000  # calls; more than any test makes
_LARGEST = 16 << 20


class Police:
    """Answers every call with 200. `calls` holds (delivery id, event) in the order of arrival."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        """Where it is called."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def take(self, delivery_id: str, event: dict[str, Any]) -> None:
        """Keep one call."""
        with self._lock:
            assert len(self.calls) < MOST, "more calls than any test makes"
            self.calls.append((delivery_id, event))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed in the middle of a call is what these tests are about."""


def _handler(police: Police) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            assert length <= _LARGEST
            body = self.rfile.read(length)
            if len(body) == length:  # a killed caller leaves half a body, which was never delivered
                police.take(self.headers["webhook-id"], json.loads(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
            """Quiet."""

    return Handler
