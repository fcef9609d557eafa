"""A feed that reads a bulletin is held to the contract of sources: all that the site shows is one arrival."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from connectors.formats.pulling import PullSource
from connectors.web.puller import WebPuller
from connectors.web.settings import WebConfig, WebRead
from hub.contracts.batch import Batch
from hub.contracts.errors import Rejected
from hub.contracts.source import Source
from tests.contract.pull_contract import PullContract
from tests.contract.source_contract import KNOWN, ROWS, document, settle_all


class Site(ThreadingHTTPServer):
    """A site whose list names documents, served by a thread of its own until it is stopped."""

    daemon_threads = True

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.robots = b""
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answering)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    def page(self, path: str) -> bytes:
        links = "".join(f'<li><a href="/{name}">{name}</a></li>' for name in self.documents)
        shown = {"/robots.txt": self.robots, "/list": f"<html><ul>{links}</ul></html>".encode()}
        return shown[path] if path in shown else self.documents[path[1:]]

    def stop(self) -> None:
        """End it; a second time does nothing."""
        if self.thread.is_alive():
            self.shutdown()
            self.thread.join(20)
            self.server_close()


class Answering(BaseHTTPRequestHandler):
    """Answers with what the site shows."""

    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = self.server.page(self.path)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: object) -> None:
        """Nothing is printed."""


class TestWebSource(PullContract):
    """A list with files behind its links."""

    merges = True

    def prepare(self, tmp_path: Path) -> None:
        self.site = Site()

    @pytest.fixture(autouse=True)
    def _stopped(self, _fresh: None) -> Iterator[None]:
        yield
        self.site.stop()

    def send(self, name: str, content: bytes) -> None:
        self.site.documents[name] = content

    def source(self) -> Source:
        config = WebConfig.model_validate({"url": f"http://127.0.0.1:{self.site.server_port}", "allow": ["127.0.0.0/8"], "rate": "1000/s"})
        read = WebRead.model_validate({"list": {"path": "/list", "link": "li a"}})
        puller = WebPuller(config, read, feed="A0000.memory", item="A0000-F00-01", known=KNOWN, intake=self.intake)
        return PullSource(puller, feed="A0000.memory", item="A0000-F00-01", known=KNOWN, intake=self.intake, batch_rows=ROWS)

    def left(self) -> list[str]:
        """A bulletin keeps showing what it shows; what is left is what was landed and not read to its end."""
        return [a.name for a in self.intake.arrivals.values() if not a.finished and a.number not in self.intake.reasons]

    def take_away(self) -> None:
        self.site.stop()

    def misconfigure(self) -> None:
        self.site.robots = b"User-agent: *\nDisallow: /\n"

    async def test_a_refused_document_is_put_aside_and_the_next_one_is_offered(self) -> None:
        self.send("1.csv", document(12, "甲"))
        source = self.source()
        async with aclosing(source.batches()) as offered:
            await anext(offered)
            with pytest.raises(StopAsyncIteration):
                await offered.athrow(Rejected("heading does not fit", code="F006"))

        self.send("2.csv", document(3, "乙"))
        batches = await settle_all(source, self.intake)
        await source.close()

        assert self.intake.reasons[1].code == "F006"
        assert {b.header.arrival for b in batches} == {2}
        assert len(names(batches)) == 15

    async def test_an_unreadable_document_does_not_hold_up_the_next(self) -> None:
        """It leaves a row that has nothing but its name."""
        self.send("1.csv", document(2) + b"\xff\xff,1\n")
        self.send("2.csv", document(3, "乙"))
        source = self.source()

        batches = await settle_all(source, self.intake)
        await source.close()

        assert names(batches) == [None, "乙0", "乙1", "乙2"]
        assert batches[0].frame["entry"].to_list()[0] == "/1.csv"

    def asked(self) -> list[str]:
        return self.site.asked


def names(batches: list[Batch]) -> list[str | None]:
    """Names of firms in the order in which they were offered."""
    return [name for batch in batches for name in batch.frame["企业名称"].to_list()]
