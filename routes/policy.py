"""The one disclosure decision: which rows and fields of an item may leave to the receiver of a share, and why the others stay."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

import polars as pl

from hub.contracts.item import LEVEL_ZH, Item, Level
from hub.contracts.share import Basis, Decision, Share
from transforms.masking import default_mask, mask

LOCAL = ZoneInfo("Asia/Shanghai")  # grants and publication end by the receiver's calendar
UNMASKED = "none"  # a share's way to say that a field leaves as it is
DECIDED = ("record_id", "op", "version")  # columns of a decision that are no fields of the item

_LEVELS = tuple(Level)  # least strict first: a level's place is its rank
_OPEN, _BASIC, _DEPARTMENT, _AUTHORISED = range(len(_LEVELS))
_SCOPE_RANK = {"0": _OPEN, "1": _BASIC, "2": _AUTHORISED}  # 信息使用范围: 公示, 仅政府部门内部共享, 仅可授权查询
_NORMAL, _WITHDRAWN, _DISPUTED = 0, 1, 2  # 数据状态
_ENDINGS = ("withdrawn", "public_until")  # reasons that a receiver who was handed the record must be told
_PLACE, _RANK, _REASON, _KNOWN = "__place", "__rank", "__reason", "__known"


class Grant(StrEnum):
    """How a share's basis stands today; every word but `live` is a reason to withhold."""

    LIVE = "live"
    MISSING = "no_grant"
    NOT_STARTED = "grant_not_started"
    EXPIRED = "grant_expired"
    REVOKED = "grant_revoked"


def decide(
    item: Item,
    share: Share,
    rows: pl.DataFrame,
    *,
    now: datetime,
    revoked: Collection[str] = frozenset(),
    known: Collection[str] = frozenset(),
) -> Decision:
    """Decide about `rows` (record_id, status, arrival, ordinal, row_hash and the item's columns, plain) for one share at the instant `now`.

    Everything that is not allowed is withheld, with one of the reasons of `WITHHELD`. `revoked` holds names of shares and numbers of grant
    documents that nothing can bring back; `known` the record ids that the receiver was ever handed. A record that was handed over and
    may no longer be known is told as `withdraw`, which carries its id and no field, whatever became of the grant.
    """
    grant = standing(share, _today(now), revoked)
    fields = _granted_fields(item, share)
    if missing := _missing(item, rows, fields):
        return _nothing(rows, f"columns are missing: {', '.join(missing)}")
    marked = _dated(rows).with_row_index(_PLACE).with_columns(_rank(item).alias(_RANK))
    marked = marked.with_columns(_reason(item, share, grant, _today(now)).alias(_REASON), pl.col("record_id").is_in(list(known)).alias(_KNOWN))
    ends = pl.col(_REASON).is_in(list(_ENDINGS)) & pl.col(_KNOWN)
    leaving = marked.filter(pl.col(_REASON).is_null())
    told = pl.concat([_upserts(item, share, fields, leaving), _withdrawals(marked.filter(ends), fields)], how="diagonal_relaxed")
    withheld = marked.filter(pl.col(_REASON).is_not_null() & ~ends).select("record_id", pl.col(_REASON).alias("reason"))
    return Decision(told.sort(_PLACE).drop(_PLACE), withheld, _words(share.basis, grant, leaving, told.height > leaving.height))


def standing(share: Share, today: date, revoked: Collection[str] = frozenset()) -> Grant:
    """How the share's basis stands on a day. A grant needs purpose, document and end; both of its days are inclusive."""
    basis = share.basis
    if share.name in revoked or (basis is not None and basis.document in revoked):
        return Grant.REVOKED
    if basis is None or not (basis.purpose and basis.document and basis.until):
        return Grant.MISSING
    if basis.start is not None and today < basis.start:
        return Grant.NOT_STARTED
    return Grant.EXPIRED if today > basis.until else Grant.LIVE


def standing_at(share: Share, now: datetime, revoked: Collection[str] = frozenset()) -> Grant:
    """How the share's basis stands at an instant."""
    return standing(share, _today(now), revoked)


def _today(now: datetime) -> date:
    return (now.astimezone(LOCAL) if now.tzinfo else now).date()


def _granted_fields(item: Item, share: Share) -> list[str]:
    """Fields of the item that the share names, in the share's order; anything else never leaves."""
    if item.code not in share.items:
        return []
    return [name for name in dict.fromkeys(share.fields) if name in item.by_name and name not in DECIDED]


def _missing(item: Item, rows: pl.DataFrame, fields: list[str]) -> list[str]:
    """Columns that the decision cannot do without and the rows do not have."""
    steering = [name for name in ("usage_scope", "public_until") if name in item.by_name]
    return [name for name in dict.fromkeys(["record_id", "status", *steering, *fields]) if name not in rows.columns]


def _nothing(rows: pl.DataFrame, why: str) -> Decision:
    ids = rows["record_id"].cast(pl.String) if "record_id" in rows.columns else pl.Series("record_id", [None] * rows.height, dtype=pl.String)
    withheld = pl.DataFrame({"record_id": ids, "reason": pl.Series(["unreadable"] * rows.height, dtype=pl.String)})
    return Decision(pl.DataFrame(schema=dict.fromkeys(DECIDED, pl.String)), withheld, f"none: {why}")


def _dated(rows: pl.DataFrame) -> pl.DataFrame:
    """An end of publication that is no date has passed long ago."""
    if rows.schema.get("public_until", pl.Date) in (pl.Date, pl.Null):
        return rows
    return rows.with_columns(pl.when(pl.col("public_until").is_not_null()).then(pl.lit(date.min)).alias("public_until"))


