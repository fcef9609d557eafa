"""REST sources against simulated agencies that speak real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.formats.pace import Surroundings
from connectors.formats.pulling import PullSource
from connectors.memory import MemoryIntake
from connectors.rest.puller import PART_PAGES, RestPuller, rest_source
from connectors.rest.settings import RestConfig, RestRead
from hub.contracts.errors import HubError, Misconfigured, Unavailable
from hub.contracts.headings import normalise_heading
from hub.contracts.source import Finding
from tests.city.identities import citizen
from tests.city.rest_agency import (
    COURT_KEY,
    GATEWAY_ID,
    GATEWAY_KEY,
    MD5_KEY,
    MD5_SECRET,
    NATIONAL_KEY,
    NATIONAL_SECRET,
    RID,
    SID,
    SM3_KEY,
    SM3_SECRET,
    ZONE,
    Agencies,
    judgment,
    licence,
    rating,
    serve,
)  # fmt: skip

KNOWN = frozenset(map(normalise_heading, [*licence(1), *judgment(1), *rating(1)]))
GATEWAY = {"gateway": {"app_id": GATEWAY_ID, "app_key": GATEWAY_KEY, "token_path": "/licence/auth/token"}}
COURT = {"api_key": {"value": COURT_KEY}}
MD5 = {"md5": {"app_key": MD5_KEY, "secret": MD5_SECRET}}
LICENCES = {
    "path": "/licence/list", "rows": "data.list", "total": "data.total", "pages": {"size": 100}, "ok": {"values": ["0"]},
    "errors": {"expired": ["token_expired"], "misconfigured": ["97"]}, "message": "msg",
}  # fmt: skip
SINCE = {
    "path": "/court/since", "total": "count", "pages": {"name": "pageNum", "size_name": "rows", "size": 50},
    "since": {"name": "updatedAfter", "field": "更新时间"},
}  # fmt: skip


class World:
    """The agencies, and a hub that asks them; time passes only by hand."""

    def __init__(self, agencies: Agencies) -> None:
        self.agencies = agencies
        self.intake = MemoryIntake()
        self.offset = timedelta()
        self.slept: list[float] = []
        self.sources: list[PullSource] = []

    def now(self) -> datetime:
        return datetime.now(ZONE) + self.offset

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def source(self, auth: dict[str, Any], read: dict[str, Any], **config: Any) -> PullSource:
        settings = RestConfig.model_validate({"url": self.agencies.url, "allow": ["127.0.0.0/8"], "rate": "1000/ms"} | auth | config)
        puller = RestPuller(settings, RestRead.model_validate(read), KNOWN, world=Surroundings(now=self.now, sleep=self.sleep))
        made = PullSource(puller, feed="A0030.x", item="A0030-F06-01", known=KNOWN, intake=self.intake, now=self.now)
        self.sources.append(made)
        return made

    async def pulled(self, source: PullSource) -> list[dict[str, Any]]:
        """Every row that is new, settled."""
        rows: list[dict[str, Any]] = []
        async with aclosing(source.batches()) as batches:
            async for batch in batches:
                rows += batch.frame.to_dicts()
                self.intake.settle(batch)
        return rows


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(Agencies())
    runner = await serve("127.0.0.1", 0, made.agencies)
    try:
        yield made
    finally:
        for source in made.sources:
            await source.close()
        await runner.cleanup()


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["id"]) for row in rows]


async def test_the_licence_centre_is_read_whole_and_in_order_with_four_requests_under_way(world: World) -> None:
    world.agencies.faults.slow = 0.01
    source = world.source(GATEWAY, LICENCES)

    rows = await world.pulled(source)

    assert [row["许可编号"] for row in rows] == [row["许可编号"] for row in world.agencies.licences]
    assert world.agencies.most_under_way == 4
    assert len(world.agencies.asks("/licence/auth/token")) == 1


async def test_every_answer_is_kept_as_evidence(world: World) -> None:
    await world.pulled(world.source(GATEWAY, LICENCES))

    evidence = world.intake.arrivals[1].evidence
    assert (evidence["pages"], evidence["total"], evidence["rows"], evidence["encodings"]) == (12, 1200, 1200, ["utf-8"])
    pages = [json.loads(world.intake.landed[digest]) for digest in evidence["digests"]]
    assert [len(page["data"]["list"]) for page in pages] == [100] * 12
    assert GATEWAY_KEY not in json.dumps(evidence)


@pytest.mark.parametrize(
    ("auth", "read", "rows"),
    [
        ({"hmac": {"rid": RID, "sid": SID, "secret": NATIONAL_SECRET}}, {"path": "/national/data"}, 20),
        ({"hmac": {"rid": RID, "sid": SID, "app_key": NATIONAL_KEY, "secret_path": "/national/secret"}}, {"path": "/national/data"}, 20),
        (MD5, {"path": "/environment/gateway/api/rating.htm", "pages": {"name": "currentPage", "size": 40}, "ok": {"values": ["00"]}}, 150),
        ({"hmac_sm3": {"app_key": SM3_KEY, "secret": SM3_SECRET}}, {"path": "/modern/licences", "offset": {}}, 1200),
        ({"oauth2": {"token_url": "{url}/oauth/token", "client_id": "credit", "client_secret": "hub"}}, {"path": "/oauth/licences"}, 30),
        (COURT, {"path": "/court/cursor", "cursor": {"at": "data.next"}}, 300),
        (COURT, {"path": "/court/link", "link": {}}, 300),
        (COURT, {"path": "/court/changes", "method": "POST", "last_id": {"field": "id", "size_name": "rows", "size": 70}}, 300),
        (COURT, SINCE | {"method": "POST", "form": True, "body": {"kind": "执行"}}, 300),
    ],
)
async def test_every_dialect_is_spoken(world: World, auth: dict[str, Any], read: dict[str, Any], rows: int) -> None:
    auth = json.loads(json.dumps(auth).replace("{url}", world.agencies.url))

    assert len(await world.pulled(world.source(auth, read))) == rows


async def test_wrong_credentials_stop_the_feed(world: World) -> None:
    wrong = [{"api_key": {"value": "wrong"}}, {"bearer": {"token": "x"}}, {"basic": {"user": "u", "password": "p"}}, {}]

    for auth in wrong:
        with pytest.raises(Misconfigured, match="let us in") as refused:
            await world.pulled(world.source(auth, {"path": "/court/link", "link": {}}))
        assert refused.value.hint


async def test_a_clock_that_differs_is_named(world: World) -> None:
    world.offset = timedelta(minutes=-10)

    with pytest.raises(Misconfigured, match="let us in") as refused:
        await world.pulled(world.source({"hmac": {"rid": RID, "sid": SID, "secret": NATIONAL_SECRET}}, {"path": "/national/data"}))

    assert "ahead of ours" in refused.value.hint


@pytest.mark.parametrize("name", ["gateway", "oauth2"])
async def test_a_token_that_has_ended_is_fetched_again_once(world: World, name: str) -> None:
    oauth = {"oauth2": {"token_url": f"{world.agencies.url}/oauth/token", "client_id": "credit", "client_secret": "hub"}}
    auth, read = (GATEWAY, LICENCES) if name == "gateway" else (oauth, {"path": "/oauth/licences"})
    source = world.source(auth, read)
    world.agencies.faults.expire_tokens = 1
    first = await world.pulled(source)
    world.agencies.faults.expire_tokens = 9

    with pytest.raises(Misconfigured):
        await world.pulled(source)

    assert first
    assert world.agencies.faults.expire_tokens == 7


async def test_a_token_is_used_together_with_its_time_until_its_life_ends(world: World) -> None:
    source = world.source(GATEWAY, LICENCES)
    await world.pulled(source)
    world.offset = timedelta(minutes=4)
    await world.pulled(source)
    before = len(world.agencies.asks("/licence/auth/token"))
    world.agencies.now = lambda: world.now().timestamp()
    world.offset = timedelta(minutes=26)
    await world.pulled(source)

    assert (before, len(world.agencies.asks("/licence/auth/token"))) == (1, 2)


async def test_only_what_changed_is_asked_for_and_late_rows_are_caught(world: World) -> None:
    source = world.source(COURT, SINCE)
    await world.pulled(source)
    late = judgment(297) | {"id": 901}  # its time lies before the last one that was seen
    new = judgment(330) | {"id": 902}
    world.agencies.judgments += [late, new]

    rows = ids(await world.pulled(source))

    assert {901, 902} <= set(rows)
    assert len(rows) < 250
    assert world.agencies.asks("/court/since")[-1]["updatedAfter"] == "2026-01-05 09:40:00"


async def test_a_long_pull_is_cut_into_parts_that_lose_and_repeat_nothing(world: World) -> None:
    world.agencies.judgments = [judgment(number) for number in range(1, 2 * PART_PAGES + 10)]
    source = world.source(COURT, {"path": "/court/changes", "last_id": {"field": "id", "size_name": "rows", "size": 1}})

    rows = ids(await world.pulled(source))
    again = await world.pulled(source)
    world.agencies.judgments.append(judgment(5_000))
    more = await world.pulled(source)

    assert rows == list(range(1, 2 * PART_PAGES + 10))
    assert (again, ids(more)) == ([], [5_000])
    assert [arrival.evidence["rows"] for arrival in world.intake.arrivals.values()] == [PART_PAGES, PART_PAGES, 9, 1]


async def test_an_ordered_list_goes_on_within_a_time_that_many_rows_share(world: World) -> None:
    read = SINCE | {"pages": {"name": "pageNum", "size_name": "rows", "size": 1}}
    read["since"] = {"name": "updatedAfter", "field": "更新时间", "ordered": True}

    rows = ids(await world.pulled(world.source(COURT, read)))

    assert set(rows) == set(range(1, 301))
    assert len(world.intake.arrivals) == 2


async def test_stretches_of_time_are_parts(world: World) -> None:
    world.offset = datetime(2026, 1, 7, tzinfo=ZONE) - datetime.now(ZONE)
    read = {"path": "/court/window", "window": {"start": "2026-01-05 09:00:00", "step": "30m", "overlap": "0s"}}

    rows = ids(await world.pulled(world.source(COURT, read)))

    assert set(rows) == set(range(1, 301))
    assert [arrival.evidence["pages"] for arrival in world.intake.arrivals.values()] == [1, 1, 1, 1]


async def test_a_list_that_moves_once_is_read_again(world: World) -> None:
    world.agencies.faults.total_moves = 1

    rows = await world.pulled(world.source(GATEWAY, LICENCES))

    assert len(rows) == 1200
    assert world.intake.arrivals[1].evidence["total"] == 1200


@pytest.mark.parametrize("fault", [{"total_moves": 10_000}, {"repeats": 3}, {"skips": 3}])
async def test_a_list_that_keeps_moving_is_given_up_and_nothing_of_it_counts(world: World, fault: dict[str, int]) -> None:
    for name, value in fault.items():
        setattr(world.agencies.faults, name, value)

    with pytest.raises(Unavailable, match="read 3 times"):
        await world.pulled(world.source(GATEWAY, LICENCES))

    assert world.intake.arrivals == {}


async def test_a_cursor_that_leads_round_in_a_circle_is_given_up(world: World) -> None:
    world.agencies.faults.repeats = 1

    with pytest.raises(Unavailable):
        await world.pulled(world.source(COURT, {"path": "/court/cursor", "cursor": {"at": "data.next"}}))

    assert world.intake.arrivals == {}


@pytest.mark.parametrize(
    ("faults", "decision"),
    [
        ({"limited": 3, "retry_after": "600"}, Unavailable),
        ({"login_page": True}, Misconfigured),
        ({"refuses": True}, Misconfigured),
        ({"error_code": "97"}, Misconfigured),
        ({"error_code": "500"}, Unavailable),
        ({"cut_after": 200}, Unavailable),
        ({"cut_after": 200, "announced": False}, Unavailable),
    ],
)
async def test_every_fault_is_a_decision_and_nothing_counts(world: World, faults: dict[str, Any], decision: type[HubError]) -> None:
    source = world.source(GATEWAY, LICENCES)
    await source.sample(1)  # the token is there: the fault meets the list itself
    for name, value in faults.items():
        setattr(world.agencies.faults, name, value)

    with pytest.raises(decision) as failed:
        await world.pulled(source)

    said = failed.value.message + failed.value.hint
    assert failed.value.hint
    assert not any(secret in said for secret in ("320581", GATEWAY_KEY, "gateway_sig", "pageNo"))
    assert world.intake.arrivals == {}


async def test_a_short_limit_is_waited_for_and_a_long_one_is_handed_on(world: World) -> None:
    world.agencies.faults.limited = 2
    source = world.source(COURT, {"path": "/court/link", "link": {}})

    rows = await world.pulled(source)
    waited = max(world.slept)
    world.agencies.faults.limited, world.agencies.faults.retry_after = 9, "3600"
    with pytest.raises(Unavailable) as later:
        await world.pulled(source)

    assert len(rows) == 300
    assert waited >= 1.0
    assert later.value.retry_after == 3600


@pytest.mark.parametrize(("charset", "declared"), [("gb18030", "GBK"), ("gb18030", "utf-8"), ("gb18030", ""), ("utf-8", "gb2312")])
async def test_text_arrives_whatever_encoding_is_claimed(world: World, charset: str, declared: str) -> None:
    world.agencies.faults.charset, world.agencies.faults.declared = charset, declared

    rows = await world.pulled(world.source(MD5, {"path": "/environment/gateway/api/rating.htm", "pages": {"name": "currentPage"}, "ok": {"values": ["00"]}}))

    assert [row["企业名称"] for row in rows] == [row["企业名称"] for row in world.agencies.ratings]
    assert world.intake.arrivals[1].evidence["encodings"] == [charset]


async def test_a_pull_that_was_cut_short_begins_again_at_the_same_place(world: World) -> None:
    source = world.source(COURT, {"path": "/court/changes", "last_id": {"field": "id", "size_name": "rows", "size": 100}})
    await world.pulled(source)
    world.agencies.judgments += [judgment(number) for number in range(301, 401)]
    world.agencies.faults.cut_after = 50
    with pytest.raises(Unavailable):
        await world.pulled(source)
    world.agencies.faults.cut_after = None

    assert ids(await world.pulled(source)) == list(range(301, 401))


async def test_names_of_ours_in_headers_and_rows_steer_nothing(world: World) -> None:
    for name in ("__ordinal", "RECORD_ID", "__op", "Arrival", "feed", "batch_id"):
        world.agencies.judgments[0][name] = "forged"

    rows = await world.pulled(world.source(COURT, {"path": "/court/link", "link": {}}))

    assert len(rows) == 300
    assert {arrival.feed for arrival in world.intake.arrivals.values()} == {world.intake.feed}


async def found(source: PullSource) -> list[Finding]:
    return [finding async for finding in source.probe()]


async def test_check_goes_layer_by_layer_without_side_effects(world: World) -> None:
    source = world.source(GATEWAY, LICENCES)

    findings = await found(source)

    assert [(one.layer, one.fine) for one in findings] == [("reach", True), ("authenticate", True), ("shape", True), ("sample", True)]
    assert "4 of 4 columns" in findings[2].said
    assert "1200 in all" in findings[3].said
    assert (world.intake.arrivals, world.intake.notes) == ({}, {})


@pytest.mark.parametrize(
    ("config", "read", "layer"),
    [
        ({"url": "http://127.0.0.1:1"}, {}, "reach"),
        ({"allow": []}, {}, "reach"),
        ({"gateway": {"app_id": "x", "app_key": GATEWAY_KEY, "token_path": "/licence/auth/token"}}, {}, "authenticate"),
        ({}, {"rows": "data.rows"}, "shape"),
        ({}, {"ok": {"values": ["200"]}}, "shape"),
    ],
)
async def test_check_ends_at_the_layer_that_fails(world: World, config: dict[str, Any], read: dict[str, Any], layer: str) -> None:
    findings = await found(world.source(GATEWAY, LICENCES | read, **config))

    assert (findings[-1].layer, findings[-1].fine) == (layer, False)
    assert findings[-1].hint
    assert all(one.fine for one in findings[:-1])


async def test_a_sample_can_be_read_by_the_same_feed(world: World) -> None:
    source = world.source(COURT, SINCE)

    name, content = await source.sample(3)

    assert name.endswith(".jsonl")
    assert [json.loads(line)["证件号码"] for line in content.splitlines()] == [citizen(n) for n in (1, 2, 3)]


async def test_nothing_to_sample_is_said(world: World) -> None:
    world.agencies.judgments.clear()

    with pytest.raises(Unavailable, match="no rows"):
        await world.source(COURT, SINCE).sample(3)


async def test_the_registry_builds_the_same_source(world: World, tmp_path: Path) -> None:
    config = RestConfig.model_validate({"url": world.agencies.url, "allow": ["127.0.0.0/8"]} | COURT)
    read = RestRead.model_validate({"path": "/court/link", "link": {}})
    source = rest_source(config, read, feed="A0011.x", item="A0011-Z05-01", known=KNOWN, intake=world.intake, home=tmp_path)
    world.sources.append(source)

    assert len(await world.pulled(source)) == 300
