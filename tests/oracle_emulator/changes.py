"""INSERT, UPDATE, DELETE and MERGE in SQLite's words; every value is converted as its column asks."""

from __future__ import annotations

from collections.abc import Sequence

from tests.oracle_emulator.catalogue import Relation
from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.expressions import Scope
from tests.oracle_emulator.sql import Translator
from tests.oracle_emulator.tokens import Group, Nodes, Token, at, chain, is_name, is_sign, is_word, quoted, split


def changing(nodes: Nodes, translator: Translator) -> tuple[list[str], Relation]:
    """The statements that make a change, and the table that is changed. Their counts of rows add up."""
    word = nodes[0].value if isinstance(nodes[0], Token) else ""
    return {"INSERT": _insert, "UPDATE": _update, "DELETE": _delete, "MERGE": _merge}[word](nodes, translator)


def _target(nodes: Nodes, position: int, translator: Translator) -> tuple[Relation, str, int]:
    names, position = chain(nodes, position)
    if not names:
        raise OracleError(903, "invalid table name")
    relation, alias = translator.relation(names), names[-1]
    node = at(nodes, position)
    if is_name(node) and not is_word(node, "SET", "WHERE", "VALUES", "SELECT", "WITH", "USING"):
        assert isinstance(node, Token)
        alias, position = node.value, position + 1
    if (relation.name, "update") in translator.catalogue.forbidden:
        raise OracleError(1031, "insufficient privileges")
    return relation, alias, position


def _stored(relation: Relation, name: str, sql: str) -> str:
    column = relation.column(name)
    if column is None:
        raise OracleError(904, f'"{name}": invalid identifier')
    return f"ORA_STORE({sql}, '{column.type.declaration}', '{name.replace(chr(39), chr(39) * 2)}')"


def _columns(relation: Relation, group: Group | None) -> list[str]:
    return [column.name for column in relation.columns] if group is None else [chain(part, 0)[0][-1] for part in split(group.items)]


def _insert(nodes: Nodes, translator: Translator) -> tuple[list[str], Relation]:
    relation, _, position = _target(nodes, 2, translator)
    given = at(nodes, position)
    group = given if isinstance(given, Group) and not is_word(given.items[0] if given.items else None, "SELECT") else None
    names = _columns(relation, group)
    rest = nodes[position + (group is not None) :]
    into = f"INSERT INTO {quoted(relation.name)} ({', '.join(map(quoted, names))})"
    if is_word(at(rest, 0), "VALUES"):
        values = rest[1]
        assert isinstance(values, Group)
        return [f"{into} VALUES ({', '.join(_values(relation, names, values, translator, Scope()))})"], relation
    sql, columns = translator.query(rest)
    if len(columns) != len(names):
        raise OracleError(947 if len(columns) < len(names) else 913, "not enough values" if len(columns) < len(names) else "too many values")
    chosen = ", ".join(_stored(relation, name, f"_new.{quoted(column.name)}") for name, column in zip(names, columns, strict=True))
    return [f"{into} SELECT {chosen} FROM ({sql}) AS _new WHERE true"], relation


def _values(relation: Relation, names: Sequence[str], group: Group, translator: Translator, scope: Scope) -> list[str]:
    parts = split(group.items)
    if len(parts) != len(names):
        raise OracleError(947 if len(parts) < len(names) else 913, "not enough values" if len(parts) < len(names) else "too many values")
    return [_stored(relation, name, translator.expression(part, scope).sql) for name, part in zip(names, parts, strict=True)]


def _assigned(relation: Relation, nodes: Nodes, translator: Translator, scope: Scope) -> str:
    parts = []
    for part in split(nodes):
        names, end = chain(part, 0)
        if not names or not is_sign(at(part, end), "="):
            raise OracleError(927, "missing equal sign")
        parts.append(f"{quoted(names[-1])} = {_stored(relation, names[-1], translator.expression(part[end + 1 :], scope).sql)}")
    return ", ".join(parts)


def _until(nodes: Nodes, position: int, *words: str) -> int:
    return next((i for i in range(position, len(nodes)) if is_word(nodes[i], *words)), len(nodes))


def _update(nodes: Nodes, translator: Translator) -> tuple[list[str], Relation]:
    relation, alias, position = _target(nodes, 1, translator)
    scope = Scope(sources=[(alias, relation.columns)])
    where = _until(nodes, position, "WHERE")
    sql = f"UPDATE {quoted(relation.name)} AS {quoted(alias)} SET {_assigned(relation, nodes[position + 1 : where], translator, scope)}"
    return [sql + (f" WHERE {translator.expression(nodes[where + 1 :], scope).sql}" if where < len(nodes) else "")], relation


def _delete(nodes: Nodes, translator: Translator) -> tuple[list[str], Relation]:
    relation, alias, position = _target(nodes, 2 if is_word(at(nodes, 1), "FROM") else 1, translator)
    scope = Scope(sources=[(alias, relation.columns)])
    sql = f"DELETE FROM {quoted(relation.name)} AS {quoted(alias)}"
    return [sql + (f" WHERE {translator.expression(nodes[position + 1 :], scope).sql}" if position < len(nodes) else "")], relation


def _merge(nodes: Nodes, translator: Translator) -> tuple[list[str], Relation]:
    """First the rows that are there, then those that are not: the same outcome, as the condition may not change what it joins by."""
    relation, alias, position = _target(nodes, 2, translator)
    scope = Scope(sources=[(alias, relation.columns)])
    source, position = translator.source(nodes, position + 1, scope)
    condition = nodes[position + 1]
    on = translator.expression([condition], scope).sql
    made: list[str] = []
    inserting: list[str] = []
    target = f"{quoted(relation.name)} AS {quoted(alias)}"
    while (position := _until(nodes, position + 1, "WHEN")) < len(nodes):
        end = _until(nodes, position + 1, "WHEN")
        then = _until(nodes, position, "THEN") + 1
        body = nodes[then:end]
        if is_word(body[0], "UPDATE"):
            where = _until(body, 0, "WHERE")
            more = f" AND {translator.expression(body[where + 1 :], scope).sql}" if where < len(body) else ""
            made.append(f"UPDATE {target} SET {_assigned(relation, body[2:where], translator, scope)} FROM {source} WHERE {on}{more}")
        else:
            group = body[1] if isinstance(body[1], Group) else None
            names, values = _columns(relation, group), body[_until(body, 0, "VALUES") + 1]
            assert isinstance(values, Group)
            chosen = ", ".join(_values(relation, names, values, translator, scope))
            columns = ", ".join(map(quoted, names))
            inserting.append(
                f"INSERT INTO {quoted(relation.name)} ({columns}) SELECT {chosen} FROM {source} WHERE NOT EXISTS (SELECT 1 FROM {target} WHERE {on})"
            )
        position = end - 1
    return made + inserting, relation
