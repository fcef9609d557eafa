"""Both ways into a SQLite store keep the promises, and leave the same content as the oracle says."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Table

from connectors.stores import open_store
from connectors.stores.adbc import AdbcSession
from connectors.stores.generic import GenericStore
from connectors.stores.sqlite import SqliteStore
from connectors.stores.table_store import TableStore
from connectors.stores.tables import item_table
from hub.contracts.batch import Fate
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.item import Item
from hub.contracts.store import Store
from tests.contract.store_batches import FEED, KEYS, NOW, PENALTY, fates, item, say
from tests.contract.store_contract import StoreContract, held_file
from tests.contract.store_oracle import Fold, Said


def fast(folder: Path, **options: Any) -> Store:
    return SqliteStore(folder / "store.sqlite", KEYS, **{"clock": lambda: NOW, **options})


def generic(folder: Path, **options: Any) -> Store:
    return GenericStore(f"sqlite:///{folder / 'store.sqlite'}", KEYS, **{"clock": lambda: NOW, **options})


def in_files(folder: Path) -> bytes:
    """Everything that a folder's files hold."""
    return b"".join(file.read_bytes() for file in folder.iterdir())


class TestSqliteStore(StoreContract):
    def opened(self, folder: Path, **options: Any) -> Store:
        return fast(folder, **options)

    def held(self, folder: Path) -> AbstractContextManager[None]:
        return held_file(folder / "store.sqlite")

    def at_rest(self, folder: Path) -> bytes:
        return in_files(folder)


class TestGenericStore(StoreContract):
    def opened(self, folder: Path, **options: Any) -> Store:
        return generic(folder, **options)

    def held(self, folder: Path) -> AbstractContextManager[None]:
        return held_file(folder / "store.sqlite")

    def at_rest(self, folder: Path) -> bytes:
        return in_files(folder)


BOTH = pytest.mark.parametrize("opened", [fast, generic])
TIMES = [None, datetime(2026, 1, 1), datetime(2026, 1, 2)]
SAID = st.builds(
    Said,
    key=st.sampled_from("abcd"),
    text=st.sampled_from("xyz"),
    op=st.sampled_from("UUUD"),
    status=st.sampled_from([0, 0, 0, 1, 2]),
    subject=st.sampled_from(["s", "s", "t", None]),
    time=st.sampled_from(TIMES),
)
BATCHES = st.lists(
    st.tuples(st.lists(SAID, min_size=1, max_size=6), st.sampled_from([FEED, "A0030.district"]), st.integers(1, 4), st.integers(0, 1)), min_size=1, max_size=6
)


def raw_rows(path: Path, table: str, leave_out: set[str]) -> list[tuple[Any, ...]]:
    """Rows as SQLite holds them, with the type of each value."""
    with sqlite3.connect(path) as connection:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in leave_out]
        chosen = ", ".join(f"{name}, typeof({name})" for name in names)
        rows = connection.execute(f"SELECT {chosen} FROM {table}").fetchall()
    connection.close()
    return sorted(rows, key=repr)


def test_both_ways_follow_the_oracle_on_random_batches(tmp_path: Path) -> None:
    folders = [tmp_path / "fast", tmp_path / "generic"]
    for folder in folders:
        folder.mkdir()
    stores, number = [fast(folders[0]), generic(folders[1])], count()
    loop = asyncio.new_event_loop()

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(BATCHES, st.sampled_from([{}, {FEED: 2}, {FEED: 1, "A0030.district": 5}]))
    def follow(batches: list[tuple[list[Said], str, int, int]], priority: dict[str, int]) -> None:
        own = item(f"A0030-F06-{next(number)}", priority=priority)
        for store in stores:
            loop.run_until_complete(store.prepare([own]))
            loop.run_until_complete(_follow(store, own, batches))

    follow()
    for store in stores:
        loop.run_until_complete(store.close())
    loop.close()

    for code in range(next(number)):
        table = item_table(item(f"A0030-F06-{code}")).name
        assert raw_rows(folders[0] / "store.sqlite", table, {"id_no"}) == raw_rows(folders[1] / "store.sqlite", table, {"id_no"})
    for table, sealed in {"subject": set(), "subject_identifier": set(), "inbox": {"fates"}, "journal": {"body"}, "unmatched": {"row"}, "head": set()}.items():
        assert raw_rows(folders[0] / "store.sqlite", table, sealed) == raw_rows(folders[1] / "store.sqlite", table, sealed)


