"""A batch that comes again is settled without its rows, but only while nobody has touched one of its records."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.contracts.batch import Batch, Fate, Header, Receipt
from hub.contracts.store import Store
from tests.contract.store_batches import PENALTY, batch, content, fates, say, subjects
from tests.contract.store_oracle import Said
from tests.contract.test_stores import fast, generic

ROWS = [Said("k1"), Said("k2"), Said("k3")]


@pytest.fixture(params=[fast, generic])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Callable[..., Store] = request.param
    store = opened(tmp_path)
    await store.prepare([PENALTY])
    yield store
    await store.close()


async def deliver(store: Store, rows: list[Said], **header: Any) -> Header:
    """Apply rows whose content has a name; the header they came with."""
    named = batch(rows, **header)
    named = Batch(replace(named.header, content="c" * 32), named.frame)
    await store.apply(named, PENALTY, subjects(rows))
    return named.header


async def come_again(store: Store, before: Header, arrival: int) -> Receipt | None:
    """The same piece in a later arrival, without its rows."""
    again = replace(batch(ROWS, arrival=arrival).header, content=before.content, same_as=before.batch_id)
    return await store.recognise(again, PENALTY)


async def test_the_same_piece_is_all_unchanged_and_writes_no_row(store: Store) -> None:
    first = await deliver(store, ROWS)
    before = await content(store)

    receipt = await come_again(store, first, arrival=2)

    assert receipt is not None
    assert fates(receipt) == [Fate.UNCHANGED] * 3
    assert receipt.seq is None
    assert await content(store) == before
    assert await store.head(PENALTY.code) == 1


async def test_it_is_answered_the_same_way_when_it_is_delivered_twice(store: Store) -> None:
    first = await deliver(store, ROWS)
    once = await come_again(store, first, arrival=2)

    twice = await come_again(store, first, arrival=2)

    assert once is not None
    assert twice is not None
    assert twice.seen
    assert twice.counts == once.counts == {"unchanged": 3}


async def test_it_is_recognised_day_after_day(store: Store) -> None:
    before = await deliver(store, ROWS)
    answers = []

    for arrival in range(2, 9):
        answers.append(await come_again(store, before, arrival))
        before = replace(batch(ROWS, arrival=arrival).header, content=before.content)

    assert [answer.counts for answer in answers if answer] == [{"unchanged": 3}] * 7


async def test_changes_to_other_records_do_not_matter(store: Store) -> None:
    first = await deliver(store, ROWS)
    await say(store, Said("other"), arrival=2)
    await say(store, Said("other", "b"), arrival=3)

    receipt = await come_again(store, first, arrival=4)

    assert receipt is not None
    assert receipt.counts == {"unchanged": 3}


@pytest.mark.parametrize("touched", [Said("k2", "b"), Said("k2", op="D"), Said("k2", status=2)])
async def test_its_rows_are_asked_for_once_one_of_them_was_touched(store: Store, touched: Said) -> None:
    first = await deliver(store, ROWS)
    await say(store, touched, arrival=2)

    receipt = await come_again(store, first, arrival=3)

    assert receipt is None
    assert await store.receipt(batch(ROWS, arrival=3).header.batch_id) is None


async def test_a_piece_with_a_row_that_was_not_stored_is_not_remembered(store: Store) -> None:
    first = await deliver(store, [*ROWS[:2], Said("k3", subject=None)])

    receipt = await come_again(store, first, arrival=2)

    assert receipt is None


async def test_an_unknown_piece_is_asked_for(store: Store) -> None:
    stranger = replace(batch(ROWS).header, content="c" * 32)

    receipt = await come_again(store, stranger, arrival=2)

    assert receipt is None


async def test_pieces_of_old_arrivals_are_forgotten(store: Store) -> None:
    first = await deliver(store, ROWS)
    await deliver(store, [Said("k9")], arrival=9)

    receipt = await come_again(store, first, arrival=10)

    assert receipt is None
