"""A store in PostgreSQL when things go wrong: rows that do not fit, links and servers that go away, locks, and a disk that is full."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import polars as pl
import pytest

from connectors.stores.claiming import whole
from connectors.stores.generic import GenericStore
from connectors.stores.postgres import PostgresStore
from connectors.stores.session import CONFLICT
from hub.contracts.address import address_of
from hub.contracts.batch import Batch, Fate, Receipt
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.item import Field, Item, Kind
from hub.contracts.store import Store
from tests.contract.store_batches import KEYS, NOW, PENALTY, batch, fates, item, say, subjects, texts
from tests.contract.store_oracle import Said
from tests.databases import PostgresServer
from tests.integration.lost_answer import LostAnswer

ROWS = [Said(f"k{n}") for n in range(200)]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer("deadlock_timeout = 100ms") as server:
        yield server


@pytest.fixture
def database(server: PostgresServer) -> str:
    return server.database()


@pytest.fixture(params=[PostgresStore, GenericStore])
async def store(request: pytest.FixtureRequest, server: PostgresServer, database: str) -> AsyncIterator[Store]:
    store = request.param(address_of(server.url(database)), KEYS, clock=lambda: NOW, wait_s=1.0)
    await store.prepare([PENALTY])
    yield store
    await store.close()


def bounded() -> Item:
    """An item whose fields have lengths."""
    fields = [replace(field, length={"text": 5, "fine": 6}.get(field.name)) for field in PENALTY.fields]
    return replace(PENALTY, code="A0030-F06-07", fields=(*fields, Field("note", "备注", Kind.LONG, length=10)))


def holding(rows: list[Said], values: dict[str, pl.Series]) -> Batch:
    """A batch of the bounded item with other values in some columns."""
    said = batch(rows, of=bounded(), arrival=len(rows))
    return said.with_frame(said.frame.with_columns(pl.lit(None, dtype=pl.String).alias("note"), **values))


async def test_text_comes_back_as_it_was_whatever_marks_are_in_it(store: Store) -> None:
    marks = ["back\\slash", "a\ttab", "two\nlines", "a\rreturn", 'a "quotation"', "\\N", "\\.", "a, comma", "a\x1funit"]
    rows = [Said(f"k{n}", text) for n, text in enumerate(marks)]

    receipt = await store.apply(batch(rows), PENALTY, subjects(rows))

    assert receipt.counts == {"inserted": len(marks)}
    assert await texts(store) == {f"k{n}": (text, 0) for n, text in enumerate(marks)}


async def test_a_row_that_is_known_brings_no_subject_again(database: str, server: PostgresServer, store: Store) -> None:
    rows = [Said("k0", subject="s0"), Said("k1", subject="s1")]
    await store.apply(batch(rows), PENALTY, subjects(rows))
    server.execute("DELETE FROM subject_identifier", "DELETE FROM subject", database=database)

    again = PostgresStore(address_of(server.url(database)), KEYS, clock=lambda: NOW)
    later = [rows[0], replace(rows[1], text="b")]
    receipt = await again.apply(batch(later, arrival=2), PENALTY, subjects(later))
    await again.close()

    assert receipt.counts == {"unchanged": 1, "updated": 1}
    assert server.execute("SELECT subject_id FROM subject", database=database) == [(KEYS.hash_text("s1"),)]


async def test_rows_that_do_not_fit_are_set_aside_with_the_field_and_why_but_never_the_value(store: Store) -> None:
    await store.prepare([bounded()])
    rows = [Said(f"k{n}", subject=None if n < 0 else "s") for n in range(60)]
    text = pl.Series(["𠮷" * 6 if n == 7 else "𠮷" * 5 for n in range(60)])
    fine = pl.Series([123456 if n == 40 else 1234 for n in range(60)]).cast(pl.Decimal(18, 2))

    receipt = await store.apply(holding(rows, {"text": text, "fine": fine}), bounded(), subjects(rows))

    assert receipt.counts == {"inserted": 58, "rejected": 2}
    told = {ordinal: (code, field, reason) for ordinal, code, field, reason in receipt.refused.rows()}
    assert {ordinal: code for ordinal, (code, _, _) in told.items()} == {7: "S001", 40: "S001"}
    assert "长度" in told[7][2]
    assert "范围" in told[40][2]
    assert not any("𠮷" in reason or "123456" in reason for _, _, reason in told.values())
    assert set(await _documents(store, bounded())) == {f"k{n}" for n in range(60)} - {"k7", "k40"}


async def _documents(store: Store, of: Item) -> list[str]:
    return [row async for chunk in store.scan(of, columns=["doc_no"]) for row in chunk["doc_no"].to_list()]


async def test_the_server_s_own_words_name_the_field(server: PostgresServer, database: str) -> None:
    store = PostgresStore(address_of(server.url(database)), KEYS, clock=lambda: NOW)
    await store.prepare([PENALTY])
    await say(store, *ROWS[:40])
    server.execute(f"ALTER TABLE {PENALTY.table} ALTER COLUMN text TYPE varchar(2), ALTER COLUMN months SET NOT NULL", database=database)

    receipt = await say(store, *(replace(row, text="long" if row.key in ("k7", "k55") else "b") for row in ROWS[:60]), arrival=2)

    assert receipt.counts == {"updated": 39, "inserted": 19, "rejected": 2}
    assert receipt.refused.rows() == [(7, "S001", "text", "内容：长度超过库中该列的上限"), (55, "S001", "text", "内容：长度超过库中该列的上限")]
    await store.close()


async def test_a_row_that_a_trigger_refuses_is_set_aside_alone(store: Store, server: PostgresServer, database: str) -> None:
    await say(store, *(Said(f"k{n}") for n in range(30)))
    body = "BEGIN IF new.text = 'bad' THEN RAISE EXCEPTION 'no %', new.text; END IF; RETURN new; END"
    server.execute(
        f"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f"CREATE TRIGGER no BEFORE INSERT OR UPDATE ON {PENALTY.table} FOR EACH ROW EXECUTE FUNCTION no()",
        database=database,
    )

    rows = [Said(f"k{n}", "bad" if n in (3, 35) else "b") for n in range(60)]
    receipt = await say(store, *rows, arrival=2)

    assert receipt.counts == {"updated": 29, "inserted": 29, "rejected": 2}
    assert receipt.refused["_ordinal"].to_list() == [3, 35]
    assert (await store.journal(PENALTY.code, 1))[0].rows.height == 58


@pytest.mark.parametrize("kind", [PostgresStore, GenericStore])
async def test_a_commit_whose_answer_is_lost_is_looked_up_and_not_repeated(kind: Callable[..., Store], server: PostgresServer, database: str) -> None:
    plain = address_of(server.url(database))
    direct = kind(plain, KEYS, clock=lambda: NOW)
    await direct.prepare([PENALTY])
    await say(direct, Said("first"))
    async with LostAnswer(server.port) as link:
        store = kind(replace(plain, port=link.port), KEYS, clock=lambda: NOW)
        await store.prepare([PENALTY])
        await say(store, Said("second"), arrival=2)
        before, link.word = link.links, b"COMMIT\0"
        receipt = await say(store, *ROWS, arrival=3)
        await store.close()

    assert link.links == before + 1, "a new connection asked the inbox"
    assert receipt.seen
    assert fates(receipt) == [Fate.INSERTED] * 200
    assert (await direct.count(PENALTY.code), await direct.head(PENALTY.code)) == (202, 3)
    await direct.close()


@pytest.mark.parametrize("kind", [PostgresStore, GenericStore])
async def test_a_link_that_breaks_in_mid_batch_costs_nothing_but_time(kind: Callable[..., Store], server: PostgresServer, database: str) -> None:
    async with LostAnswer(server.port) as link:
        store = kind(replace(address_of(server.url(database)), port=link.port), KEYS, clock=lambda: NOW)
        await store.prepare([PENALTY])
        link.word = b"journal"
        receipt = await say(store, *ROWS)

        assert not link.armed
        assert (receipt.counts, receipt.seen) == ({"inserted": 200}, False)
        assert (await store.count(PENALTY.code), await store.head(PENALTY.code)) == (200, 1)
        await store.close()


async def test_a_server_that_is_killed_in_mid_batch_has_all_of_it_or_nothing() -> None:
    with PostgresServer() as own:
        store = PostgresStore(address_of(own.url(own.database())), KEYS, clock=lambda: NOW)
        await store.prepare([PENALTY])
        await say(store, Said("first"))
        many = [Said(f"k{n}") for n in range(20_000)]
        applying = asyncio.create_task(say(store, *many, arrival=2))
        while not own.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'") and not applying.done():
            await asyncio.sleep(0.001)
        own.kill()
        with pytest.raises(Unavailable, match="does not answer"):
            await applying
        with pytest.raises(Unavailable, match="does not answer"):
            await store.count(PENALTY.code)
        own.start()

        receipt = await say(store, *many, arrival=2)

        assert fates(receipt) == [Fate.INSERTED] * 20_000
        assert (await store.count(PENALTY.code), await store.head(PENALTY.code)) == (20_001, 2)
        await store.close()


async def test_a_transaction_that_the_server_breaks_off_for_another_is_repeated(store: Store, server: PostgresServer, database: str) -> None:
    await say(store, *ROWS)
    with server.connect(database) as other:
        other.autocommit = False
        other.execute("SET deadlock_timeout = '10s'")  # it is the store's transaction that gives way
        other.execute(f"UPDATE {PENALTY.table} SET months = 4 WHERE record_id = '{KEYS.hash_text('k7')}'")
        applying = asyncio.create_task(say(store, *(Said(row.key, "b") for row in ROWS), arrival=2))
        while not server.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            await asyncio.sleep(0.005)

        await _in_thread(lambda: other.execute("SELECT * FROM head FOR UPDATE"))
        other.rollback()
        receipt = await applying

    assert receipt.counts == {"updated": 200}
    assert await store.head(PENALTY.code) == 2
    assert set(await texts(store)) == {row.key for row in ROWS}


async def _in_thread(call: Callable[[], object]) -> None:
    """Run a blocking call while the loop goes on."""
    done = threading.Thread(target=call)
    done.start()
    while done.is_alive():
        await asyncio.sleep(0.005)


def test_a_conflict_that_does_not_end_is_given_up_after_three_repeats() -> None:
    turns: list[int] = []
    waits: list[int] = []

    def conflict() -> None:
        turns.append(1)
        raise Unavailable("locked", code=CONFLICT)

    with pytest.raises(Unavailable, match="locked"):
        whole(conflict, waits.append)

    assert (len(turns), waits) == (4, [0, 1, 2])


def _raising(server: PostgresServer, database: str, state: str) -> None:
    """From now on the server answers to each insert with an error of its own making."""
    server.execute(
        f"CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$",
        f"CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON {PENALTY.table} EXECUTE FUNCTION fail()",
        database=database,
    )


@pytest.mark.parametrize(("state", "says"), [("53100", "disk is full"), ("40001", "locked"), ("55P03", "locked"), ("53300", "no room")])
async def test_what_passes_is_unavailable_and_leaves_nothing(store: Store, server: PostgresServer, database: str, state: str, says: str) -> None:
    _raising(server, database, state)

    with pytest.raises(Unavailable, match=says):
        await say(store, *ROWS)
    server.execute(f"DROP TRIGGER fail ON {PENALTY.table}", database=database)

    assert (await store.count(PENALTY.code), await store.head(PENALTY.code), await store.receipts(PENALTY.code)) == (0, 0, {})
    assert fates(await say(store, *ROWS)) == [Fate.INSERTED] * 200


async def test_a_server_that_only_reads_is_unavailable(store: Store, server: PostgresServer, database: str) -> None:
    server.execute(
        f"ALTER DATABASE {database} SET default_transaction_read_only = on",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'",
    )

    with pytest.raises(Unavailable, match="takes no writes"):
        await say(store, *ROWS)
    server.execute(
        f"ALTER DATABASE {database} RESET default_transaction_read_only", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    )

    assert fates(await say(store, *ROWS)) == [Fate.INSERTED] * 200


async def test_what_a_person_has_to_mend_is_misconfigured(server: PostgresServer, database: str) -> None:
    good = address_of(server.url(database))
    for wrong in (replace(good, database="nowhere"), replace(good, user="nobody")):
        store = PostgresStore(wrong, KEYS)
        with pytest.raises(Misconfigured):
            await store.prepare([PENALTY])
        await store.close()


async def test_nobody_there_is_unavailable(server: PostgresServer, database: str) -> None:
    store = PostgresStore(replace(address_of(server.url(database)), port=1), KEYS)

    with pytest.raises(Unavailable, match="does not answer"):
        await store.prepare([PENALTY])
    await store.close()


async def test_items_load_in_parallel_though_they_name_the_same_subjects(server: PostgresServer, database: str) -> None:
    items = [item(f"A0030-F06-{n}") for n in range(3)]
    stores = [PostgresStore(address_of(server.url(database)), KEYS, clock=lambda: NOW) for _ in items]
    await stores[0].prepare(items)
    rows = [Said(f"k{n}", subject=f"u{n % 70}") for n in range(300)]

    async def load(store: Store, of: Item) -> list[Receipt]:
        return [await say(store, *rows[part::5], of=of, arrival=part + 1) for part in range(5)]

    receipts = await asyncio.gather(*(load(store, of) for store, of in zip(stores, items, strict=True)))

    assert all(receipt.counts == {"inserted": 60} for each in receipts for receipt in each)
    assert server.execute("SELECT count(*) FROM subject", database=database) == [(70,)]
    for store in stores:
        await store.close()
