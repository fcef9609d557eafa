"""SOAP services asked over real connections, in all the ways in which agencies answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.formats.pace import ZONE, Surroundings
from connectors.formats.pulling import Harvest, Pulled
from connectors.formats.worker import Worker
from connectors.memory import MemoryIntake
from connectors.soap.puller import SoapPuller
from connectors.soap.settings import SoapConfig, SoapRead
from hub.contracts.errors import HubError, Misconfigured, Unavailable
from tests.city import soap_agency
from tests.city.identities import citizen
from tests.city.soap_agency import PASSWORD, USER, SoapAgency
from tests.servers import free_ports

LOOPBACK = ["127.0.0.0/8"]
LOGIN = {
    "operation": "login", "arguments": ["user={user}", "password={password}"], "answer": "xml",
    "ok_at": "RESULT/code", "ok_is": ["00"], "token_at": "RESULT/token", "expired": ["403:login timeout"],
}  # fmt: skip
EXPORT = {
    "operation": "exportPenaltyXml", "arguments": {"token": "{token}", "xml": "<REQ><PAGE>{page}</PAGE><SIZE>{size}</SIZE></REQ>"}, "rows": "ROWDATA/ROW",
    "ok": {"at": "ROWDATA/@CODE", "is": ["00"]}, "total": "ROWDATA/@TOTAL", "page": {"size": 3},
}  # fmt: skip
VERIFY = {
    "operation": "verify", "arguments": {"sfzh": "{key}"}, "rows": "R/P", "ok": {"at": "R/CODE", "is": ["00"]}, "nothing": ["04"],
    "errors": {"rejected": ["90"]}, "each": {"keys": ["x"], "column": "SFZH"},
}  # fmt: skip


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


def digest(name: str) -> str:
    return "sha256:" + hashlib.sha256((soap_agency.WSDL / name).read_bytes()).hexdigest()


class Town:
    """The agencies, served on loopback, and a home with their WSDL files."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.agency = SoapAgency()
        self.port = free_ports(1)[0]
        self.now = datetime(2026, 11, 23, 3, 0, tzinfo=ZONE)
        self.intake = MemoryIntake()
        shutil.copytree(soap_agency.WSDL, home / "wsdl")

    def config(self, name: str, **more: Any) -> SoapConfig:
        address = f"http://127.0.0.1:{self.port}/services/{name}"
        return SoapConfig.model_validate(
            {"wsdl": f"wsdl/{name}.wsdl", "digest": digest(f"{name}.wsdl"), "address": address, "allow": LOOPBACK, "rate": "500/s", **more}
        )

    def penalty(self, **more: Any) -> SoapConfig:
        return self.config("penalty", user=USER, password=more.pop("password", PASSWORD), login=LOGIN | more.pop("login", {}), **more)

    @asynccontextmanager
    async def puller(self, config: SoapConfig, read: dict[str, Any]) -> AsyncIterator[SoapPuller]:
        world = Surroundings(now=lambda: self.now, sleep=no_sleep, random=lambda: 0.0)
        puller = SoapPuller(config, SoapRead.model_validate(read), self.home, world=world)
        try:
            yield puller
        finally:
            await puller.close()

    async def pull(self, config: SoapConfig, read: dict[str, Any], after: Any = None) -> tuple[list[dict[str, Any]], Pulled]:
        """The rows that one pull lands, and how it ended."""
        worker = Worker("test")
        harvest = Harvest(self.intake, worker)
        try:
            async with self.puller(config, read) as puller:
                pulled = await puller.pull(after, harvest)
                arrival = await harvest.land("pull.jsonl", pulled)
        finally:
            await harvest.drop()
            worker.close()
        return [json.loads(line) for line in self.intake.landed[arrival.landed].splitlines()], pulled

    async def fails(self, config: SoapConfig, read: dict[str, Any]) -> HubError:
        """The decision that a pull ends with; nothing is landed then."""
        with pytest.raises(HubError) as error:
            await self.pull(config, read)
        assert self.intake.arrivals == {}
        assert "320581" not in error.value.message + error.value.hint
        return error.value


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    town = Town(tmp_path)
    runner = await soap_agency.serve("127.0.0.1", town.port, town.agency)
    yield town
    await runner.cleanup()


