"""SQL as a tree of tokens: a bracket and all in it is one group."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.oracle_emulator.errors import OracleError

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<text>[nN]?'(?:[^']|'')*'|[nN]?[qQ]'\[.*?\]'|[nN]?[qQ]'\{.*?\}')
    |(?P<name>"(?:[^"]|"")+")
    |(?P<bind>:\s*(?:"[^"]+"|\w+))
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d][\w$\#]*)
    |(?P<sign>\|\||<>|!=|\^=|<=|>=|=>|[-+*/(),.=<>;@])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token. `kind` is text, name (quoted), bind, number, word or sign; `value` an upper-case word, an exact name, a text without its quotes, a bind's
    number: each place is bound for itself."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Group:
    """What stands in brackets."""

    items: tuple[Node, ...]


Node = Token | Group
Nodes = Sequence[Node]


def tree(sql: str) -> list[Node]:
    """The statement as a tree. Raises ORA-00911, ORA-00907 and ORA-01756 for what cannot be one."""
    stack: list[list[Node]] = [[]]
    for token in _tokens(sql):
        if token == Token("sign", "("):
            stack.append([])
        elif token == Token("sign", ")"):
            if len(stack) == 1:
                raise OracleError(933, "SQL command not properly ended")
            inner = stack.pop()
            stack[-1].append(Group(tuple(inner)))
        else:
            stack[-1].append(token)
    if len(stack) > 1:
        raise OracleError(907, "missing right parenthesis")
    return stack[0]


def _tokens(sql: str) -> Iterator[Token]:
    at = binds = 0
    while at < len(sql):
        found = _TOKEN.match(sql, at)
        if found is None:
            raise OracleError(1756, "quoted string not properly terminated") if sql[at] == "'" else OracleError(911, "invalid character")
        at, kind, value = found.end(), found.lastgroup or "", found.group()
        if kind == "word":
            yield Token(kind, value.upper())
        elif kind == "name":
            yield Token(kind, value[1:-1].replace('""', '"'))
        elif kind == "text":
            body = value[value.index("'") + 1 : -1]
            yield Token(kind, body[1:-1] if value[: value.index("'")].upper().endswith("Q") else body.replace("''", "'"))
        elif kind == "bind":
            binds += 1
            yield Token(kind, str(binds))
        elif kind != "space":
            yield Token(kind, value)


def is_word(node: Node | None, *words: str) -> bool:
    """Whether it is one of these words, unquoted."""
    return isinstance(node, Token) and node.kind == "word" and node.value in words


def is_sign(node: Node | None, *signs: str) -> bool:
    """Whether it is one of these signs."""
    return isinstance(node, Token) and node.kind == "sign" and node.value in signs


def is_name(node: Node | None) -> bool:
    """Whether it can name something."""
    return isinstance(node, Token) and node.kind in ("word", "name")


def at(nodes: Nodes, position: int) -> Node | None:
    """The node at a position, None beyond the end."""
    return nodes[position] if 0 <= position < len(nodes) else None


def split(nodes: Nodes, sign: str = ",") -> list[Nodes]:
    """The parts between a sign."""
    parts: list[list[Node]] = [[]]
    for node in nodes:
        if is_sign(node, sign):
            parts.append([])
        else:
            parts[-1].append(node)
    return [part for part in parts if part] if sign == ";" else list(parts)


def words(nodes: Nodes) -> str:
    """The nodes as upper-case text without spaces: the name that Oracle gives to a column without one."""
    return "".join(f"({words(node.items)})" if isinstance(node, Group) else f"'{node.value}'" if node.kind == "text" else node.value.upper() for node in nodes)


def subquery(node: Node | None) -> bool:
    """Whether a group holds a query."""
    return isinstance(node, Group) and bool(node.items) and (is_word(node.items[0], "SELECT", "WITH") or (subquery(node.items[0]) and len(node.items) == 1))


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


def quoted(name: str) -> str:
    """A name as SQLite takes it."""
    return '"' + name.replace('"', '""') + '"'
