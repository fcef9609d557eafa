"""Every statement that a pull sends to an Oracle server: names quoted as reflected, values bound, text made by explicit masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from connectors.databases.dialect import Ask, Column, Place, Relation
from connectors.databases.oracle_types import (
    BLOB_BYTES,
    CLOB_CHARACTERS,
    LARGE,
    LOCAL,
    MICRO_MASK,
    POINT,
    SECOND_MASK,
    compared,
    kind_of,
    national,
    value_of,
    width_of,
    written,
)
from hub.contracts.errors import Misconfigured

SESSION = (
    f"ALTER SESSION SET TIME_ZONE = '{LOCAL}' NLS_DATE_FORMAT = '{SECOND_MASK}' NLS_TIMESTAMP_FORMAT = '{MICRO_MASK}'"
    " NLS_NUMERIC_CHARACTERS = '.,' NLS_SORT = BINARY NLS_COMP = BINARY"
)
READ_ONLY = "SET TRANSACTION READ ONLY"
CLOCK = f"SELECT TO_CHAR(SYSTIMESTAMP, '{MICRO_MASK}') AS C1 FROM DUAL"
SCHEMA = "SELECT SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') AS C1 FROM DUAL"
_KINDS = "('TABLE', 'VIEW', 'MATERIALIZED VIEW')"
NAMED = (
    f"SELECT DISTINCT OWNER, OBJECT_NAME FROM ALL_OBJECTS WHERE UPPER(OWNER) = UPPER(:owner) AND UPPER(OBJECT_NAME) = UPPER(:name) AND OBJECT_TYPE IN {_KINDS}"
)
SYNONYMS = (
    "SELECT OWNER, SYNONYM_NAME, TABLE_OWNER, TABLE_NAME, DB_LINK FROM ALL_SYNONYMS"
    " WHERE (UPPER(OWNER) = UPPER(:owner) OR OWNER = 'PUBLIC') AND UPPER(SYNONYM_NAME) = UPPER(:name)"
)
NAMES = f"SELECT DISTINCT OBJECT_NAME FROM ALL_OBJECTS WHERE UPPER(OWNER) = UPPER(:owner) AND OBJECT_TYPE IN {_KINDS} AND ROWNUM <= 5000"
COLUMNS = (
    "SELECT COLUMN_NAME, DATA_TYPE, DATA_LENGTH, CHAR_LENGTH, CHAR_USED, DATA_PRECISION, DATA_SCALE FROM ALL_TAB_COLUMNS"
    " WHERE OWNER = :owner AND TABLE_NAME = :name ORDER BY COLUMN_ID"
)
KEY = (
    "SELECT k.COLUMN_NAME FROM ALL_CONSTRAINTS c JOIN ALL_CONS_COLUMNS k ON k.OWNER = c.OWNER AND k.CONSTRAINT_NAME = c.CONSTRAINT_NAME"
    " WHERE c.OWNER = :owner AND c.TABLE_NAME = :name AND c.CONSTRAINT_TYPE = 'P' AND c.STATUS = 'ENABLED' ORDER BY k.POSITION"
)
SINCE_STANDARD_HASH = 12
_SEPARATOR = " || CHR(31) || "
_LIMIT = 4000  # bytes that VARCHAR2 can hold in SQL
_DIGEST = 40  # hexadecimal digits of SHA-1
_LIST = 1000  # the most expressions that IN takes
_HALVES = (1, 16)  # where the two halves of a digest begin, 60 bits each: sums of them stay exact in a NUMBER


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and the values that are bound to its names."""

    sql: str
    binds: dict[str, object] = field(default_factory=dict)


def quoted(name: str) -> str:
    """A reflected name as an identifier, exactly spelled."""
    return '"' + name.replace('"', '""') + '"'


def place_of(relation: Relation) -> str:
    """What stands after FROM: a table, a view, or the reviewed query in brackets; `r` is its name in every statement."""
    end = "\n" if "--" in relation.sql else ""  # a comment would swallow the bracket
    return f"({relation.sql}{end}) r" if relation.sql else f"{_named(relation)} r"


def column_of(relation: Relation, name: str) -> Column:
    """A column that the relation has. Raises `Misconfigured` where it has none of the name."""
    column = relation.column(name)
    if column is None:
        raise Misconfigured(f"{relation.name} has no column {name}", hint=f"it has {', '.join(c.name for c in relation.columns[:40])}")
    return column


