"""From Oracle's SQL to SQLite's, with the type of every column of a result: as much of the language as clients of this hub speak.

Understood: queries with joins, subqueries, WITH, UNION, MINUS, ROWNUM, FETCH FIRST, analytic functions; INSERT, UPDATE, DELETE, MERGE; the functions of
`functions.py`. What is not understood is an Oracle error, mostly ORA-00933, ORA-00904 or ORA-03001.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.oracle_emulator.catalogue import Catalogue, Column, Relation
from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.functions import AGGREGATES, FUNCTIONS, NATIVE, RESULTS, SAME
from tests.oracle_emulator.tokens import Group, Node, Nodes, Token, at, is_name, is_sign, is_word, split, subquery, words
from tests.oracle_emulator.types import NUMBER, TEXT, TIMES, Type, declared, spelled
from tests.oracle_emulator.types import moment as moment_of

_CLAUSES = ("FROM", "WHERE", "GROUP", "HAVING", "ORDER", "OFFSET", "FETCH", "FOR", "CONNECT", "START")
_JOINS = ("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL")
_SETS = {"UNION": "UNION", "MINUS": "EXCEPT", "EXCEPT": "EXCEPT", "INTERSECT": "INTERSECT"}
_OPERATORS = frozenset(["AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "ESCAPE", "EXISTS", "ANY", "SOME", "ALL", "DISTINCT"])
_PLAIN = {
    "SYSDATE": ("ORA_SYSDATE()", "DATE"), "CURRENT_DATE": ("ORA_SYSDATE()", "DATE"), "SYSTIMESTAMP": ("ORA_SYSTIMESTAMP()", "TIMESTAMP(6) WITH TIME ZONE"),
    "CURRENT_TIMESTAMP": ("ORA_SYSTIMESTAMP()", "TIMESTAMP(6) WITH TIME ZONE"), "LOCALTIMESTAMP": ("ORA_SYSDATE()", "TIMESTAMP(6)"),
    "USER": ("ORA_USER()", "VARCHAR2(128)"), "ROWNUM": ("ROW_NUMBER() OVER ()", "NUMBER"),
}  # fmt: skip
_MOST_ARGUMENTS = 90


@dataclass(frozen=True, slots=True)
class Term:
    """A piece of an expression in SQLite's words. `kind` is None for NULL; `parts` of a `||` that may grow."""

    sql: str
    kind: Type | None = None
    parts: tuple[str, ...] = ()
    many: bool = False


@dataclass
class Scope:
    """What names mean in a query: its sources, then those of the query around it."""

    parent: Scope | None = None
    sources: list[tuple[str, Sequence[Column]]] = field(default_factory=list)
    outputs: tuple[Column, ...] = ()

    def find(self, alias: str | None, name: str) -> tuple[str, Column] | None:
        found = [(place, column) for place, columns in self.sources if alias in (None, place) for column in columns if column.name == name]
        if len(found) > 1 and alias is None:
            raise OracleError(918, "column ambiguously defined")
        if found:
            return found[0]
        return self.parent.find(alias, name) if self.parent else None

    def has(self, alias: str) -> bool:
        return any(place == alias for place, _ in self.sources) or (self.parent is not None and self.parent.has(alias))


