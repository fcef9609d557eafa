"""Our SOAP endpoint, called by a foreign client (zeep) in the dialect that agencies' systems speak."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from requests import Session
from zeep import Client, Transport
from zeep.exceptions import Fault

from hub.contracts.blocking import to_its_end
from tests.city.identities import citizen
from tests.integration.gateway_city import ITEM, GatewayCity, gateway_city

PERSONS = "A0001-Z06-01"
FIELDS = ("errorCode", "errorMsg", "taskCode", "totalSize", "successSize", "failSize", "errorSize", "errorBody", "tips")


class Agency:
    """An agency's own system: a SOAP client, blocking, in a thread."""

    def __init__(self, hub: GatewayCity, client: Client, pool: ThreadPoolExecutor) -> None:
        self.hub, self.client, self.pool = hub, client, pool

    async def say(self, operation: str, text: str) -> Any:
        return json.loads(await to_its_end(self.pool, getattr(self.client.service, operation), text))

    async def execute(self, operation: str = "execute", **changes: Any) -> Any:
        envelope = {"tableCode": PERSONS, "departmentCode": "A0001", "tableVersionId": "1", "body": [person(1)], "token": self.hub.key} | changes
        return await self.say(operation, json.dumps({k: v for k, v in envelope.items() if v is not ...}, ensure_ascii=False))


def person(number: int, *, code: str = "") -> dict[str, Any]:
    """A row under the standard headings."""
    return {
        "姓名": "赵样甲",
        "证件号码": code or citizen(number),
        "决定书文号": f"常样罚〔2026〕{number}号",
        "罚款金额（元）": 100.10,
        "处罚决定日期": "2026-01-05",
    }


@asynccontextmanager
async def agency(home: Path) -> AsyncIterator[Agency]:
    async with gateway_city(home) as hub:
        session = Session()
        session.trust_env = False
        with ThreadPoolExecutor(2) as pool, session:
            client = await to_its_end(pool, lambda: Client(hub.base + "/soap/InterfaceUploadService?wsdl", transport=Transport(session=session)))
            yield Agency(hub, client, pool)


async def test_valid_rows_are_stored_even_when_others_fail(tmp_path: Path) -> None:
    wrong = citizen(2)[:-1] + ("0" if citizen(2)[-1] != "0" else "1")
    async with agency(tmp_path) as caller:
        answer = await caller.execute(body=[person(1), person(2, code=wrong), person(3)])
        repaired = await caller.execute("repairData", body=json.dumps([person(2)], ensure_ascii=False))
        receipt = await caller.hub.settled(answer["taskCode"])
        second = await caller.hub.settled(repaired["taskCode"])
        shown = await caller.hub.city.stores["psn"].find(caller.hub.city.config.items[PERSONS], doc_no="常样罚〔2026〕1号")

    assert tuple(answer) == FIELDS
    assert (answer["errorCode"], answer["errorMsg"]) == ("200", "操作成功")
    assert [answer[word] for word in ("totalSize", "successSize", "failSize", "errorSize")] == [3, 2, 1, 1]
    assert [(e["row"], e["field"]) for e in answer["errorBody"]] == [(2, "id_no")]
    assert wrong not in json.dumps(answer)
    assert receipt["counts"]["inserted"] == 2
    assert (repaired["errorCode"], second["counts"]["inserted"]) == ("200", 1)
    assert str(shown["fine"][0]) == "100.10"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tableCode": ...}, "3001"), ({"tableCode": ""}, "3001"), ({"tableCode": "A0001-F99-99"}, "3002"),
        ({"departmentCode": ...}, "4001"), ({"departmentCode": "A0011"}, "4002"),
        ({"body": ...}, "6001"), ({"body": []}, "6001"), ({"body": ""}, "6001"), ({"body": "[]"}, "6001"),
        ({"body": "[1]"}, "6002"), ({"body": {}}, "6002"), ({"body": "[{"}, "6002"), ({"body": '[{"a":1,"a":2}]'}, "6002"), ({"body": '[{"a":NaN}]'}, "6002"),
    ],
)  # fmt: skip
async def test_each_gap_has_its_code(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    async with agency(tmp_path) as caller:
        answer = await caller.execute(**changes)

    assert answer["errorCode"] == code
    assert answer["errorMsg"]
    assert answer["totalSize"] == 0


async def test_what_is_no_json_is_said_and_deep_nesting_harms_nobody(tmp_path: Path) -> None:
    async with agency(tmp_path) as caller:
        answers = [await caller.say("execute", text) for text in ("", "{", "[1]", "[" * 5000, '{"a":' * 3000)]

    assert [a["errorCode"] for a in answers] == ["5001"] * 5


async def test_the_network_alone_says_nothing_about_who_calls(tmp_path: Path) -> None:
    async with agency(tmp_path) as caller:
        with pytest.raises(Fault) as none:
            await caller.execute(token=...)
        with pytest.raises(Fault) as wrong:
            await caller.execute(token="chk_" + "0" * 12 + "_" + "0" * 64)
        caller.client.transport.session.headers["Authorization"] = f"Bearer {caller.hub.key}"
        header = await caller.execute(token=...)

    assert "key" in none.value.message
    assert "key" in wrong.value.message
    assert header["errorCode"] == "200"


async def test_a_feed_that_does_not_move_is_answered_as_being_worked_on(tmp_path: Path) -> None:
    async with agency(tmp_path) as caller:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            await asyncio.sleep(0)

        dialect = caller.hub.server.soap.dialect
        dialect.sleep = sleep
        assert caller.hub.running is not None
        await caller.hub.running.engine.drop("feed:A0001.json")

        answer = await caller.execute()

    assert (answer["errorCode"], answer["tips"], answer["totalSize"]) == ("200", "处理中", 0)
    assert 20 <= sum(waits) < 21


HOSTILE = {
    "a doctype": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
    "laughs": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>',
    "an outside subset": '<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">',
}


@pytest.mark.parametrize("head", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_doctype_is_refused(tmp_path: Path, head: str) -> None:
    envelope = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><execute xmlns="x"><json>{}</json></execute></s:Body></s:Envelope>'
    async with gateway_city(tmp_path) as hub:
        answer = await hub.call("POST", "/soap/InterfaceUploadService", data=(head + envelope).encode(), Content_Type="text/xml")

    assert answer.status == 500
    assert b"DOCTYPE" in answer.body
    assert b"Fault" in answer.body


async def test_an_envelope_that_is_none_and_one_that_is_too_large_are_faults(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        path = "/soap/InterfaceUploadService"
        wrong = [await hub.call("POST", path, data=body) for body in (b"", b"<a/>", b"x", b"<a>" * 5000, b"\xff\xfe<")]
        large = await hub.call("POST", path, data=b"x" * ((1 << 20) + 1), key="")
        gone = await hub.call("GET", path, key="")

    assert {a.status for a in wrong} == {500}
    assert all(b"Fault" in a.body for a in [*wrong, large])
    assert large.status == 413
    assert gone.status == 404
    assert ITEM.encode() not in large.body
