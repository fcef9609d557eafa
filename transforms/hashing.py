"""Canonical plain text of a row, and the keyed hashes that stand for its key and its content."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

import polars as pl

from hub.contracts.batch import OP, RECORD_ID, ROW_HASH, STATUS
from hub.contracts.item import Field, Item, Kind
from hub.contracts.keys import KeyRing
from transforms.columns import each
from transforms.days import texts_of
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
        case Kind.NUMBER:
            return value.cast(pl.String)
        case Kind.DATE:
            return each(value, texts_of, kind=pl.String)
    names_it = "subject.name" in field.roles or any(field.name in part for part in item.natural_key)
    return value.str.replace_many(_FOLDED, _PLAIN) if names_it and field.identifier is None else value


def record_id(item: Item, keys: KeyRing, text: Callable[[Field, Item], pl.Expr] = canonical) -> pl.Expr:
    """32 hex digits, keyed hash of the item's code and its natural key: of each part the first alternative that is present.

    Null where a part of the key is missing. `text` is the canonical text of a field.
    """
    parts = [pl.coalesce([text(item.by_name[name], item) for name in part]) for part in item.natural_key]
    return keys.hash(pl.concat_str([pl.lit(item.code), *parts], separator=SEPARATOR))


def row_text(cells: pl.DataFrame) -> pl.Expr:
    """All cells of a row of canonical texts, SEPARATOR between them; the row's hash is taken of this.

    Empty text does not exist (it is null everywhere), so a missing value can be written as nothing. Neighbours that say the same in every row
    of the frame are put together once, not once per row.
    """
    parts: list[pl.Expr] = []
    for alike, group in groupby(cells.get_columns(), _says_one_thing):
        columns = list(group)
        parts += [pl.lit(SEPARATOR.join(c[0] or "" for c in columns))] if alike else [pl.col(c.name).fill_null("") for c in columns]
    return pl.concat_str(parts, separator=SEPARATOR)


def hashes(frame: pl.DataFrame, item: Item, keys: KeyRing) -> pl.DataFrame:
    """RECORD_ID and ROW_HASH of typed rows with OP and STATUS, each canonical text made once for both.

    ROW_HASH is the keyed hash of operation, status and all fields in catalogue order; what only describes transport is left out.
    """
    said = [f.name for f in item.fields if f.name not in TRANSPORT]
    wanted = dict.fromkeys([*said, *(name for part in item.natural_key for name in part)])
    texts = frame.select(OP, pl.col(STATUS).cast(pl.String), *(canonical(item.by_name[name], item) for name in wanted))
    row = row_text(texts.select(OP, STATUS, *said))
    return texts.select(record_id(item, keys, lambda field, _: pl.col(field.name)).alias(RECORD_ID), keys.hash(row).alias(ROW_HASH))


def _says_one_thing(column: pl.Series) -> bool:
    """Whether all rows hold the same text; two rows are looked at before all of them."""
    if len(column) < 2 or column[0] != column[-1]:
        return False
    return column.null_count() == len(column) if column[0] is None else column.eq_missing(column[0]).all()
