"""Oracle's expressions and conditions in SQLite's words, each with its type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.oracle_emulator.catalogue import Catalogue, Column
from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.functions import AGGREGATES, FUNCTIONS, NATIVE, RESULTS, SAME
from tests.oracle_emulator.terms import Term, folded
from tests.oracle_emulator.tokens import Group, Nodes, Token, at, chain, is_sign, is_word, quoted, split, subquery, type_text, words
from tests.oracle_emulator.types import LOBS, NUMBER, TEXT, TIMES, Type, declared, spelled
from tests.oracle_emulator.types import moment as moment_of

OPERATORS = frozenset(["AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "ESCAPE", "EXISTS", "ANY", "SOME", "ALL", "DISTINCT"])
_MOST_LISTED = 1000
_PLAIN = {
    "SYSDATE": ("ORA_SYSDATE()", "DATE"), "CURRENT_DATE": ("ORA_SYSDATE()", "DATE"), "SYSTIMESTAMP": ("ORA_SYSTIMESTAMP()", "TIMESTAMP(6) WITH TIME ZONE"),
    "CURRENT_TIMESTAMP": ("ORA_SYSTIMESTAMP()", "TIMESTAMP(6) WITH TIME ZONE"), "LOCALTIMESTAMP": ("ORA_SYSDATE()", "TIMESTAMP(6)"),
    "DBTIMEZONE": ("'+08:00'", "VARCHAR2(6)"), "SESSIONTIMEZONE": ("'+08:00'", "VARCHAR2(75)"), "USER": ("ORA_USER()", "VARCHAR2(128)"), "ROWNUM": ("ROW_NUMBER() OVER ()", "NUMBER"),
}  # fmt: skip


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


class Expressions:
    """Expressions of one statement of one user. `binds` are the types of what is bound, in order."""

    def __init__(self, catalogue: Catalogue, user: str, binds: Sequence[Type] = ()) -> None:
        self.catalogue, self.user, self.binds = catalogue, user, binds

    def query(self, nodes: Nodes, parent: Scope | None = None) -> tuple[str, tuple[Column, ...]]:
        """A query inside an expression."""
        raise NotImplementedError

    def expression(self, nodes: Nodes, scope: Scope, *, outputs: bool = False) -> Term:
        """An expression or condition."""
        items: list[Term | str] = []
        position = 0
        while position < len(nodes):
            node = nodes[position]
            if is_sign(node) or is_word(node, *OPERATORS) or (isinstance(node, Token) and node.kind == "sign"):
                assert isinstance(node, Token)
                items.append({"!=": "<>", "^=": "<>"}.get(node.value, node.value))
                position += 1
            else:
                term, position = self._primary(nodes, position, scope, outputs=outputs)
                items.append(term)
        if not items:
            raise OracleError(936, "missing expression")
        return folded(items)

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
        if len(terms) > _MOST_LISTED:
            raise OracleError(1795, f"maximum number of expressions in a list is {_MOST_LISTED}")
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
            return Term(f"printf('AAAAAA%012d', {quoted(place)}.rowid)", Type("VARCHAR2", 18)), end
        if outputs and alias is None and (own := next((column for column in scope.outputs if column.name == names[-1]), None)):
            return Term(quoted(own.name), own.type), end
        found = scope.find(alias, names[-1])
        if found is None:
            spelled_out = ".".join(f'"{name}"' for name in names)
            raise OracleError(904, f"{spelled_out}: invalid identifier")
        return Term(f"{quoted(found[0])}.{quoted(found[1].name)}", found[1].type), end

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
        return sql + (f"ORDER BY {self.order(nodes[order + 2 :], scope)}" if order < len(nodes) else "")

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

    def order(self, nodes: Nodes, scope: Scope) -> str:
        """What follows ORDER BY: nothing comes last going up, and first going down."""
        parts = []
        for part in split(nodes):
            nulls = next((i for i, node in enumerate(part) if is_word(node, "NULLS")), len(part))
            said = part[nulls + 1] if nulls < len(part) else None
            body = part[:nulls]
            down = is_word(body[-1], "DESC")
            body = body[:-1] if is_word(body[-1], "ASC", "DESC") else body
            first = is_word(said, "FIRST") if said is not None else down
            term = self.expression(body, scope, outputs=True)
            if term.kind and term.kind.name in LOBS:
                raise OracleError(932, "inconsistent datatypes: expected - got CLOB")
            parts.append(f"{term.sql}{' DESC' if down else ''} NULLS {'FIRST' if first else 'LAST'}")
        return ", ".join(parts)


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
