"""The promises of a central store, written once; every store is held to them."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.contracts.batch import RECORD_ID, Fate, Receipt
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.item import Field, Item
from hub.contracts.store import Store
from tests.contract.store_batches import ID_NO, KEYS, NOW, PENALTY, batch, content, fates, item, say, texts
from tests.contract.store_oracle import Said


class StoreContract:
    """Subclass with `opened(folder)`, and the promises are tested."""

    def opened(self, folder: Path, **options: Any) -> Store:
        """A store in a folder, with the clock at `NOW`."""
        raise NotImplementedError

    def held(self, folder: Path) -> AbstractContextManager[None]:
        """While it lasts, somebody else holds a lock that writing needs."""
        raise NotImplementedError

    def at_rest(self, folder: Path) -> bytes:
        """Everything that lies on disk."""
        raise NotImplementedError

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        store = self.opened(tmp_path)
        await store.prepare([PENALTY])
        yield store
        await store.close()

    async def test_tells_new_changed_equal_and_withdrawn_rows_apart(self, store: Store) -> None:
        await say(store, Said("k1"), Said("k2"), Said("k3"))

        receipt = await say(store, Said("k1"), Said("k2", "b"), Said("k3", op="D"), Said("k4"), Said("k5", status=1), Said("k6", subject=None), arrival=2)

        assert fates(receipt) == [Fate.UNCHANGED, Fate.UPDATED, Fate.WITHDRAWN, Fate.INSERTED, Fate.WITHDRAWN, Fate.UNMATCHED]
        assert receipt.counts == {"unchanged": 1, "updated": 1, "withdrawn": 2, "inserted": 1, "unmatched": 1}
        assert await texts(store) == {"k1": ("a", 0), "k2": ("b", 0), "k3": ("a", 1), "k4": ("a", 0), "k5": ("a", 1)}

    async def test_rows_come_back_typed_and_with_sealed_fields_in_clear(self, store: Store) -> None:
        said = Said("k1", time=datetime(2026, 3, 1))
        await say(store, said)

        row = (await store.rows(PENALTY, [KEYS.hash_text("k1"), KEYS.hash_text("nobody")])).row(0, named=True)

        assert {name: row[name] for name in ("fine", "months", "decided", "noted", "id_no", "source_time", "first_seen")} == {
            "fine": batch([said]).frame["fine"][0],
            "months": 3,
            "decided": date(2026, 3, 5),
            "noted": datetime(2026, 3, 5, 6, 7, 8),
            "id_no": ID_NO,
            "source_time": datetime(2026, 3, 1),
            "first_seen": NOW,
        }

    async def test_the_same_batch_twice_changes_nothing_and_answers_the_same(self, store: Store) -> None:
        first = await say(store, Said("k1"), Said("k2"), Said("k1"))
        before = await content(store)

        again = await say(store, Said("k1"), Said("k2"), Said("k1"))

        assert (first.seen, again.seen) == (False, True)
        assert (fates(again), again.seq, await content(store)) == (fates(first), first.seq, before)
        assert fates(await self._receipt(store, again.batch_id)) == fates(first)
        assert await store.receipts(PENALTY.code) == {first.batch_id: first.counts}

    @staticmethod
    async def _receipt(store: Store, batch_id: str) -> Receipt:
        found = await store.receipt(batch_id)
        assert found is not None
        return found

    async def test_an_unknown_batch_has_no_receipt(self, store: Store) -> None:
        assert await store.receipt("0" * 32) is None

    async def test_the_same_rows_in_a_new_arrival_are_unchanged_persons_included(self, store: Store) -> None:
        await say(store, Said("k1"), Said("k2"))
        before = await content(store)

        receipt = await say(store, Said("k1"), Said("k2"), arrival=2)

        assert fates(receipt) == [Fate.UNCHANGED, Fate.UNCHANGED]
        assert receipt.seq is None
        assert await content(store) == before

    async def test_many_rows_in_a_new_arrival_are_found_again_wherever_they_lie(self, store: Store) -> None:
        first, second = ([Said(f"k{n}") for n in range(start, start + 3000)] for start in (0, 3000))
        await say(store, *first)
        await say(store, *second, first=3000)

        shifted = [*first[1500:], *second[:1500], Said("new")]
        receipt = await say(store, *shifted, arrival=2)

        assert receipt.counts == {"unchanged": 3000, "inserted": 1}
        assert await store.count(PENALTY.code) == 6001

    async def test_in_one_batch_the_last_row_of_a_key_counts(self, store: Store) -> None:
        receipt = await say(store, Said("k1", "b"), Said("k1", "a"), Said("k2"), Said("k1", "b"))

        assert fates(receipt) == [Fate.DUPLICATE, Fate.SUPERSEDED, Fate.INSERTED, Fate.INSERTED]
        assert await texts(store) == {"k1": ("b", 0), "k2": ("a", 0)}

    async def test_an_earlier_arrival_that_comes_late_is_superseded(self, store: Store) -> None:
        await say(store, Said("k1", "b"), arrival=2)

        receipt = await say(store, Said("k1", "a"), arrival=1)

        assert fates(receipt) == [Fate.SUPERSEDED]
        assert await texts(store) == {"k1": ("b", 0)}

    async def test_source_time_goes_before_arrival_where_both_have_one(self, store: Store) -> None:
        await say(store, Said("k1", "new", time=datetime(2026, 5, 2)), Said("k2", "new", time=datetime(2026, 5, 2)))

        receipt = await say(store, Said("k1", "old", time=datetime(2026, 5, 1)), Said("k2", "old"), arrival=2)

        assert fates(receipt) == [Fate.SUPERSEDED, Fate.UPDATED]

    async def test_priority_of_the_feed_goes_before_arrival(self, store: Store) -> None:
        ranked = item("A0030-F06-02", priority={"A0030.city": 2, "A0030.district": 1})
        await store.prepare([ranked])
        await say(store, Said("k1", "city"), of=ranked, feed="A0030.city")

        late = await say(store, Said("k1", "district"), of=ranked, feed="A0030.district", arrival=2)
        own = await say(store, Said("k1", "city again"), of=ranked, feed="A0030.city", arrival=3)

        assert fates(late) + fates(own) == [Fate.SUPERSEDED, Fate.UPDATED]

    async def test_a_replay_corrects_its_own_arrival_but_nothing_later(self, store: Store) -> None:
        await say(store, Said("k1", "wrong"), Said("k2", "wrong"))
        await say(store, Said("k2", "later"), arrival=2, first=1)

        receipt = await say(store, Said("k1", "right"), Said("k2", "right"), generation=1)
        older = await say(store, Said("k1", "wrong again"), generation=0, first=0)

        assert fates(receipt) + fates(older) == [Fate.UPDATED, Fate.SUPERSEDED, Fate.SUPERSEDED]
        assert await texts(store) == {"k1": ("right", 0), "k2": ("later", 0)}

    async def test_a_delete_of_an_unknown_record_leaves_a_tombstone(self, store: Store) -> None:
        deleted = await say(store, Said("k1", op="D", subject=None), arrival=2)

        late = await say(store, Said("k1", "b"), arrival=1)
        again = await say(store, Said("k1", op="D", subject=None), arrival=3)

        assert fates(deleted) + fates(late) + fates(again) == [Fate.WITHDRAWN, Fate.SUPERSEDED, Fate.UNCHANGED]
        assert await store.count(PENALTY.code) == 1

    async def test_a_withdrawn_record_can_come_back_and_keeps_when_it_was_first_seen(self, tmp_path: Path) -> None:
        hours = iter(range(24))
        store = self.opened(tmp_path, clock=lambda: NOW.replace(hour=next(hours)))
        await store.prepare([PENALTY])
        await say(store, Said("k1"))
        await say(store, Said("k1", op="D"), arrival=2)

        receipt = await say(store, Said("k1"), arrival=3)

        assert fates(receipt) == [Fate.UPDATED]
        assert [(row["status"], row["first_seen"].hour, row["updated_at"].hour) for row in await content(store)] == [(0, 0, 2)]
        await store.close()

    async def test_the_journal_tells_what_changed_without_a_gap(self, store: Store) -> None:
        await say(store, Said("k1"), Said("k2"))
        await say(store, Said("k1"), arrival=2)
        await say(store, Said("k1", "b"), Said("k2", op="D"), Said("k3"), Said("k4", subject=None), arrival=3)

        first, second = await store.journal(PENALTY.code, 0, limit=10)

        assert (first.seq, second.seq, await store.head(PENALTY.code)) == (1, 2, 2)
        assert second.counts == {"insert": 1, "update": 1, "withdraw": 1}
        told = {(row["_op"], row["doc_no"], row["text"], row["status"], row[RECORD_ID]) for row in second.rows.to_dicts()}
        assert told == {
            ("update", "k1", "b", 0, KEYS.hash_text("k1")),
            ("withdraw", "k2", "a", 1, KEYS.hash_text("k2")),
            ("insert", "k3", "a", 0, KEYS.hash_text("k3")),
        }
        assert [entry.seq for entry in await store.journal(PENALTY.code, 1)] == [2]

    async def test_journal_rows_equal_the_stored_rows(self, store: Store) -> None:
        await say(store, Said("k1"), Said("k2"))

        (entry,) = await store.journal(PENALTY.code, 0)

        stored = [row async for chunk in store.scan(PENALTY, columns=entry.rows.columns[2:]) for row in chunk.to_dicts()]
        assert entry.rows.drop(RECORD_ID, "_op").sort("record_id").to_dicts() == stored

    async def test_subjects_are_found_by_their_identifier(self, store: Store) -> None:
        await say(store, Said("k1", subject="91320581MA0000A19W"))
        await say(store, Said("k2", subject="91320581MA0000A19W"), Said("k3", subject="91320581MA0000B231"), arrival=2)

        found = [await store.subject("uscc", identifier) for identifier in ("91320581MA0000A19W", "91320581MA0000B231", "nobody")]

        assert found == [KEYS.hash_text("91320581MA0000A19W"), KEYS.hash_text("91320581MA0000B231"), None]

    async def test_finds_by_plain_column_by_sealed_value_and_by_its_hash(self, store: Store) -> None:
        await say(store, Said("k1", "x"), Said("k2", "y"))

        by_text, by_value = await store.find(PENALTY, text="y"), await store.find(PENALTY, id_no=ID_NO)
        by_hash = await store.find(PENALTY, id_no_hash=KEYS.hash_text(ID_NO), text="x")

        assert (by_text["doc_no"].to_list(), set(by_value["doc_no"]), by_hash["doc_no"].to_list()) == (["k2"], {"k1", "k2"}, ["k1"])

    async def test_scans_in_chunks_in_the_order_of_record_ids(self, store: Store) -> None:
        await say(store, *(Said(f"k{n}") for n in range(7)))

        chunks = [chunk["record_id"].to_list() async for chunk in store.scan(PENALTY, columns=["record_id"], size=3)]

        assert [len(chunk) for chunk in chunks] == [3, 3, 1]
        assert [record_id for chunk in chunks for record_id in chunk] == sorted(KEYS.hash_text(f"k{n}") for n in range(7))

    async def test_an_unknown_column_is_misconfigured(self, store: Store) -> None:
        with pytest.raises(Misconfigured, match="no column"):
            await store.find(PENALTY, colour="red")

    async def test_an_item_without_a_table_is_misconfigured(self, store: Store) -> None:
        with pytest.raises(Misconfigured, match="tables"):
            await say(store, Said("k1"), of=item("A0030-F06-99"))

    async def test_a_catalogue_that_grew_is_misconfigured_and_names_the_column(self, store: Store) -> None:
        grown = item()
        more = Item(**{**{name: getattr(grown, name) for name in grown.__dataclass_fields__}, "fields": (*grown.fields, Field("extra", "新"))})

        with pytest.raises(Misconfigured, match="extra"):
            await store.prepare([more])

    async def test_an_id_number_is_in_clear_nowhere_in_the_files(self, store: Store, tmp_path: Path) -> None:
        await say(store, *(Said(f"k{n}") for n in range(50)), Said("lost", subject=None))
        await say(store, Said("k1", "b"), Said("lost", "b", subject=None), arrival=2)

        at_rest = self.at_rest(tmp_path)

        assert len(at_rest) > 10_000
        assert ID_NO.encode() not in at_rest

    async def test_a_locked_store_is_unavailable_and_works_again_afterwards(self, tmp_path: Path) -> None:
        store = self.opened(tmp_path, wait_s=0.1)
        await store.prepare([PENALTY])
        await say(store, Said("k1"))

        with self.held(tmp_path), pytest.raises(Unavailable, match="locked"):
            await say(store, Said("k2"))

        assert fates(await say(store, Said("k2"))) == [Fate.INSERTED]
        await store.close()

    async def test_a_loader_that_lost_its_item_changes_nothing(self, store: Store, tmp_path: Path) -> None:
        zombie = self.opened(tmp_path)
        await say(zombie, Said("k1"), fence=1)
        await say(store, Said("k2"), arrival=2, fence=2)

        with pytest.raises(Unavailable, match="taken over") as raised:
            await say(zombie, Said("k1", "b"), Said("k3"), arrival=3, fence=1)
        with pytest.raises(Unavailable, match="taken over"):
            await zombie.recognise(batch([Said("k1")], arrival=4).header, PENALTY, fence=1)
        await zombie.close()

        assert raised.value.code == "fenced"
        assert await texts(store) == {"k1": ("a", 0), "k2": ("a", 0)}
        assert len(await store.receipts(PENALTY.code)) == await store.head(PENALTY.code) == 2
        assert fates(await say(store, Said("k3"), arrival=5, fence=2)) == [Fate.INSERTED]

    async def test_two_loaders_that_apply_one_batch_at_once_have_one_effect(self, store: Store, tmp_path: Path) -> None:
        other, rows = self.opened(tmp_path), [Said(f"k{n}") for n in range(300)]
        await other.prepare([PENALTY])

        receipts = await asyncio.gather(say(store, *rows), say(other, *rows))

        assert sorted(receipt.seen for receipt in receipts) == [False, True]
        assert fates(receipts[0]) == fates(receipts[1])
        assert [receipt.seq for receipt in receipts] == [1, 1]
        assert (await store.count(PENALTY.code), await store.head(PENALTY.code)) == (300, 1)
        await other.close()

    async def test_loaders_that_take_turns_know_of_each_other_s_rows(self, store: Store, tmp_path: Path) -> None:
        other = self.opened(tmp_path)
        await say(store, Said("k1"))
        await say(other, Said("k2"), arrival=2)
        await say(store, Said("k3"), arrival=3)

        receipt = await say(other, Said("k1", "b"), Said("k2"), Said("k3"), Said("k4"), arrival=4)

        assert fates(receipt) == [Fate.UPDATED, Fate.UNCHANGED, Fate.UNCHANGED, Fate.INSERTED]
        assert fates(await say(store, Said("k4"), arrival=5)) == [Fate.UNCHANGED]
        await other.close()

    async def test_characters_of_four_bytes_and_of_every_kind_come_back(self, store: Store) -> None:
        text = "𠮷野家\n\"quoted\", 'it''s' \\N \t|%s"
        await say(store, *(Said(f"k{n}", text) for n in range(30)))

        await say(store, *(Said(f"k{n}", text + "!") for n in range(1, 30)), arrival=2)

        assert await texts(store) == {"k0": (text, 0)} | {f"k{n}": (text + "!", 0) for n in range(1, 30)}

    async def test_a_cancelled_call_is_finished_before_the_cancellation_goes_on(self, store: Store) -> None:
        rows = [Said(f"k{n}") for n in range(5000)]
        task = asyncio.create_task(say(store, *rows))
        await asyncio.sleep(0)

        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

        assert await store.count(PENALTY.code) in (0, 5000)
        assert await store.count(PENALTY.code) == 5000 * len(await store.receipts(PENALTY.code))

    async def test_a_killed_process_leaves_whole_batches_only(self, tmp_path: Path) -> None:
        chance, store = random.Random(20261101), self.opened(tmp_path)
        for _ in range(3):
            await _kill_while_applying(type(self), tmp_path, after=chance.randint(1, 4), pause=chance.uniform(0, 0.05))

        applied = await store.receipts(PENALTY.code)
        heard = [entry.seq for seq in range(await store.head(PENALTY.code)) for entry in await store.journal(PENALTY.code, seq)]

        assert len(applied) >= 3
        assert await store.count(PENALTY.code) == 500 * len(applied)
        assert heard == list(range(1, len(applied) + 1))
        await store.close()


@contextmanager
def held_file(path: Path) -> Iterator[None]:
    """Another program holds a SQLite file's write lock."""
    code = f"import sqlite3, sys; c = sqlite3.connect({str(path)!r}, isolation_level=None); c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.readline(); c.close()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    yield
    holder.communicate(b"\n", timeout=10)


async def _kill_while_applying(case: type[StoreContract], folder: Path, *, after: int, pause: float) -> None:
    """Run `apply_for_ever` in a process of its own and SIGKILL it some time after it has applied `after` batches."""
    code = f"from {case.__module__} import {case.__name__} as case; from tests.contract.store_contract import apply_for_ever; apply_for_ever(case, {str(folder)!r})"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(after):
        assert await asyncio.wait_for(child.stdout.readline(), 30) == b"applied\n"
    await asyncio.sleep(pause)
    child.kill()
    await child.wait()


def apply_for_ever(case: type[StoreContract], folder: str) -> None:
    """Apply one batch of 500 new rows after another, saying so each time."""

    async def apply() -> None:
        store = case().opened(Path(folder))
        await store.prepare([PENALTY])
        arrival = len(await store.receipts(PENALTY.code))
        while True:
            arrival += 1
            await say(store, *(Said(f"{arrival}/{n}") for n in range(500)), arrival=arrival)
            print("applied", flush=True)

    asyncio.run(apply())
