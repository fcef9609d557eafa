"""Links that go wrong between the hub and agencies that are asked over HTTP: REST, SOAP and web pages, each through the proxy.

F43 trickle, slow and jittering links           test_a_slow_link_brings_everything
F44 an answer cut after any byte                test_a_pull_that_is_cut_anywhere_is_never_taken_for_whole (each source, several answers on a connection);
                                                for the bare client every byte in unit/test_http_client, for SOAP without a length in integration/test_soap
                                                test_an_answer_of_unknown_length_is_whole_only_when_its_end_is_there
F41 reset, and a reply lost after the work      test_a_lost_reply_is_asked_for_again_and_nothing_comes_twice
F47 half-open, and silence in mid-answer        test_silence_ends_by_our_own_clock
    a connection that ends between two answers  test_a_server_that_hangs_up_between_answers_is_asked_anew
    a bit turned round                          test_damage_is_a_decision_or_a_row_never_a_crash
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from hub.contracts.errors import HubError, Unavailable
from tests.city.rest_agency import judgment
from tests.faults.askers import KINDS, Asker, agency, scripted
from tests.faults.proxy import Faults, Proxy

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
async def test_a_slow_link_brings_everything(kind: str, tmp_path: Path) -> None:
    async with agency(kind) as (port, _), Proxy(port) as proxy:
        whole = await Asker(kind, tmp_path).pull(port)
        proxy.faults = Faults(piece=1)
        trickled = await Asker(kind, tmp_path).pull(proxy.port)
        proxy.faults = Faults(piece=100, latency=0.002, jitter=0.01, rate=50_000)
        slow = await Asker(kind, tmp_path).pull(proxy.port)

    assert len(whole) >= 2
    assert trickled == slow == whole


@every_kind
@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_pull_that_is_cut_anywhere_is_never_taken_for_whole(kind: str, ending: str, tmp_path: Path) -> None:
    async with agency(kind) as (port, _), Proxy(port) as proxy:
        whole = await Asker(kind, tmp_path).pull(proxy.port)
        size = max(link.answered for link in proxy.links)
        step = 1 if kind == "rest" and ending == "close" else 13
        finished: list[int] = []
        for at in [*range(0, size, step), size - 1]:
            proxy.faults = Faults(cut_answer=at, ending=ending)  # type: ignore[arg-type]
            asker = Asker(kind, tmp_path)
            found = whole
            with suppress(Unavailable):
                found = await asker.pull(proxy.port)
                finished.append(at)
            assert found == whole, f"cut after {at} bytes; it may come on another connection, but not in part"
            assert bool(asker.intake.arrivals) == (at in finished)

    assert len(whole) >= 2
    assert 0 not in finished


async def test_an_answer_of_unknown_length_is_whole_only_when_its_end_is_there(tmp_path: Path) -> None:
    rows = [{**judgment(n), "id": n} for n in (1, 4)]
    body = json.dumps({"code": 200, "count": 2, "records": rows}, ensure_ascii=False).encode()
    taken = []
    for at in range(len(body) + 1):
        asker = Asker("rest", tmp_path)
        async with scripted(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n" + body[:at], hang_up=True) as port:
            with suppress(HubError):
                assert len(await asker.pull(port)) == 2
                taken.append(at)

    assert taken == [len(body)]


@every_kind
async def test_a_lost_reply_is_asked_for_again_and_nothing_comes_twice(kind: str, tmp_path: Path) -> None:
    async with agency(kind) as (port, _), Proxy(port) as proxy:
        whole = await Asker(kind, tmp_path).pull(port)
        asker = Asker(kind, tmp_path)
        proxy.queue.append(Faults(cut_answer=0, ending="reset"))
        found: list[tuple[object, ...]] = []
        for _ in range(2):  # SOAP calls are not repeated by themselves: the next pull does it
            with suppress(Unavailable):
                found = found or await asker.pull(proxy.port)

    assert found == whole
    assert len(asker.intake.arrivals) == 1


@every_kind
@pytest.mark.parametrize("faults", [Faults(half_open=True), Faults(cut_answer=40, ending="blackhole")], ids=["half open", "blackhole"])
async def test_silence_ends_by_our_own_clock(kind: str, faults: Faults, tmp_path: Path) -> None:
    async with agency(kind) as (port, _), Proxy(port) as proxy:
        proxy.faults = faults
        asker = Asker(kind, tmp_path)
        with pytest.raises(Unavailable, match="in time") as late:
            await asker.pull(proxy.port, timeout="200ms")
        proxy.heal()
        found = await asker.pull(proxy.port)

    assert late.value.hint
    assert len(found) >= 2
    assert len(asker.intake.arrivals) == 1


@every_kind
async def test_a_server_that_hangs_up_between_answers_is_asked_anew(kind: str, tmp_path: Path) -> None:
    async with agency(kind) as (port, _), Proxy(port) as proxy:
        whole = await Asker(kind, tmp_path).pull(port)
        asker = Asker(kind, tmp_path)
        proxy.faults = Faults(answers=1)
        found: list[tuple[object, ...]] = []
        with suppress(Unavailable):
            found = await asker.pull(proxy.port)
        proxy.heal()
        found = found or await asker.pull(proxy.port)

    assert found == whole
    assert len(asker.intake.arrivals) == 1


@every_kind
async def test_damage_is_a_decision_or_a_row_never_a_crash(kind: str, tmp_path: Path) -> None:
    async with agency(kind) as (port, _), Proxy(port) as proxy:
        whole = await Asker(kind, tmp_path).pull(proxy.port)
        size = max(link.answered for link in proxy.links)
        refused = 0
        for at in range(0, size, 17):
            proxy.faults = Faults(corrupt_answer=at)
            try:
                found = await Asker(kind, tmp_path).pull(proxy.port, timeout="500ms")
            except HubError:
                refused += 1
            else:  # plain HTTP has no checksum: a letter may be another one, and in HTML a row may not look like one any more
                assert len(found) == len(whole) or (kind == "web" and len(found) < len(whole))

    assert refused
