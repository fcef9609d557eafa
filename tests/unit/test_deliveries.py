"""Deliveries in the hub's state: sequences, tallies, and that repeating anything changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.contracts.errors import Rejected, Unavailable
from hub.deliveries import Cut, Deliveries, Part
from hub.state import State

AT = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
IDS = [f"{n:032x}" for n in range(5)]
PART = Part("A0030.s", "A0030-F06-01", "A0030.s/A0030-F06-01/1/0", 0, seq=1, first=0, offered=5)
CUT = Cut(PART, "d1", IDS[:3], {IDS[3]: "disputed", IDS[4]: "disputed"}, "standing rule 政务公开 (open)")


@pytest.fixture
async def deliveries(tmp_path: Path) -> AsyncIterator[Deliveries]:
    state = State(tmp_path / "hub.sqlite")
    await state.open()
    yield Deliveries(state)
    await state.close()


async def test_an_entry_is_counted_once_however_often_it_is_advanced(deliveries: Deliveries) -> None:
    for _ in range(3):
        await deliveries.advance("A0030.s", "A0030-F06-01", 1, 5)

    assert await deliveries.cursor("A0030.s", "A0030-F06-01") == 1
    assert await deliveries.summary("A0030.s") == {"delivered": 0, "withheld": {}, "waiting": 5, "dead": 0}


async def test_everything_offered_is_delivered_withheld_dead_or_waiting(deliveries: Deliveries) -> None:
    await deliveries.advance("A0030.s", "A0030-F06-01", 1, 12)
    dying = replace(CUT, part=replace(PART, number=1, first=5), delivery_id="d2")

    for _ in range(2):
        await deliveries.begin(CUT, AT)
        await deliveries.delivered(CUT, {"status": 200}, AT)
        await deliveries.begin(dying, AT)
        await deliveries.died(dying, Rejected("refused"), AT)

    assert await deliveries.summary("A0030.s") == {"delivered": 3, "withheld": {"disputed": 2}, "waiting": 2, "dead": 3}
    assert await deliveries.balance("A0030.s") == {
        "A0030-F06-01": {"offered": 12, "delivered": 3, "withheld": 4, "dead": 3, "waiting": 2, "recorded": 3},
    }


async def test_sequences_have_no_gap_even_where_a_cut_changed(deliveries: Deliveries) -> None:
    parts = [replace(PART, number=n) for n in range(3)]

    first, _ = await deliveries.begin(replace(CUT, part=parts[0]), AT)
    other, _ = await deliveries.begin(replace(CUT, part=parts[1], delivery_id="d2"), AT)
    recut, _ = await deliveries.begin(replace(CUT, part=parts[0], delivery_id="d1-again"), AT)
    third, _ = await deliveries.begin(replace(CUT, part=parts[2], delivery_id="d3"), AT)

    assert (first, other, recut, third) == (1, 2, 1, 3)
    states = {row["delivery_id"]: row["state"] for row in await deliveries.find("A0030.s")}
    assert states == {"d1": "cancelled", "d1-again": "waiting", "d2": "waiting", "d3": "waiting"}


async def test_attempts_add_up_and_the_first_error_is_kept(deliveries: Deliveries) -> None:
    await deliveries.begin(CUT, AT)
    await deliveries.stumbled(CUT, Unavailable("answered 503"), AT + timedelta(seconds=5))
    await deliveries.stumbled(CUT, Unavailable("did not answer in time"), AT + timedelta(minutes=5))

    (row,) = await deliveries.find("A0030.s", state="waiting")
    _, attempts = await deliveries.begin(CUT, AT)
    stand = (await deliveries.progress("A0030.s", PART.message_id))[0]

    assert (row["attempts"], row["first_error"], row["last_error"]) == (2, "answered 503", "did not answer in time")
    assert (attempts, stand.next_at, stand.done) == (2, AT + timedelta(minutes=5), False)


async def test_a_person_can_make_what_waits_due(deliveries: Deliveries) -> None:
    await deliveries.begin(CUT, AT)
    await deliveries.stumbled(CUT, Unavailable("answered 503"), AT + timedelta(hours=5))

    assert await deliveries.retry_now("A0030.s") == 1
    assert (await deliveries.progress("A0030.s", PART.message_id))[0].next_at is None


async def test_a_record_counts_as_known_from_the_moment_it_may_have_left(deliveries: Deliveries) -> None:
    await deliveries.begin(CUT, AT)

    assert await deliveries.known("A0030.s", "A0030-F06-01", IDS) == frozenset(IDS[:3])
    assert await deliveries.known("A0030.other", "A0030-F06-01", IDS) == frozenset()
    (seen,) = await deliveries.whereabouts("A0030-F06-01", IDS[0])
    assert (seen["share"], seen["sequence"], seen["state"]) == ("A0030.s", 1, "waiting")


async def test_what_is_withheld_is_told_with_its_latest_reason_until_it_leaves(deliveries: Deliveries) -> None:
    await deliveries.nothing_left(replace(CUT, delivery_id="e1", record_ids=[], withheld=dict.fromkeys(IDS, "no_grant")), AT)
    later = replace(CUT, part=replace(PART, message_id="m2"), delivery_id="e2")
    await deliveries.begin(later, AT)
    await deliveries.delivered(later, {}, AT)

    summary = await deliveries.summary("A0030.s")

    assert summary["withheld"] == {"disputed": 2}
    assert {row["state"] for row in await deliveries.find("A0030.s")} == {"withheld", "delivered"}


async def test_a_cut_that_is_emptied_cancels_the_waiting_one(deliveries: Deliveries) -> None:
    await deliveries.begin(CUT, AT)
    await deliveries.nothing_left(replace(CUT, delivery_id="e1", record_ids=[], withheld=dict.fromkeys(IDS, "grant_revoked")), AT)

    states = {row["delivery_id"]: row["state"] for row in await deliveries.find("A0030.s")}

    assert states == {"d1": "cancelled", "e1": "withheld"}
    assert (await deliveries.progress("A0030.s", PART.message_id))[0].done


async def test_a_replayed_dead_letter_is_on_its_way_again_and_counted_once(deliveries: Deliveries) -> None:
    await deliveries.advance("A0030.s", "A0030-F06-01", 1, 5)
    await deliveries.begin(CUT, AT)
    await deliveries.died(CUT, Rejected("refused"), AT)

    first, second = await deliveries.replayed("d1", 1), await deliveries.replayed("d1", 1)

    assert (first, second) == (True, False)
    summary = await deliveries.summary("A0030.s")
    assert (summary["waiting"], summary["dead"]) == (5, 0)


async def test_a_revocation_stays(deliveries: Deliveries) -> None:
    await deliveries.revoke("常信办〔2024〕17号", "the duty ended", AT)
    await deliveries.revoke("常信办〔2024〕17号", "again", AT)

    assert await deliveries.revoked() == {"常信办〔2024〕17号"}


async def test_forgetting_keeps_receipts_and_dead_letters(deliveries: Deliveries) -> None:
    dead = replace(CUT, part=replace(PART, number=1), delivery_id="d2")
    empty = replace(CUT, part=replace(PART, number=2), delivery_id="d3", record_ids=[])
    await deliveries.begin(CUT, AT)
    await deliveries.delivered(CUT, {}, AT)
    await deliveries.begin(dead, AT)
    await deliveries.died(dead, Rejected("refused"), AT)
    await deliveries.nothing_left(empty, AT)

    assert await deliveries.forget(AT + timedelta(days=1)) == 1
    assert {row["state"] for row in await deliveries.find("A0030.s")} == {"delivered", "dead"}
