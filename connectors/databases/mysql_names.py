"""Tables, views and reviewed queries of MySQL and MariaDB, as the server itself spells and types them."""

from __future__ import annotations

from difflib import get_close_matches

from connectors.databases.dialect import Column, Relation
from connectors.databases.mysql_session import Session
from connectors.databases.mysql_statements import Statements
from connectors.databases.mysql_types import declared_of, sort_of
from hub.contracts.errors import Misconfigured

_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION
"""
_KEY = """
SELECT COLUMN_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX
"""
_TABLES = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s ORDER BY TABLE_NAME LIMIT 5000"


def reflected(session: Session, name: str, schema: str) -> Relation:
    """A table or view by its exact name. Raises `Misconfigured` where there is none, with the nearest names."""
    schema = schema or str(session.query("SELECT DATABASE()")[0][0])
    rows = [row for row in session.query(_COLUMNS, (schema, name)) if row[0] == name]
    if not rows:
        _missing(session, name, schema)
    columns = tuple(Column(_text(column), _text(declared), sort_of(_text(declared)), _text(charset)) for _, column, declared, charset in rows)
    key = tuple(_text(column) for (column,) in session.query(_KEY, (schema, name)))
    return Relation(name, columns, key, schema)


def _missing(session: Session, name: str, schema: str) -> None:
    tables = [_text(table) for (table,) in session.query(_TABLES, (schema,))]
    folded = {table.casefold(): table for table in tables}
    near = [folded[each] for each in get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.5)]
    nearest = f"nearest: {', '.join(near)}; " if near else ""
    hint = f"{nearest}a table that the account may not read is not seen either" if tables else "the account sees no table there: check schema: and its rights"
    raise Misconfigured(f"{session.place}: there is no table or view {name!r} in {schema!r}", hint=hint)


def described(session: Session, statements: Statements, name: str, sql: str) -> Relation:
    """A reviewed query. Raises `Misconfigured` with the server's own word for what is wrong in it."""
    if ";" in sql:
        raise Misconfigured(f"query {name} is more than one statement", hint="write one SELECT, without a semicolon")
    found = session.described(statements.shape(sql)[0])
    charsets = session.query(*statements.charsets(sql, [column for column, _, _ in found]))[0]
    columns = []
    for (column, code, scale), charset in zip(found, charsets, strict=True):
        declared = declared_of(code, scale, _text(charset))
        sort = sort_of(declared)
        columns.append(Column(column, declared, sort, _text(charset) if sort == "text" else ""))
    return Relation(name, tuple(columns), sql=sql)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else "" if value is None else str(value)
