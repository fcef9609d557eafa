"""The sharing half of a city on real parts: state, embedded queue, SQLite stores, and agencies' records put straight into the stores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from connectors.queues import open_broker
from connectors.queues.embedded import EmbeddedBroker
from connectors.stores import open_store
from hub.contracts.batch import OP, ORDINAL, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS, SUBJECT_ID, Batch, Header, Origin
from hub.contracts.item import Field, Identifier, Item, Kind, Level
from hub.contracts.keys import KeyRing
from hub.contracts.observer import Fact, Observer
from hub.contracts.share import Basis, Outlet, Share
from hub.contracts.store import SUBJECTS_SCHEMA
from hub.deliveries import Deliveries
from hub.state import State
from routes.deliver import DeliverRoute, Surroundings
from routes.share import ShareRoute

KEYS = KeyRing("c" * 64, {"k1": b"1" * 32})
START = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
CANARY = "金丝雀"  # stands in every field that is not granted
FIELDS = (
    Field("xdr_name", "行政相对人名称"),
    Field("doc_no", "行政处罚决定书文号", roles=("key",)),
    Field("facts", "违法事实", Kind.LONG, personal="P"),
    Field("legal_rep", "法定代表人", personal="P"),
    Field("legal_rep_id", "法定代表人身份证号", identifier=Identifier.ID_NO, personal="S"),
    Field("fine_wan", "罚款金额（万元）", Kind.NUMBER, scale=6),
    Field("decision_date", "处罚决定日期", Kind.DATE),
    Field("usage_scope", "信息使用范围"),
    Field("public_until", "公示截止期", Kind.DATE),
)
ITEM = Item("A0030-F06-01", "行政处罚信息（法人）", "Penalties", "A0030", "F", Level.DEPARTMENT, "ent", (("doc_no",),), FIELDS)
GRANT = Basis("执行查控", "常信办〔2024〕17号", date(2024, 1, 1), date(2026, 12, 31))
SHARE = Share("A0030.penalties-to-court", "A0030", "A0011", (ITEM.code,), ("xdr_name", "doc_no", "legal_rep", "fine_wan", "decision_date"), GRANT)


def record_id(number: int) -> str:
    """The id of the record with this number."""
    return KEYS.hash_text(f"record {number}")


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = START
        self.waits: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)


class SharingCity:
    """Open it with `async with`. What is written into the store is `changed`; `offered` and `deliver_due` are the two legs."""

    def __init__(self, home: Path, broker: str = "embedded") -> None:
        self.home = home
        self._setting = broker
        self.clock = Clock()
        self.facts: list[Fact] = []
        self.observer = Observer(self.facts.append)
        self.batches = 0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.state = State(self.home / "hub.sqlite")
            await self.state.open()
            stack.push_async_callback(self.state.close)
            self.broker = EmbeddedBroker(self.home / "queue", ballast=0) if self._setting == "embedded" else open_broker(self._setting, self.home)
            stack.push_async_callback(self.broker.close)
            self.store = open_store(str(self.home / "ent.sqlite"), KEYS)
            stack.push_async_callback(self.store.close)
            await self.store.prepare([ITEM])
            self.batches = await self.store.head(ITEM.code)
            self.deliveries = Deliveries(self.state)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()

    async def changed(self, numbers: Sequence[int], *, status: int = 0, **values: Any) -> None:
        """One batch with these records, all alike but for their numbers, applied to the store."""
        self.batches += 1
        batch_id = KEYS.hash_text(f"batch {self.batches}")
        header = Header(batch_id, "A0030.penalty", ITEM.code, self.batches, 0, len(numbers), "v1", Origin("", "synthetic.csv", 0, 0))
        receipt = await self.store.apply(Batch(header, _frame(numbers, self.batches, status, values)), ITEM, pl.DataFrame(schema=SUBJECTS_SCHEMA))
        assert receipt.seq is not None, "the batch changed nothing"

    def offers(self, share: Share = SHARE) -> ShareRoute:
        """The share leg."""
        return ShareRoute(share, {ITEM.code: ITEM}, {"ent": self.store}, self.broker, self.deliveries, self.observer)

    def delivers(self, outlet: Outlet, share: Share = SHARE) -> DeliverRoute:
        """The deliver leg, in time that passes only when it waits, and without chance."""
        world = Surroundings(self.clock, lambda: 0.5, self.clock.sleep, "v1")
        parts = {"items": {ITEM.code: ITEM}, "stores": {"ent": self.store}, "broker": self.broker, "deliveries": self.deliveries}
        return DeliverRoute(share, outlet, **parts, keys=KEYS, observer=self.observer, world=world)  # type: ignore[arg-type]

    async def shared(self, outlet: Outlet, share: Share = SHARE) -> datetime | None:
        """Everything new is offered, and what is due delivered."""
        await self.offers(share).drain()
        return await self.delivers(outlet, share).deliver_due(idle=0.02)

    async def states(self) -> list[str]:
        """States of all deliveries, in the order of their sequence."""
        return [row["state"] for row in await self.deliveries.find(SHARE.name)]


def _frame(numbers: Sequence[int], arrival: int, status: int, values: dict[str, Any]) -> pl.DataFrame:
    usual = {"facts": CANARY, "legal_rep": "张三丰", "legal_rep_id": "320581199003070012", "fine_wan": "1.5", "decision_date": "2026-10-01", "usage_scope": "1"}
    row = dict.fromkeys((f.name for f in FIELDS), None) | usual | values
    frame = pl.DataFrame({"n": list(numbers)}).with_columns(
        pl.int_range(pl.len()).alias(ORDINAL),
        pl.lit("D" if status == 1 else "U").alias(OP),
        pl.Series(RECORD_ID, [record_id(n) for n in numbers]),
        pl.Series(ROW_HASH, [KEYS.hash_text(f"{n} {status} {sorted(row.items(), key=str)}") for n in numbers]),
        pl.lit("e" * 32).alias(SUBJECT_ID),
        pl.lit(None, dtype=pl.Datetime("us")).alias(SOURCE_TIME),
        pl.lit(status, dtype=pl.Int8).alias(STATUS),
        *(pl.lit(value, dtype=pl.String).alias(name) for name, value in row.items()),
    )
    named = frame.with_columns(
        xdr_name=pl.coalesce("xdr_name", pl.format("常熟第{}公司", "n")), doc_no=pl.format("常法罚〔2026〕{}号", "n"),
        decision_date=pl.col("decision_date").str.to_date(), public_until=pl.col("public_until").str.to_date(), fine_wan=pl.col("fine_wan").str.to_decimal(scale=6).cast(pl.Decimal(18, 6)),
    )  # fmt: skip
    return named.drop("n")
