"""Bulletins of a real web server: whole lists, polite visits, and what happens when the site is not what it was."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection
from typing import Any, BinaryIO

import pytest

from connectors.formats.pace import Surroundings
from connectors.formats.pulling import PullSource
from connectors.memory import MemoryIntake
from connectors.web.puller import WebPuller
from connectors.web.settings import WebConfig, WebRead
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from hub.contracts.headings import normalise_heading
from tests.city.bulletin_site import TITLES, BulletinSite, rows_of, serve
from tests.contract.source_contract import settle_all
from tests.servers import free_ports

KNOWN = frozenset(map(normalise_heading, TITLES))
FEED, ITEM = "A0001.abnormal", "A0001-F04-01"
LINKED = {"path": "/list", "link": "table.list a", "next": "a.next", "total": "span.total"}
NUMBERED = {"path": "/list?page={page}", "link": "table.list a", "pages": "span.at"}
POSTED = {"path": "/query", "form": {"pageNo": "{page}"}, "link": "//table[@class='list']//a", "total": "span.total"}
WRITTEN = {"path": "/table?page={page}", "pages": "p.pages"}


class Purging(MemoryIntake):
    """An intake whose landing keeps its objects only for a time."""

    purged: Collection[str] = ()

    def open(self, landed: str) -> BinaryIO:
        if landed in self.purged:
            raise Rejected("landed object is missing", hint="it was purged")
        return super().open(landed)


class Town:
    """One site, and a feed that reads from it. Waiting costs no time, and is written down."""

    def __init__(self, port: int, site: BulletinSite) -> None:
        self.port = port
        self.site = site
        self.intake = Purging(FEED, ITEM)
        self.config: dict[str, Any] = {"url": f"http://127.0.0.1:{port}", "allow": ["127.0.0.0/8"]}
        self.seconds = 0.0
        self.world = Surroundings(monotonic=lambda: self.seconds, sleep=self._sleep)
        self.puller: WebPuller | None = None

    async def _sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)

    def source(self, listing: dict[str, Any], **read: Any) -> PullSource:
        """A new source on the site, as after a restart."""
        detail = {"attachment": "a.file"} if "link" in listing else {}
        settings = WebRead.model_validate({"list": listing, "detail": detail} | read)
        self.puller = WebPuller(WebConfig.model_validate(self.config), settings, feed=FEED, item=ITEM, known=KNOWN, intake=self.intake, world=self.world)
        return PullSource(self.puller, feed=FEED, item=ITEM, known=KNOWN, intake=self.intake)

    async def pull(self, listing: dict[str, Any], **read: Any) -> list[tuple[Any, ...]]:
        """What one visit brings, by USCC: rows under the item's headings."""
        source = self.source(listing, **read)
        try:
            batches = await settle_all(source, self.intake)
        finally:
            await source.close()
        rows = [row for batch in batches for row in batch.frame.iter_rows(named=True)]
        return sorted((tuple(row.get(title) or "" for title in TITLES) for row in rows), key=str)

    @property
    def evidence(self) -> dict[str, Any]:
        """Of the last arrival."""
        found: dict[str, Any] = list(self.intake.arrivals.values())[-1].evidence
        return found


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    (port,) = free_ports(1)
    site = BulletinSite(notice=False)
    runner = await serve("127.0.0.1", port, site)
    yield Town(port, site)
    await runner.cleanup()


@pytest.mark.parametrize("listing", [LINKED, NUMBERED, POSTED, WRITTEN], ids=["next", "numbered", "form", "in the list"])
async def test_every_entry_is_read_whatever_the_way_through_the_list(town: Town, listing: dict[str, Any]) -> None:
    rows = await town.pull(listing)

    assert rows == list(rows_of(town.site))


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
async def test_a_table_that_hangs_on_a_notice_is_read(town: Town, ending: str) -> None:
    town.site.notice, town.site.paper = True, ending

    rows = await town.pull(LINKED)

    assert rows == list(rows_of(town.site))


@pytest.mark.parametrize("switches", [{"paper": "pdf"}, {"paper": "doc"}, {"elsewhere": True}], ids=["pdf", "doc", "other host"])
async def test_an_entry_that_cannot_be_read_leaves_a_row_that_names_it(town: Town, switches: dict[str, Any]) -> None:
    vars(town.site).update(switches, notice=True)

    rows = await town.pull(LINKED)

    assert rows == [("",) * len(TITLES), *rows_of(town.site)]
    assert list(town.evidence["unread"].values()) == [1]