def reading(ask: Ask, version: int) -> Statement:
    """The rows of an ask as columns C1, C2, …; for each large object one more, L1, L2, …, that is 1 where it is too long to be read.

    Servers below 12 have no FETCH FIRST: there the ordered rows are counted by ROWNUM from without.
    """
    columns = [column_of(ask.relation, name) for name in ask.columns]
    chosen = [f"{written(c, _at(c))} AS C{i}" for i, c in enumerate(columns, 1)] + [f"{_excess(c)} AS L{i}" for i, c in enumerate(bounded(columns), 1)]
    where = conditions(ask)
    order = f" ORDER BY {', '.join(_ordered(ask.relation, name) for name in ask.order)}" if ask.order else ""
    sql = f"SELECT {', '.join(chosen)} FROM {place_of(ask.relation)}{where.sql}{order}"
    if ask.limit is None:
        return Statement(sql, where.binds)
    binds = where.binds | {"n": ask.limit}
    if version >= 12:
        return Statement(f"{sql} FETCH FIRST :n ROWS ONLY", binds)
    names = ", ".join(part.rpartition(" AS ")[2] for part in chosen)
    return Statement(f"SELECT {names} FROM ({sql}) WHERE ROWNUM <= :n", binds)


def counting(ask: Ask) -> Statement:
    """How many rows the ask is for, whatever its limit."""
    where = conditions(ask)
    return Statement(f"SELECT TO_CHAR(COUNT(*)) AS C1 FROM {place_of(ask.relation)}{where.sql}", where.binds)


def summing(ask: Ask, of: int, version: int) -> Statement:
    """Per bucket: its number, rows, and sums of parts of the rows' digests, which do not depend on the order of rows."""
    where, columns = conditions(ask), [column_of(ask.relation, name) for name in ask.columns]
    bucket = f"{bucket_of(ask.relation, of)} AS B"
    if version >= SINCE_STANDARD_HASH:
        digests = [f"{_digest(columns)} AS H1"]
        parts = [f"TO_NUMBER(SUBSTR(H1, {begin}, 15), '{'X' * 15}')" for begin in _HALVES]
    else:
        packs = [_SEPARATOR.join(pack) for pack in _packed([(written(c, _at(c)), width_of(c)) for c in columns])]
        digests = [f"{_old_digest(packs, seed)} AS H{seed}" for seed in (1, 2, 3, 4)]
        parts = ["H1", "H2", "H3", "H4"]
    sums = ", ".join(f"TO_CHAR(SUM({part}), 'TM9', '{POINT}') AS S{i}" for i, part in enumerate(parts, 1))
    inner = f"SELECT {bucket}, {', '.join(digests)} FROM {place_of(ask.relation)}{where.sql}"
    return Statement(f"SELECT TO_CHAR(B) AS C1, TO_CHAR(COUNT(*)) AS C2, {sums} FROM ({inner}) GROUP BY B", where.binds)


def hashing(ask: Ask, of: int) -> Statement:
    """Every row's bucket B and its texts C1, C2, …, for relations with columns that the server's hash functions do not take."""
    where, columns = conditions(ask), [column_of(ask.relation, name) for name in ask.columns]
    chosen = [f"TO_CHAR({bucket_of(ask.relation, of)}) AS B"] + [f"{written(c, _at(c))} AS C{i}" for i, c in enumerate(columns, 1)]
    return Statement(f"SELECT {', '.join(chosen)} FROM {place_of(ask.relation)}{where.sql}", where.binds)


def marking(relation: Relation, column: str, key: str, *, empty: bool) -> str:
    """Writes a status where it is still the expected one; binds are value, id and expected (unless that is `empty`)."""
    if relation.sql:
        raise Misconfigured(f"{relation.name} is a query: a status cannot be written into it", hint="let the feed read the table itself")
    marked, told = column_of(relation, column), column_of(relation, key)
    place = quoted(marked.name)
    is_key = " = ".join(compared(told, quoted(told.name), "id"))
    still = f"{place} IS NULL" if empty else " = ".join(compared(marked, place, "expected"))
    value = compared(marked, place, "value")[1]
    return f"UPDATE {_named(relation)} SET {place} = {value} WHERE {is_key} AND {still}"


def bucket_of(relation: Relation, of: int) -> str:
    """SQL for the bucket, 0 to `of` - 1, of a row's key; of all that can be hashed where the relation has no key."""
    names = relation.key or tuple(c.name for c in relation.columns if kind_of(c) not in LARGE and kind_of(c) != "none")
    key = [column_of(relation, name) for name in names]
    if not key or any(kind_of(c) in LARGE for c in key):
        raise Misconfigured(f"the rows of {relation.name} cannot be told apart by hash", hint="name a column that tells rows apart: id: …")
    return f"ORA_HASH({_SEPARATOR.join(_hashable(c) for c in key)}, {of - 1})"


def bounded(columns: Iterable[Column]) -> list[Column]:
    """Those whose values are left out beyond a length."""
    return [column for column in columns if kind_of(column) in ("clob", "blob")]


