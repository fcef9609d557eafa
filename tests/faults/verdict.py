"""What is left when all lives are over, beside what the oracles say must be: stores, ledger, quarantine, deliveries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from hub.keystore import load_keys
from tests.faults.life import reconciled
from tests.faults.places import View
from tests.faults.police import Police
from tests.faults.town import FOLDER_SHARE, HOOK_SHARE, Desk, Town

_SENT = ("doc_no", "facts", "fine_wan", "decided")


@dataclass
class Tally:
    """The account of a history of deaths, in Jepsen's words. Acked is what the ledger had settled at a death; recovered what it had only opened.

    `recognised` are batches that came again and were settled by their content, without their rows being read.
    """

    attempted: int = 0
    acked: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    deaths: Counter[str] = field(default_factory=Counter)
    stored: int = 0
    lost: int = 0
    duplicated: int = 0
    recognised: int = 0
    reentered: int = 0

    def died(self, town: Town, steps: list[str], scratch: Path) -> None:
        """Note a death of the hub, and what its ledger says (a file is read from a copy, which recovers by itself)."""
        with town.places.look_at_what_was_left(scratch) as state:
            assert state.sound()
            self._note(state, steps)

    def bereft(self, town: Town, steps: list[str]) -> None:
        """Note a death of the broker, and what the ledger of the living hub says."""
        with town.places.look("state") as state:
            self._note(state, steps)

    def _note(self, state: View, steps: list[str]) -> None:
        self.deaths[steps[-1] if steps else "before the first step"] += 1
        for batch_id, settled in state.rows("SELECT batch_id, settled_at IS NOT NULL FROM batch"):
            if not settled:
                self.opened.add(batch_id)
            elif batch_id not in self.opened:
                self.acked.add(batch_id)

    def table(self, town: Town) -> str:
        """The account as text; recovered counts records of batches that were only opened at some death and are stored all the same."""
        with town.places.look("state") as state:
            rows = {batch_id: n for batch_id, n in state.rows('SELECT batch_id, "rows" FROM batch')}  # noqa: C416  a dictionary of typed rows
        acked, recovered = (sum(rows[batch_id] for batch_id in ids) for ids in (self.acked, self.opened))
        words = {"attempted": self.attempted, "acked": acked, "stored": self.stored, "lost": self.lost, "duplicated": self.duplicated, "recovered": recovered}
        head = "  ".join(f"{word} {number:,}" for word, number in words.items())
        return "\n".join([f"{self.deaths.total()} deaths: {head}", *(f"  {n:3} after {step}" for step, n in self.deaths.most_common())])


def check(town: Town, police: Police, tally: Tally | None = None) -> Tally:
    """Hold everything against the oracles; the account, with lost and duplicated found by counting and not by asking the hub."""
    tally = tally or Tally()
    status, proof = reconciled(town)
    assert (status, proof["balanced"], proof["differences"]) == (0, True, []), proof
    assert {word: n for word, n in proof["counts"].items() if n} == town.expected
    for desk in town.desks:
        _check_store(town, desk, tally)
    with town.places.look("state") as state:
        _check_ledger(state, town, tally)
        _check_receiver(state, FOLDER_SHARE, _court(town), town.desks[0])
        _check_receiver(state, HOOK_SHARE, [(d, int(e["sequence"]), e["data"]["records"]) for d, e in police.calls], town.desks[1])
    tally.attempted, tally.reentered = town.expected["read"], proof["reentered"]
    return tally


def _check_store(town: Town, desk: Desk, tally: Tally) -> None:
    """Key by key and value by value; the numbers of the journal have no gap."""
    want = {key: _typed(record.values, withdrawn=record.withdrawn) for key, record in desk.filing.records.items()}
    with town.places.look(desk.store) as store:
        names = [name for name in desk.form.content if name != "op"]
        columns = ", ".join(f'"{name}"' for name in names)
        rows = pl.DataFrame(store.rows(f"SELECT {columns}, status FROM {desk.table}"), schema=[*names, "status"], orient="row")
        if "id_no" in names:
            rows = rows.with_columns(load_keys(town.home / "keys").open_values(rows["id_no"]).alias("id_no"))
        have = [(tuple(row[name] for name in desk.form.key), _typed(row, withdrawn=row["status"] == 1)) for row in rows.iter_rows(named=True)]
        journal = [seq for (seq,) in store.rows("SELECT seq FROM journal ORDER BY seq")]
        assert store.sound()
    tally.stored += len(have)
    tally.lost += len(want.keys() - {key for key, _ in have})
    tally.duplicated += len(have) - len({key for key, _ in have})
    assert (tally.lost, tally.duplicated) == (0, 0)
    assert dict(have) == want
    assert journal == list(range(1, len(journal) + 1))


def _check_ledger(state: View, town: Town, tally: Tally) -> None:
    """Every file was cut once; what was settled at a death still is; every rejected row waits in quarantine."""
    batches: dict[str, Any] = dict(
        state.rows('SELECT batch_id, settled_at IS NOT NULL AND (applied_at IS NOT NULL OR rejected + filtered = "rows") FROM batch')
    )
    assert set(batches.values()) == {1}
    assert tally.acked | tally.opened <= batches.keys()
    ((tally.recognised,),) = state.rows("SELECT count(*) FROM batch WHERE same_as <> ''")
    ((quarantined,),) = state.rows("SELECT count(*) FROM quarantine")
    assert quarantined == town.expected["rejected"]
    runs = state.rows("SELECT state, count(*) FROM run GROUP BY state")
    assert runs == [("succeeded", sum(desk.files for desk in town.desks))]
    for desk in town.desks:
        assert not desk.waiting(), "files were left in the drop folder"
        assert not list((desk.folder / "processing").rglob("data")), "files were left in processing/"


def _check_receiver(state: View, share: str, received: Iterable[tuple[str, int, list[Mapping[str, Any]]]], desk: Desk) -> None:
    """The receiver's picture equals the store; a repeat has the delivery id of the first time; only cancelled cuts may have had a successor."""
    states: dict[str, str] = dict(state.rows("SELECT delivery_id, state FROM delivery WHERE share = ?", share))
    bodies: dict[str, Any] = {}
    view: dict[str, tuple[str, ...] | None] = {}
    numbers: set[int] = set()
    for delivery_id, sequence, records in received:
        assert states[delivery_id] in ("delivered", "cancelled")
        assert bodies.setdefault(delivery_id, records) == records, "a delivery came twice with different content"
        if states[delivery_id] == "delivered":
            numbers.add(sequence)
            for record in records:
                _see(view, record)
    assert {delivery_id for delivery_id, was in states.items() if was == "delivered"} <= bodies.keys()
    assert numbers == set(range(1, len(numbers) + 1))
    assert len(numbers) == sum(was == "delivered" for was in states.values()), "two deliveries have one number"
    current = sorted(_content(record.values) for record in desk.filing.records.values() if not record.withdrawn)
    assert sorted(content for content in view.values() if content is not None) == current