async def test_an_entry_whose_page_is_gone_leaves_a_row_that_names_it(town: Town) -> None:
    source = town.source(NUMBERED)
    assert town.puller is not None
    batch = source.batches()

    town.site.slow = 0.02
    reading = asyncio.ensure_future(anext(batch))
    while not town.site.asked("/detail"):
        await asyncio.sleep(0.005)
    town.site.gone.add(town.site.firms)
    frame = (await reading).frame
    await batch.aclose()
    await source.close()

    assert frame.filter(frame["统一社会信用代码"].is_null())["entry"].to_list() == [f"/detail/{town.site.firms}"]
    assert frame.height == town.site.firms


async def test_pages_are_landed_as_they_came_with_both_digests(town: Town) -> None:
    await town.pull(LINKED)

    pages = town.evidence["snapshots"]

    assert len(pages) == town.evidence["requests"] == 3 + town.site.firms
    for page in pages:
        assert hashlib.sha256(town.intake.landed[page["sha256"]]).hexdigest() == page["sha256"]
        assert len(page["sm3"]) == 64
    assert town.evidence["charset_conflicts"] == 2  # written in UTF-8, declared as GB 2312


async def test_what_has_not_changed_is_taken_from_landing(town: Town) -> None:
    first = await town.pull(LINKED)
    town.site.requests.clear()

    again = await town.pull(LINKED)

    assert [status for _, _, path, status in town.site.requests if path != "/robots.txt"] == [304] * (3 + town.site.firms)
    assert first == list(rows_of(town.site))
    assert again == []  # the very same snapshot: a duplicate, with nothing to read


async def test_a_purged_snapshot_is_asked_for_again(town: Town) -> None:
    await town.pull(LINKED)
    town.intake.purged = {digest for digest, body in town.intake.landed.items() if b'class="detail"' in body}
    town.site.firms += 1

    rows = await town.pull(LINKED)

    assert len(town.intake.purged) == town.site.firms - 1
    assert rows == list(rows_of(town.site))


async def test_another_order_of_the_list_makes_no_other_arrival(town: Town) -> None:
    await town.pull(LINKED)
    town.site.reverse = True

    again = await town.pull(LINKED)

    assert again == []
    assert len(town.intake.arrivals) == 1


async def test_a_vanished_entry_is_simply_not_offered_any_more(town: Town) -> None:
    await town.pull(LINKED)
    town.site.gone.add(4)

    rows = await town.pull(LINKED)

    assert rows == list(rows_of(town.site))
    assert len(rows) == town.site.firms - 1


@pytest.mark.parametrize(
    ("switches", "listing", "said"),
    [
        ({"empty": True}, LINKED, "no entry"),
        ({"empty": True}, WRITTEN, "no entry"),
        ({"drift": "links"}, LINKED, "no entry"),
        ({"drift": "tables"}, LINKED, "could not be read"),
        ({"drift": "new"}, LINKED, "new headings: 经办人"),
        ({"drift": "lost"}, LINKED, "gone: 列入原因"),
        ({"login": True}, LINKED, "验证码"),
        ({"circle": True}, LINKED, "circle"),
    ],
)
async def test_a_changed_site_stops_the_feed_and_nothing_is_landed_as_a_snapshot(
    town: Town, switches: dict[str, Any], listing: dict[str, Any], said: str
) -> None:
    await town.pull(listing)
    vars(town.site).update(switches)

    with pytest.raises(Misconfigured, match=said) as stopped:
        await town.pull(listing)

    assert stopped.value.hint
    assert len(town.intake.arrivals) == 1


async def test_a_person_accepts_a_changed_page_with_another_layout(town: Town) -> None:
    await town.pull(LINKED)
    town.site.drift = "lost"

    rows = await town.pull(LINKED, layout="2026-11")

    assert len(rows) == town.site.firms
    assert {row[4] for row in rows} == {""}


async def test_a_list_longer_than_allowed_is_never_cut_off(town: Town) -> None:
    with pytest.raises(Misconfigured, match="goes on after 2 pages"):
        await town.pull(LINKED | {"most": 2})


async def test_a_list_that_counts_more_than_it_shows_is_read_again_later(town: Town) -> None:
    with pytest.raises(Unavailable, match="counts 12 entries, 5 were found"):
        await town.pull({"path": "/list", "link": "table.list a", "total": "span.total"})


async def test_a_site_that_stumbles_is_asked_again_at_its_pace(town: Town) -> None:
    town.site.failing = 2

    rows = await town.pull(LINKED)

    assert rows == list(rows_of(town.site))


async def test_a_site_that_stays_down_is_unavailable_and_comes_back(town: Town) -> None:
    town.site.failing = 3

    with pytest.raises(Unavailable):
        await town.pull(LINKED)

    assert await town.pull(LINKED) == list(rows_of(town.site))


