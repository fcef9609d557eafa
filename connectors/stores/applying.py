"""Applying one batch: its subjects, rows, journal entry and inbox row, inside one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from sqlalchemy import Table, bindparam, func, insert, select, update

from connectors.stores import plan as planning
from connectors.stores import stored
from connectors.stores.claiming import claim, whole
from connectors.stores.inbox import find_receipt, keep_receipt
from connectors.stores.known import Memory
from connectors.stores.plan import ROW, Fates, Plan
from connectors.stores.recognising import remember
from connectors.stores.session import Session
from connectors.stores.tables import HEAD, INBOX, JOURNAL, SUBJECT, SUBJECT_IDENTIFIER, UNMATCHED, item_table
from hub.contracts.batch import ORDINAL, RECORD_ID, REFUSED_SCHEMA, SUBJECT_ID, Batch, Fate, Receipt
from hub.contracts.errors import Rejected
from hub.contracts.item import Item
from hub.contracts.keys import KeyRing

Lookup = Callable[..., pl.DataFrame]
Refusals = dict[int, tuple[str, str]]
"""Positions of the rows that the database refused, with the field and why."""


@dataclass(frozen=True, slots=True)
class Applying:
    """One batch on its way into a store. `memory` is None where nothing is remembered between batches."""

    session: Session
    keys: KeyRing
    memory: Memory | None
    states: Lookup  # how record states are looked up: `Session.lookup`, or a faster way with the same answer
    encoder: Executor  # encodes the journal while rows are written
    batch: Batch
    item: Item
    subjects: pl.DataFrame
    at: datetime
    fence: int = 0
    careful: bool = False  # write in parts that can be undone alone

    def run(self) -> Receipt:
        """Apply the batch, or answer with the receipt of the first time.

        Savepoints cost a copy of every page that is written, so they are used only once a row has been refused.
        """
        try:
            return whole(self._run)
        except Rejected:
            if self.careful:
                raise
            return replace(self, careful=True).run()

    def _run(self) -> Receipt:
        with self.session.writing():
            seq = claim(self.session, self.item.code, self.fence)
            if seen := find_receipt(self.session, self.batch.header.batch_id):
                return seen
            if self.memory is not None:
                self.memory.check(self.session.version())
                self.memory.check_table(self.item.table, seq)
            plan = self._plan()
            receipt = self._write(plan, seq + 1)
            new = self._subjects(plan)  # last, because they are shared: whoever loads another item waits for them until the end of the transaction
            keep_receipt(self.session, self.batch.header, receipt, self.at)
            remember(self.session, self.batch.header, self.batch.frame[RECORD_ID], receipt)
        if self.memory is not None:
            self.memory.stored(new)
            self.memory.committed(self.item.table, seq if receipt.seq is None else receipt.seq)
        return receipt

    @property
    def _table(self) -> Table:
        return item_table(self.item)

    def _subjects(self, plan: Plan) -> pl.DataFrame:
        """Store the subjects that are new, of the rows that are written: those of the others came with them."""
        named = self._named(pl.concat([plan.insert[ROW], plan.update[ROW]]))
        new = named if self.memory is None else self.memory.unknown(named)
        if new.height:
            once = new.unique("subject_id", keep="first", maintain_order=True).sort("subject_id")
            first_seen = pl.lit(self.at).cast(pl.Datetime("us")).alias("first_seen")
            self.session.add_new(SUBJECT, once.select("subject_id", "kind", pl.lit(0).alias("registered"), "name", first_seen))
            identified = new.select("scheme", "identifier", "subject_id").unique(["scheme", "identifier"], keep="first", maintain_order=True)
            self.session.add_new(SUBJECT_IDENTIFIER, identified.sort("scheme", "identifier"))
        return new

    def _named(self, places: pl.Series) -> pl.DataFrame:
        """Subjects of the rows at these positions of the batch."""
        if len(places) == self.batch.frame.height:
            return self.subjects
        ids = self.batch.frame[SUBJECT_ID].gather(places).unique()
        return self.subjects.filter(pl.col("subject_id").is_in(ids.implode()))

    def _plan(self) -> Plan:
        rows, fates = planning.one_row_per_record(self.batch.frame)
        compared = planning.compare(rows, self._states(rows[RECORD_ID]), self.batch.header)
        order = self._order(planning.undecided(compared))
        return planning.finish(compared, order, self.batch.header, self.item.priority, fates)

    def _states(self, record_ids: pl.Series) -> pl.DataFrame:
        statement = select(*(self._table.c[name] for name in planning.STATE_COLUMNS))
        if self.memory is not None and (rows := self.memory.filter(self.item.table)):
            record_ids = record_ids.filter(rows.maybe(record_ids))
        elif self.memory is not None and not self.memory.met(self.item.table):
            empty = self.session.fetch(select(self._table.c.arrival).limit(1)).is_empty()
            self.memory.meet(self.item.table, empty=empty)
            record_ids = record_ids.clear() if empty else record_ids
        return self.states(statement, self._table.c.record_id, record_ids.sort())

    def _order(self, record_ids: pl.Series) -> pl.DataFrame:
        columns = [INBOX.c.generation if name == "generation" else self._table.c[name] for name in planning.ORDER_COLUMNS]
        joined = self._table.outerjoin(INBOX, INBOX.c.batch_id == self._table.c.batch_id)
        return self.session.lookup(select(*columns).select_from(joined), self._table.c.record_id, record_ids.sort())

    def _taken(self, chosen: pl.DataFrame) -> pl.DataFrame:
        """The batch's rows that `chosen` names, with its further columns."""
        rows = self.batch.frame[chosen[ROW]] if chosen.height < self.batch.frame.height else self.batch.frame
        return rows.hstack(chosen)

    def _stored(self, rows: pl.DataFrame) -> pl.DataFrame:
        return stored.to_stored(rows, self.item, self.batch.header, self.keys, self.at).hstack(rows.select(ROW))

    def _withdrawn(self, chosen: pl.DataFrame) -> pl.DataFrame:
        rows = self._taken(chosen)
        kept = self.session.lookup(select(*self._table.columns), self._table.c.record_id, rows[RECORD_ID].sort())
        return stored.withdrawn(kept, rows, self.batch.header, self.at).join(
            rows.select(pl.col(RECORD_ID).alias("record_id"), ROW), on="record_id", how="left", maintain_order="left"
        )

    def _write(self, plan: Plan, seq: int) -> Receipt:
        waiting = self._wait(plan.unmatched)
        if not plan.insert.height + plan.update.height + plan.withdraw.height:
            return Receipt(self.batch.header.batch_id, plan.fates)
        added = self._stored(self._taken(plan.insert))
        changed = pl.concat([self._stored(self._taken(plan.update)), self._withdrawn(plan.withdraw)])
        entry = self._encode(added, changed, plan.fates, seq)
        refused = self._insert(added) | self._update(changed)
        if refused:
            entry.result()
            places = list(refused)
            plan.fates[places] = int(Fate.REJECTED)
            kept = [rows.filter(~pl.col(ROW).is_in(places)) for rows in (added, changed)]
            entry = self._encode(kept[0], kept[1], plan.fates, seq)
        written = added.height + changed.height - len(refused)
        if written:
            self._journal(seq, entry.result(), plan.fates, written)
        self._resolve(plan.fates, waiting)
        return Receipt(self.batch.header.batch_id, plan.fates, self._reasons(refused), seq if written else None)

    def _insert(self, rows: pl.DataFrame) -> Refusals:
        refused = self._written(lambda part: self.session.run(insert(self._table), part.drop(ROW)), rows)
        if self.memory is not None and rows.height and (seen := self.memory.filter(self.item.table)):
            seen.add(rows["record_id"])
        return refused

    def _update(self, rows: pl.DataFrame) -> Refusals:
        statement = update(self._table).where(self._table.c.record_id == bindparam("known"))
        return self._written(lambda part: self.session.run(statement, part.drop(ROW).rename({"record_id": "known"})), rows)

    def _written(self, write: Callable[[pl.DataFrame], None], rows: pl.DataFrame) -> Refusals:
        """Write rows, sorted as the table likes them; the journal has them as they came, which is smaller."""
        return self._isolating(write, rows.sort("record_id")) if rows.height else {}

    def _isolating(self, write: Callable[[pl.DataFrame], None], rows: pl.DataFrame) -> Refusals:
        """Write rows; where one of them is refused, halve until it stands alone."""
        if not self.careful:
            write(rows)
            return {}
        try:
            with self.session.savepoint():
                write(rows)
        except Rejected as error:
            if rows.height == 1:
                return {int(rows[0, ROW]): self._blamed(error)}
            half = rows.height // 2
            return self._isolating(write, rows[:half]) | self._isolating(write, rows[half:])
        return {}

    def _blamed(self, error: Rejected) -> tuple[str, str]:
        """The field that the database names, and why, by the field's title."""
        field = self.item.by_name.get(error.field)
        return (field.name, f"{field.title}：{error.message}") if field else ("", error.message)

    def _reasons(self, refused: Refusals) -> pl.DataFrame:
        places = sorted(refused)
        ordinals = self.batch.frame[ORDINAL].gather(places).to_list()
        rows = [(ordinal, "S001", *refused[place]) for ordinal, place in zip(ordinals, places, strict=True)]
        return pl.DataFrame(rows, schema=REFUSED_SCHEMA, orient="row")

    def _encode(self, added: pl.DataFrame, changed: pl.DataFrame, fates: Fates, seq: int) -> Future[bytes]:
        def encode() -> bytes:
            rows = pl.concat([added, changed])
            op = stored.op_of(pl.lit(pl.Series(fates[rows[ROW].to_numpy()])))
            return stored.journal_body(rows.select(op.alias(stored.JOURNAL_OP), pl.exclude(ROW)), self.item.code, seq, self.keys)

        return self.encoder.submit(encode)

    def _journal(self, seq: int, body: bytes, fates: Fates, rows: int) -> None:
        words = {"insert": Fate.INSERTED, "update": Fate.UPDATED, "withdraw": Fate.WITHDRAWN}
        counts = {word: n for word, fate in words.items() if (n := int(np.count_nonzero(fates == int(fate))))}
        row = {
            "item": self.item.code,
            "seq": seq,
            "batch_id": self.batch.header.batch_id,
            "at": self.at,
            "rows": rows,
            "counts": json.dumps(counts),
            "body": body,
        }
        self.session.run(insert(JOURNAL), pl.DataFrame([row]))
        self.session.run(update(HEAD).where(HEAD.c.item == self.item.code).values(seq=seq))

    def _wait(self, chosen: pl.DataFrame) -> bool:
        """Keep rows without a subject. True where rows of this item may be waiting from before."""
        found = self.session.fetch(
            select(func.count().label("n")).select_from(
                select(UNMATCHED.c.ordinal).where(UNMATCHED.c.item == self.item.code, UNMATCHED.c.state == "waiting").limit(1).subquery()
            )
        )
        before = bool(found.item())
        if chosen.height:
            rows = self._taken(chosen)
            self._give_way(rows[RECORD_ID].unique(), "superseded", when=before)
            kept = rows.select(
                pl.lit(self.item.code).alias("item"),
                pl.lit(self.batch.header.batch_id).alias("batch_id"),
                pl.col(ORDINAL).alias("ordinal"),
                pl.col(RECORD_ID).alias("record_id"),
                pl.lit(self.at).cast(pl.Datetime("us")).alias("at"),
                pl.lit("waiting").alias("state"),
                stored.sealed_rows(rows, self.item, self.keys).alias("row"),
            )
            self.session.run(insert(UNMATCHED), kept)
        return before

    def _resolve(self, fates: Fates, waiting: bool) -> None:
        """Rows that waited for a subject give way to a later one of the same record."""
        applied = np.isin(fates, [int(Fate.INSERTED), int(Fate.UPDATED), int(Fate.WITHDRAWN)])
        if waiting and applied.any():
            self._give_way(self.batch.frame[RECORD_ID].filter(pl.Series(applied)), "resolved", when=True)

    def _give_way(self, record_ids: pl.Series, state: str, *, when: bool) -> None:
        if not when:
            return
        mine = (UNMATCHED.c.item == self.item.code) & (UNMATCHED.c.state == "waiting")
        statement = update(UNMATCHED).where(mine, UNMATCHED.c.record_id == bindparam("known")).values(state=state, row=None)
        self.session.run(statement, record_ids.alias("known").to_frame())
