"""The collect leg's one step: from a batch as an agency wrote it to typed, checked and hashed rows of an item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from hub.contracts.batch import OP, ORDINAL, RECORD_ID, REFUSED_SCHEMA, ROW_HASH, SOURCE_TIME, STATUS, Batch, Keys, Step
from hub.contracts.item import Field, Identifier, Item, Kind, Level
from hub.contracts.keys import KeyRing
from transforms import hashing
from transforms.checks import PLACEHOLDERS, SPREADSHEET_ERRORS, TEST_NAMES, CheckRule, Findings, contract_rules, feed_rules, for_withdrawals, judge, repaired_by
from transforms.cleaning import careful, doubt, dtype_of, quick, tidied, without_empty_dates
from transforms.codes import known_codes
from transforms.columns import emptied
from transforms.expression import Compiled
from transforms.headings import Binding, bind
from transforms.identifiers import USCC, id_no_valid

SCOPE_OF = {Level.OPEN: "0", Level.BASIC: "1", Level.DEPARTMENT: "1", Level.AUTHORISED: "2"}
STATUSES = {"0": 0, "1": 1, "2": 2, "3": 3}
WITHDRAW = "D"


@dataclass(frozen=True)
class FeedPlan:
    """What makes a feed's batches into an item's rows: rules by field, checks, a filter over typed fields (`only`), and the keys for hashes.

    `snapshot` says that each arrival names all records that there are, so that those it does not name are gone.
    """

    item: Item
    keys: KeyRing = field(repr=False)
    rules: Mapping[str, Compiled] = field(default_factory=dict)
    checks: tuple[CheckRule, ...] = ()
    only: Compiled | None = None
    snapshot: bool = False


@dataclass(frozen=True)
class Mapped:
    """A batch under the item's field names, typed and filled up; what could not be read is null and named in `findings`."""

    frame: pl.DataFrame  # ORDINAL, OP, SOURCE_TIME, STATUS, all fields, and the marks that `findings` names
    binding: Binding
    findings: Findings
    warned: Mapping[str, int]


def prepare(batch: Batch, plan: FeedPlan, *, now: datetime) -> Step:
    """Bind, map, clean, type, fill up, filter, check and hash one batch. `now` is naive local time.

    The passed frame has ORDINAL, OP, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS and all fields of the item, typed; refused rows carry their
    gravest reason (those that the source could not read are among them). Raises `Rejected` F006 where the headings do not fit the item.
    """
    stage = mapped(batch, plan, now=now)
    frame, filtered = _filtered(stage.frame, plan, now)
    frame, fixed = repaired_by(plan.checks, plan.item, frame, now)
    rules = contract_rules(plan.item, stage.binding.bound, now.date(), stage.findings) + feed_rules(plan.checks, plan.item, now)
    rules = for_withdrawals(rules) if frame.get_column(OP).eq(WITHDRAW).any() else rules
    fine, refused, warned = judge(frame, rules)
    passed = hashed(frame if fine is None else frame.filter(fine), plan)
    return Step(
        passed=Batch(batch.header, passed),
        refused=pl.concat([batch.refused.select(list(REFUSED_SCHEMA)), refused]) if batch.refused.height else refused,
        filtered=pl.concat([batch.filtered, filtered]) if len(batch.filtered) else filtered,
        warned={**stage.warned, **fixed, **warned},
        keys=_named(batch, frame, plan) if plan.snapshot else None,
    )


def _named(batch: Batch, frame: pl.DataFrame, plan: FeedPlan) -> Keys:
    """The records that the batch says are there, whatever the checks say of them; rows without a readable key are counted."""
    there = frame.filter(pl.col(OP) != WITHDRAW)
    ids = there.select(hashing.record_id(plan.item, plan.keys)).to_series()
    said = ids.drop_nulls()
    return Keys(b"".join(said.str.decode("hex").to_list()), len(ids) - len(said) + batch.refused.height)


