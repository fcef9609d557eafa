"""From Oracle's SQL to SQLite's, with the type of every column of a result: as much of the language as clients of this hub speak.

Understood: queries with joins, subqueries, WITH, UNION, MINUS, ROWNUM, FETCH FIRST, analytic functions, and the functions of `functions.py`. What is not
understood is an Oracle error, mostly ORA-00933, ORA-00904 or ORA-03001.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from tests.oracle_emulator.catalogue import Catalogue, Column, Relation
from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.expressions import OPERATORS, Expressions, Scope
from tests.oracle_emulator.tokens import Group, Node, Nodes, Token, at, chain, is_name, is_sign, is_word, quoted, split, subquery, words
from tests.oracle_emulator.types import Type

_CLAUSES = ("FROM", "WHERE", "GROUP", "HAVING", "ORDER", "OFFSET", "FETCH", "FOR", "CONNECT", "START")
_JOINS = ("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL")
_SETS = {"UNION": "UNION", "MINUS": "EXCEPT", "EXCEPT": "EXCEPT", "INTERSECT": "INTERSECT"}


class Translator(Expressions):
    """One statement of one user."""

    def __init__(self, catalogue: Catalogue, user: str, binds: Sequence[Type] = ()) -> None:
        super().__init__(catalogue, user, binds)
        self.ctes: dict[str, tuple[Column, ...]] = {}
        self.locks = False

    def query(self, nodes: Nodes, parent: Scope | None = None) -> tuple[str, tuple[Column, ...]]:
        """A query and its columns."""
        while len(nodes) == 1 and subquery(nodes[0]):
            assert isinstance(nodes[0], Group)
            nodes = nodes[0].items
        if is_word(at(nodes, 0), "WITH"):
            return self._with(nodes, parent)
        branches, signs = _branches(nodes)
        if not signs:
            return self._select(nodes, parent)
        last = branches[-1]
        tail = next((i for i, node in enumerate(last) if is_word(node, "ORDER", "OFFSET", "FETCH")), len(last))
        branches[-1], rest = last[:tail], last[tail:]
        made = [self.query(branch, parent) for branch in branches]
        columns = made[0][1]
        text = f"SELECT * FROM ({made[0][0]})" + "".join(f" {sign} SELECT * FROM ({sql})" for sign, (sql, _) in zip(signs, made[1:], strict=True))
        return text + self._tail(rest, Scope(parent, outputs=columns)), columns

    def _with(self, nodes: Nodes, parent: Scope | None) -> tuple[str, tuple[Column, ...]]:
        position, parts = 1, []
        while True:
            name, place = nodes[position], next(i for i in range(position, len(nodes)) if is_word(nodes[i], "AS")) + 1
            body = nodes[place]
            assert isinstance(name, Token)
            assert isinstance(body, Group)
            sql, columns = self.query(body.items, parent)
            self.ctes[name.value] = columns
            parts.append(f'"{name.value}" AS ({sql})')
            position = place + 1
            if not is_sign(at(nodes, position), ","):
                break
            position += 1
        sql, columns = self.query(nodes[position:], parent)
        return f"WITH {', '.join(parts)} {sql}", columns

    def _select(self, nodes: Nodes, parent: Scope | None) -> tuple[str, tuple[Column, ...]]:
        if not is_word(at(nodes, 0), "SELECT"):
            raise OracleError(900, "invalid SQL statement")
        clauses = _clauses(nodes)
        scope = Scope(parent)
        source = self._sources(clauses.get("FROM", ()), scope)
        listed = clauses["SELECT"]
        distinct = is_word(at(listed, 0), "DISTINCT", "UNIQUE")
        items = [item for part in split(listed[1:] if distinct or is_word(at(listed, 0), "ALL") else listed) for item in self._item(part, scope)]
        columns = tuple(column for _, column in items)
        where, limit = self._where(clauses.get("WHERE", ()), scope)
        if limit and clauses.get("ORDER"):
            raise OracleError(3001, "unimplemented feature: ROWNUM counts rows before ORDER BY of the same query puts them in order")
        sql = f"SELECT {'DISTINCT ' if distinct else ''}{', '.join(f'{text} AS {quoted(column.name)}' for text, column in items)}{source}{where}"
        if "GROUP" in clauses:
            sql += f" GROUP BY {', '.join(self.expression(part, scope).sql for part in split(clauses['GROUP'][1:]))}"
        if "HAVING" in clauses:
            sql += f" HAVING {self.expression(clauses['HAVING'], scope).sql}"
        scope.outputs = columns
        self.locks = self.locks or "FOR" in clauses
        tail = [node for name in ("ORDER", "OFFSET", "FETCH") if name in clauses for node in (Token("word", name), *clauses[name])]
        return sql + self._tail(tail, scope) + limit, columns

    def _tail(self, nodes: Nodes, scope: Scope) -> str:
        sql, limit, offset = "", "", ""
        for name, body in _cut(nodes, ("ORDER", "OFFSET", "FETCH")):
            if name == "ORDER":
                sql += " ORDER BY " + self.order(body[1:], scope)
            elif name == "OFFSET":
                offset = self.expression(body[:-1], scope).sql
            else:
                count = [node for node in body if not is_word(node, "FIRST", "NEXT", "ROW", "ROWS", "ONLY")]
                limit = self.expression(count, scope).sql if count else "1"
        return sql + (f" LIMIT {limit or -1}" if limit or offset else "") + (f" OFFSET {offset}" if offset else "")

    def _where(self, nodes: Nodes, scope: Scope) -> tuple[str, str]:
        """The condition, and the limit that a condition on ROWNUM is."""
        kept: list[str] = []
        limit = ""
        for part in _conjuncts(nodes):
            if is_word(at(part, 0), "ROWNUM") and is_sign(at(part, 1), "<", "<=", "="):
                limit = f" LIMIT {self.expression(part[2:], scope).sql}{' - 1' if is_sign(part[1], '<') else ''}"
            elif any(is_word(node, "ROWNUM") for node in part):
                raise OracleError(3001, "unimplemented feature: this use of ROWNUM")
            else:
                kept.append(self.expression(part, scope).sql)
        return (f" WHERE {' AND '.join(kept)}" if kept else ""), limit

    def _sources(self, nodes: Nodes, scope: Scope) -> str:
        if not nodes:
            return ""
        sql, position = " FROM ", 0
        while position < len(nodes):
            text, position = self.source(nodes, position, scope)
            sql += text
            if is_word(at(nodes, position), "ON"):
                end = next((i for i in range(position, len(nodes)) if is_word(nodes[i], *_JOINS) or is_sign(nodes[i], ",")), len(nodes))
                sql += f" ON {self.expression(nodes[position + 1 : end], scope).sql}"
                position = end
            if is_sign(at(nodes, position), ","):
                sql, position = sql + ", ", position + 1
            elif position < len(nodes):
                end = next((i for i in range(position, len(nodes)) if is_word(nodes[i], "JOIN")), -1)
                if end < 0:
                    raise OracleError(933, "SQL command not properly ended")
                sql += f" {words(nodes[position:end]).replace('OUTER', ' OUTER')} JOIN "
                position = end + 1
        return sql

    def source(self, nodes: Nodes, position: int, scope: Scope) -> tuple[str, int]:
        """A table or subquery with its alias, which the scope then knows, and where it ends."""
        node = at(nodes, position)
        if isinstance(node, Group):
            sql, columns = self.query(node.items, scope.parent)
            text, name, position = f"({sql})", f"_{len(scope.sources)}", position + 1
        else:
            text, name, columns, position = self._table(nodes, position)
        if is_word(at(nodes, position), "AS"):
            position += 1
        alias = at(nodes, position)
        if is_name(alias) and not is_word(alias, "ON", "USING", "SET", "WHERE", *_JOINS):
            assert isinstance(alias, Token)
            name, position = alias.value, position + 1
        scope.sources.append((name, columns))
        return f"{text} AS {quoted(name)}", position

    def _table(self, nodes: Nodes, position: int) -> tuple[str, str, tuple[Column, ...], int]:
        parts, position = chain(nodes, position)
        if not parts:
            raise OracleError(903, "invalid table name")
        if len(parts) == 1 and parts[0] in self.ctes:
            return quoted(parts[0]), parts[0], self.ctes[parts[0]], position
        relation = self.relation(parts)
        return quoted(relation.name), parts[-1], relation.columns, position

    def relation(self, parts: Sequence[str]) -> Relation:
        """The table or view of a name with or without its owner."""
        return self.catalogue.find(parts[0] if len(parts) == 2 else None, parts[-1], self.user)

    def _item(self, part: Nodes, scope: Scope) -> Iterator[tuple[str, Column]]:
        if is_sign(part[-1] if part else None, "*"):
            names, _ = chain(part[:-2], 0)
            for alias, columns in scope.sources:
                if not names or alias == names[-1]:
                    yield from ((f"{quoted(alias)}.{quoted(column.name)}", column) for column in columns)
            return
        if not part:
            raise OracleError(936, "missing expression")
        body, name = _aliased(part)
        term = self.expression(body, scope)
        plain = chain(body, 0)
        nullable = True
        if plain[0] and plain[1] == len(body):
            found = scope.find(plain[0][-2] if len(plain[0]) > 1 else None, plain[0][-1])
            nullable = found is None or found[1].nullable
            name = name or plain[0][-1]
        yield term.sql, Column(name or words(body)[:128], term.kind or Type("VARCHAR2", 1), nullable)


def _branches(nodes: Nodes) -> tuple[list[Nodes], list[str]]:
    branches: list[list[Node]] = [[]]
    signs: list[str] = []
    for i, node in enumerate(nodes):
        if isinstance(node, Token) and node.kind == "word" and node.value in _SETS:
            signs.append(_SETS[node.value] + (" ALL" if is_word(at(nodes, i + 1), "ALL") else ""))
            branches.append([])
        elif not (is_word(node, "ALL") and i and is_word(nodes[i - 1], "UNION")):
            branches[-1].append(node)
    return list(branches), signs


def _cut(nodes: Nodes, names: Sequence[str]) -> Iterator[tuple[str, Nodes]]:
    marks = [i for i, node in enumerate(nodes) if is_word(node, *names)]
    for begin, end in pairwise([*marks, len(nodes)]):
        yield words(nodes[begin : begin + 1]), nodes[begin + 1 : end]


def _clauses(nodes: Nodes) -> dict[str, Nodes]:
    found = dict(_cut(nodes, ("SELECT", *_CLAUSES)))
    if "CONNECT" in found or "START" in found:
        raise OracleError(3001, "unimplemented feature: CONNECT BY")
    if any(not body for name, body in found.items() if name not in ("FOR", "FETCH")):
        raise OracleError(936, "missing expression")
    if "FROM" not in found:
        raise OracleError(923, "FROM keyword not found where expected")
    return found


def _conjuncts(nodes: Nodes) -> list[Nodes]:
    if any(is_word(node, "OR") for node in nodes):
        return [nodes]
    parts: list[list[Node]] = [[]]
    between = False
    cases = 0
    for node in nodes:
        cases += is_word(node, "CASE") - is_word(node, "END")
        if is_word(node, "AND") and not between and not cases:
            parts.append([])
            continue
        between = is_word(node, "BETWEEN") or (between and not is_word(node, "AND"))
        parts[-1].append(node)
    return [part for part in parts if part]


def _aliased(part: Nodes) -> tuple[Nodes, str | None]:
    last = part[-1]
    if len(part) < 2 or not isinstance(last, Token) or last.kind not in ("word", "name") or is_word(last, "END", "NULL", "LOCAL"):
        return part, None
    before = part[-2]
    if is_word(before, "AS"):
        return part[:-2], last.value
    if isinstance(before, Group) or before.kind in ("text", "number", "bind", "name") or (before.kind == "word" and before.value not in OPERATORS | {"DATE"}):
        if isinstance(before, Token) and before.kind == "text" and is_word(at(part, len(part) - 3), "INTERVAL"):
            return part, None
        return part[:-1], last.value
    return part, None