def _rank(item: Item) -> pl.Expr:
    """Rank of the stricter of the item's level and the record's own scope; null where the scope cannot be read."""
    level = pl.lit(_LEVELS.index(item.level), dtype=pl.Int64)
    if "usage_scope" not in item.by_name:
        return level
    scope = pl.col("usage_scope").cast(pl.String).replace_strict(_SCOPE_RANK, default=None, return_dtype=pl.Int64)
    return pl.when(scope.is_not_null()).then(pl.max_horizontal(level, scope))


def _reason(item: Item, share: Share, grant: Grant, today: date) -> pl.Expr:
    """Why a record stays, null where it may leave. The first that applies, gravest first."""
    status = pl.col("status").cast(pl.Int64, strict=False)
    return (
        pl.when(pl.col("record_id").is_null() | pl.col(_RANK).is_null() | status.is_null())
        .then(pl.lit("unreadable"))
        .when(status == _WITHDRAWN)
        .then(pl.lit("withdrawn"))
        .when(status == _DISPUTED)
        .then(pl.lit("disputed"))
        .when(status != _NORMAL)
        .then(pl.lit("not_normal"))
        .otherwise(_reason_of_level(item, share, grant, today))
    )


def _reason_of_level(item: Item, share: Share, grant: Grant, today: date) -> pl.Expr:
    """What the record's level asks for and the receiver does not have."""
    if item.code not in share.items:
        return pl.lit(Grant.MISSING.value)
    if grant is Grant.REVOKED:
        return pl.lit(grant.value)
    rank, live = pl.col(_RANK), pl.lit(grant is Grant.LIVE)
    private = item.subject == "Z" and not item.public_persons
    standing_rule = pl.any_horizontal((rank == _OPEN) & pl.lit(not private), (rank == _BASIC) & pl.lit(is_government(share.to)))
    published_only = (rank == _OPEN) & ~live
    return (
        pl.when(rank == _AUTHORISED)
        .then(pl.lit("no_consent"))
        .when(~live & ~standing_rule)
        .then(_lack(item, grant, private))
        .when(published_only & _publication_ended(item, today))
        .then(pl.lit("public_until"))
        .otherwise(pl.lit(None, dtype=pl.String))
    )


def _lack(item: Item, grant: Grant, private: bool) -> pl.Expr:
    """The word for a missing grant: what made one necessary, where there never was one."""
    if grant is not Grant.MISSING:
        return pl.lit(grant.value)
    raised = pl.col(_RANK) > _LEVELS.index(item.level)
    word = pl.when(raised).then(pl.lit("level"))
    return word.when((pl.col(_RANK) == _OPEN) & pl.lit(private)).then(pl.lit("person")).otherwise(pl.lit(grant.value))


def _publication_ended(item: Item, today: date) -> pl.Expr:
    """True from the day after 公示截止期."""
    if "public_until" not in item.by_name:
        return pl.lit(value=False)
    return (pl.col("public_until") < today).fill_null(value=False)


def is_government(agency: str) -> bool:
    """True for city units (A…) and towns or zones (B…); utilities and banks (C…) are not."""
    return agency[:1] in ("A", "B")


def _upserts(item: Item, share: Share, fields: list[str], leaving: pl.DataFrame) -> pl.DataFrame:
    return leaving.select(
        _PLACE, "record_id", pl.lit("upsert").alias("op"), _version(leaving).alias("version"), *(_masked(item, share, name) for name in fields)
    )


def _withdrawals(ending: pl.DataFrame, fields: list[str]) -> pl.DataFrame:
    nothing = [pl.lit(None, dtype=ending.schema[name]).alias(name) for name in fields]
    return ending.select(_PLACE, "record_id", pl.lit("withdraw").alias("op"), pl.lit(None, dtype=pl.String).alias("version"), *nothing)


def _masked(item: Item, share: Share, name: str) -> pl.Expr:
    """The field as it may be seen: the share's own word on masking, otherwise the field's default."""
    kind = share.masks.get(name) or default_mask(item.by_name[name], item)
    column = pl.col(name)
    return column if kind in (None, UNMASKED) else mask(kind, column.cast(pl.String)).alias(name)


def _version(rows: pl.DataFrame) -> pl.Expr:
    """Names one state of a record: arrival and ordinal that wrote it, and the head of its row hash, so that a corrected row differs."""
    parts = [
        pl.col("arrival").cast(pl.String).str.zfill(10) if "arrival" in rows.columns else None,
        pl.col("ordinal").cast(pl.String).str.zfill(10) if "ordinal" in rows.columns else None,
        pl.col("row_hash").str.slice(0, 8) if "row_hash" in rows.columns else None,
    ]
    return pl.concat_str([p for p in parts if p is not None] or [pl.lit("")], separator=".", ignore_nulls=True)


def _words(basis: Basis | None, grant: Grant, leaving: pl.DataFrame, ending: bool) -> str:
    """The basis for the record: the grant in force, or the standing rules of the levels under which rows leave."""
    if ending and not leaving.height:
        return "withdrawal of records handed over before"
    if basis is not None and grant is Grant.LIVE:
        return f"grant {basis.document} ({basis.purpose}) until {basis.until}"
    levels = [_LEVELS[rank] for rank in leaving[_RANK].unique().sort().to_list()]
    return "standing rule " + ", ".join(f"{LEVEL_ZH[level]} ({level})" for level in levels) if levels else f"none: {grant}"
