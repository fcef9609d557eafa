"""Statements that a pull runs on PostgreSQL: names quoted, values as parameters, every cell as text."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.dialects.postgresql.base import PGDialect

from connectors.databases.dialect import Ask, Column, Relation, Sort

ZONE = "Asia/Shanghai"
Statement = tuple[str, list[object]]
"""SQL with a `%s` for each parameter, and the parameters."""

FIND = """
SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND c.relname = ANY(%s)
  AND (CASE WHEN %s = '' THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = ANY(%s) END)
ORDER BY c.relname <> %s, n.nspname <> %s LIMIT 1
"""
NAMES = """
SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND (n.nspname = %s OR (%s = '' AND pg_catalog.pg_table_is_visible(c.oid))) ORDER BY 1 LIMIT 5000
"""
_BASE = """
WITH RECURSIVE base AS (
  SELECT {start}
  UNION ALL
  SELECT b.place, b.name, t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE b.mod END
  FROM base AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.type WHERE t.typtype = 'd'
)
SELECT b.name, pg_catalog.format_type(b.type, b.mod) FROM base AS b JOIN pg_catalog.pg_type AS t ON t.oid = b.type WHERE t.typtype <> 'd' ORDER BY b.place
"""
COLUMNS = _BASE.format(
    start="attnum::integer AS place, attname::text AS name, atttypid AS type, atttypmod AS mod FROM pg_catalog.pg_attribute "
    "WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped"
)
DESCRIBED = _BASE.format(
    start="d.place, d.name, d.type, d.mod FROM unnest(CAST(%s AS integer[]), CAST(%s AS text[]), CAST(%s AS oid[]), CAST(%s AS integer[])) "
    "AS d(place, name, type, mod)"
)
KEY = """
SELECT a.attname FROM pg_catalog.pg_attribute AS a JOIN (
  SELECT i.indrelid, i.indkey::smallint[] AS columns FROM pg_catalog.pg_index AS i
  WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND 0 <> ALL (i.indkey::smallint[])
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS n WHERE n.attrelid = i.indrelid AND n.attnum = ANY (i.indkey::smallint[]) AND NOT n.attnotnull)
  ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1
) AS k ON a.attrelid = k.indrelid AND a.attnum = ANY (k.columns) ORDER BY array_position(k.columns, a.attnum)
"""

_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision", "money", "oid")
_quote = PGDialect().identifier_preparer.quote_identifier  # type: ignore[no-untyped-call]  # doubles % already


def sort_of(declared: str) -> Sort:
    """What a type is, from the database's own word for it."""
    if declared.endswith("[]"):
        return "text"
    word = declared.partition("(")[0].strip()
    if word in _NUMBERS:
        return "number"
    return "date" if word == "date" else "time" if word.startswith("timestamp") else "binary" if word == "bytea" else "text"


def _word(sql: str) -> str:
    """Text that is no statement with places for parameters, as a part of one."""
    return sql.replace("%", "%%")


def quoted(name: str) -> str:
    """A name as an identifier."""
    return _quote(name)


def described(sql: str) -> str:
    """What a query answers with, without a row of it being read."""
    return f"SELECT q.* FROM ({_word(sql)}\n) AS q LIMIT 0"


def source(relation: Relation) -> str:
    """What stands after FROM."""
    if relation.sql:
        return f"({_word(relation.sql)}\n) AS {quoted(relation.name)}"
    return f"{quoted(relation.schema)}.{quoted(relation.name)}" if relation.schema else quoted(relation.name)


def cell(column: Column) -> str:
    """A column in the text form of `Piece`: bytes as hexadecimal digits, truth as true and false, arrays and documents as PostgreSQL writes them."""
    name, declared = quoted(column.name), column.declared
    if column.sort == "time" and declared.endswith("with time zone"):
        return f"({name} AT TIME ZONE '{ZONE}')"
    if declared in ("real", "double precision"):
        return f"CASE WHEN {name} IN ('NaN', 'Infinity', '-Infinity') THEN {name}::text ELSE {name}::text::numeric::text END"
    if column.sort == "binary":
        return f"encode({name}, 'hex')"
    if declared == "money":
        return f"{name}::numeric"
    if declared == "boolean":
        return f"{name}::text"
    if declared.startswith("character varying") or declared in ("text", "citext"):
        return f"NULLIF({name}, '')"
    return f"NULLIF({name}::text, '')" if declared.startswith(("character", '"char"', "name")) and column.sort == "text" else name


def _value(column: Column | None, text: str) -> tuple[str, object]:
    if column is not None and column.sort == "binary":
        return "decode(%s, 'hex')", text
    return "%s", text


