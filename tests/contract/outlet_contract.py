"""What every outlet promises, written once. A connector's class says how to open it and how to look at what arrived."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Protocol

import polars as pl
import pytest

from hub.contracts.errors import HubError, Unavailable
from hub.contracts.share import Outlet, Parcel

RECORDS = pl.DataFrame(
    {
        "record_id": ["a" * 32, "b" * 32],
        "op": ["upsert", "withdraw"],
        "version": ["0000000001.0000000000.ab", None],
        "xdr_name": ["常熟某某有限公司", None],
        "decision_date": [date(2026, 11, 1), None],
    }
)
PARCEL = Parcel("5" * 32, "A0030.s", "A0011", "A0030-F06-01", "行政处罚信息（法人）", 1, RECORDS, "grant 文1", datetime(2026, 11, 2, tzinfo=UTC))


class Place(Protocol):
    """An outlet and the other side of it."""

    outlet: Outlet

    async def arrived(self) -> dict[str, bytes]:
        """What the other side keeps, by delivery id; a repeat is told by its id and counts once."""

    async def go_away(self) -> None:
        """The other side cannot take anything from now on."""


class OutletContract:
    """Subclass with `place`, and the promises are tested. `absence` is how an absent other side shows."""

    absence: type[HubError] = Unavailable

    def place(self) -> AbstractAsyncContextManager[Place]:
        """Open an outlet to an empty other side."""
        raise NotImplementedError

    async def test_returns_only_when_the_other_side_has_it(self) -> None:
        async with self.place() as place:
            evidence = await place.outlet.hand_over(PARCEL)

            assert list(await place.arrived()) == [PARCEL.delivery_id]
            assert json.loads(json.dumps(evidence)) == dict(evidence)
            assert evidence

    async def test_the_other_side_can_tell_a_repeat(self) -> None:
        async with self.place() as place:
            await place.outlet.hand_over(PARCEL)
            once = await place.arrived()
            await place.outlet.hand_over(PARCEL)

            assert await place.arrived() == once

    async def test_two_parcels_are_two(self) -> None:
        async with self.place() as place:
            await place.outlet.hand_over(PARCEL)
            await place.outlet.hand_over(replace(PARCEL, delivery_id="6" * 32, sequence=2))

            assert sorted(await place.arrived()) == ["5" * 32, "6" * 32]

    async def test_a_withdrawal_names_the_record_and_nothing_of_it(self) -> None:
        async with self.place() as place:
            await place.outlet.hand_over(replace(PARCEL, records=RECORDS.tail(1)))

            (content,) = (await place.arrived()).values()
            assert b"b" * 32 in content
            assert b"withdraw" in content
            assert "常熟".encode() not in content

    async def test_an_absent_other_side_is_told_with_a_way_out(self) -> None:
        async with self.place() as place:
            await place.go_away()

            with pytest.raises(self.absence) as caught:
                await place.outlet.hand_over(PARCEL)

            assert caught.value.hint
            assert "常熟" not in caught.value.message

    async def test_closing_twice_is_no_error(self) -> None:
        async with self.place() as place:
            await place.outlet.hand_over(PARCEL)
            await place.outlet.close()
            await place.outlet.close()
