"""A store on a real MariaDB: nothing is changed to fit, both ways of writing leave the same, and a server that asks for files gets none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Column, MetaData, String, Table, bindparam, insert, select, update

from connectors.stores import refusing
from connectors.stores.mysql import MysqlSession, MysqlStore
from connectors.stores.stored import schema_of
from connectors.stores.tables import item_table
from hub.contracts.address import Address, address_of
from hub.contracts.batch import Fate
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable
from tests.contract.store_batches import KEYS, NOW, PENALTY, content, fates, say
from tests.contract.store_oracle import Said
from tests.databases import MariaServer
from tests.integration.mysql_impostor import Impostor

pytestmark = pytest.mark.server
TABLE = item_table(PENALTY)
STRANGE = ["", "NULL", "\\N", '"', '""', "'", "\\", "\\'", "a,b", "a\nb", "a\r\nb\t", "%s %% %", "{file}", "`", "𠮷野家", "末\\", " x ", "\x00\x1a", '",NULL,"']


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaServer]:
    with MariaServer("tmpdir=.") as server:
        yield server


@pytest.fixture(scope="module")
def lax() -> Iterator[MariaServer]:
    """A server as found in the field: no LOAD DATA LOCAL, values cut to fit, another character set."""
    with MariaServer("tmpdir=.", "local_infile=0", "sql_mode=", "character-set-server=utf8mb3", "default_storage_engine=MyISAM") as server:
        yield server


def place(server: MariaServer) -> Address:
    """A new database."""
    return address_of(server.url(server.database()))


def stored_rows(texts: list[str | None], **values: Any) -> pl.DataFrame:
    """Rows of the item's table, one for each text."""
    row = {
        "record_id": "", "subject_id": None, "row_hash": "0" * 32, "source_time": None, "arrival": 1, "feed": "f", "batch_id": "1" * 32, "ordinal": 0, "status": 0,
        "first_seen": NOW, "updated_at": NOW, "doc_no": "d", "fine": Decimal("1.50"), "months": 1, "decided": date(2026, 3, 5), "noted": NOW, "id_no": "x",
        "id_no_hash": "2" * 32, "text": "",
    }  # fmt: skip
    schema = schema_of(TABLE)
    rows = [row | {"record_id": f"{n:032x}", "text": text} for n, text in enumerate(texts)]
    frame = pl.DataFrame([{name: one[name] for name in schema} for one in rows], schema=schema)
    return frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(value, dtype=schema[name])).otherwise(name).alias(name) for name, value in values.items()
    )


def opened(address: Address) -> MysqlSession:
    """A session on the item's table."""
    session = MysqlSession(address)
    session.create([TABLE])
    return session


def all_rows(session: MysqlSession) -> pl.DataFrame:
    return session.fetch(select(*TABLE.columns).order_by(TABLE.c.record_id))