def is_value(column: Column, text: str) -> Statement:
    """Whether a column holds a value; nothing is NULL or empty text."""
    name = quoted(column.name)
    if not text:
        return f"({name} IS NULL OR {name}::text = '')", []
    place, value = _value(column, text)
    return f"{name} = {place}", [value]


def _conditions(ask: Ask) -> Statement:
    parts, values, relation = [], list[object](), ask.relation
    for name, text in ask.equals.items():
        column = relation.column(name)
        assert column is not None, "names come from the relation"
        part, more = is_value(column, text)
        parts.append(part)
        values += more
    if ask.after is not None:
        places = [_value(relation.column(name), text) for name, text in zip(ask.after.columns, ask.after.values, strict=True)]
        names = [quoted(name) for name in ask.after.columns]
        parts += [f"{name} IS NOT NULL" for name in names]
        parts.append(f"({', '.join(names)}) > ({', '.join(place for place, _ in places)})")
        values += [value for _, value in places]
    if ask.until is not None:
        place, value = _value(relation.column(ask.until[0]), ask.until[1])
        parts.append(f"{quoted(ask.until[0])} <= {place}")
        values.append(value)
    if ask.buckets is not None:
        parts.append(f"{_bucket(relation)} = ANY(CAST(%s AS bigint[]))")
        values += [ask.buckets[1], sorted(ask.buckets[0])]
    return (f" WHERE {' AND '.join(parts)}" if parts else ""), values


def _bucket(relation: Relation) -> str:
    """The bucket of a row, by the first 60 bits of its key's MD5: the same on every version and architecture. Takes the number of buckets."""
    return f"{_bits(_digest(relation, relation.key), 1)} %% CAST(%s AS bigint)"


def _digest(relation: Relation, columns: Sequence[str]) -> str:
    """MD5 of some cells, each told apart from the next and from none: as the text of a row."""
    cells = [f"NULLIF({cell(column)}::text, '')" for name in columns if (column := relation.column(name)) is not None]
    return f"md5(ROW({', '.join(cells)})::text)"


def _bits(digest: str, start: int) -> str:
    return f"('x' || substr({digest}, {start}, 15))::bit(60)::bigint"


def select(ask: Ask) -> Statement:
    """The rows of an ask."""
    cells = [cell(column) for name in ask.columns if (column := ask.relation.column(name)) is not None]
    where, values = _conditions(ask)
    order = f" ORDER BY {', '.join(map(quoted, ask.order))}" if ask.order else ""
    limit = f" LIMIT {int(ask.limit)}" if ask.limit is not None else ""
    return f"SELECT {', '.join(cells)} FROM {source(ask.relation)}{where}{order}{limit}", values


def count(ask: Ask) -> Statement:
    """How many rows an ask is for."""
    where, values = _conditions(ask)
    if ask.limit is None:
        return f"SELECT count(*) FROM {source(ask.relation)}{where}", values
    return f"SELECT count(*) FROM (SELECT 1 FROM {source(ask.relation)}{where} LIMIT {int(ask.limit)}) AS limited", values


def sums(ask: Ask, of: int) -> Statement:
    """Per bucket: its number, rows, and the sums of two halves of each row's MD5, which come out the same in whatever order the rows are met."""
    where, values = _conditions(ask)
    rows = f"SELECT {_bucket(ask.relation)} AS bucket, {_digest(ask.relation, ask.columns)} AS digest FROM {source(ask.relation)}{where}"
    rows += " OFFSET 0"  # or each use of the digest would work it out again
    return f"SELECT bucket, count(*), sum({_bits('digest', 1)}) || '-' || sum({_bits('digest', 17)}) FROM ({rows}) AS digests GROUP BY bucket", [of, *values]


def mark(relation: Relation, column: Column, value: str, key: Column, keys: Sequence[str], expected: str) -> Statement:
    """Write `value` where it is expected, locking the rows in the order of their keys first, so that two writers do not wait for each other."""
    table, name, held = source(relation), quoted(key.name), quoted(column.name)
    still, values = is_value(column, expected)
    array: object = [bytes.fromhex(text) for text in keys] if key.sort == "binary" else list(keys)
    kind = _word(key.declared)
    locked = f"SELECT {name} FROM {table} WHERE {name} = ANY(CAST(%s AS {kind}[])) AND {still} ORDER BY {name} FOR UPDATE"
    sql = f"WITH locked AS ({locked}) UPDATE {table} SET {held} = %s WHERE {name} IN (SELECT {name} FROM locked) AND {still}"
    return sql, [array, *values, value or None, *values]
