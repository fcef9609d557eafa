"""A feed that pulls from a SOAP service is held to the contract of sources."""

from __future__ import annotations

import asyncio
import csv
import io
import threading
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from lxml import etree
from pydantic import SecretStr

from connectors.formats.pace import ZONE, Surroundings
from connectors.formats.pulling import PullSource
from connectors.soap.puller import SoapPuller
from connectors.soap.settings import SoapConfig, SoapRead
from hub.contracts.batch import Batch
from hub.contracts.errors import Rejected, Unavailable
from hub.contracts.source import Source
from tests.city import soap_agency
from tests.city.soap_agency import PASSWORD, USER, SoapAgency
from tests.contract.pull_contract import FIRST, DailyContract
from tests.contract.source_contract import KNOWN, ROWS, document, rows_of
from tests.integration.test_soap import EXPORT, LOGIN, LOOPBACK, digest, no_sleep
from tests.servers import free_ports

XML = "<REQ><SINCE>{since}</SINCE><UNTIL>{until}</UNTIL></REQ>"


class DailyAgency(SoapAgency):
    """One document for each day, given as records; what is asked for is a stretch of days."""

    def __init__(self) -> None:
        super().__init__()
        self.days: list[bytes] = []

    def _export(self, arguments: dict[str, str | None], request: web.Request) -> str:
        assert arguments["token"] == self.token
        asked = etree.fromstring(arguments["xml"] or "")
        since, until = (datetime.fromisoformat(asked.findtext(name)).replace(tzinfo=ZONE) for name in ("SINCE", "UNTIL"))
        found = [text for day, text in enumerate(self.days) if since <= FIRST + timedelta(days=day) < until]
        rows = [row for text in found for row in csv.DictReader(io.StringIO(text.decode()))]
        return soap_agency._row_data([dict(row) for row in rows], len(rows))


class Served:
    """An agency served by a thread of its own until it is stopped."""

    def __init__(self, agency: SoapAgency, port: int = 0) -> None:
        self.port = port or free_ports(1)[0]
        self._agency = agency
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._up.wait(20)

    def _run(self) -> None:
        runner = self._loop.run_until_complete(soap_agency.serve("127.0.0.1", self.port, self._agency))
        self._up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def stop(self) -> None:
        """End it; a second time does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(20)


class TestSoapSource(DailyContract):
    """A service that is asked for one day after the other; each day is an arrival."""

    def prepare(self, tmp_path: Path) -> None:
        self.agency = DailyAgency()
        self.days = self.agency.days
        self.served = Served(self.agency)

    @pytest.fixture(autouse=True)
    def _stopped(self, _fresh: None) -> object:
        yield
        self.served.stop()

    def send(self, name: str, content: bytes) -> None:
        self.agency.days.append(content)

    def source(self) -> Source:
        config = SoapConfig.model_validate({
            "wsdl": str(soap_agency.WSDL / "penalty.wsdl"), "digest": digest("penalty.wsdl"), "address": f"http://127.0.0.1:{self.served.port}/services/penalty",
            "allow": LOOPBACK, "rate": "1000/s", "user": USER, "password": SecretStr(PASSWORD), "login": LOGIN,
        })  # fmt: skip
        since = {"start": FIRST.replace(tzinfo=None), "window": "1d", "overlap": "0s"}
        read = SoapRead.model_validate(EXPORT | {"page": None, "arguments": {"token": "{token}", "xml": XML}, "since": since})
        world = Surroundings(now=lambda: FIRST + timedelta(days=len(self.agency.days)), sleep=no_sleep)
        puller = SoapPuller(config, read, Path(), world=world)
        return PullSource(puller, feed="A0000.memory", item="A0000-F00-01", known=KNOWN, intake=self.intake, batch_rows=ROWS)

    def take_away(self) -> None:
        self.served.stop()

    def misconfigure(self) -> None:
        self.agency.days.append(b"")
        self.agency.password = "changed"

    def spoil(self) -> None:
        self.agency.mischief.extend(["", "spoilt"])

    def bring_back(self) -> None:
        self.served = Served(self.agency, self.served.port)

    def asked(self) -> list[str]:
        return list(map(str, self.agency.asked))

    async def test_a_pull_that_was_landed_is_offered_though_the_service_is_gone(self) -> None:
        self.send("1.csv", document(12))
        source = self.source()
        async with aclosing(source.batches()) as offered:
            first = await anext(offered)
        await source.close()
        self.take_away()

        again = self.source()
        batches: list[Batch] = []
        with pytest.raises(Unavailable):
            await self._settle(again, batches)
        await again.close()

        assert batches[0].header == first.header
        assert len(rows_of(batches)) == 12
        assert not isinstance(self.intake.reasons.get(1), Rejected)

    async def _settle(self, source: Source, batches: list[Batch]) -> None:
        async with aclosing(source.batches()) as offered:
            async for batch in offered:
                batches.append(batch)
                self.intake.settle(batch)
