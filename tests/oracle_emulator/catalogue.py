"""What is in the emulated database: tables and views with Oracle's types, synonyms, and the dictionary views that tell of them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.types import LOBS, NUMBER, TEXT, Type, declared


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, view or result."""

    name: str
    type: Type
    nullable: bool = True
    default: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    """A primary key ("P"), unique key ("U"), foreign key ("R") or check ("C")."""

    name: str
    kind: str
    columns: tuple[str, ...]
    refers: str | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view. `name` is what SQLite calls it."""

    owner: str
    table: str
    columns: tuple[Column, ...]
    kind: str = "TABLE"
    constraints: tuple[Constraint, ...] = ()
    comment: str | None = None

    @property
    def name(self) -> str:
        return f"{self.owner}.{self.table}"

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


_NUMBERS = frozenset(
    [
        "DATA_LENGTH",
        "DATA_PRECISION",
        "DATA_SCALE",
        "COLUMN_ID",
        "CHAR_LENGTH",
        "POSITION",
        "COLUMN_POSITION",
        "OBJECT_ID",
        "NUM_ROWS",
        "USER_ID",
        "DEFAULT_LENGTH",
        "NUM_DISTINCT",
        "CHAR_COL_DECL_LENGTH",
        "INTERNAL_COLUMN_ID",
        "MIN_VALUE",
        "MAX_VALUE",
        "INCREMENT_BY",
        "CACHE_SIZE",
        "LAST_NUMBER",
        "COLUMN_LENGTH",
    ]
)
_DICTIONARY = {
    "ALL_TABLES": "OWNER TABLE_NAME TABLESPACE_NAME STATUS NUM_ROWS IOT_NAME IOT_TYPE DURATION TEMPORARY NESTED PARTITIONED COMPRESSION COMPRESS_FOR LAST_ANALYZED",
    "ALL_VIEWS": "OWNER VIEW_NAME TEXT EDITIONING_VIEW",
    "ALL_MVIEWS": "OWNER MVIEW_NAME QUERY",
    "ALL_OBJECTS": "OWNER OBJECT_NAME OBJECT_ID OBJECT_TYPE STATUS CREATED LAST_DDL_TIME",
    "ALL_SYNONYMS": "OWNER SYNONYM_NAME TABLE_OWNER TABLE_NAME DB_LINK",
    "ALL_TAB_COLUMNS": "OWNER TABLE_NAME COLUMN_NAME DATA_TYPE DATA_TYPE_MOD DATA_TYPE_OWNER DATA_LENGTH DATA_PRECISION DATA_SCALE NULLABLE COLUMN_ID DEFAULT_LENGTH "
    "DATA_DEFAULT NUM_DISTINCT CHARACTER_SET_NAME CHAR_COL_DECL_LENGTH CHAR_LENGTH CHAR_USED IDENTITY_COLUMN DEFAULT_ON_NULL COLLATION HIDDEN_COLUMN VIRTUAL_COLUMN "
    "INTERNAL_COLUMN_ID",
    "ALL_CONSTRAINTS": "OWNER CONSTRAINT_NAME CONSTRAINT_TYPE TABLE_NAME SEARCH_CONDITION SEARCH_CONDITION_VC R_OWNER R_CONSTRAINT_NAME DELETE_RULE STATUS "
    "DEFERRABLE DEFERRED VALIDATED INDEX_OWNER INDEX_NAME",
    "ALL_CONS_COLUMNS": "OWNER CONSTRAINT_NAME TABLE_NAME COLUMN_NAME POSITION",
    "ALL_INDEXES": "OWNER INDEX_NAME INDEX_TYPE TABLE_OWNER TABLE_NAME TABLE_TYPE UNIQUENESS COMPRESSION PREFIX_LENGTH STATUS",
    "ALL_IND_COLUMNS": "INDEX_OWNER INDEX_NAME TABLE_OWNER TABLE_NAME COLUMN_NAME COLUMN_POSITION COLUMN_LENGTH CHAR_LENGTH DESCEND",
    "ALL_IND_EXPRESSIONS": "INDEX_OWNER INDEX_NAME TABLE_OWNER TABLE_NAME COLUMN_EXPRESSION COLUMN_POSITION",
    "ALL_TAB_COMMENTS": "OWNER TABLE_NAME TABLE_TYPE COMMENTS",
    "ALL_MVIEW_COMMENTS": "OWNER MVIEW_NAME COMMENTS",
    "ALL_COL_COMMENTS": "OWNER TABLE_NAME COLUMN_NAME COMMENTS",
    "ALL_TAB_IDENTITY_COLS": "OWNER TABLE_NAME COLUMN_NAME GENERATION_TYPE SEQUENCE_NAME IDENTITY_OPTIONS",
    "ALL_SEQUENCES": "SEQUENCE_OWNER SEQUENCE_NAME MIN_VALUE MAX_VALUE INCREMENT_BY CYCLE_FLAG ORDER_FLAG CACHE_SIZE LAST_NUMBER",
    "ALL_USERS": "USERNAME USER_ID CREATED",
    "NLS_SESSION_PARAMETERS": "PARAMETER VALUE",
    "NLS_DATABASE_PARAMETERS": "PARAMETER VALUE",
    "PRODUCT_COMPONENT_VERSION": "PRODUCT VERSION STATUS",
    "V$VERSION": "BANNER",
    "V$INSTANCE": "INSTANCE_NAME HOST_NAME VERSION STATUS",
    "DUAL": "DUMMY",
}
_NLS = {
    "NLS_CHARACTERSET": "AL32UTF8",
    "NLS_NCHAR_CHARACTERSET": "AL16UTF16",
    "NLS_DATE_FORMAT": "DD-MON-RR",
    "NLS_NUMERIC_CHARACTERS": ".,",
    "NLS_LANGUAGE": "AMERICAN",
}


@dataclass
class Catalogue:
    """Everything that has a name. `users` own things; a name without an owner is looked for in the user's own, then among public synonyms."""

    version: tuple[int, ...]
    users: dict[str, str]
    relations: dict[tuple[str, str], Relation] = field(default_factory=dict)
    synonyms: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    indexes: dict[tuple[str, str], tuple[Relation, tuple[str, ...], bool]] = field(default_factory=dict)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)
    generation: int = 0

    def __post_init__(self) -> None:
        for table, names in (_DICTIONARY | {"ALL_TAB_COLS": _DICTIONARY["ALL_TAB_COLUMNS"]}).items():
            self.relations["SYS", table] = Relation("SYS", table, tuple(Column(name, NUMBER if name in _NUMBERS else TEXT) for name in names.split()), "VIEW")
            if table.startswith("ALL_"):
                for prefix in ("USER_", "DBA_"):
                    other = prefix + table.removeprefix("ALL_")
                    self.relations["SYS", other] = replace(self.relations["SYS", table], table=other)

    def owners(self) -> set[str]:
        return {user.upper() for user in self.users} | {"SYS", "PUBLIC"}

    def find(self, owner: str | None, table: str, user: str) -> Relation:
        """The relation that a name means to a user. Raises ORA-00942."""
        with self.lock:
            own = owner or user
            for place in ((own, table), self.synonyms.get((own, table)), self.synonyms.get(("PUBLIC", table)) if owner is None else None, ("SYS", table)):
                if place in self.relations and (place[0] != "SYS" or owner in (None, "SYS")):
                    if (f"{place[0]}.{place[1]}", "select") in self.forbidden and place[0] != user:
                        break
                    return self.relations[place]
        raise OracleError(942, "table or view does not exist")

    def violated(self, said: str) -> OracleError | None:
        """ORA-00001 with the constraint's name, where SQLite names the columns of a key."""
        head, _, places = said.partition("UNIQUE constraint failed: ")
        if head or not places:
            return None
        names = tuple(place.rpartition(".")[2] for place in places.split(", "))
        relation = next((each for each in list(self.relations.values()) if places.startswith(f"{each.name}.")), None)
        known = relation.constraints if relation else ()
        name = next(
            (each.name for each in known if each.columns == names),
            next((key[1] for key, each in self.indexes.items() if each[:2] == (relation, names)), "SYS_C"),
        )
        return OracleError(1, f"unique constraint ({relation.owner if relation else 'HUB'}.{name}) violated")

    def install(self, connection: sqlite3.Connection) -> None:
        """The dictionary's tables in an empty database."""
        for relation in list(self.relations.values()):
            if relation.table.startswith("USER_") and relation.owner == "SYS":
                owned = next(name for name in ("OWNER", "INDEX_OWNER", "SEQUENCE_OWNER", "USERNAME") if relation.column(name)) if relation.columns else ""
                body = f'SELECT * FROM "SYS.ALL_{relation.table[5:]}" WHERE "{owned}" = ORA_USER()'
                connection.execute(f'CREATE VIEW "{relation.name}" AS {body}')
            elif relation.table == "ALL_TAB_COLS":
                connection.execute(f'CREATE VIEW "{relation.name}" AS SELECT * FROM "SYS.ALL_TAB_COLUMNS"')
            elif relation.table.startswith("DBA_") and relation.owner == "SYS":
                connection.execute(f'CREATE VIEW "{relation.name}" AS SELECT * FROM "SYS.ALL_{relation.table[4:]}"')
            elif relation.owner == "SYS":
                columns = ", ".join(f'"{column.name}" {column.type.affinity}' for column in relation.columns)
                connection.execute(f'CREATE TABLE "{relation.name}" ({columns})')

    def publish(self, connection: sqlite3.Connection) -> None:
        """Fill the dictionary anew, after something was made, changed or dropped."""
        with self.lock:
            self.generation += 1
            rows: dict[str, list[dict[str, object]]] = {table: [] for table in _DICTIONARY}
            for table, row in self._rows():
                rows[table].append(row)
        for table, names in _DICTIONARY.items():
            connection.execute(f'DELETE FROM "SYS.{table}"')
            columns = names.split()
            marks = ", ".join("?" * len(columns))
            connection.executemany(f'INSERT INTO "SYS.{table}" VALUES ({marks})', [[row.get(name) for name in columns] for row in rows[table]])

    def _rows(self) -> Iterator[tuple[str, dict[str, object]]]:
        banner = f"Oracle Database {self.version[0]}c Enterprise Edition Release {'.'.join(map(str, self.version))} - Production (emulated)"
        yield "DUAL", {"DUMMY": "X"}
        yield "V$VERSION", {"BANNER": banner}
        yield "V$INSTANCE", {"INSTANCE_NAME": "emulated", "HOST_NAME": "localhost", "VERSION": ".".join(map(str, self.version)), "STATUS": "OPEN"}
        yield "PRODUCT_COMPONENT_VERSION", {"PRODUCT": "Oracle Database", "VERSION": ".".join(map(str, self.version)), "STATUS": "Production"}
        for parameter, value in _NLS.items():
            yield "NLS_SESSION_PARAMETERS", {"PARAMETER": parameter, "VALUE": value}
            yield "NLS_DATABASE_PARAMETERS", {"PARAMETER": parameter, "VALUE": value}
        for number, user in enumerate(sorted(self.owners() - {"PUBLIC"}), 1):
            yield "ALL_USERS", {"USERNAME": user, "USER_ID": number}
        for (owner, name), (to_owner, to) in self.synonyms.items():
            yield "ALL_SYNONYMS", {"OWNER": owner, "SYNONYM_NAME": name, "TABLE_OWNER": to_owner, "TABLE_NAME": to}
            yield "ALL_OBJECTS", {"OWNER": owner, "OBJECT_NAME": name, "OBJECT_TYPE": "SYNONYM", "STATUS": "VALID"}
        for (owner, name), (relation, names, unique) in self.indexes.items():
            yield from _index_rows(owner, name, relation, names, unique)
        for number, relation in enumerate(self.relations.values(), 1):
            if relation.owner != "SYS":
                yield from self._relation_rows(number, relation)

    def _relation_rows(self, number: int, relation: Relation) -> Iterator[tuple[str, dict[str, object]]]:
        which: dict[str, object] = {"OWNER": relation.owner, "TABLE_NAME": relation.table}
        yield "ALL_OBJECTS", {"OWNER": relation.owner, "OBJECT_NAME": relation.table, "OBJECT_ID": number, "OBJECT_TYPE": relation.kind, "STATUS": "VALID"}
        yield "ALL_TAB_COMMENTS", which | {"TABLE_TYPE": relation.kind, "COMMENTS": relation.comment}
        if relation.kind == "VIEW":
            yield "ALL_VIEWS", {"OWNER": relation.owner, "VIEW_NAME": relation.table, "TEXT": self.texts.get((relation.owner, relation.table))}
        else:
            yield (
                "ALL_TABLES",
                which | {"TABLESPACE_NAME": "USERS", "STATUS": "VALID", "TEMPORARY": "N", "NESTED": "NO", "PARTITIONED": "NO", "COMPRESSION": "DISABLED"},
            )
        for position, column in enumerate(relation.columns, 1):
            yield "ALL_TAB_COLUMNS", which | _column_row(column, position)
            yield "ALL_COL_COMMENTS", which | {"COLUMN_NAME": column.name, "COMMENTS": column.comment}
        for constraint in relation.constraints:
            common = which | {"CONSTRAINT_NAME": constraint.name}
            refers = {"R_OWNER": relation.owner if constraint.refers else None, "R_CONSTRAINT_NAME": constraint.refers}
            states = {"STATUS": "ENABLED", "VALIDATED": "VALIDATED", "DEFERRABLE": "NOT DEFERRABLE", "DEFERRED": "IMMEDIATE", "DELETE_RULE": "NO ACTION"}
            index = {"INDEX_OWNER": relation.owner, "INDEX_NAME": constraint.name} if constraint.kind in "PU" else {}
            yield "ALL_CONSTRAINTS", common | {"CONSTRAINT_TYPE": constraint.kind} | refers | states | index
            for position, name in enumerate(constraint.columns, 1):
                yield "ALL_CONS_COLUMNS", common | {"COLUMN_NAME": name, "POSITION": position}
            if constraint.kind in "PU":
                yield from _index_rows(relation.owner, constraint.name, relation, constraint.columns, True)