def _see(view: dict[str, tuple[str, ...] | None], record: Mapping[str, Any]) -> None:
    """A withdrawal names the record by its number only."""
    fields = record.get("fields") or record
    if record["op"] == "upsert":
        view[record["record_id"]] = _content(fields)
    else:
        view[record["record_id"]] = None


def _court(town: Town) -> Iterator[tuple[str, int, list[Mapping[str, Any]]]]:
    """The files in the court's folder that a manifest declares complete, in the order of their numbers."""
    told = [json.loads(path.read_bytes()) for path in (town.home / "outbox" / "court").glob("*.jsonl.json")]
    for manifest in sorted(told, key=lambda m: int(m["sequence"])):
        text = (town.home / "outbox" / "court" / manifest["file"]).read_text(encoding="utf-8")
        yield manifest["delivery_id"], manifest["sequence"], [json.loads(line) for line in text.splitlines()]


def _typed(values: Mapping[str, Any], *, withdrawn: bool) -> tuple[Any, ...]:
    """A record in comparable form: no difference between 12.3 and 12.30, nor between nothing and an empty cell."""
    return (
        *(Decimal(str(v)).normalize() if name == "fine_wan" else (v or None) for name, v in sorted(values.items()) if name not in ("status", "op")),
        withdrawn,
    )


def _content(fields: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(Decimal(str(fields[name])).normalize()) if name == "fine_wan" else str(fields[name]) for name in _SENT)