async def test_requests_are_as_far_apart_as_the_slower_of_rate_and_robots(town: Town) -> None:
    await town.pull(LINKED)
    by_rate, town.seconds = town.seconds, 0.0
    town.site.robots = "User-agent: credit-hub\nCrawl-delay: 7\n"
    await town.pull(LINKED)

    asked = len(town.site.requests) // 2

    assert by_rate == pytest.approx(2 * (asked - 1))
    assert town.seconds >= 7 * (asked - 1)


async def test_two_feeds_of_one_site_share_its_turns(town: Town) -> None:
    town.site.slow = 0.01

    other = Town(town.port, town.site)
    other.world = town.world

    await asyncio.gather(town.pull(LINKED), other.pull(WRITTEN))

    assert town.seconds == pytest.approx(2 * (len(town.site.requests) - 1))


async def test_what_robots_forbids_is_not_asked_for(town: Town) -> None:
    town.site.robots = "User-agent: *\nDisallow: /detail/\n"

    with pytest.raises(Misconfigured, match=r"robots\.txt"):
        await town.pull(LINKED)

    assert town.site.asked("/detail") == []


@pytest.mark.parametrize(("status", "permitted"), [(404, True), (403, True), (500, False), (429, False)])
async def test_a_missing_robots_permits_and_an_unreachable_one_forbids(town: Town, status: int, *, permitted: bool) -> None:
    town.site.robots = status

    if permitted:
        assert len(await town.pull(WRITTEN)) == town.site.firms
    else:
        with pytest.raises(Unavailable):
            await town.pull(WRITTEN)
    assert bool(town.site.asked()) == permitted


async def test_an_agreement_with_the_owner_goes_before_robots(town: Town) -> None:
    town.site.robots = "User-agent: *\nDisallow: /\n"
    town.config |= {"robots": "ignore", "because": "常信办〔2024〕17号"}

    rows = await town.pull(WRITTEN)

    assert len(rows) == town.site.firms
    assert town.evidence["robots"] == "常信办〔2024〕17号"


async def test_probing_looks_at_every_layer_and_leaves_nothing_behind(town: Town) -> None:
    source = town.source(LINKED)

    findings = [finding async for finding in source.probe()]
    await source.close()

    assert [(finding.layer, finding.fine) for finding in findings] == [("reach", True), ("authenticate", True), ("shape", True), ("sample", True)]
    assert (town.intake.landed, town.intake.notes, town.intake.arrivals) == ({}, {}, {})
    assert len(town.site.asked()) == 2


async def test_probing_ends_at_the_layer_that_fails(town: Town) -> None:
    town.site.drift = "tables"
    source = town.source(LINKED)

    findings = [finding async for finding in source.probe()]
    await source.close()

    assert [(finding.layer, finding.fine) for finding in findings][-1] == ("sample", False)
    assert findings[-1].hint


async def test_a_sample_can_be_read_like_a_pull(town: Town) -> None:
    source = town.source(LINKED)
    name, content = await source.sample(3)
    await source.close()

    assert name.endswith(".jsonl")
    assert len(content.splitlines()) == 3
    assert town.intake.landed == {}


async def test_a_list_that_moves_while_it_is_read_gives_each_entry_once(town: Town) -> None:
    town.site.reverse, town.site.slow = True, 0.02
    before = list(rows_of(town.site))

    reading = asyncio.ensure_future(town.pull({"path": "/list", "link": "table.list a", "next": "a.next"}))
    while not town.site.asked("/list"):
        await asyncio.sleep(0.005)
    town.site.firms += 1  # newest first: what was the last on a page is the first on the next
    rows = await reading

    assert rows == before
    assert town.evidence["repeated"] == 1


async def test_a_page_that_breaks_off_is_never_accepted(town: Town) -> None:
    rows = "".join(f"<tr><td>{n}</td><td>2026-01-02</td></tr>" for n in range(3))
    whole = f"<html><table><tr><th>企业名称</th><th>列入日期</th></tr>{rows}</table></html>".encode()
    shown = [whole]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        told = b"HTTP/1.0 404 None\r\n\r\n" if b"robots.txt" in asked else b"HTTP/1.0 200 OK\r\n\r\n" + shown[-1]
        writer.write(told)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        town.config["url"] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert len(await town.pull({"path": "/list"})) == 3
        for size in range(len(whole) - 8, 0, -16):
            shown.append(whole[:size])
            with pytest.raises(Unavailable, match="broke off"):
                await town.pull({"path": "/list"})

    assert len(town.intake.arrivals) == 1