class Translator:
    """One statement of one user. `binds` are the types of what is bound, in order."""

    def __init__(self, catalogue: Catalogue, user: str, binds: Sequence[Type] = ()) -> None:
        self.catalogue, self.user, self.binds = catalogue, user, binds
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
        sql = f"SELECT {'DISTINCT ' if distinct else ''}{', '.join(f'{text} AS {_quoted(column.name)}' for text, column in items)}{source}{where}"
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
                sql += " ORDER BY " + self._order(body[1:], scope)
            elif name == "OFFSET":
                offset = self.expression(body[:-1], scope).sql
            else:
                count = [node for node in body if not is_word(node, "FIRST", "NEXT", "ROW", "ROWS", "ONLY")]
                limit = self.expression(count, scope).sql if count else "1"
        return sql + (f" LIMIT {limit or -1}" if limit or offset else "") + (f" OFFSET {offset}" if offset else "")

    def _order(self, nodes: Nodes, scope: Scope) -> str:
        parts = []
        for part in split(nodes):
            nulls = next((i for i, node in enumerate(part) if is_word(node, "NULLS")), len(part))
            said = part[nulls + 1] if nulls < len(part) else None
            body = part[:nulls]
            down = is_word(body[-1], "DESC")
            body = body[:-1] if is_word(body[-1], "ASC", "DESC") else body
            first = is_word(said, "FIRST") if said is not None else down
            parts.append(f"{self.expression(body, scope, outputs=True).sql}{' DESC' if down else ''} NULLS {'FIRST' if first else 'LAST'}")
        return ", ".join(parts)

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
            text, position = self._source(nodes, position, scope)
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

    def _source(self, nodes: Nodes, position: int, scope: Scope) -> tuple[str, int]:
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
        return f"{text} AS {_quoted(name)}", position

    def _table(self, nodes: Nodes, position: int) -> tuple[str, str, tuple[Column, ...], int]:
        parts, position = chain(nodes, position)
        if not parts:
            raise OracleError(903, "invalid table name")
        if len(parts) == 1 and parts[0] in self.ctes:
            return _quoted(parts[0]), parts[0], self.ctes[parts[0]], position
        relation = self.relation(parts)
        return _quoted(relation.name), parts[-1], relation.columns, position

    def relation(self, parts: Sequence[str]) -> Relation:
        """The table or view of a name with or without its owner."""
        return self.catalogue.find(parts[0] if len(parts) == 2 else None, parts[-1], self.user)

    def _item(self, part: Nodes, scope: Scope) -> Iterator[tuple[str, Column]]:
        if is_sign(part[-1] if part else None, "*"):
            names, _ = chain(part[:-2], 0)
            for alias, columns in scope.sources:
                if not names or alias == names[-1]:
                    yield from ((f"{_quoted(alias)}.{_quoted(column.name)}", column) for column in columns)
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

    def expression(self, nodes: Nodes, scope: Scope, *, outputs: bool = False) -> Term:
        """An expression or condition."""
        items: list[Term | str] = []
        position = 0
        while position < len(nodes):
            node = nodes[position]
            if is_sign(node) or is_word(node, *_OPERATORS) or (isinstance(node, Token) and node.kind == "sign"):
                assert isinstance(node, Token)
                items.append({"!=": "<>", "^=": "<>"}.get(node.value, node.value))
                position += 1
            else:
                term, position = self._primary(nodes, position, scope, outputs=outputs)
                items.append(term)
        if not items:
            raise OracleError(936, "missing expression")
        return _folded(items)

    def _primary(self, nodes: Nodes, position: int, scope: Scope, *, outputs: bool = False) -> tuple[Term, int]:
        term, position = self._start(nodes, position, scope, outputs=outputs)
        while is_word(at(nodes, position), "AT"):
            if is_word(at(nodes, position + 1), "LOCAL"):
                zone, position = Term("'+08:00'"), position + 2
            else:
                zone, position = self._start(nodes, position + 3, scope)
            term = Term(f"ORA_ZONED({term.sql}, {zone.sql})", declared("TIMESTAMP(9) WITH TIME ZONE"))
        return term, position

    def _start(self, nodes: Nodes, position: int, scope: Scope, *, outputs: bool = False) -> tuple[Term, int]:
        node, following = nodes[position], at(nodes, position + 1)
        if isinstance(node, Group):
            return self._group(node, scope), position + 1
        if node.kind == "text":
            return Term("'" + node.value.replace("'", "''") + "'" if node.value else "NULL", TEXT), position + 1
        if node.kind == "bind":
            number = int(node.value)
            return Term(f":b{number}", self.binds[number - 1] if number <= len(self.binds) else TEXT), position + 1
        if node.kind == "number":
            return Term(node.value if len(node.value) < 16 else f"ORA_TO_NUMBER('{node.value}')", NUMBER), position + 1
        if is_word(node, "NULL"):
            return Term("NULL"), position + 1
        if is_word(node, "CASE"):
            return self._case(nodes, position, scope)
        if is_word(node, "DATE", "TIMESTAMP") and isinstance(following, Token) and following.kind == "text":
            return _moment(node.value, following.value), position + 2
        if is_word(node, "INTERVAL") and isinstance(following, Token) and following.kind == "text":
            unit = at(nodes, position + 2)
            assert isinstance(unit, Token)
            end = position + 3 + isinstance(at(nodes, position + 3), Group)
            return Term(f"ORA_INTERVAL('{following.value}', '{unit.value}')", declared("INTERVAL DAY TO SECOND")), end
        if node.kind == "word" and node.value in _PLAIN and not is_sign(following, "."):
            sql, kind = _PLAIN[node.value]
            return Term(sql, declared(kind)), position + (2 if isinstance(following, Group) else 1)
        return self._named(nodes, position, scope, outputs=outputs)

    def _group(self, node: Group, scope: Scope) -> Term:
        if subquery(node):
            sql, columns = self.query(node.items, scope)
            return Term(f"({sql})", columns[0].type)
        terms = [self.expression(part, scope) for part in split(node.items)]
        return Term(f"({', '.join(term.sql for term in terms)})", terms[0].kind, many=len(terms) > 1)

    def _case(self, nodes: Nodes, position: int, scope: Scope) -> tuple[Term, int]:
        depth, end = 0, position
        marks = []
        while True:
            node = at(nodes, end)
            if node is None:
                raise OracleError(905, "missing keyword")
            depth += is_word(node, "CASE") - is_word(node, "END")
            if depth == 1 and is_word(node, "CASE", "WHEN", "THEN", "ELSE"):
                marks.append(end)
            if depth == 0:
                break
            end += 1
        sql, kind = "", None
        for begin, until in zip(marks, [*marks[1:], end], strict=True):
            body = nodes[begin + 1 : until]
            term = self.expression(body, scope) if body else Term("")
            sql += f"{words(nodes[begin : begin + 1])} {term.sql} "
            if is_word(nodes[begin], "THEN", "ELSE"):
                kind = kind or term.kind
        return Term(f"{sql}END", kind), end + 1

    def _named(self, nodes: Nodes, position: int, scope: Scope, *, outputs: bool) -> tuple[Term, int]:
        names, end = chain(nodes, position)
        if not names:
            raise OracleError(936, "missing expression")
        if isinstance(at(nodes, end), Group):
            return self._call(".".join(names), nodes, end, scope)
        alias = names[-2] if len(names) > 1 else None
        if names[-1] == "ROWID" and (place := alias or (scope.sources[0][0] if scope.sources else None)):
            return Term(f"printf('AAAAAA%012d', {_quoted(place)}.rowid)", Type("VARCHAR2", 18)), end
        if outputs and alias is None and (own := next((column for column in scope.outputs if column.name == names[-1]), None)):
            return Term(_quoted(own.name), own.type), end
        found = scope.find(alias, names[-1])
        if found is None:
            spelled_out = ".".join(f'"{name}"' for name in names)
            raise OracleError(904, f"{spelled_out}: invalid identifier")
        return Term(f"{_quoted(found[0])}.{_quoted(found[1].name)}", found[1].type), end

    def _call(self, name: str, nodes: Nodes, position: int, scope: Scope) -> tuple[Term, int]:
        group = nodes[position]
        assert isinstance(group, Group)
        over = at(nodes, position + 2) if is_word(at(nodes, position + 1), "OVER") else None
        special: dict[str, Callable[[Nodes, Scope], Term]] = {"CAST": self._cast, "EXTRACT": self._extract, "XMLSERIALIZE": self._serialized}
        if name in special:
            return special[name](group.items, scope), position + 1
        distinct = is_word(at(group.items, 0), "DISTINCT", "UNIQUE")
        star = len(group.items) == 1 and is_sign(group.items[0], "*")
        parts = [] if star or not group.items else split(group.items[1:] if distinct else group.items)
        terms = [self.expression(part, scope) for part in parts]
        if name not in FUNCTIONS and name not in NATIVE and name not in AGGREGATES and name != "SYS_CONTEXT":
            raise OracleError(904, f'"{name}": invalid identifier')
        word = name if name in NATIVE or (isinstance(over, Group) and name in AGGREGATES) else f"ORA_{name.replace('.', '_')}"
        sql = f"{word}({'DISTINCT ' if distinct else ''}{'*' if star else ', '.join(term.sql for term in terms)})"
        position += 1
        if is_word(at(nodes, position), "WITHIN"):
            position += 3
        if isinstance(over, Group):
            sql, position = f"{sql} OVER ({self._window(over.items, scope)})", position + 2
        return Term(sql, _given(name, terms)), position

    def _window(self, nodes: Nodes, scope: Scope) -> str:
        order = next((i for i, node in enumerate(nodes) if is_word(node, "ORDER")), len(nodes))
        sql = f"PARTITION BY {', '.join(self.expression(part, scope).sql for part in split(nodes[2:order]))} " if is_word(at(nodes, 0), "PARTITION") else ""
        return sql + (f"ORDER BY {self._order(nodes[order + 2 :], scope)}" if order < len(nodes) else "")

    def _cast(self, nodes: Nodes, scope: Scope) -> Term:
        cut = next((i for i, node in enumerate(nodes) if is_word(node, "AS")), None)
        if cut is None:
            raise OracleError(905, "missing keyword")
        kind = declared(type_text(nodes[cut + 1 :]))
        return Term(f"ORA_CAST({self.expression(nodes[:cut], scope).sql}, '{kind.declaration}')", kind)

    def _extract(self, nodes: Nodes, scope: Scope) -> Term:
        return Term(f"ORA_EXTRACT('{words(nodes[:1])}', {self.expression(nodes[2:], scope).sql})", NUMBER)

    def _serialized(self, nodes: Nodes, scope: Scope) -> Term:
        cut = next((i for i, node in enumerate(nodes) if is_word(node, "AS")), len(nodes))
        return Term(self.expression(nodes[1:cut], scope).sql, declared("CLOB"))


