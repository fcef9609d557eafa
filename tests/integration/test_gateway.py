"""Agencies that submit, poll and are refused, over real connections to a running hub."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections import Counter
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from hub.submissions import nil_return
from tests.city.identities import citizen
from tests.integration.gateway_city import HEADING, ITEM, GatewayCity, bad, gateway_city, good


async def test_a_submission_is_answered_at_once_and_its_receipt_says_what_became_of_each_row(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        answer = await hub.submit([good(1), bad(2), good(3)])
        receipt = await hub.settled(answer.json["receipt"])
        again = await hub.call("GET", answer.headers["Location"], If_None_Match=(await hub.call("GET", answer.headers["Location"])).headers["ETag"])

    assert answer.status == 202
    assert answer.headers["Location"] == f"/v1/receipts/{answer.json['receipt']}"
    assert (receipt["state"], receipt["settled"]) == ("succeeded", True)
    assert {k: v for k, v in receipt["counts"].items() if v} == {"read": 3, "rejected": 1, "inserted": 2, "passed": 2}
    assert [receipt[word] for word in ("totalSize", "successSize", "failSize", "errorSize")] == [3, 2, 1, 1]
    assert [(e["row"], e["line"], e["code"], e["field"]) for e in receipt["errors"]] == [(2, 3, "R111", "uscc")]
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
async def test_rows_may_come_as_json(tmp_path: Path, content_type: str) -> None:
    rows = [{"姓名": "赵样甲", "证件号码": citizen(n), "决定书文号": f"常样罚〔2026〕{n}号", "罚款金额（元）": 100.50} for n in (1, 2)]
    body = json.dumps(rows) if content_type == "application/json" else "\n".join(map(json.dumps, rows))

    async with gateway_city(tmp_path) as hub:
        answer = await hub.submit(body.encode(), item="A0001-Z06-01", Content_Type=content_type)
        receipt = await hub.settled(answer.json["receipt"])

    assert {k: v for k, v in receipt["counts"].items() if v} == {"read": 2, "inserted": 2, "passed": 2}


async def test_the_same_key_twenty_times_at_once_has_one_effect(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        answers = await asyncio.gather(*(hub.submit([good(1)], key="delivery-1") for _ in range(20)))
        first = next(a for a in answers if a.status == 202)
        late = await hub.submit([good(1)], key="delivery-1")
        other = await hub.submit([good(2)], key="delivery-1")
        receipt = await hub.settled(first.json["receipt"])
        arrivals = [f for f in hub.facts if f.what == "submitted"]

    assert Counter(a.status for a in answers).keys() <= {202, 409}
    assert {a.json["receipt"] for a in answers if a.status == 202} == {first.json["receipt"]}
    assert (late.status, late.json) == (202, first.json)
    assert (other.status, other.json["errors"][0]["code"]) == (422, "key-reused")
    assert len(arrivals) == 1
    assert receipt["counts"]["read"] == 1


async def test_a_submission_that_broke_off_leaves_its_key_free(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        head = f"POST /v1/items/{ITEM}/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {hub.key}\r\nIdempotency-Key: cut-1\r\n"
        await hub.raw(f"{head}Content-Type: text/csv\r\nContent-Length: 1000\r\n\r\n{HEADING}".encode(), wait=False)
        async with asyncio.timeout(20):
            while (answer := await hub.submit([good(1)], key="cut-1")).status == 409:
                await asyncio.sleep(0.02)
        receipt = await hub.settled(answer.json["receipt"])
        left = list((hub.city.home / "landing").rglob("*.part"))

    assert receipt["counts"]["inserted"] == 1
    assert left == []


async def test_a_process_that_died_before_it_answered_is_answered_for(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        caller = await hub.reception.recognise(hub.key)
        assert caller is not None
        ticket = await hub.reception.begin(caller, hub.reception.offers("A0001")[ITEM], f"POST /v1/items/{ITEM}/batches", "died-1")
        body = "\n".join([HEADING, good(1), ""]).encode()
        from hub.intake import FeedIntake

        intake = FeedIntake("A0001.firms", ITEM, lambda: hub.city.config.version, hub.city.ledger, hub.city.landing, hub.city.executor, recalls=False)
        await intake.receive(f"{ticket.receipt}.csv", body)  # numbered, and then nothing more
        hub.reception._submissions._working.clear()  # as it is in a new process

        again = await hub.submit(body, key="died-1")
        other = await hub.submit([good(2)], key="died-1")

    assert (again.status, again.json["receipt"]) == (202, ticket.receipt)
    assert other.status == 422


async def test_content_that_was_delivered_before_is_not_read_twice(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        first = await hub.settled((await hub.submit([good(1)])).json["receipt"])
        second = await hub.settled((await hub.submit([good(1)])).json["receipt"])

    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["receipt"] != second["receipt"]


async def test_another_agency_sees_no_receipt_and_no_item_of_ours(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        receipt = (await hub.submit([bad(1)])).json["receipt"]
        await hub.settled(receipt)
        stranger = (await hub.desk.add("A0011"))["key"]

        seen = [(await hub.call("GET", f"/v1/receipts/{receipt}{end}", key=stranger)).status for end in ("", "/errors.csv", "/errors.xlsx")]
        submitted = await hub.call("POST", f"/v1/items/{ITEM}/batches", key=stranger, data=b"x", Content_Type="text/csv", Idempotency_Key="a-1")
        listed = (await hub.call("GET", "/v1/items", key=stranger)).json["items"]

    assert seen == [404, 404, 404]
    assert submitted.status == 404
    assert [item["item"] for item in listed] == ["A0001-Z06-01"]


async def test_errors_come_page_by_page_and_never_hold_a_value(tmp_path: Path) -> None:
    rows = [bad(n) for n in range(1, 8)]
    async with gateway_city(tmp_path) as hub:
        receipt = (await hub.submit(rows)).json["receipt"]
        await hub.settled(receipt)
        pages, path = [], f"/v1/receipts/{receipt}?limit=3"
        while path:
            pages.append((await hub.call("GET", path)).json)
            path = pages[-1].get("next", "")

    assert [[e["row"] for e in page["errors"]] for page in pages] == [[1, 2, 3], [4, 5, 6], [7]]
    values = {cell for row in rows for cell in row.split(",")}
    assert not [value for value in values if value in json.dumps([page["errors"] for page in pages], ensure_ascii=False)]


async def test_rejected_rows_come_back_in_the_senders_own_columns_and_harmless(tmp_path: Path) -> None:
    evil = bad(2).replace("守合同", "=cmd|'/C calc'!A0")
    async with gateway_city(tmp_path) as hub:
        receipt = (await hub.submit([good(1), evil])).json["receipt"]
        await hub.settled(receipt)
        answer = await hub.call("GET", f"/v1/receipts/{receipt}/errors.csv")
        workbook = await hub.call("GET", f"/v1/receipts/{receipt}/errors.xlsx")
        again = await hub.settled((await hub.submit(workbook.body, Content_Type=workbook.headers["Content-Type"])).json["receipt"])

    rows = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"))))
    assert rows[0] == ["原行号", *HEADING.split(","), "错误代码", "错误原因"]
    assert rows[1][:4] == ["3", evil.split(",")[0], evil.split(",")[1], "'=cmd|'/C calc'!A0"]
    assert rows[1][5] == "R111"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert [row[1:5] for row in read_sheet(workbook.body)] == [rows[0][1:5], rows[1][1:5]]
    assert (again["counts"]["read"], [e["code"] for e in again["errors"]]) == (1, ["R111"])  # uncorrected, it is found again


def read_sheet(workbook: bytes) -> list[list[str]]:
    return [[str(cell) for cell in row] for row in CalamineWorkbook.from_filelike(io.BytesIO(workbook)).get_sheet_by_index(0).to_python()]


async def test_nothing_to_report_is_kept_as_a_fact(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        answers = [await nil(hub, {"period": "2026-10", "because": "本月无数据"}) for _ in range(2)]
        refused = [await nil(hub, wrong) for wrong in ({"period": "2026-13"}, {"period": 2026}, {}, [], {"period": "2026", "x": 1})]
        rows = await hub.city.state.read(lambda c: c.execute(nil_return.select()).all())

    assert [a.status for a in answers] == [201, 200]
    assert {a.status for a in refused} == {400}
    assert [(r.feed, r.item, r.period, r.by) for r in rows] == [("A0001.firms", ITEM, "2026-10", hub.key_id)]
    assert "本月无数据" not in rows[0].because


async def nil(hub: GatewayCity, body: object):  # type: ignore[no-untyped-def]
    return await hub.call("POST", f"/v1/items/{ITEM}/nil", data=json.dumps(body).encode(), Content_Type="application/json")


async def test_a_paused_feed_and_a_full_disk_say_when_to_come_again(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        hub.room[0] = "1 MiB free"
        full = await hub.submit([good(1)], key="later-1")
        hub.room[0] = True
        await hub.city.standing.set("feed:A0001.firms", "paused", "升级")
        paused = await hub.submit([good(1)], key="later-1")
        await hub.city.standing.clear("feed:A0001.firms", "resume", "完成")
        taken = await hub.submit([good(1)], key="later-1")

    assert (full.status, full.headers["Retry-After"]) == (507, "60")
    assert (paused.status, paused.headers["Retry-After"]) == (503, "60")
    assert taken.status == 202


async def test_a_document_that_cannot_be_read_fails_with_its_code(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        receipt = await hub.settled((await hub.submit(b"some,other,heading\n1,2,3\n")).json["receipt"])

    assert (receipt["state"], receipt["code"]) == ("failed", "F006")
    assert receipt["counts"]["read"] == 0