@pytest.mark.parametrize("copies", [1, 50])
@pytest.mark.parametrize("server", ["maria", "lax"])
def test_strange_texts_come_back_as_they_went(server: str, copies: int, request: pytest.FixtureRequest) -> None:
    session = opened(place(request.getfixturevalue(server)))
    rows = stored_rows([*STRANGE, None] * copies)

    with session.writing():
        session.run(insert(TABLE), rows[: rows.height // 2])
        session.run(insert(TABLE), rows[rows.height // 2 :])

    assert all_rows(session).equals(rows)
    assert session.lookup(select(*TABLE.columns), TABLE.c.record_id, rows["record_id"]).sort("record_id").equals(rows)
    session.close()


@pytest.mark.parametrize("server", ["maria", "lax"])
def test_keys_are_told_apart_by_their_bytes_and_looked_up_whatever_they_hold(server: str, request: pytest.FixtureRequest) -> None:
    keys = Table(
        "keys",
        MetaData(),
        *[Column(name, String(40), primary_key=name == "key") for name in ("key", "value")],
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    session, told = MysqlSession(place(request.getfixturevalue(server))), pl.Series([text for text in STRANGE if text != "NULL"])
    session.create([keys])
    rows = pl.DataFrame({"key": pl.concat([told, told + "A", told + "a"]).unique().sort()}).with_columns(pl.col("key").alias("value"))

    with session.writing():
        session.add_new(keys, rows)
        session.add_new(keys, rows.with_columns(pl.lit("other").alias("value")))

    assert session.lookup(select(keys.c.key, keys.c.value), keys.c.key, rows["key"]).sort("key").equals(rows)
    session.close()


SPOILT = [
    ("text VARCHAR(5)", "text", "123456", refusing.TOO_LONG),
    ("text VARCHAR(50) CHARACTER SET utf8mb3", "text", "𠮷野家", refusing.NO_CHARACTER),
    ("text VARCHAR(50) CHARACTER SET latin1", "text", "信用", refusing.NO_CHARACTER),
    ("doc_no INT", "doc_no", "no number", refusing.NO_CHARACTER),
    ("doc_no DATE", "doc_no", "2026-02-30", refusing.NO_DATE),
    ("months TINYINT", "months", 300, refusing.OUT_OF_RANGE),
    ("fine DECIMAL(5,2)", "fine", Decimal("1234.50"), refusing.OUT_OF_RANGE),
    ("fine DECIMAL(18,1)", "fine", Decimal("1.25"), refusing.NO_FIT),
    ("noted TIMESTAMP NULL", "noted", datetime(1900, 1, 1), refusing.NO_DATE),
    ("doc_no VARCHAR(10) NOT NULL", "doc_no", None, refusing.EMPTY),
    ("doc_no ENUM('1', '7')", "doc_no", "8", refusing.NO_FIT),
]


@pytest.mark.parametrize("rows", [1, 100])
@pytest.mark.parametrize("server", ["maria", "lax"])
@pytest.mark.parametrize(("column", "name", "value", "why"), SPOILT, ids=[f"{spoilt[0]}" for spoilt in SPOILT])
def test_a_value_that_does_not_fit_is_refused_with_its_column_and_never_changed(
    server: str, rows: int, column: str, name: str, value: object, why: str, request: pytest.FixtureRequest
) -> None:
    address = place(request.getfixturevalue(server))
    session = opened(address)
    request.getfixturevalue(server).execute(f"ALTER TABLE {TABLE.name} MODIFY {column}", database=address.database)
    good = stored_rows(["1"] * rows).with_columns(
        pl.lit("2020-01-01" if "DATE" in column else "7").alias("doc_no"), pl.lit(NOW).alias("noted"), fine=pl.lit(Decimal("1.50"))
    )
    bad = good.with_columns(pl.when(pl.int_range(pl.len()) == rows // 2).then(pl.lit(value, dtype=good.schema[name])).otherwise(name).alias(name))
    changing = update(TABLE).where(TABLE.c.record_id == bindparam("known"))

    with pytest.raises(Rejected) as inserted, session.writing():
        session.run(insert(TABLE), bad)
    with session.writing():
        session.run(insert(TABLE), good)
    before = all_rows(session)
    with pytest.raises(Rejected) as updated, session.writing():
        session.run(changing, bad.rename({"record_id": "known"}))

    assert [error.value.field for error in (inserted, updated)] == [name, name]
    assert rows > 1 or [error.value.message for error in (inserted, updated)] == [why, why]  # a load says less than an INSERT, which one row alone goes by
    assert before.height == rows
    assert all_rows(session).equals(before)
    session.close()


@pytest.mark.parametrize("rows", [2, 100])
@pytest.mark.parametrize("server", ["maria", "lax"])
def test_a_row_with_a_key_that_is_there_is_refused_and_not_left_out(server: str, rows: int, request: pytest.FixtureRequest) -> None:
    session = opened(place(request.getfixturevalue(server)))
    twice = stored_rows(["a"] * rows).with_columns(pl.lit("0" * 32).alias("record_id"))

    with pytest.raises(Rejected, match=refusing.SAME_KEY), session.writing():
        session.run(insert(TABLE), twice)

    assert all_rows(session).is_empty()
    session.close()


async def test_characters_that_an_old_table_cannot_keep_are_quarantined_and_their_neighbours_stored(maria: MariaServer) -> None:
    address = place(maria)
    store = MysqlStore(address, KEYS, clock=lambda: NOW)
    await store.prepare([PENALTY])
    maria.execute(f"ALTER TABLE {PENALTY.table} MODIFY text VARCHAR(5) CHARACTER SET utf8mb3", database=address.database)
    rows = [Said(f"k{n}", {40: "𠮷", 77: "六个字的内容"}.get(n, "好")) for n in range(100)]

    receipt = await say(store, *rows)
    changed = await say(store, *(Said(f"k{n}", "𠮷" if n == 30 else "新") for n in range(60)), arrival=2)

    reason = ("S001", "text", f"内容：{refusing.NO_CHARACTER}")
    assert receipt.refused.select("_ordinal", "code", "field", "reason").rows() == [(40, *reason), (77, "S001", "text", f"内容：{refusing.TOO_LONG}")]
    assert receipt.counts == {"rejected": 2, "inserted": 98}
    assert changed.counts == {"updated": 58, "inserted": 1, "rejected": 1}
    assert {row["text"] for row in await content(store)} == {"好", "新"}
    await store.close()


async def test_a_server_without_load_data_holds_the_same_and_says_so(maria: MariaServer, lax: MariaServer) -> None:
    held, notes = [], []
    for server in (maria, lax):
        address = place(server)
        store = MysqlStore(address, KEYS, clock=lambda: NOW)
        await store.prepare([PENALTY])
        await say(store, *(Said(f"k{n}", STRANGE[n % len(STRANGE)], subject=f"s{n % 50}") for n in range(3000)))
        await say(store, *(Said(f"k{n}", "b", op="D" if n % 3 else "U") for n in range(1000, 2000)), arrival=2)
        held.append([{name: value for name, value in row.items() if name != "id_no"} for row in await content(store)])
        notes.append(await store.note())
        await store.close()

    assert held[0] == held[1]
    assert len(held[0]) == 3000
    assert notes[0] == ""
    assert "local_infile" in notes[1]


@pytest.mark.parametrize("at", [b"SET SESSION", b"SELECT", b"START", b"LOAD DATA", b"INSERT", b"COMMIT"])
async def test_a_server_that_asks_for_a_file_gets_nothing_and_is_left(at: bytes) -> None:
    frame, speaker = stored_rows(["secret text"] * 100), ThreadPoolExecutor(1)

    def load(address: Address) -> None:
        session = MysqlSession(address)
        try:
            with session.writing():
                session.run(insert(TABLE), frame[:1])
                session.run(insert(TABLE), frame)
        finally:
            session.close()

    async with Impostor(at) as server:
        address = Address("mysql", "127.0.0.1", "ent", "hub", "x", server.port)
        with pytest.raises(Misconfigured, match="asked for a file"):
            await asyncio.get_running_loop().run_in_executor(speaker, load, address)
        await asyncio.wait_for(server.gone.wait(), 5)

    assert server.given == []
    assert server.statements[-1].startswith(at)
    speaker.shutdown()


async def test_the_file_of_a_load_is_made_up_for_it_and_given_from_memory() -> None:
    frame, speaker = stored_rows(["x"] * 100), ThreadPoolExecutor(1)

    def load(address: Address) -> None:
        session = MysqlSession(address)
        for _ in range(2):
            session.run(insert(TABLE), frame)
        session.close()

    async with Impostor(b"LOAD DATA", wants=None) as server:
        await asyncio.get_running_loop().run_in_executor(speaker, load, Address("mysql", "127.0.0.1", "ent", "hub", "x", server.port))

    names = [statement.split(b"'")[1] for statement in server.statements if statement.startswith(b"LOAD")]
    assert len(set(names)) == 2
    assert b"".join(server.given).count(b"\n") == 200
    speaker.shutdown()


async def test_a_table_without_transactions_is_misconfigured(lax: MariaServer) -> None:
    address = place(lax)
    lax.execute("CREATE TABLE head (item VARCHAR(32) PRIMARY KEY, seq BIGINT, fence BIGINT) ENGINE=MyISAM", database=address.database)
    store = MysqlStore(address, KEYS)

    with pytest.raises(Misconfigured, match="MyISAM"):
        await store.prepare([PENALTY])

    await store.close()


@pytest.mark.parametrize(("changed", "error", "said"), [
    ({"password": "wrong"}, Misconfigured, "refuses"),
    ({"database": "nowhere"}, Misconfigured, "does not exist"),
    ({"port": 1}, Unavailable, "does not answer"),
])  # fmt: skip
async def test_a_store_that_cannot_be_reached_says_why(maria: MariaServer, changed: dict[str, Any], error: type[HubError], said: str) -> None:
    given = {"dialect": "mysql", **maria.settings(maria.database()), **changed}
    store = MysqlStore(Address(**given), KEYS)

    with pytest.raises(error, match=said) as raised:
        await store.prepare([PENALTY])

    assert "hub-Pass" not in str(raised.value)
    assert raised.value.hint
    await store.close()


async def test_rows_that_are_known_by_another_loader_are_found_again(maria: MariaServer) -> None:
    address = place(maria)
    mine, theirs = (MysqlStore(address, KEYS, clock=lambda: NOW) for _ in range(2))
    await mine.prepare([PENALTY])
    await say(mine, Said("k1"))
    await say(theirs, Said("k2"), arrival=2)

    receipt = await say(mine, Said("k2"), Said("k3"), arrival=3)

    assert fates(receipt) == [Fate.UNCHANGED, Fate.INSERTED]
    await mine.close()
    await theirs.close()