def chain(nodes: Nodes, position: int) -> tuple[list[str], int]:
    """Names with points between them, and where they end."""
    names: list[str] = []
    while is_name(node := at(nodes, position)):
        assert isinstance(node, Token)
        names.append(node.value)
        position += 1
        if not is_sign(at(nodes, position), "."):
            break
        position += 1
    return names, position


def type_text(nodes: Nodes) -> str:
    """A declared type as text."""
    parts = []
    for node in nodes:
        if isinstance(node, Group):
            parts.append("(" + " ".join("," if is_sign(each, ",") else each.value for each in node.items if isinstance(each, Token)) + ")")
        else:
            parts.append(node.value)
    return " ".join(parts)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _given(name: str, terms: Sequence[Term]) -> Type:
    if name in RESULTS:
        if name == "TRUNC" and terms and terms[0].kind and terms[0].kind.name in TIMES:
            return declared("DATE")
        return declared(RESULTS[name])
    first = next((term.kind for term in (terms if name in SAME else terms[2:] if name == "DECODE" else terms[1:] if name == "NVL2" else ()) if term.kind), None)
    return first or TEXT


def _moment(word: str, text: str) -> Term:
    try:
        value = spelled(*moment_of(text))
    except ValueError as error:
        raise OracleError(1861, "literal does not match format string") from error
    return Term(f"'{value}'", declared("DATE" if word == "DATE" else "TIMESTAMP(9)"))


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
    if isinstance(before, Group) or before.kind in ("text", "number", "bind", "name") or (before.kind == "word" and before.value not in _OPERATORS | {"DATE"}):
        if isinstance(before, Token) and before.kind == "text" and is_word(at(part, len(part) - 3), "INTERVAL"):
            return part, None
        return part[:-1], last.value
    return part, None


