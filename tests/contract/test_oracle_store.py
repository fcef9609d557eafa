"""A store at Oracle: the general way, as far as the emulator of Oracle's protocol reaches.

Not shown here: that a lock of Oracle's is one of a row (the emulator locks all), and what lies in Oracle's own files.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import oracledb
import pytest
from sqlalchemy import exc

from connectors.stores.generic import GenericStore
from connectors.stores.refusing import decision
from connectors.stores.sqlite import SqliteStore
from hub.contracts.address import address_of
from hub.contracts.batch import Fate
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from hub.contracts.item import Item
from hub.contracts.store import Store
from tests.contract.store_batches import FEED, KEYS, NOW, PENALTY, fates, item, say
from tests.contract.store_contract import StoreContract
from tests.contract.store_oracle import Said
from tests.contract.test_server_stores import everything, history
from tests.oracle_emulator import OracleEmulator

_URL = "url"


def opened(url: str, **options: Any) -> GenericStore:
    return GenericStore(address_of(url), KEYS, **{"clock": lambda: NOW, **options})


class TestOracleStore(StoreContract):
    emulator: ClassVar[OracleEmulator | None] = None

    @pytest.fixture(autouse=True)
    def on(self, tmp_path: Path) -> Iterator[None]:
        with OracleEmulator() as emulator:
            type(self).emulator = emulator
            (tmp_path / _URL).write_text(emulator.url)
            yield

    def opened(self, folder: Path, **options: Any) -> Store:
        return opened((folder / _URL).read_text(), **options)

    @contextmanager
    def held(self, folder: Path) -> Iterator[None]:
        with oracledb.connect(user=self._server.user, password=self._server.password, dsn=self._server.dsn) as connection:
            connection.cursor().execute("SELECT item FROM head FOR UPDATE")
            yield
            connection.rollback()

    def at_rest(self, folder: Path) -> bytes:
        return b"".join(file.read_bytes() for file in self._server.home.iterdir())

    @property
    def _server(self) -> OracleEmulator:
        assert self.emulator is not None
        return self.emulator


@pytest.fixture
def emulator() -> Iterator[OracleEmulator]:
    with OracleEmulator() as running:
        yield running


async def test_one_history_leaves_the_same_at_oracle_and_in_sqlite(tmp_path: Path, emulator: OracleEmulator) -> None:
    ranked = item(priority={FEED: 2, "A0030.district": 1})
    stores: list[Store] = [opened(emulator.url), SqliteStore(tmp_path / "store.sqlite", KEYS, clock=lambda: NOW)]
    answers = []

    for store in stores:
        await store.prepare([ranked])
        said = [await say(store, *rows, of=ranked, **header) for rows, header in islice(history(random.Random(20261124)), 12)]
        answers.append(([(fates(receipt), receipt.seq, receipt.seen, receipt.refused.rows()) for receipt in said], await everything(store, ranked)))
        await store.close()

    assert len(answers[0][1]["rows"]) > 100
    assert answers[0] == answers[1]


def bounded(length: int) -> Item:
    """The item with a bound on its text."""
    plain = item()
    fields = tuple(replace(field, length=length) if field.name == "text" else field for field in plain.fields)
    return replace(plain, fields=fields)


async def test_a_row_that_a_column_has_no_room_for_is_set_aside_alone(emulator: OracleEmulator) -> None:
    short = bounded(4)
    store = opened(emulator.url)
    await store.prepare([short])

    receipt = await say(store, Said("k1", "企业名称"), Said("k2", "企业名称五"), Said("k3", "b"), of=short)

    assert fates(receipt) == [Fate.INSERTED, Fate.REJECTED, Fate.INSERTED]
    assert receipt.refused.select("_ordinal", "code", "field").rows() == [(1, "S001", "text")]
    assert "企业名称五" not in str(receipt.refused.select("code", "reason").rows())
    await store.close()


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ('ORA-12899: value too large for column "HUB"."A0030_F06_01"."DOC_NO" (actual: 90, maximum: 60)', "doc_no"),
        ('ORA-01400: cannot insert NULL into ("HUB"."A0030_F06_01"."FEED")', "feed"),
        ("ORA-01438: value larger than specified precision allowed for this column", ""),
        ("ORA-00001: unique constraint (HUB.SYS_C008) violated", ""),
    ],
)
def test_what_oracle_says_about_a_row_is_about_that_row(said: str, field: str) -> None:
    found = decision(exc.DatabaseError("INSERT …", {}, oracledb.DatabaseError(f"{said}\nHelp: https://docs.oracle.com/")), "oracle")

    assert (type(found), found.code, getattr(found, "field", None)) == (Rejected, "S001", field)


@pytest.mark.parametrize("said", ['ORA-00942: table or view "HUB"."INBOX" does not exist', 'ORA-00904: "EXTRA": invalid identifier'])
def test_missing_tables_and_columns_are_told_from_missing_rights(said: str) -> None:
    missing = decision(exc.DatabaseError("SELECT …", {}, oracledb.DatabaseError(said)), "oracle")
    denied = decision(exc.DatabaseError("SELECT …", {}, oracledb.DatabaseError("ORA-01031: insufficient privileges")), "oracle")

    assert (type(missing), type(denied)) == (Misconfigured, Misconfigured)
    assert ("tables" in missing.message, "refuses" in denied.message) == (True, True)


async def test_text_of_any_length_is_stored_and_found(emulator: OracleEmulator) -> None:
    store, text = opened(emulator.url), "长文本" * 20_000
    await store.prepare([PENALTY])
    await say(store, Said("k1", text), Said("k2", text + "!"), Said("k3", "%"))

    by_text = await store.find(PENALTY, text=text)
    by_sign = await store.find(PENALTY, text="%")

    assert by_text.select("doc_no", "text").rows() == [("k1", text)]
    assert by_sign["doc_no"].to_list() == ["k3"]
    await store.close()


async def test_a_server_that_goes_away_is_unavailable_and_its_batch_is_applied_afterwards(emulator: OracleEmulator) -> None:
    store = opened(emulator.url)
    await store.prepare([PENALTY])
    await say(store, Said("k1"))
    emulator.stop()

    with pytest.raises(Unavailable):
        await say(store, Said("k2"), arrival=2)
    emulator.start()

    assert fates(await say(store, Said("k2"), arrival=2)) == [Fate.INSERTED]
    await store.close()


async def test_a_connection_that_was_cut_is_made_again_within_the_call(emulator: OracleEmulator) -> None:
    store = opened(emulator.url)
    await store.prepare([PENALTY])
    await say(store, Said("k1"))
    emulator.cut()

    receipt = await say(store, Said("k1"), Said("k2"), arrival=2)

    assert fates(receipt) == [Fate.UNCHANGED, Fate.INSERTED]
    assert await store.head(PENALTY.code) == 2
    await store.close()


async def test_a_wrong_password_is_misconfigured(emulator: OracleEmulator) -> None:
    store = opened(emulator.url.replace(emulator.password, "wrong"))

    with pytest.raises(Misconfigured, match="refuses") as refused:
        await store.prepare([PENALTY])
    await store.close()

    assert "wrong" not in refused.value.message + refused.value.hint
