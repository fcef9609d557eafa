"""What every source promises, written once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import polars as pl
import pytest

from connectors.memory import MemoryIntake
from hub.contracts.batch import Batch
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from hub.contracts.headings import normalise_heading
from hub.contracts.source import Source

TITLES = ("企业名称", "统一社会信用代码")
KNOWN = frozenset(map(normalise_heading, TITLES))
ROWS = 5  # rows of a batch in these tests


def document(rows: int, label: str = "甲") -> bytes:
    """A small delimited text with `rows` rows."""
    return "".join([",".join(TITLES) + "\n", *(f"{label}{i},{i:018}\n" for i in range(rows))]).encode()


async def settle_all(source: Source, intake: MemoryIntake) -> list[Batch]:
    """Read everything there is, settling each batch."""
    batches = []
    async with aclosing(source.batches()) as offered:
        async for batch in offered:
            batches.append(batch)
            intake.settle(batch)
    return batches


def rows_of(batches: list[Batch]) -> list[tuple[Any, ...]]:
    """Plain rows of batches."""
    frames = [b.frame.select(TITLES) for b in batches]
    return pl.concat(frames).rows() if frames else []


class SourceContract:
    """Subclass with `send`, `source` and what the peer can do wrong, and the promises are tested."""

    intake: MemoryIntake
    merges = False  # whether all documents that there are become one arrival

    @pytest.fixture(autouse=True)
    def _fresh(self, tmp_path: Any) -> None:
        self.intake = MemoryIntake()
        self.prepare(tmp_path)

    def prepare(self, tmp_path: Any) -> None:
        """Make the other side."""

    def send(self, name: str, content: bytes) -> None:
        """The other side has one more document."""
        raise NotImplementedError

    def source(self) -> Source:
        """A new source on the same other side, as after a restart."""
        raise NotImplementedError

    def left(self) -> list[str]:
        """Names of documents that the other side still offers."""
        raise NotImplementedError

    def take_away(self) -> None:
        """Make the other side unreachable."""
        raise NotImplementedError

    def misconfigure(self) -> None:
        """Make the other side refuse us."""
        raise NotImplementedError

    async def test_offers_everything_once_and_in_order(self) -> None:
        self.send("1.csv", document(12, "甲"))
        self.send("2.csv", document(3, "乙"))
        source = self.source()

        batches = await settle_all(source, self.intake)
        again = await settle_all(source, self.intake)
        await source.close()

        last = [(1, 10, 5)] if self.merges else [(1, 10, 2), (2, 0, 3)]
        assert [(b.header.arrival, b.header.first, b.header.rows) for b in batches] == [(1, 0, 5), (1, 5, 5), *last]
        assert [name for name, _ in rows_of(batches)] == [f"甲{i}" for i in range(12)] + [f"乙{i}" for i in range(3)]
        assert again == []
        assert self.left() == []

    async def test_offers_an_unsettled_batch_again(self) -> None:
        self.send("1.csv", document(12))
        source = self.source()
        async with aclosing(source.batches()) as offered:
            first = await anext(offered)
        await source.close()

        again = self.source()
        batches = await settle_all(again, self.intake)
        await again.close()

        assert batches[0].header == first.header
        assert len(rows_of(batches)) == 12

    async def test_abandoned_after_any_batch_nothing_is_lost_and_nothing_comes_twice(self) -> None:
        self.send("1.csv", document(12, "甲"))
        self.send("2.csv", document(7, "乙"))
        taken: list[Batch] = []

        for _ in range(20):
            source = self.source()
            async with aclosing(source.batches()) as offered:
                batch = await anext(offered, None)
            await source.close()
            if batch is None:
                break
            self.intake.settle(batch)
            taken.append(batch)

        assert rows_of(taken) == rows_of_documents(("甲", 12), ("乙", 7))
        assert len({b.header.batch_id for b in taken}) == len(taken) == (4 if self.merges else 5)

    async def test_the_document_is_kept_until_its_last_batch_is_settled(self) -> None:
        self.send("1.csv", document(5))
        source = self.source()

        async with aclosing(source.batches()) as offered:
            batch = await anext(offered)
            held = [a.finished for a in self.intake.arrivals.values()]
            self.intake.settle(batch)
            assert await anext(offered, None) is None
        await source.close()

        assert held == [False]
        assert [a.finished for a in self.intake.arrivals.values()] == [True]
        assert self.left() == []

    async def test_a_batch_can_be_cut_again_from_landing(self) -> None:
        self.send("1.csv", document(12))
        source = self.source()
        batches = await settle_all(source, self.intake)

        for batch in batches:
            again = await source.again(batch.header, self.intake.arrivals[1].cut)

            assert again.header == batch.header
            assert again.frame.equals(batch.frame)
        await source.close()

    async def test_looking_ahead_moves_nothing(self) -> None:
        self.send("1.csv", document(12))
        source = self.source()
        async with aclosing(source.batches()) as offered:
            first = await anext(offered)

            seen = [batch async for batch in source.ahead(first.header, 8)]
            self.intake.settle(first)
            second = await anext(offered)
        await source.close()

        assert sum(batch.header.rows for batch in seen) >= 8
        assert second.header.first == 5

    async def test_a_refused_document_is_put_aside_and_the_next_one_is_offered(self) -> None:
        self.send("1.csv", document(12, "甲"))
        self.send("2.csv", document(3, "乙"))
        source = self.source()

        async with aclosing(source.batches()) as offered:
            first = await anext(offered)
            following = await offered.athrow(Rejected("heading does not fit", code="F006"))
            self.intake.settle(following)
            assert await anext(offered, None) is None
        await source.close()

        assert (first.header.arrival, following.header.arrival) == (1, 2)
        assert self.intake.reasons[1].code == "F006"
        assert self.left() == []

    async def test_an_unreadable_document_does_not_hold_up_the_next(self) -> None:
        self.send("1.csv", document(2) + b"\xff\xff,1\n")
        self.send("2.csv", document(3, "乙"))
        source = self.source()

        batches = await settle_all(source, self.intake)
        await source.close()

        assert [name for name, _ in rows_of(batches)] == ["乙0", "乙1", "乙2"]
        assert self.intake.reasons[1].code == "F002"

    async def test_unreachable_peer_is_unavailable_and_comes_back(self) -> None:
        source = self.source()
        self.take_away()

        with pytest.raises(Unavailable) as away:
            await settle_all(source, self.intake)
        await source.close()

        assert away.value.hint

    async def test_a_peer_that_refuses_us_is_misconfigured(self) -> None:
        source = self.source()
        self.misconfigure()

        with pytest.raises(Misconfigured) as refused:
            await settle_all(source, self.intake)
        await source.close()

        assert refused.value.hint

    async def test_leaves_nothing_behind_when_abandoned(self) -> None:
        self.send("1.csv", document(12))
        before = asyncio.all_tasks()
        source = self.source()

        async with aclosing(source.batches()) as offered:
            await anext(offered)
        await source.close()

        assert asyncio.all_tasks() == before
        assert self.intake.arrivals[1].settled == 0

    async def test_something_new_wakes_it(self) -> None:
        source = self.source()
        waiting = asyncio.create_task(source.wake())
        await self.listening(source)

        self.send("1.csv", document(1))
        await asyncio.wait_for(waiting, 20)
        await source.close()

        assert waiting.done()

    async def listening(self, source: Source) -> None:
        """Return once the source listens."""
        await asyncio.sleep(0)


def rows_of_documents(*sent: tuple[str, int]) -> list[tuple[str, str]]:
    """Rows of documents made by `document`."""
    return [(f"{label}{i}", f"{i:018}") for label, rows in sent for i in range(rows)]
