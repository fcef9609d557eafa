"""A feed that pulls from a REST interface is held to the contract of sources."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from connectors.formats.pace import ZONE, Surroundings
from connectors.formats.pulling import PullSource
from connectors.rest.puller import RestPuller
from connectors.rest.settings import ApiKey, RestConfig, RestRead
from hub.contracts.source import Source
from tests.contract.pull_contract import FIRST, DailyContract
from tests.contract.source_contract import KNOWN, ROWS

PATTERN = "%Y-%m-%d"


class Interface(ThreadingHTTPServer):
    """One document for each day as JSON, served by a thread of its own until it is stopped."""

    daemon_threads = True

    def __init__(self, days: list[bytes], port: int = 0) -> None:
        self.days = days
        self.key = "key"
        self.spoilt = 0
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", port), Answering)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    def rows(self, path: str) -> list[dict[str, str]]:
        """Records of the days asked for."""
        asked = parse_qs(urlsplit(path).query)
        start, end = (datetime.strptime(asked[name][0], PATTERN).replace(tzinfo=ZONE) for name in ("startTime", "endTime"))
        found = [text for day, text in enumerate(self.days) if start <= FIRST + timedelta(days=day) < end]
        return [row for text in found for row in csv.DictReader(io.StringIO(text.decode()))]

    def stop(self) -> None:
        """End it; a second time does nothing."""
        if self.thread.is_alive():
            self.shutdown()
            self.thread.join(20)
            self.server_close()


class Answering(BaseHTTPRequestHandler):
    """Answers with the rows, or with what was asked for instead."""

    server: Interface

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = json.dumps({"data": self.server.rows(self.path)}).encode()
        if self.server.spoilt:
            self.server.spoilt -= 1
            body = body[:-1]
        self.send_response(200 if self.headers["X-Api-Key"] == self.server.key else 403)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: object) -> None:
        """Nothing is printed."""


async def no_sleep(seconds: float) -> None:
    """Time does not pass."""


class TestRestSource(DailyContract):
    """An interface that is asked for one day after the other; each day is an arrival."""

    def prepare(self, tmp_path: Path) -> None:
        self.days = []
        self.interface = Interface(self.days)
        self.port = self.interface.server_port

    @pytest.fixture(autouse=True)
    def _stopped(self, _fresh: None) -> Iterator[None]:
        yield
        self.interface.stop()

    def send(self, name: str, content: bytes) -> None:
        self.days.append(content)

    def source(self) -> Source:
        config = RestConfig.model_validate({"url": f"http://127.0.0.1:{self.port}", "allow": ["127.0.0.0/8"], "api_key": ApiKey(value=SecretStr("key"))})
        window = {"start": FIRST.replace(tzinfo=None), "step": "1d", "overlap": "0s", "format": PATTERN}
        world = Surroundings(now=lambda: FIRST + timedelta(days=len(self.days)), sleep=no_sleep)
        puller = RestPuller(config, RestRead.model_validate({"path": "/rows", "rows": "data", "window": window}), KNOWN, world=world)
        return PullSource(puller, feed="A0000.memory", item="A0000-F00-01", known=KNOWN, intake=self.intake, batch_rows=ROWS)

    def take_away(self) -> None:
        self.interface.stop()

    def misconfigure(self) -> None:
        self.interface.key = "changed"

    def spoil(self) -> None:
        self.interface.spoilt = 1

    def bring_back(self) -> None:
        self.interface = Interface(self.days, self.port)

    def asked(self) -> list[str]:
        return self.interface.asked
