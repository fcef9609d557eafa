"""CREATE, ALTER, DROP, COMMENT and their like: the catalogue is changed, and SQLite beneath it."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import replace

from tests.oracle_emulator.catalogue import Catalogue, Column, Constraint, Relation
from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.sql import Translator
from tests.oracle_emulator.tokens import Group, Nodes, Token, at, chain, is_word, quoted, split, type_text, words
from tests.oracle_emulator.types import declared

_IGNORED = frozenset(["GRANT", "REVOKE", "ANALYZE", "AUDIT"])
_AFTER_TYPE = ("DEFAULT", "NOT", "NULL", "PRIMARY", "UNIQUE", "CONSTRAINT", "REFERENCES", "CHECK", "GENERATED", "ENABLE", "DISABLE", "COLLATE")


def defining(nodes: Nodes, catalogue: Catalogue, user: str, connection: sqlite3.Connection) -> None:
    """Run one definition and publish what has changed."""
    with catalogue.lock:
        _Definition(nodes, catalogue, user, connection).run()
    catalogue.publish(connection)


class _Definition:
    def __init__(self, nodes: Nodes, catalogue: Catalogue, user: str, connection: sqlite3.Connection) -> None:
        self.nodes, self.catalogue, self.user, self.connection = nodes, catalogue, user, connection

    def run(self) -> None:
        verb = words(self.nodes[:1])
        kind = next(
            (i for i, node in enumerate(self.nodes) if is_word(node, "TABLE", "VIEW", "INDEX", "SYNONYM", "SESSION", "SEQUENCE", "COLUMN", "USER")), None
        )
        if verb in _IGNORED or (kind is not None and is_word(self.nodes[kind], "SESSION", "SEQUENCE", "USER")):
            return
        if kind is None or kind > 6:
            raise OracleError(900, "invalid SQL statement")
        what = words(self.nodes[kind : kind + 1])
        action = getattr(self, f"_{verb.lower()}_{what.lower()}", None)
        if action is None:
            raise OracleError(3001, f"unimplemented feature: {verb} {what}")
        action(kind + 1)

    def _name(self, position: int) -> tuple[str, str, int]:
        names, position = chain(self.nodes, position)
        if not names:
            raise OracleError(903, "invalid table name")
        _spelled(names[-1], self.catalogue)
        return (names[0] if len(names) > 1 else self.user), names[-1], position

    def _create_table(self, position: int) -> None:
        owner, table, position = self._name(position)
        if (owner, table) in self.catalogue.relations or (owner, table) in self.catalogue.synonyms:
            raise OracleError(955, "name is already used by an existing object")
        body = at(self.nodes, position)
        if is_word(body, "AS"):
            sql, columns = Translator(self.catalogue, self.user).query(self.nodes[position + 1 :])
            relation = Relation(owner, table, columns)
            self._make(relation)
            self.connection.execute(f"INSERT INTO {quoted(relation.name)} {sql}")
            return
        if not isinstance(body, Group):
            raise OracleError(906, "missing left parenthesis")
        made: list[Column] = []
        constraints: list[Constraint] = []
        for part in split(body.items):
            constraint = _table_constraint(part, table, len(constraints))
            if constraint is not None:
                constraints.append(constraint)
            elif not is_word(part[0], "CHECK", "FOREIGN", "CONSTRAINT"):
                column, own = _column(part, table)
                made.append(column)
                constraints += own
        keyed = {name for constraint in constraints if constraint.kind == "P" for name in constraint.columns}
        for column in made:
            _spelled(column.name, self.catalogue)
        made = [replace(column, nullable=False) if column.name in keyed else column for column in made]
        self._make(Relation(owner, table, tuple(made), constraints=tuple(constraints)))

    def _make(self, relation: Relation) -> None:
        columns = [f"{quoted(column.name)} {column.type.affinity}{'' if column.nullable else ' NOT NULL'}{_default(column)}" for column in relation.columns]
        keys = [f"UNIQUE ({', '.join(map(quoted, each.columns))})" for each in relation.constraints if each.kind in "PU"]
        self.connection.execute(f"CREATE TABLE {quoted(relation.name)} ({', '.join(columns + keys)})")
        self.catalogue.relations[relation.owner, relation.table] = relation

    def _create_view(self, position: int) -> None:
        owner, table, position = self._name(position)
        named = at(self.nodes, position)
        names = [chain(part, 0)[0][-1] for part in split(named.items)] if isinstance(named, Group) else None
        begin = next(i for i in range(position, len(self.nodes)) if is_word(self.nodes[i], "AS")) + 1
        end = next(
            (i for i in range(begin, len(self.nodes)) if is_word(self.nodes[i], "WITH") and is_word(at(self.nodes, i + 1), "READ", "CHECK")), len(self.nodes)
        )
        sql, columns = Translator(self.catalogue, owner).query(self.nodes[begin:end])
        if names:
            columns = tuple(replace(column, name=name) for column, name in zip(columns, names, strict=True))
        relation = Relation(owner, table, tuple(replace(column, default=None) for column in columns), "VIEW")
        self.connection.execute(f"DROP VIEW IF EXISTS {quoted(relation.name)}")
        self.connection.execute(f"CREATE VIEW {quoted(relation.name)} ({', '.join(quoted(column.name) for column in columns)}) AS {sql}")
        self.catalogue.relations[owner, table] = relation
        self.catalogue.texts[owner, table] = "SELECT …"

    def _create_index(self, position: int) -> None:
        owner, name, position = self._name(position)
        table_owner, table, position = self._name(position + 1)
        relation = self.catalogue.find(table_owner, table, self.user)
        group = at(self.nodes, position)
        assert isinstance(group, Group)
        names = tuple(chain(part, 0)[0][-1] for part in split(group.items))
        unique = any(is_word(node, "UNIQUE") for node in self.nodes[:3])
        columns = ", ".join(map(quoted, names))
        self.connection.execute(f"CREATE {'UNIQUE ' if unique else ''}INDEX {quoted(owner + '.' + name)} ON {quoted(relation.name)} ({columns})")
        self.catalogue.indexes[owner, name] = (relation, names, unique)

    def _create_synonym(self, position: int) -> None:
        owner, name, position = self._name(position)
        to_owner, to, _ = self._name(position + 1)
        self.catalogue.synonyms["PUBLIC" if any(is_word(node, "PUBLIC") for node in self.nodes) else owner, name] = (to_owner, to)

    def _drop_table(self, position: int) -> None:
        relation = self._existing(position)
        self.connection.execute(f"DROP TABLE {quoted(relation.name)}")
        del self.catalogue.relations[relation.owner, relation.table]
        for key in [key for key, (of, _, _) in self.catalogue.indexes.items() if of.name == relation.name]:
            del self.catalogue.indexes[key]

    def _drop_view(self, position: int) -> None:
        relation = self._existing(position)
        self.connection.execute(f"DROP VIEW {quoted(relation.name)}")
        del self.catalogue.relations[relation.owner, relation.table]

    def _drop_index(self, position: int) -> None:
        owner, name, _ = self._name(position)
        if self.catalogue.indexes.pop((owner, name), None) is None:
            raise OracleError(1418, "specified index does not exist")
        self.connection.execute(f"DROP INDEX {quoted(owner + '.' + name)}")

    def _drop_synonym(self, position: int) -> None:
        owner, name, _ = self._name(position)
        if self.catalogue.synonyms.pop((owner, name), None) is None and self.catalogue.synonyms.pop(("PUBLIC", name), None) is None:
            raise OracleError(1434, "private synonym to be dropped does not exist")

    def _truncate_table(self, position: int) -> None:
        self.connection.execute(f"DELETE FROM {quoted(self._existing(position).name)}")

    def _comment_table(self, position: int) -> None:
        owner, table, end = self._name(position)
        relation = self.catalogue.find(owner, table, self.user)
        self.catalogue.relations[relation.owner, relation.table] = replace(relation, comment=_text(at(self.nodes, end + 1)))

    _comment_on_table = _comment_table

    def _comment_column(self, position: int) -> None:
        names, end = chain(self.nodes, position)
        relation = self.catalogue.find(names[-3] if len(names) > 2 else None, names[-2], self.user)
        columns = tuple(replace(each, comment=_text(at(self.nodes, end + 1))) if each.name == names[-1] else each for each in relation.columns)
        self.catalogue.relations[relation.owner, relation.table] = replace(relation, columns=columns)

    def _rename_table(self, relation: Relation, to: str) -> None:
        moved = replace(relation, table=to)
        self.connection.execute(f"ALTER TABLE {quoted(relation.name)} RENAME TO {quoted(moved.name)}")
        del self.catalogue.relations[relation.owner, relation.table]
        self.catalogue.relations[relation.owner, to] = moved

    def _alter_table(self, position: int) -> None:
        owner, table, position = self._name(position)
        relation = self.catalogue.find(owner, table, self.user)
        verb, rest = words(self.nodes[position : position + 1]), self.nodes[position + 1 :]
        if verb == "RENAME" and is_word(at(rest, 0), "TO"):
            return self._rename_table(relation, chain(rest, 1)[0][-1])
        if verb == "RENAME":
            return self._rename_column(relation, chain(rest, 1)[0][-1], chain(rest, 3)[0][-1])
        if verb == "DROP":
            return self._drop_columns(relation, [chain(part, 0)[0][-1] for part in (split(rest[0].items) if isinstance(rest[0], Group) else [rest[1:]])])
        if is_word(at(rest, 0), "CONSTRAINT", "PRIMARY", "UNIQUE"):
            constraint = _table_constraint(rest, table, len(relation.constraints))
            self.catalogue.relations[owner, table] = replace(relation, constraints=(*relation.constraints, *([constraint] if constraint else [])))
            return None
        for part in split(rest[0].items) if isinstance(rest[0], Group) else [rest]:
            relation = self._column_change(relation, verb, part)
        self.catalogue.relations[relation.owner, relation.table] = relation
        return None

    def _column_change(self, relation: Relation, verb: str, part: Nodes) -> Relation:
        name = chain(part, 0)[0][-1]
        known = relation.column(name)
        if verb == "ADD":
            if known is not None:
                raise OracleError(1430, "column being added already exists in table")
            column, _ = _column(part, relation.table)
            self.connection.execute(f"ALTER TABLE {quoted(relation.name)} ADD COLUMN {quoted(name)} {column.type.affinity}{_default(column)}")
            return replace(relation, columns=(*relation.columns, column))
        if known is None:
            raise OracleError(904, f'"{name}": invalid identifier')
        if is_word(at(part, 1), "NULL", "NOT", "DEFAULT"):
            return relation
        column, _ = _column(part, relation.table)
        return replace(relation, columns=tuple(replace(each, type=column.type) if each.name == name else each for each in relation.columns))

    def _rename_column(self, relation: Relation, name: str, to: str) -> None:
        self.connection.execute(f"ALTER TABLE {quoted(relation.name)} RENAME COLUMN {quoted(name)} TO {quoted(to)}")
        columns = tuple(replace(each, name=to) if each.name == name else each for each in relation.columns)
        self.catalogue.relations[relation.owner, relation.table] = replace(relation, columns=columns)

    def _drop_columns(self, relation: Relation, names: Sequence[str]) -> None:
        for name in names:
            self.connection.execute(f"ALTER TABLE {quoted(relation.name)} DROP COLUMN {quoted(name)}")
        self.catalogue.relations[relation.owner, relation.table] = replace(relation, columns=tuple(each for each in relation.columns if each.name not in names))

    def _existing(self, position: int) -> Relation:
        owner, table, _ = self._name(position)
        if (owner, table) not in self.catalogue.relations:
            raise OracleError(942, "table or view does not exist")
        return self.catalogue.relations[owner, table]


def _spelled(name: str, catalogue: Catalogue) -> None:
    if len(name.encode()) > (128 if catalogue.version >= (12, 2) else 30):
        raise OracleError(972, "identifier is too long")


def _system_name(of: str) -> str:
    """A name for a constraint without one, in Oracle's manner."""
    return f"SYS_C{zlib.crc32(of.encode()) % 10**7:07d}"