async def test_pages_of_xml_in_a_text_come_whole_and_in_order(town: Town) -> None:
    rows, pulled = await town.pull(town.penalty(), EXPORT)

    assert rows == town.agency.penalties
    assert [arguments["xml"] for operation, arguments in town.agency.asked[1:]] == [f"<REQ><PAGE>{page}</PAGE><SIZE>3</SIZE></REQ>" for page in (1, 2, 3)]
    assert pulled.evidence["calls"] == 3
    assert all(answer in town.intake.landed for answer in pulled.evidence["answers"])


@pytest.mark.parametrize("word", ["", "cdata", "gbk", "truthful-gbk", "multipart"])
async def test_the_same_rows_come_however_the_answer_is_wrapped_and_encoded(town: Town, word: str) -> None:
    town.agency.mischief.extend(["", word, word, word])

    rows, pulled = await town.pull(town.penalty(), EXPORT)

    assert rows == town.agency.penalties
    charset = {"gbk": "gb18030, declared utf-8", "truthful-gbk": "gb18030"}.get(word, "utf-8")
    assert pulled.evidence["charsets"] == {charset: 3}


async def test_the_hub_of_guangdong_takes_credentials_and_token_in_http_headers(town: Town) -> None:
    login = {"wsdl": "wsdl/auth.wsdl", "digest": digest("auth.wsdl"), "address": f"http://127.0.0.1:{town.port}/services/auth", "operation": "login",
             "headers": ["user={user}", "password={password}"], "expired": ["403:login timeout"]}  # fmt: skip
    config = town.config("bsync", user=USER, password=PASSWORD, headers={"token": "{token}", "serviceId": "S-CF"}, login=login)
    message = "<ExchangeMessage><Header><sender>credit</sender><flow>{uuid}</flow></Header><Body><fields><CF_WSH/></fields></Body></ExchangeMessage>"

    rows, _ = await town.pull(config, {"operation": "service", "arguments": {"xml": message}, "rows": "ROWDATA/ROW"})

    assert rows == town.agency.penalties
    service, sent = town.agency.asked[-1]
    assert (service, sent["sender"], len(sent["flow"] or "")) == ("S-CF", "credit", 36)


async def test_fields_of_the_message_come_as_they_were_written(town: Town) -> None:
    config = town.config("rating", imports={"types/rating.xsd": digest("types/rating.xsd")})

    rows, _ = await town.pull(config, {"operation": "getRating", "arguments": {"year": "2024"}, "answer": "fields", "rows": "rating"})

    assert rows == town.agency.ratings


async def test_records_come_from_a_text_of_json(town: Town) -> None:
    config = town.config("rating", imports={"types/rating.xsd": digest("types/rating.xsd")})
    read = {"operation": "getRatingJson", "arguments": {"query": '{"nd": "2024"}'}, "answer": "json", "rows": "data/rows", "total": "data/total",
            "ok": {"at": "code", "is": ["200"]}}  # fmt: skip

    rows, _ = await town.pull(config, read)

    assert rows == town.agency.ratings


async def test_one_call_for_each_key_at_most_four_at_a_time_and_a_bad_key_does_not_hold_up_the_others(town: Town) -> None:
    keys = [citizen(number) for number in range(1, 8)]
    (town.home / "keys.txt").write_text("\n".join([*keys, "\u200b"]), encoding="utf-8")
    read = VERIFY | {"each": {"file": "keys.txt", "column": "SFZH"}, "errors": {"rejected": ["90", "04"]}, "nothing": []}

    rows, pulled = await town.pull(town.config("verify"), read)

    assert rows == [{"SFZH": key, "STATE": town.agency.persons[key]} for key in keys[:5]]
    assert pulled.evidence["refused"] == 3
    assert 1 < town.agency.most_under_way <= 4