def conditions(ask: Ask) -> Statement:
    """The WHERE of an ask, empty where it takes all."""
    parts: list[str] = []
    binds: dict[str, object] = {}
    for i, (name, value) in enumerate(ask.equals.items(), 1):
        parts.append(_equal(column_of(ask.relation, name), value, f"e{i}", binds))
    if ask.after is not None:
        parts.append(_after(ask.relation, ask.after, binds))
    if ask.until is not None:
        column = column_of(ask.relation, ask.until[0])
        parts.append(" <= ".join(compared(column, _at(column), "u")))
        binds["u"] = value_of(column, ask.until[1])
    if ask.buckets is not None:
        parts.append(_among(bucket_of(ask.relation, ask.buckets[1]), sorted(ask.buckets[0]), binds))
    return Statement(f" WHERE {' AND '.join(parts)}" if parts else "", binds)


def _named(relation: Relation) -> str:
    return f"{quoted(relation.schema)}.{quoted(relation.name)}" if relation.schema else quoted(relation.name)


def _at(column: Column) -> str:
    return f"r.{quoted(column.name)}"


def _ordered(relation: Relation, name: str) -> str:
    column = column_of(relation, name)
    return compared(column, _at(column), "x")[0]


def _excess(column: Column) -> str:
    bound = CLOB_CHARACTERS if kind_of(column) == "clob" else BLOB_BYTES
    return f"CASE WHEN LENGTH({_at(column)}) > {bound} THEN 1 END"


def _equal(column: Column, value: str, bind: str, binds: dict[str, object]) -> str:
    left, right = compared(column, _at(column), bind)
    if not value:
        return f"{left} IS NULL"
    binds[bind] = value_of(column, value)
    return f"{left} = {right}"


def _after(relation: Relation, after: Place, binds: dict[str, object]) -> str:
    """Greater in the order of the columns; the first one's bound is said alone as well, so that an index on it serves."""
    sides = []
    for i, (name, value) in enumerate(zip(after.columns, after.values, strict=True), 1):
        column = column_of(relation, name)
        sides.append(compared(column, _at(column), f"a{i}"))
        binds[f"a{i}"] = value_of(column, value)
    later = " > ".join(sides[-1])
    for left, right in reversed(sides[:-1]):
        later = f"({left} > {right} OR ({left} = {right} AND {later}))"
    return later if len(sides) == 1 else f"{' >= '.join(sides[0])} AND {later}"


def _among(bucket: str, numbers: Sequence[int], binds: dict[str, object]) -> str:
    lists = []
    for begin in range(0, len(numbers), _LIST):
        names = [f"k{begin + i}" for i in range(len(numbers[begin : begin + _LIST]))]
        binds.update(zip(names, numbers[begin : begin + _LIST], strict=True))
        lists.append(f"{bucket} IN ({', '.join(f':{name}' for name in names)})")
    return f"({' OR '.join(lists)})" if lists else "1 = 0"


def _hashable(column: Column) -> str:
    text = written(column, _at(column))
    return f"TO_CHAR({text})" if kind_of(column) in ("double", "national") else text


def _digest(columns: Sequence[Column]) -> str:
    """SHA-1 over the columns' texts, as hexadecimal digits; packs that no VARCHAR2 could hold together are digested each, then together."""
    parts = [(_hashable(c), width_of(c)) for c in columns if not national(c)]
    parts += [(_hex(written(c, _at(c))), _DIGEST) for c in columns if national(c)]
    while True:
        packs = _packed(parts)
        if len(packs) == 1:
            return _hex(_SEPARATOR.join(packs[0]))
        parts = [(_hex(_SEPARATOR.join(pack)), _DIGEST) for pack in packs]


def _hex(text: str) -> str:
    return f"RAWTOHEX(STANDARD_HASH({text}, 'SHA1'))"


def _old_digest(packs: Sequence[str], seed: int) -> str:
    """For servers without STANDARD_HASH: 32 bits of a hash of hashes."""
    if len(packs) == 1:
        return f"ORA_HASH({packs[0]}, 4294967295, {seed})"
    hashes = _SEPARATOR.join(f"ORA_HASH({pack}, 4294967295, {seed})" for pack in packs)
    return f"ORA_HASH({hashes}, 4294967295, {seed})"


def _packed(parts: Sequence[tuple[str, int]]) -> list[list[str]]:
    packs: list[list[str]] = [[]]
    room = _LIMIT
    for text, width in parts:
        if packs[-1] and width + 1 > room:
            packs.append([])
            room = _LIMIT
        packs[-1].append(text)
        room -= width + 1
    return packs