def _text(node: object) -> str | None:
    return (node.value or None) if isinstance(node, Token) else None


def _default(column: Column) -> str:
    if column.default is None:
        return ""
    word = column.default.upper()
    return " DEFAULT (ORA_SYSDATE())" if word.startswith(("SYSDATE", "SYSTIMESTAMP", "CURRENT_TIMESTAMP")) else f" DEFAULT ({column.default})"


def _column(part: Nodes, table: str) -> tuple[Column, list[Constraint]]:
    name = chain(part, 0)[0][-1]
    cut = next((i for i in range(1, len(part)) if is_word(part[i], *_AFTER_TYPE)), len(part))
    kind = declared(type_text(part[1:cut]))
    nullable, default, own = True, None, []
    for i in range(cut, len(part)):
        node = part[i]
        nullable = nullable and not (is_word(node, "NOT") and is_word(at(part, i + 1), "NULL"))
        if is_word(node, "DEFAULT"):
            value = part[i + 1]
            default = ("'" + value.value.replace("'", "''") + "'" if value.kind == "text" else value.value) if isinstance(value, Token) else words([value])
        if is_word(node, "PRIMARY", "UNIQUE"):
            named = chain(part, i - 1)[0][0] if i > 1 and is_word(part[i - 2], "CONSTRAINT") else _system_name(f"{table}.{name}")
            own.append(Constraint(named[:128], "P" if is_word(node, "PRIMARY") else "U", (name,)))
    return Column(name, kind, nullable and not any(each.kind == "P" for each in own), default), own


def _table_constraint(part: Nodes, table: str, number: int) -> Constraint | None:
    name = chain(part, 1)[0][0] if is_word(part[0], "CONSTRAINT") else _system_name(f"{table}.{number}")
    rest = part[2:] if is_word(part[0], "CONSTRAINT") else part
    group = next((node for node in rest if isinstance(node, Group)), None)
    if group is None or not is_word(rest[0], "PRIMARY", "UNIQUE"):
        return None
    return Constraint(name[:128], "P" if is_word(rest[0], "PRIMARY") else "U", tuple(chain(each, 0)[0][-1] for each in split(group.items)))
