"""What every source that has to be asked promises, beside what all sources do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from connectors.formats.pace import ZONE
from hub.contracts.errors import Unavailable
from tests.contract.source_contract import SourceContract, document, rows_of, settle_all

FIRST = datetime(2026, 11, 1, tzinfo=ZONE)


class PullContract(SourceContract):
    """Subclass with what the other side can do, beside the hooks of `SourceContract`."""

    def asked(self) -> Sequence[object]:
        """What the other side was asked so far."""
        raise NotImplementedError

    async def test_something_new_wakes_it(self) -> None:
        """Nobody tells us: the schedule wakes it, and until then it waits without asking."""
        source = self.source()
        waiting = asyncio.create_task(source.wake())

        self.send("1.csv", document(1))
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        waiting.cancel()
        await source.close()

        assert not done
        assert list(self.asked()) == []


class DailyContract(PullContract):
    """One that is asked for one day after the other; each day is a document, and an arrival. `days` are those that the other side has."""

    days: list[bytes]

    def spoil(self) -> None:
        """Let the next answer with rows be unreadable."""
        raise NotImplementedError

    def bring_back(self) -> None:
        """Make the other side answer again, at the same address, after `take_away`."""
        raise NotImplementedError

    def left(self) -> list[str]:
        waiting = [a.name for a in self.intake.arrivals.values() if not a.finished and a.number not in self.intake.reasons]
        until = datetime.fromisoformat(self.intake.notes["cursor"]["until"])
        until = until if until.tzinfo else until.replace(tzinfo=ZONE)
        return waiting + [f"day {day}" for day in range(len(self.days)) if FIRST + timedelta(days=day) >= until]

    async def test_unreachable_peer_is_unavailable_and_comes_back(self) -> None:
        self.send("1.csv", document(3))
        source = self.source()
        self.take_away()

        with pytest.raises(Unavailable) as away:
            await settle_all(source, self.intake)
        self.bring_back()
        batches = await settle_all(source, self.intake)
        await source.close()

        assert away.value.hint
        assert len(rows_of(batches)) == 3

    async def test_an_unreadable_document_does_not_hold_up_the_next(self) -> None:
        """An answer that cannot be read never becomes an arrival, and is asked for again: nothing of its day is passed over."""
        self.send("1.csv", document(2, "甲"))
        self.send("2.csv", document(3, "乙"))
        self.spoil()
        source = self.source()

        with pytest.raises(Unavailable):
            await settle_all(source, self.intake)
        held = dict(self.intake.arrivals)
        batches = await settle_all(source, self.intake)
        await source.close()

        assert held == {}
        assert [name for name, _ in rows_of(batches)] == ["甲0", "甲1", "乙0", "乙1", "乙2"]