def mapped(batch: Batch, plan: FeedPlan, *, now: datetime) -> Mapped:
    """The batch under the item's names, before any row is judged: what `preview` shows as mapped."""
    binding = bind(batch.frame.columns, plan.item, plan.rules)
    fields = [f for f in plan.item.fields if f.name in binding.bound]
    rules = {name: rule.at(now) for name, rule in binding.rules.items()}
    raw = batch.frame.select(ORDINAL, *(_cell(f.name, binding.plain, rules) for f in fields))
    frame, unread = _read(raw, fields, {name: rules[name].failed(batch.frame, raw.get_column(name)) for name in rules})
    frame, placeholders = _without_placeholders(_rerouted(frame, plan.item, binding.bound), fields)
    marks: dict[str, dict[str, str]] = {}
    for mark in unread:
        _, code, name = mark.name.split(":", 2)
        marks.setdefault(code, {})[name] = mark.name
    filled = _filled(frame.with_columns(unread), plan.item, binding.bound)
    return Mapped(filled, binding, Findings(marks, placeholders), _unmapped_counts(frame, fields))


def hashed(frame: pl.DataFrame, plan: FeedPlan) -> pl.DataFrame:
    """Checked rows with their RECORD_ID and ROW_HASH, in the order of columns that the load leg expects."""
    names = [f.name for f in plan.item.fields]
    ids = hashing.hashes(frame, plan.item, plan.keys)
    return frame.hstack(ids).select(ORDINAL, OP, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS, *names)


def unmapped_values(batch: Batch, plan: FeedPlan, *, now: datetime, limit: int = 50) -> dict[str, dict[str, int]]:
    """Per coded field the values that its code list does not know, with their counts, most frequent first: for `preview`."""
    stage = mapped(batch, plan, now=now)
    found = {name: value for rule in stage.binding.rules.values() for name, value in rule.unmapped_values(batch.frame, limit).items()}
    for f in plan.item.fields:
        if f.codes and f.name in stage.binding.bound:
            odd = stage.frame.get_column(f.name).filter(~known_codes(f)(stage.frame.get_column(f.name)))
            if len(odd):
                found[f.name] = dict(odd.value_counts(sort=True).head(limit).iter_rows())
    return found


def _cell(name: str, plain: Mapping[str, str], rules: Mapping[str, Compiled]) -> pl.Expr:
    """What the file says for a field: the cell as written, or what the field's rule makes of the row."""
    return (rules[name].expr if name in rules else pl.col(plain[name])).alias(name)


def _read(raw: pl.DataFrame, fields: list[Field], failed: Mapping[str, pl.Series | None]) -> tuple[pl.DataFrame, list[pl.Series]]:
    """Every field in its type, and marks `_unread:<code>:<field>` of the rows whose cell holds something that is no value of it."""
    texts = [f for f in fields if raw.schema[f.name] in (pl.String, pl.Null)]
    raw = raw.with_columns(pl.col(f.name).cast(pl.String) for f in texts)
    made = [pl.col(f.name).cast(dtype_of(f), strict=False) for f in fields if f not in texts]
    read = raw.select(ORDINAL, *(quick(f) for f in texts), *made)
    doubts = raw.select(doubt(f).alias(f.name) for f in texts).row(0, named=True) if texts else {}
    columns, marks = [], []
    for f in texts:
        written, value = raw.get_column(f.name), read.get_column(f.name)
        if doubts[f.name] or (value.dtype != pl.String and value.null_count() > written.null_count()):
            value = careful(f, written, value).alias(f.name)
            marks += _lost(f, written, value)
        columns.append(without_empty_dates(value) if value.dtype.is_temporal() else value)
    for name, codes in failed.items():
        found = [] if codes is None else codes.drop_nulls().unique(maintain_order=True).to_list()
        marks += [(codes == code).fill_null(value=False).alias(f"_unread:{code}:{name}") for code in found]
    return read.with_columns(columns), marks


def _lost(target: Field, written: pl.Series, value: pl.Series) -> list[pl.Series]:
    """The mark of rows that say something which is no value of the field's type."""
    if value.dtype == pl.String or value.null_count() == written.null_count():
        return []
    missed = value.is_null() & written.is_not_null()
    said = tidied(target, written.filter(missed)).is_not_null()
    if not said.any():
        return []
    code = "R104" if target.kind is Kind.NUMBER else "R105"
    return [missed.scatter(missed.arg_true(), said).alias(f"_unread:{code}:{target.name}")]


