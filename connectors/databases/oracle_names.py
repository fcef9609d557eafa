"""What an Oracle database calls its tables and columns: spelled as it spells them, found under other letters where only one is meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from connectors.databases import oracle_statements as made
from connectors.databases.dialect import Column, Relation
from connectors.databases.oracle_types import sort_of
from hub.contracts.errors import Misconfigured

Rows = Callable[[made.Statement, str], list[tuple[Any, ...]]]
_LINKS = 4  # synonyms of synonyms
_DESCRIBED = {
    "VARCHAR": "VARCHAR2({size})", "NVARCHAR": "NVARCHAR2({size})", "CHAR": "CHAR({size})", "NCHAR": "NCHAR({size})", "RAW": "RAW({size})",
    "LONG_VARCHAR": "LONG", "LONG_NVARCHAR": "LONG", "LONG_RAW": "LONG RAW", "TIMESTAMP": "TIMESTAMP({scale})",
    "TIMESTAMP_TZ": "TIMESTAMP({scale}) WITH TIME ZONE", "TIMESTAMP_LTZ": "TIMESTAMP({scale}) WITH LOCAL TIME ZONE",
    "INTERVAL_DS": "INTERVAL DAY TO SECOND", "INTERVAL_YM": "INTERVAL YEAR TO MONTH",
}  # fmt: skip


def relation_named(rows: Rows, name: str, schema: str, place: str) -> Relation:
    """A table or view with its columns and primary key. Raises `Misconfigured` where there is none, or several are meant."""
    owner, found = _resolved(rows, name, schema or str(rows(made.Statement(made.SCHEMA), "asking for its schema")[0][0]), place)
    named: dict[str, object] = {"owner": owner, "name": found}
    columns = tuple(_reflected(*row) for row in rows(made.Statement(made.COLUMNS, named), f"reading the columns of {found}"))
    if not columns:
        raise Misconfigured(f"Oracle at {place} shows no columns of {owner}.{found}", hint="ask the agency for GRANT SELECT on it")
    key = tuple(str(row[0]) for row in rows(made.Statement(made.KEY, named), f"reading the key of {found}"))
    return Relation(found, columns, key, owner)


def described(item: Any) -> Column:
    """A column of a parsed query, from the driver's description of it."""
    kind = str(item.type_code.name).removeprefix("DB_TYPE_")
    if kind == "NUMBER":
        declared = _number(item.precision or None, item.scale if item.precision else None)
    else:
        declared = _DESCRIBED.get(kind, kind).format(size=item.internal_size or 4000, scale=6 if item.scale is None else item.scale)
    return Column(item.name, declared, sort_of(declared))


def _reflected(name: str, kind: str, size: int, characters: int, used: str | None, precision: int | None, scale: int | None) -> Column:
    declared = kind
    if kind in ("VARCHAR2", "CHAR"):
        declared = f"{kind}({characters} CHAR)" if used == "C" else f"{kind}({size})"
    elif kind in ("NVARCHAR2", "NCHAR"):
        declared = f"{kind}({characters})"
    elif kind == "RAW":
        declared = f"RAW({size})"
    elif kind == "NUMBER":
        declared = _number(precision, scale)
    return Column(name, declared, sort_of(declared))


def _number(precision: int | None, scale: int | None) -> str:
    if precision is None:
        return "NUMBER" if scale is None else f"NUMBER(*,{int(scale)})"
    return f"NUMBER({int(precision)},{int(scale)})" if scale else f"NUMBER({int(precision)})"


def _resolved(rows: Rows, name: str, schema: str, place: str) -> tuple[str, str]:
    """Owner and name as the database spells them; synonyms are followed."""
    wanted = (schema, name)
    for _ in range(_LINKS):
        asked: dict[str, object] = {"owner": wanted[0], "name": wanted[1]}
        tables = [(str(owner), str(table)) for owner, table in rows(made.Statement(made.NAMED, asked), f"looking for {name}")]
        if tables:
            return _only(tables, wanted)
        synonyms = rows(made.Statement(made.SYNONYMS, asked), f"looking for {name}")
        if not synonyms:
            break
        wanted = _followed(synonyms, wanted)
    raise _missing(rows, *wanted, place)


def _followed(synonyms: Sequence[tuple[Any, ...]], wanted: tuple[str, str]) -> tuple[str, str]:
    own = [row for row in synonyms if row[0] != "PUBLIC"] or list(synonyms)
    chosen = _only([(str(row[0]), str(row[1])) for row in own], wanted)
    _, _, owner, table, link = next(row for row in own if (row[0], row[1]) == chosen)
    if link:
        hint = "name the database that the link leads to as a source of its own, or ask for a view"
        raise Misconfigured(f"{wanted[1]} is a synonym of a table behind database link {link}", hint=hint)
    return str(owner or wanted[0]), str(table)


def _only(found: Sequence[tuple[str, str]], wanted: tuple[str, str]) -> tuple[str, str]:
    meant = [each for each in found if each[1] == wanted[1]] or list(found)
    meant = [each for each in meant if each[0] == wanted[0]] or meant
    if len(meant) > 1:
        names = ", ".join(".".join(each) for each in meant[:5])
        raise Misconfigured(f"{wanted[1]} may mean several tables: {names}", hint="spell it as the database does, capitals and all")
    return meant[0]


def _missing(rows: Rows, schema: str, name: str, place: str) -> Misconfigured:
    names = [str(row[0]) for row in rows(made.Statement(made.NAMES, {"owner": schema}), "looking for names")]
    folded = {each.upper(): each for each in names}
    near = [folded[each] for each in difflib.get_close_matches(name.upper(), folded, n=3, cutoff=0.5)]
    hint = f"is it {' or '.join(near)}?" if near else f"the account sees {len(names)} tables and views of {schema}: ask for GRANT SELECT, or name its schema:"
    return Misconfigured(f"Oracle at {place} has no table or view {schema}.{name} that the account may read", hint=hint, code="ORA-00942")