async def test_a_key_of_which_nothing_is_known_is_no_failure(town: Town) -> None:
    rows, pulled = await town.pull(town.config("verify"), VERIFY | {"each": {"keys": [citizen(99), citizen(1)], "column": "SFZH"}})

    assert [row["STATE"] for row in rows] == ["在册1"]
    assert pulled.evidence["refused"] == 0


async def test_hostile_values_arrive_as_they_are(town: Town) -> None:
    hostile = ["</CF_WSH>&amp;", "\"\\'", "]]>", "{token}", "甲\n乙", "<![CDATA[", "<!-- x"]
    login = LOGIN | {"wsdl": "wsdl/auth.wsdl", "digest": digest("auth.wsdl"), "address": f"http://127.0.0.1:{town.port}/services/auth", "answer": "text",
                     "headers": ["user={user}", "password={password}"], "arguments": [], "ok_at": None, "ok_is": [], "token_at": None}  # fmt: skip
    config = town.config("bsync", user=USER, password=PASSWORD, headers={"token": "{token}"}, login=login, concurrency=1)
    read = {"operation": "service", "arguments": {"xml": "<E><CF_WSH>{key}</CF_WSH></E>"}, "rows": "ROWDATA/ROW", "each": {"keys": hostile}}

    await town.pull(config, read)
    await town.pull(config, read | {"arguments": {"xml": "<E><CF_WSH>a<![CDATA[[{key}]]]></CF_WSH></E>"}})
    await town.pull(town.config("verify", concurrency=1), VERIFY | {"each": {"keys": [*hostile, citizen(1)], "column": "SFZH"}})

    assert [sent["CF_WSH"] for _, sent in town.agency.asked if "CF_WSH" in sent] == [*hostile, *(f"a[{value}]" for value in hostile)]
    assert [sent["sfzh"] for operation, sent in town.agency.asked if operation == "verify"] == [*hostile, citizen(1)]


async def test_an_expired_token_is_renewed_once(town: Town) -> None:
    async with town.puller(town.penalty(), EXPORT) as puller:
        first = await puller.sample(10)
        town.agency.expire()

        again = await puller.sample(10)

    assert again == first
    assert town.agency.logins == 2


async def test_a_token_that_is_never_taken_needs_a_person(town: Town) -> None:
    read = EXPORT | {"arguments": {"token": "wrong", "xml": "<REQ><PAGE>{page}</PAGE></REQ>"}}

    error = await town.fails(town.penalty(), read)

    assert isinstance(error, Misconfigured)
    assert town.agency.logins == 2


async def test_a_wrong_password_needs_a_person(town: Town) -> None:
    error = await town.fails(town.penalty(password="wrong"), EXPORT)

    assert isinstance(error, Misconfigured)
    assert len(town.agency.asked) == 1


@pytest.mark.parametrize(
    ("word", "decision"),
    [
        ("fault-Server", Unavailable), ("fault-Client", Misconfigured), ("fault-Client.Authentication", Misconfigured), ("fault-E42", Misconfigured),
        ("status-503", Unavailable), ("status-404", Misconfigured), ("status-302", Misconfigured), ("status-500", Unavailable), ("maintenance", Unavailable),
        ("empty", Unavailable), ("busy", Unavailable), ("not-soap", Unavailable), ("error-text", Unavailable), ("empty-text", Unavailable),
        ("nil", Unavailable), ("spoilt", Unavailable), ("doctype", Unavailable), ("inner-doctype", Unavailable), ("twice", Unavailable), ("status-204", Unavailable),
    ],
)  # fmt: skip
async def test_an_answer_that_is_none_becomes_a_decision_and_no_row(town: Town, word: str, decision: type[HubError]) -> None:
    town.agency.mischief.extend(["", *[word] * 5])

    error = await town.fails(town.penalty(), EXPORT | {"errors": {"misconfigured": ["E42"]}})

    assert type(error) is decision
    assert error.hint