def _index_rows(owner: str, name: str, relation: Relation, names: tuple[str, ...], unique: bool) -> Iterator[tuple[str, dict[str, object]]]:
    which: dict[str, object] = {"INDEX_NAME": name, "TABLE_OWNER": relation.owner, "TABLE_NAME": relation.table}
    about = {"INDEX_TYPE": "NORMAL", "TABLE_TYPE": "TABLE", "COMPRESSION": "DISABLED", "STATUS": "VALID"}
    yield "ALL_INDEXES", which | about | {"OWNER": owner, "UNIQUENESS": "UNIQUE" if unique else "NONUNIQUE"}
    for position, column in enumerate(names, 1):
        yield "ALL_IND_COLUMNS", which | {"INDEX_OWNER": owner, "COLUMN_NAME": column, "COLUMN_POSITION": position, "DESCEND": "ASC"}


def _column_row(column: Column, position: int) -> dict[str, object]:
    kind = column.type
    name, scale = kind.name, None
    precision: int | None = None
    if name == "NUMBER" and kind.scale != -127:
        precision, scale = kind.precision, kind.scale
    elif name == "NUMBER" and kind.precision:
        name, precision = "FLOAT", kind.precision
    elif name.startswith("TIMESTAMP"):
        name, scale = name.replace("TIMESTAMP", f"TIMESTAMP({kind.scale})", 1), kind.scale
    elif name.startswith("INTERVAL DAY"):
        name, precision, scale = "INTERVAL DAY(2) TO SECOND(6)", 2, 6
    text = kind.textual and kind.name not in LOBS and kind.name != "LONG"
    return {
        "COLUMN_NAME": column.name, "DATA_TYPE": name, "DATA_LENGTH": kind.width, "DATA_PRECISION": precision, "DATA_SCALE": scale,
        "NULLABLE": "Y" if column.nullable else "N", "COLUMN_ID": position, "INTERNAL_COLUMN_ID": position, "DATA_DEFAULT": column.default,
        "CHAR_LENGTH": kind.size if text else 0, "CHAR_USED": ("C" if kind.characters else "B") if text else None,
        "CHARACTER_SET_NAME": "NCHAR_CS" if kind.national else "CHAR_CS" if kind.textual else None, "IDENTITY_COLUMN": "NO", "DEFAULT_ON_NULL": "NO",
        "HIDDEN_COLUMN": "NO", "VIRTUAL_COLUMN": "NO",
    }  # fmt: skip


def column_of(name: str, kind: str) -> Column:
    """A column of a declared type, for results that are made by hand."""
    return Column(name, declared(kind))
