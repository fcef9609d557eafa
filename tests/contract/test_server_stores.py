"""Stores on PostgreSQL and MariaDB, by the fast way and by the generic one: they keep the promises, and hold what a SQLite store holds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.stores import open_store
from connectors.stores.generic import GenericStore
from connectors.stores.mysql import MysqlStore
from connectors.stores.postgres import PostgresStore
from connectors.stores.sqlite import SqliteStore
from connectors.stores.tables import item_table
from hub.contracts.address import address_of
from hub.contracts.item import Item
from hub.contracts.store import Store
from tests.contract.store_batches import FEED, KEYS, NOW, PENALTY, fates, item, say
from tests.contract.store_contract import StoreContract
from tests.contract.store_oracle import Said
from tests.contract.store_servers import Server, bytes_at_rest, held, url_of
from tests.databases import MariaServer, PostgresServer

_HISTORY = 40


class OnServer(StoreContract):
    """The contract with a database for each folder."""

    kind: ClassVar[Callable[..., Store]]
    server: ClassVar[Server | None] = None

    def opened(self, folder: Path, **options: Any) -> Store:
        return type(self).kind(address_of(url_of(folder, self.server)), KEYS, **{"clock": lambda: NOW, **options})

    def held(self, folder: Path) -> AbstractContextManager[None]:
        assert self.server is not None
        return held(folder, self.server)

    def at_rest(self, folder: Path) -> bytes:
        assert self.server is not None
        return bytes_at_rest(folder, self.server)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaServer]:
    with MariaServer() as server:
        yield server


class _OnPostgres(OnServer):
    @pytest.fixture(autouse=True)
    def on(self, postgres: PostgresServer) -> None:
        type(self).server = postgres


class _OnMaria(OnServer):
    @pytest.fixture(autouse=True)
    def on(self, maria: MariaServer) -> None:
        type(self).server = maria


class TestPostgresStore(_OnPostgres):
    kind = PostgresStore


class TestGenericOnPostgres(_OnPostgres):
    kind = GenericStore


class TestMysqlStore(_OnMaria):
    kind = MysqlStore


class TestGenericOnMaria(_OnMaria):
    kind = GenericStore


def history(chance: random.Random) -> Iterator[tuple[list[Said], dict[str, Any]]]:
    """Batches of all kinds, small and large."""
    for arrival in range(1, _HISTORY):
        rows = [
            Said(
                f"k{chance.randrange(300)}",
                chance.choice(["x", "y", '𠮷 "z", \n\\', "长" * 50]),
                chance.choice("UUUUUD"),
                chance.choice([0, 0, 0, 1, 2]),
                chance.choice(["s", "t", f"u{chance.randrange(200)}", None]),
                chance.choice([None, None, datetime(2026, 1, chance.randint(1, 28), 3, 4, 5)]),
            )
            for _ in range(chance.choice([1, 5, 30, 400]))
        ]
        header = {"arrival": arrival - chance.choice([0, 0, 0, 2]), "feed": chance.choice([FEED, "A0030.district"]), "generation": chance.choice([0, 0, 1])}
        yield rows, header


async def everything(store: Store, of: Item) -> dict[str, Any]:
    """What a store holds and answers, without the ciphertexts, which differ each time."""
    columns = [column.name for column in item_table(of).columns if column.name != "id_no"]
    rows = [row async for chunk in store.scan(of, columns=columns, size=100) for row in chunk.rows()]
    heard = [entry for seq in range(await store.head(of.code)) for entry in await store.journal(of.code, seq)]
    told = [(e.seq, e.batch_id, e.at, dict(e.counts), e.rows.drop("id_no").sort("record_id").rows()) for e in heard]
    subjects = [await store.subject("uscc", name) for name in ("s", "t", *(f"u{n}" for n in range(200)))]
    return {"rows": rows, "journal": told, "inbox": await store.receipts(of.code), "subjects": subjects, "count": await store.count(of.code)}


async def test_one_history_leaves_the_same_in_every_kind_of_store(tmp_path: Path, postgres: PostgresServer, maria: MariaServer) -> None:
    ranked = item(priority={FEED: 2, "A0030.district": 1})
    addresses = [address_of(server.url(server.database())) for server in (postgres, postgres, maria, maria)]
    kinds: list[Any] = [PostgresStore, GenericStore, MysqlStore, GenericStore]
    stores: list[Store] = [kind(address, KEYS, clock=lambda: NOW) for kind, address in zip(kinds, addresses, strict=True)]
    stores.append(SqliteStore(tmp_path / "store.sqlite", KEYS, clock=lambda: NOW))
    answers = []

    for store in stores:
        await store.prepare([ranked])
        said = [await say(store, *rows, of=ranked, **header) for rows, header in history(random.Random(20261124))]
        answers.append(([(fates(receipt), receipt.seq, receipt.seen, receipt.refused.rows()) for receipt in said], await everything(store, ranked)))
        await store.close()

    assert len(answers[0][1]["rows"]) > 200
    assert all(answer == answers[-1] for answer in answers[:-1])


def test_an_address_names_the_kind_of_store(postgres: PostgresServer, maria: MariaServer) -> None:
    kinds = [type(open_store(server.url("nowhere"), KEYS)) for server in (postgres, maria)]

    assert kinds == [PostgresStore, MysqlStore]
    assert type(open_store("dm://hub@127.0.0.1/store", KEYS)) is GenericStore
    assert PENALTY.table