@pytest.mark.parametrize(("code", "decision"), [("Receiver", Unavailable), ("Sender", Misconfigured)])
async def test_faults_of_soap_1_2_become_decisions_too(town: Town, code: str, decision: type[HubError]) -> None:
    town.agency.mischief.append(f"fault-{code}")
    config = town.config("rating", imports={"types/rating.xsd": digest("types/rating.xsd")})

    error = await town.fails(config, {"operation": "getRating", "answer": "fields", "rows": "rating"})

    assert type(error) is decision


@pytest.mark.parametrize("word", ["login-page", "status-403"])
async def test_a_login_page_makes_us_log_in_again_and_then_asks_for_a_person(town: Town, word: str) -> None:
    town.agency.mischief.extend(["", word, "", word])

    error = await town.fails(town.penalty(), EXPORT)

    assert isinstance(error, Misconfigured)
    assert town.agency.logins == 2


async def test_the_wish_of_a_busy_server_is_passed_on(town: Town) -> None:
    town.agency.mischief.extend(["", "status-503"])

    error = await town.fails(town.penalty(), EXPORT)

    assert isinstance(error, Unavailable)
    assert error.retry_after == 3600


async def test_a_total_that_does_not_agree_is_not_accepted(town: Town) -> None:
    town.agency.penalties.append(dict(town.agency.penalties[0]))
    whole = town.agency._export
    town.agency._export = lambda arguments, request: whole(arguments, request).replace('TOTAL="8"', 'TOTAL="9"')  # type: ignore[method-assign]

    error = await town.fails(town.penalty(), EXPORT)

    assert isinstance(error, Unavailable)
    assert "9 records were announced and 8 came" in error.message


async def test_a_page_that_comes_twice_is_not_accepted(town: Town) -> None:
    read = EXPORT | {"arguments": {"token": "{token}", "xml": "<REQ><PAGE>1</PAGE><WRONG>{page}</WRONG><SIZE>{size}</SIZE></REQ>"}}

    error = await town.fails(town.penalty(), read)

    assert "the same page came twice" in error.message


async def test_a_window_of_time_is_asked_for_with_an_overlap_and_the_next_one_follows(town: Town) -> None:
    xml = "<REQ><S>{since}</S><U>{until}</U></REQ>"
    read = EXPORT | {"page": None, "arguments": {"token": "{token}", "xml": xml}, "since": {"start": "2026-11-01", "window": "14d", "overlap": "1d"}}

    _, first = await town.pull(town.penalty(), read)
    _, second = await town.pull(town.penalty(), read, first.cursor)

    asked = [arguments["xml"] for operation, arguments in town.agency.asked if operation == "exportPenaltyXml"]
    assert asked == [
        "<REQ><S>2026-11-01 00:00:00</S><U>2026-11-15 00:00:00</U></REQ>",
        "<REQ><S>2026-11-14 00:00:00</S><U>2026-11-23 03:00:00</U></REQ>",
    ]
    assert (first.more, second.more) == (True, False)


async def test_changed_answers_stop_the_feed_instead_of_succeeding_empty(town: Town) -> None:
    error = await town.fails(town.penalty(), EXPORT | {"rows": "DATAS/DATA"})

    assert isinstance(error, Misconfigured)
    assert "DATAS/DATA" in error.message


async def test_an_answer_larger_than_allowed_stops_the_feed(town: Town) -> None:
    error = await town.fails(town.penalty(max_body=1000), EXPORT)

    assert isinstance(error, Misconfigured)
    assert "max_body" in error.hint


async def test_a_refusal_of_everything_needs_a_person(town: Town) -> None:
    town.agency.mischief.extend(["", "fault-E42"])

    error = await town.fails(town.penalty(), EXPORT | {"errors": {"rejected": ["E42"]}})

    assert isinstance(error, Misconfigured)


async def test_soap_headers_carry_the_token_escaped(town: Town) -> None:
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])))
        writer.write(_whole_answer())
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    config = town.config("verify", address=address, token="t<&>", soap_headers=["<h:auth xmlns:h='urn:h'><h:token>{token}</h:token></h:auth>"])

    async with server, town.puller(config, {"operation": "verify", "arguments": {"sfzh": "1"}, "rows": "R/P"}) as puller:
        await puller.sample(1)

    assert b'Header><h:auth xmlns:h="urn:h"><h:token>t&lt;&amp;&gt;</h:token></h:auth>' in heard[0]