def _rerouted(frame: pl.DataFrame, item: Item, bound: frozenset[str]) -> pl.DataFrame:
    """ID numbers that stand in the column of credit codes move to the item's own column for them."""
    codes = [f.name for f in item.fields if f.identifier is Identifier.USCC and "subject.1" in f.roles and f.name in bound]
    persons = [f.name for f in item.fields if f.identifier is Identifier.ID_NO and "subject.1" in f.roles and f.name in bound]
    if not codes or not persons:
        return frame
    code, person = pl.col(codes[0]), pl.col(persons[0])
    odd = frame.get_column(codes[0]).is_not_null() & ~USCC.holds(frame.get_column(codes[0]))
    if not odd.any():
        return frame
    moves = odd & frame.select(person.is_null() & id_no_valid(code)).to_series().fill_null(value=False)
    return frame.with_columns(pl.when(moves).then(code).otherwise(person).alias(persons[0]), pl.when(~moves).then(code).alias(codes[0]))


def _without_placeholders(frame: pl.DataFrame, fields: list[Field]) -> tuple[pl.DataFrame, dict[str, str]]:
    """Placeholders are as good as nothing: null, and a mark `_placeholder:<field>`."""
    marks: dict[str, str] = {}
    for f in fields:
        words = PLACEHOLDERS if f.identifier else TEST_NAMES if "subject.name" in f.roles else frozenset[str]()
        if frame.schema[f.name] != pl.String:
            continue
        if frame.get_column(f.name).str.starts_with("#").any():
            words |= SPREADSHEET_ERRORS
        if not words:
            continue
        found = frame.get_column(f.name).is_in(list(words))
        if found.any():
            marks[f.name] = f"_placeholder:{f.name}"
            frame = frame.with_columns(emptied(frame.get_column(f.name), found), found.fill_null(value=False).alias(marks[f.name]))
    return frame, marks


def _unmapped_counts(frame: pl.DataFrame, fields: list[Field]) -> dict[str, int]:
    counts = {f.name: int((~known_codes(f)(frame.get_column(f.name))).sum()) for f in fields if f.codes}
    return {f"unmapped:{name}": count for name, count in counts.items() if count}


def _filled(frame: pl.DataFrame, item: Item, bound: frozenset[str]) -> pl.DataFrame:
    """Fields that the file does not hold as null, what the hub knows itself, and OP, STATUS and SOURCE_TIME."""
    absent = [pl.lit(None, dtype_of(f)).alias(f.name) for f in item.fields if f.name not in bound]
    known = {"item_code": item.code, "dept_code": item.agency, "usage_scope": SCOPE_OF[item.level], "record_status": "0", "op_flag": "I"}
    filled = [pl.col(name).fill_null(pl.lit(value)) for name, value in known.items() if name in item.by_name]
    times = [f for f in item.fields if f.name == "src_update_time" or "watermark" in f.roles]
    stamps = [pl.col(f.name).cast(pl.Datetime("us")) for f in sorted(times, key=lambda f: f.name != "src_update_time") if f.kind in (Kind.DATE, Kind.TIME)]
    withdrawn = pl.col("op_flag") == WITHDRAW if "op_flag" in item.by_name else pl.lit(value=False)
    state = pl.col("record_status").replace_strict(STATUSES, default=3, return_dtype=pl.Int8) if "record_status" in item.by_name else pl.lit(0, pl.Int8)
    return (
        frame.with_columns(absent)
        .with_columns(filled)
        .with_columns(
            pl.when(withdrawn).then(pl.lit(WITHDRAW)).otherwise(pl.lit("U")).alias(OP),
            state.alias(STATUS),
            (pl.coalesce(stamps) if stamps else pl.lit(None, pl.Datetime("us"))).alias(SOURCE_TIME),
        )
    )


def _filtered(frame: pl.DataFrame, plan: FeedPlan, now: datetime) -> tuple[pl.DataFrame, pl.Series]:
    """Rows that the feed wants, and the ordinals of the others (an unknown answer is no)."""
    if plan.only is None:
        return frame, frame.get_column(ORDINAL).clear()
    wanted = frame.select(plan.only.at(now).expr.fill_null(value=False)).to_series()
    return frame.filter(wanted), frame.get_column(ORDINAL).filter(~wanted)
