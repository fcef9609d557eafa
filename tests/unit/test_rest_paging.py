"""Walking over pages: when a list is whole, and how one that moves is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.rest.answers import Page
from connectors.rest.paging import Moved, Step, Walk
from connectors.rest.settings import RestRead
from hub.contracts.errors import Misconfigured

Rows = Sequence[int]


def made(rows: Rows, total: int | None = None, following: str | None = None, link: str = "") -> Page:
    return Page([{"id": str(row)} for row in rows], total, f"digest of {list(rows)}", {"next": following}, b"", link)


def walked(kind: dict[str, Any], answers: Callable[[Step], Page], **how: Any) -> tuple[list[int], Walk]:
    async def fetch(step: Step) -> Page:
        await asyncio.sleep(0)
        return answers(step)

    async def run() -> list[int]:
        return [int(row["id"] or 0) async for page in walk.pages() for row in page.rows]

    walk = Walk(RestRead.model_validate(kind), fetch, **how)
    return asyncio.run(run()), walk


def numbered(count: int, size: int, *, total: bool = True, clamps: bool = False) -> Callable[[Step], Page]:
    """A list of `count` rows in pages of `size`, whatever is asked for; one that clamps repeats its last page."""

    def answer(step: Step) -> Page:
        number = int(step.params["pageNo"])
        last = max(1, -(-count // size))
        number = min(number, last) if clamps else number
        return made(range((number - 1) * size, min(number * size, count)), count if total else None)

    return answer


@given(count=st.integers(0, 60), size=st.integers(1, 20), total=st.booleans(), width=st.integers(1, 5))
def test_every_row_comes_once_and_in_order(count: int, size: int, *, total: bool, width: int) -> None:
    rows, walk = walked({"pages": {"size": 20}}, numbered(count, size, total=total), width=width)

    assert rows == list(range(count))
    assert walk.done


@given(count=st.integers(0, 60), size=st.integers(1, 20), total=st.booleans())
def test_offsets_go_by_the_rows_that_came(count: int, size: int, *, total: bool) -> None:
    def answer(step: Step) -> Page:
        start = int(step.params["offset"])
        return made(range(start, min(start + size, count)), count if total else None)

    rows, _ = walked({"offset": {"size": 20}}, answer, width=3)

    assert rows == list(range(count))


def test_a_repeated_last_page_is_the_end_only_behind_a_short_one() -> None:
    rows, _ = walked({"pages": {}}, numbered(25, 10, total=False, clamps=True))

    assert rows == list(range(25))
    with pytest.raises(Misconfigured, match="came twice"):
        walked({"pages": {}}, numbered(20, 10, total=False, clamps=True))


def test_the_total_stands_for_the_end_where_the_last_page_repeats() -> None:
    rows, _ = walked({"pages": {}}, numbered(20, 10, clamps=True))

    assert rows == list(range(20))


def test_a_page_that_came_before_is_noticed() -> None:
    answer = numbered(40, 10)

    with pytest.raises(Moved, match="twice"):
        walked({"pages": {}}, lambda step: answer(Step({"pageNo": "2"}) if step.params["pageNo"] == "3" else step), width=4)


@pytest.mark.parametrize("total", [True, False])
def test_a_skipped_row_is_noticed(total: bool) -> None:
    answer = numbered(40, 10, total=total)

    def short(step: Step) -> Page:
        page = answer(step)
        return made([int(row["id"] or 0) for row in page.rows[:-1]], page.total) if step.params["pageNo"] == "2" else page

    with pytest.raises(Moved):
        walked({"pages": {}}, short)


def test_a_total_that_changes_is_noticed() -> None:
    def answer(step: Step) -> Page:
        number = int(step.params["pageNo"])
        return made(range(number * 10, number * 10 + 10), 30 + number)

    with pytest.raises(Moved, match="total changed"):
        walked({"pages": {}}, answer)


def test_a_total_without_rows_is_noticed() -> None:
    with pytest.raises(Moved, match="5 rows, and there were 0"):
        walked({"pages": {}}, lambda step: made([], 5))


def test_a_list_that_has_more_than_its_only_page_needs_paging() -> None:
    with pytest.raises(Misconfigured, match="5 rows, and there were 3") as wrong:
        walked({}, lambda step: made([1, 2, 3], 5))

    assert "`pages`" in wrong.value.hint


@pytest.mark.parametrize("end", [None, "", "0"])
def test_a_cursor_is_followed_to_its_end(end: str | None) -> None:
    pages = {"": made([1], following="b"), "b": made([], following="c"), "c": made([2], following=end)}

    rows, walk = walked({"cursor": {"at": "next"}}, lambda step: pages[step.params.get("cursor", "")])

    assert rows == [1, 2]
    assert walk.count == 3


def test_a_cursor_that_leads_round_in_a_circle_is_noticed() -> None:
    pages = {"": made([1], following="b"), "b": made([2], following="c"), "c": made([], following="b")}

    with pytest.raises(Moved, match="circle"):
        walked({"cursor": {"at": "next"}}, lambda step: pages[step.params.get("cursor", "")])


def test_links_are_followed_also_when_they_are_relative() -> None:
    pages = {"": made([1], link="https://x/a?p=2"), "https://x/a?p=2": made([2], link="?p=3"), "https://x/a?p=3": made([3])}

    rows, _ = walked({"link": {}}, lambda step: pages[step.url])

    assert rows == [1, 2, 3]


@given(count=st.integers(0, 40), size=st.integers(1, 9), start=st.integers(0, 40))
def test_what_follows_the_last_id_comes_once(count: int, size: int, start: int) -> None:
    def answer(step: Step) -> Page:
        after = int(step.params["lastId"])
        return made([n for n in range(1, count + 1) if n > after][:size])

    rows, walk = walked({"last_id": {"field": "id"}}, answer, last_id=str(start))

    assert rows == list(range(start + 1, count + 1))
    assert walk.last_id == str(max(count, start))


def test_an_id_that_does_not_move_on_is_noticed() -> None:
    with pytest.raises(Moved):
        walked({"last_id": {"field": "id"}}, lambda step: made([7], following=str(step)), last_id="0")


def test_rows_without_their_id_are_a_matter_of_configuration() -> None:
    with pytest.raises(Misconfigured, match="no number"):
        walked({"last_id": {"field": "number"}}, lambda step: made([7]), last_id="0")


def test_at_most_so_many_requests_are_under_way_and_order_is_kept() -> None:
    under_way = most = 0

    async def fetch(step: Step) -> Page:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        number = int(step.params["pageNo"])
        for _ in range(20 - number):  # later pages come back sooner
            await asyncio.sleep(0)
        under_way -= 1
        return made([number], 12)

    async def run() -> list[str | None]:
        walk = Walk(RestRead.model_validate({"pages": {"size": 1}}), fetch, width=4)
        return [page.rows[0]["id"] async for page in walk.pages()]

    assert asyncio.run(run()) == [str(number) for number in range(1, 13)]
    assert most == 4