async def test_quiet_hours_are_kept(town: Town) -> None:
    error = await town.fails(town.penalty(quiet=["02:00-05:00"]), EXPORT)

    assert isinstance(error, Unavailable)
    assert error.retry_after == 7200
    assert town.agency.asked == []


async def test_a_private_address_is_called_only_where_it_is_allowed(town: Town) -> None:
    config = town.penalty().model_copy(update={"allow": ()})

    error = await town.fails(config, EXPORT)

    assert isinstance(error, Misconfigured)
    assert town.agency.asked == []


async def test_probe_goes_through_the_layers_and_says_what_is_there(town: Town) -> None:
    async with town.puller(town.penalty(), EXPORT) as puller:
        findings = [finding async for finding in puller.probe()]

    assert [(finding.layer, finding.fine) for finding in findings] == [("reach", True), ("authenticate", True), ("shape", True), ("sample", True)]
    assert findings[-1].said == "3 records with 19 fields"


@pytest.mark.parametrize(
    ("config", "read", "layer"),
    [
        ({"address": "http://127.0.0.1:9/"}, {}, "reach"),
        ({"password": "wrong"}, {}, "authenticate"),
        ({}, {"operation": "exportPermissionXml"}, "shape"),
        ({}, {"rows": "A/B"}, "sample"),
        ({"digest": "sha256:" + "0" * 64}, {}, "shape"),
    ],
)
async def test_probe_ends_at_the_first_layer_that_fails(town: Town, config: dict[str, Any], read: dict[str, Any], layer: str) -> None:
    whole = town.penalty(password=config.get("password", PASSWORD)).model_copy(update={k: v for k, v in config.items() if k != "password"})

    async with town.puller(whole, EXPORT | read) as puller:
        findings = [finding async for finding in puller.probe()]

    assert [finding.layer for finding in findings if not finding.fine] == [layer] == [findings[-1].layer]
    assert findings[-1].hint


async def test_a_sample_is_a_document_that_the_feed_can_read(town: Town) -> None:
    async with town.puller(town.penalty(), EXPORT) as puller:
        name, document = await puller.sample(2)

    assert name.endswith(".jsonl")
    assert [json.loads(line) for line in document.splitlines()] == town.agency.penalties[:2]


async def test_an_answer_that_is_cut_anywhere_is_never_accepted(town: Town) -> None:
    cutting = _Cutting(_whole_answer())
    server = await asyncio.start_server(cutting.serve, "127.0.0.1", 0)
    config = town.config("verify", address=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", rate="100000/s")
    read = {"operation": "verify", "arguments": {"sfzh": "1"}, "rows": "R/P"}

    accepted: dict[int, bytes] = {}
    async with server, town.puller(config, read) as puller:
        for at in range(len(cutting.whole) + 1):
            cutting.at = at
            try:
                accepted[at] = (await puller.sample(1))[1]
            except Unavailable:
                continue

    assert accepted == {len(cutting.whole): '{"STATE":"在册"}\n'.encode()}


def _whole_answer() -> bytes:
    """An answer of a server that tells no length: only its end shows that it is whole."""
    inner = "&lt;R&gt;&lt;P&gt;&lt;STATE&gt;在册&lt;/STATE&gt;&lt;/P&gt;&lt;/R&gt;"
    body = f'<s:Envelope xmlns:s="{soap_agency.ENVELOPES["1.1"]}"><s:Body><verifyResponse><verifyReturn>{inner}</verifyReturn></verifyResponse></s:Body></s:Envelope>'
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nConnection: close\r\n\r\n" + body.encode()


class _Cutting:
    """Answers each request with the first `at` bytes of the answer."""

    def __init__(self, whole: bytes) -> None:
        self.whole = whole
        self.at = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(self.whole[: self.at])
        await writer.drain()
        writer.close()
