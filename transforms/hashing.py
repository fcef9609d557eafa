"""Canonical plain text of a row, and the keyed hashes that stand for its key and its content."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from hub.contracts.batch import OP, RECORD_ID, ROW_HASH, STATUS
from hub.contracts.item import Field, Item, Kind
from hub.contracts.keys import KeyRing
from transforms.identifiers import FULL_WIDTH, HALF_WIDTH

SEPARATOR = "\x1f"

# What says how a record travelled, not what it says: a daily re-delivery changes these and nothing else.
TRANSPORT = frozenset({"record_id", "item_code", "dept_code", "dept_name", "provide_date", "batch_no", "op_flag"})

_BRACKETS = "〔〕［］【】〖〗[]{}｛｝「」"
_FOLDED = [*_BRACKETS, *(letter for letter in FULL_WIDTH if letter not in _BRACKETS)]
_PLAIN = [*("()" * (len(_BRACKETS) // 2)), *(half for letter, half in zip(FULL_WIDTH, HALF_WIDTH, strict=True) if letter not in _BRACKETS)]


def canonical(field: Field, item: Item) -> pl.Expr:
    """A typed field as the text that is hashed: String, null for null.

    Dates as YYYY-MM-DD, times as YYYY-MM-DD HH:MM:SS, decimals without trailing zeros; keys and names without differences of width and brackets.
    """
    value = pl.col(field.name)
    match field.kind:
        case Kind.NUMBER if field.scale:
            return value.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
        case Kind.TIME:
            return value.dt.strftime("%Y-%m-%d %H:%M:%S")
        case Kind.NUMBER | Kind.DATE:
            return value.cast(pl.String)
    names_it = "subject.name" in field.roles or any(field.name in part for part in item.natural_key)
    return value.str.replace_many(_FOLDED, _PLAIN) if names_it and field.identifier is None else value


def record_id(item: Item, keys: KeyRing, texts: Mapping[str, pl.Expr] | None = None) -> pl.Expr:
    """32 hex digits, keyed hash of the item's code and its natural key: of each part the first alternative that is present.

    Null where a part of the key is missing. `texts` are canonical texts that the frame has already.
    """
    known = texts or {}
    parts = [pl.coalesce([known.get(name, canonical(item.by_name[name], item)) for name in part]) for part in item.natural_key]
    return keys.hash(pl.concat_str([pl.lit(item.code), *parts], separator=SEPARATOR))


def row_hash(item: Item, keys: KeyRing, texts: Mapping[str, pl.Expr] | None = None) -> pl.Expr:
    """32 hex digits, keyed hash of operation, status and all fields in catalogue order. Needs OP and STATUS.

    Empty text does not exist (it is null everywhere), so a missing value can be written as nothing; what only describes transport is left out.
    """
    known = texts or {}
    said = [known.get(f.name, canonical(f, item)).fill_null("") for f in item.fields if f.name not in TRANSPORT]
    return keys.hash(pl.concat_str([pl.col(OP), pl.col(STATUS).cast(pl.String), *said], separator=SEPARATOR))


def hashes(frame: pl.DataFrame, item: Item, keys: KeyRing) -> pl.DataFrame:
    """RECORD_ID and ROW_HASH of typed rows; the key's canonical text is made once for both."""
    names = dict.fromkeys(name for part in item.natural_key for name in part)
    texts = {name: f"_text:{name}" for name in names}
    keyed = frame.with_columns(canonical(item.by_name[name], item).alias(texts[name]) for name in names)
    known = {name: pl.col(text) for name, text in texts.items()}
    return keyed.select(record_id(item, keys, known).alias(RECORD_ID), row_hash(item, keys, known).alias(ROW_HASH))