def _folded(items: list[Term | str]) -> Term:
    """Oracle's precedence for what SQLite does differently: division, times, and joining of text."""
    items = _signed(items)
    items = _reduced(items, ("*", "/"), _multiplied)
    items = _reduced(items, ("+", "-", "||"), _added)
    if len(items) == 1 and isinstance(items[0], Term):
        return items[0]
    if any(isinstance(item, Term) and item.many for item in items) and any(item in ("<", ">", "<=", ">=") for item in items):
        raise OracleError(1796, "this operator cannot be used with lists")
    return Term(" ".join(item if isinstance(item, str) else item.sql for item in items), NUMBER)


def _signed(items: list[Term | str]) -> list[Term | str]:
    made: list[Term | str] = []
    for item in items:
        if isinstance(item, Term) and made and made[-1] in ("-", "+") and (len(made) == 1 or isinstance(made[-2], str)):
            sign = made.pop()
            made.append(Term(f"({sign}{item.sql})", item.kind))
        else:
            made.append(item)
    return made


def _reduced(items: list[Term | str], signs: Sequence[str], joined: Callable[[Term, str, Term], Term]) -> list[Term | str]:
    made: list[Term | str] = []
    for item in items:
        if isinstance(item, Term) and len(made) > 1 and made[-1] in signs and isinstance(made[-2], Term):
            sign, left = str(made.pop()), made.pop()
            assert isinstance(left, Term)
            item = joined(left, sign, item)
        made.append(item)
    return made


def _multiplied(left: Term, sign: str, right: Term) -> Term:
    return Term(f"ORA_DIVIDE({left.sql}, {right.sql})" if sign == "/" else f"({left.sql} * {right.sql})", NUMBER)


def _added(left: Term, sign: str, right: Term) -> Term:
    if sign == "||":
        parts = (*left.parts, right.sql) if 0 < len(left.parts) < _MOST_ARGUMENTS else (left.sql, right.sql)
        return Term(f"ORA_CONCAT({', '.join(parts)})", TEXT, parts)
    first, second = (term.kind.name in TIMES if term.kind else False for term in (left, right))
    if second and not first and sign == "+":
        left, right, first = right, left, True
    if first:
        kind = NUMBER if sign == "-" and second else left.kind
        return Term(f"ORA_{'PLUS' if sign == '+' else 'MINUS'}({left.sql}, {right.sql})", kind)
    return Term(f"({left.sql} {sign} {right.sql})", NUMBER)
