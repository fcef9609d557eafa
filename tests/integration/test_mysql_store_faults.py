"""A store on a real MariaDB when things go wrong: servers that die, commits that nobody answers, locks, replicas and full disks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

import polars as pl
import pytest
from sqlalchemy import Table, insert, update

from connectors.stores.mysql import MysqlSession, MysqlStore
from connectors.stores.session import CONFLICT
from connectors.stores.table_store import TableStore
from connectors.stores.tables import HEAD, OWN_TABLES
from hub.contracts.address import Address, address_of
from hub.contracts.errors import Unavailable
from tests.contract.store_batches import KEYS, NOW, PENALTY, say
from tests.contract.store_oracle import Said
from tests.databases import MariaServer
from tests.integration.lost_commit import LostCommit

pytestmark = [pytest.mark.server, pytest.mark.faults]
MANY = [Said(f"k{n}") for n in range(2000)]


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaServer]:
    with MariaServer("tmpdir=.", "innodb_temp_data_file_path=ibtmp1:12M:autoextend:max:16M") as server:
        yield server


@pytest.fixture
def address(maria: MariaServer) -> Address:
    return address_of(maria.url(maria.database()))


def opened(address: Address) -> MysqlStore:
    return MysqlStore(address, KEYS, clock=lambda: NOW)


async def whole(store: MysqlStore | TableStore) -> tuple[int, int, int]:
    """Rows, journal entries, batches."""
    return await store.count(PENALTY.code), await store.head(PENALTY.code), len(await store.receipts(PENALTY.code))


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_what_became_of_a_commit_without_answer_is_asked_and_not_guessed(
    maria: MariaServer, address: Address, lost: Literal["request", "answer"]
) -> None:
    async with LostCommit(maria.port) as link:
        store = opened(replace(address, port=link.port))
        await store.prepare([PENALTY])
        link.lose = lost

        receipt = await say(store, *MANY)

        assert link.lost == 1
        assert receipt.seen == (lost == "answer")
        assert receipt.counts == {"inserted": 2000}
        assert await whole(store) == (2000, 1, 1)
        await store.close()


async def test_a_server_killed_in_the_middle_of_a_batch_has_none_of_it_and_takes_it_again(maria: MariaServer, address: Address) -> None:
    class Dying(MysqlSession):
        """The server dies when the rows are written and the subjects are to come."""

        def add_new(self, table: Table, rows: pl.DataFrame) -> None:
            if table.name == "subject":
                maria.kill()
            super().add_new(table, rows)

    store = TableStore(lambda readonly: Dying(address, readonly=readonly), KEYS, beside=True, clock=lambda: NOW)
    await store.prepare([PENALTY])

    with pytest.raises(Unavailable, match="does not answer"):
        await say(store, *MANY)
    maria.start()
    await store.close()
    again = opened(address)
    left = await whole(again)
    receipt = await say(again, *MANY)

    assert left == (0, 0, 0)
    assert receipt.counts == {"inserted": 2000}
    assert await whole(again) == (2000, 1, 1)
    await again.close()


async def test_a_connection_that_the_server_ended_while_idle_is_made_anew(maria: MariaServer, address: Address) -> None:
    store = opened(address)
    await store.prepare([PENALTY])
    await say(store, Said("k1"))

    for (number,) in maria.execute(f"SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{address.database}'"):
        maria.execute(f"KILL {number}")
    receipt = await say(store, Said("k2"), arrival=2)

    assert receipt.counts == {"inserted": 1}
    assert await whole(store) == (2, 2, 2)
    await store.close()


async def test_a_server_that_only_reads_is_waited_for(maria: MariaServer, address: Address) -> None:
    maria.execute(
        "CREATE USER plain IDENTIFIED BY 'Plain-1'",
        f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX, CREATE TEMPORARY TABLES ON {address.database}.* TO plain",
    )
    store = opened(replace(address, user="plain", password="Plain-1"))
    await store.prepare([PENALTY])

    maria.execute("SET GLOBAL read_only=1")
    with pytest.raises(Unavailable, match="no writes"):
        await say(store, Said("k1"))
    maria.execute("SET GLOBAL read_only=0")

    assert (await say(store, Said("k1"))).counts == {"inserted": 1}
    await store.close()


async def test_a_full_disk_is_unavailable_and_leaves_nothing_behind(address: Address) -> None:
    store, long = opened(address), "长" * 400
    await store.prepare([PENALTY])
    rows = 20_000
    await say(store, *(Said(f"k{n}") for n in range(rows)))

    with pytest.raises(Unavailable, match="disk is full") as raised:  # the updates do not fit in the room for temporary tables
        await say(store, *(Said(f"k{n}", long) for n in range(rows)), arrival=2)

    assert raised.value.code == "S507"
    assert await whole(store) == (rows, 1, 1)
    assert (await say(store, Said("k1", "b"), arrival=3)).counts == {"updated": 1}
    await store.close()


def test_of_two_transactions_that_wait_for_each_other_one_goes_on_and_the_other_may_be_repeated(address: Address) -> None:
    sessions, both, ended = [MysqlSession(address) for _ in range(2)], threading.Barrier(2), []
    sessions[0].create(list(OWN_TABLES))
    sessions[0].run(insert(HEAD), pl.DataFrame({"item": ["a", "b"], "seq": [1, 1], "fence": [0, 0]}))

    def cross(session: MysqlSession, items: str) -> None:
        try:
            with session.writing():
                session.run(update(HEAD).where(HEAD.c.item == items[0]).values(seq=2))
                both.wait(10)
                session.run(update(HEAD).where(HEAD.c.item == items[1]).values(seq=2))
            ended.append("done")
        except Unavailable as error:
            ended.append(error.code)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(cross, sessions, ("ab", "ba")))

    assert sorted(ended) == sorted([CONFLICT, "done"])
    for session in sessions:
        session.close()


async def test_loaders_of_two_items_that_name_the_same_subjects_both_end(maria: MariaServer, address: Address) -> None:
    items = [replace(PENALTY, code=f"A0030-F06-1{n}") for n in range(2)]
    stores = [opened(address) for _ in items]
    await stores[0].prepare(items)

    def rows(turn: int, step: int) -> list[Said]:
        return [Said(f"{turn}/{n}", subject=f"{turn}/s{n}") for n in range(300)][::step]

    async def load(number: int) -> list[dict[str, int]]:
        return [(await say(stores[number], *rows(turn, 1 - 2 * number), of=items[number], arrival=turn + 1)).counts for turn in range(8)]

    counts: list[Any] = await asyncio.gather(*(load(number) for number in range(2)))

    assert counts == [[{"inserted": 300}] * 8] * 2
    assert maria.execute("SELECT count(*) FROM subject", database=address.database) == [(2400,)]
    for store in stores:
        await store.close()