async def _follow(store: Store, own: Item, batches: list[tuple[list[Said], str, int, int]]) -> None:
    fold, applied = Fold(priority=own.priority), set()
    for rows, feed, arrival, generation in batches:
        receipt = await say(store, *rows, of=own, feed=feed, arrival=arrival, generation=generation)
        if receipt.batch_id not in applied:
            assert fates(receipt) == fold.apply(rows, feed, arrival, generation)
        assert receipt.seen == (receipt.batch_id in applied)
        applied.add(receipt.batch_id)
    found = {row["record_id"]: (row["row_hash"], row["status"]) for row in (await store.find(own)).to_dicts()}
    assert found == {KEYS.hash_text(key): (KEYS.hash_text(held.text), held.status) for key, held in fold.held.items()}


@BOTH
async def test_a_row_that_the_database_refuses_is_set_aside_alone(opened: Any, tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.prepare([PENALTY])
    await say(store, Said("k1"))
    await store.close()
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        for verb in ("INSERT", "UPDATE"):
            connection.execute(f"CREATE TRIGGER no_{verb} BEFORE {verb} ON {PENALTY.table} WHEN new.text = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END")
    connection.close()
    store = opened(tmp_path)

    receipt = await say(store, Said("k1", "bad"), Said("k2"), Said("k3", "bad"), Said("k4"), arrival=2)

    assert fates(receipt) == [Fate.REJECTED, Fate.INSERTED, Fate.REJECTED, Fate.INSERTED]
    assert receipt.refused.select("_ordinal", "code").rows() == [(0, "S001"), (2, "S001")]
    assert (await store.journal(PENALTY.code, 1))[0].rows["doc_no"].sort().to_list() == ["k2", "k4"]
    again = await say(store, Said("k1", "bad"), Said("k2"), Said("k3", "bad"), Said("k4"), arrival=2)
    assert again.refused.equals(receipt.refused)
    await store.close()


@BOTH
async def test_a_waiting_row_gives_way_to_a_later_one_of_its_record(opened: Any, tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.prepare([PENALTY])
    await say(store, Said("k1", "1", subject=None), Said("k2", subject=None))
    await say(store, Said("k1", "2", subject=None), arrival=2)
    await say(store, Said("k1", "3"), arrival=3)
    await store.close()

    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        waiting = connection.execute("SELECT ordinal, state, row IS NULL FROM unmatched ORDER BY state").fetchall()
    connection.close()

    assert waiting == [(0, "resolved", 1), (0, "superseded", 1), (1, "waiting", 0)]


async def test_the_fast_store_notices_that_somebody_else_wrote(tmp_path: Path) -> None:
    store = fast(tmp_path)
    await store.prepare([PENALTY])
    await say(store, Said("k1"))
    other = fast(tmp_path)
    await say(other, Said("k2"), arrival=2)

    receipt = await say(store, Said("k2"), arrival=3)

    assert fates(receipt) == [Fate.UNCHANGED]
    await store.close()
    await other.close()


async def test_a_full_disk_is_unavailable_and_leaves_nothing_behind(tmp_path: Path) -> None:
    class Full(AdbcSession):
        """A file that SQLite may not let grow: its own error for a full disk."""

        def create(self, tables: list[Table]) -> None:
            super().create(tables)
            self._say("PRAGMA max_page_count=1")

    roomy = fast(tmp_path)
    await roomy.prepare([PENALTY])
    await roomy.close()
    rows = [Said(f"k{n}") for n in range(3000)]
    full = TableStore(lambda readonly: Full(tmp_path / "store.sqlite", readonly=readonly), KEYS, beside=True)

    with pytest.raises(Unavailable, match="full") as raised:
        await say(full, *rows)
    assert await full.count(PENALTY.code) == 0
    await full.close()

    assert "free space" in raised.value.hint
    roomy = fast(tmp_path)
    assert (await say(roomy, *rows)).counts == {"inserted": 3000}
    await roomy.close()


async def test_a_folder_that_is_missing_is_misconfigured(tmp_path: Path) -> None:
    for store in (fast(tmp_path / "missing"), generic(tmp_path / "missing")):
        with pytest.raises(Misconfigured, match="store"):
            await store.prepare([PENALTY])
        await store.close()


def test_a_setting_names_the_store(tmp_path: Path) -> None:
    path, url = open_store(str(tmp_path / "ent.sqlite"), KEYS), open_store("sqlite:///ent.sqlite", KEYS)

    assert isinstance(path, SqliteStore)
    assert isinstance(url, GenericStore)
