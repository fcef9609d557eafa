"""Which columns of a table are read, which must not be, and what has changed about the table since last time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from connectors.databases.dialect import Ask, Relation
from connectors.databases.settings import DatabaseRead
from hub.contracts.denied import HINT, RULE, denied
from hub.contracts.errors import Misconfigured
from hub.contracts.headings import normalise_heading

_MOST = 500
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class View:
    """What is read of a relation: `columns`, in the relation's order; `denied` are there and must not be read; `id` tells rows apart, "" where nothing does."""

    relation: Relation
    columns: tuple[str, ...]
    denied: tuple[str, ...]
    where: Mapping[str, str]
    id: str = ""

    def ask(self, **more: Any) -> Ask:
        """An ask for these columns."""
        return Ask(self.relation, self.columns, equals={**self.where, **more.pop("equals", {})}, **more)

    @property
    def order(self) -> tuple[str, ...]:
        """An order in which all of it can be read."""
        return self.relation.key or ((self.id,) if self.id else ())


def spelt(read: DatabaseRead, relation: Relation) -> DatabaseRead:
    """What a feed reads with every column as the database spells it: `gxsj` stands for GXSJ where no other column does. A name that is nobody's stays."""
    names = [column.name for column in relation.columns]

    def name(given: str) -> str:
        alike = [each for each in names if each.casefold() == given.casefold()]
        return alike[0] if given not in names and len(alike) == 1 else given

    where = {name(each): value for each, value in read.where.items()}
    if len(where) < len(read.where):
        raise Misconfigured("where names one column twice", hint="write each column once")
    since = read.since and read.since.model_copy(update={"id": name(read.since.id), "time": read.since.time and name(read.since.time)})
    done = read.done and read.done.model_copy(update={"column": name(read.done.column)})
    columns = tuple(map(name, read.columns))
    return read.model_copy(update={"columns": columns, "where": where, "since": since, "done": done, "id": read.id and name(read.id)})


def keyed(relation: Relation, key: Sequence[str]) -> Relation:
    """A relation with the key that a person has named, as the database spells it; its own where there is none. Raises `Misconfigured` for other columns."""
    names = [column.name for column in relation.columns]
    alike = {each.casefold(): each for each in names}
    found = tuple(each if each in names else alike.get(each.casefold(), each) for each in key)
    _present(relation, found, names)
    return replace(relation, key=found or relation.key)


def view_of(read: DatabaseRead, relation: Relation, known: frozenset[str]) -> View:
    """What a feed reads of a relation. `known` are the item's headings, normalised.

    Raises `Misconfigured` for columns that are not there (with the nearest), that must not be read, or where the item knows none.
    """
    names = [column.name for column in relation.columns if column.name.isprintable()]
    needed = _needed(read, relation)
    banned = [name for name in names if denied(name, known)]
    _present(relation, (*read.columns, *needed, *read.where, *((read.id,) if read.id else ())), names)
    for name in (*read.columns, *needed):
        if name in banned:
            raise Misconfigured(f"column {name} of {relation.name} may not be read ({RULE})", hint=HINT, code=RULE)
    wanted = set(read.columns) or {name for name in names if normalise_heading(name) in known and name not in banned}
    if not wanted:
        near = "、".join(names[:_SHOWN])
        raise Misconfigured(
            f"the item knows none of the columns of {relation.name}", hint=f"map them in the feed's `map:`, or name `columns`; there are {near}"
        )
    columns = tuple(name for name in names if name in wanted or name in needed)[:_MOST]
    own = read.id or (read.since.id if read.since is not None else "")
    if own and not relation.key:  # what sums of buckets are parted by
        relation = replace(relation, key=(own,))
    return View(relation, columns, tuple(banned), {name: str(value) for name, value in read.where.items()}, _id(read, relation))


def _needed(read: DatabaseRead, relation: Relation) -> tuple[str, ...]:
    """Columns that the pull itself goes by."""
    found: list[str] = []
    if read.since is not None:
        found += [read.since.time] if read.since.time else []
        found.append(read.since.id)
    if read.done is not None:
        if not _id(read, relation):
            raise Misconfigured(f"{relation.name} has no column that alone tells its rows apart", hint="name one: `id`")
        found += [_id(read, relation), read.done.column]
    return tuple(found)


def _id(read: DatabaseRead, relation: Relation) -> str:
    if read.id:
        return read.id
    return relation.key[0] if len(relation.key) == 1 else ""


def _present(relation: Relation, wanted: Iterable[str], names: Sequence[str]) -> None:
    for name in wanted:
        if name not in names:
            alike = {each.casefold(): each for each in names}
            near = [alike[name.casefold()]] if name.casefold() in alike else get_close_matches(name, names, n=3, cutoff=0.5)
            hint = f"nearest: {'、'.join(near)}" if near else f"there are {'、'.join(names[:_SHOWN])}"
            raise Misconfigured(f"{relation.name} has no column {name}", hint=hint)


def drift(view: View, before: Any, *, named: bool) -> dict[str, Any]:
    """What has changed since `before` (see `remembered`), as evidence. Raises `Misconfigured` where a column that was read is gone.

    Where the feed has `named` its columns, one that is gone and not among them any more is not missed.
    """
    if not isinstance(before, dict):
        return {}
    old, new = before["columns"], {column.name: column.declared for column in view.relation.columns}
    gone = [] if named else [name for name in before["read"] if name not in new]
    added = [name for name in new if name not in old]
    if gone:
        near = {name: get_close_matches(name, added or list(new), n=1, cutoff=0.3) for name in gone}
        said = "，".join(f"{name}" + (f"（now {found[0]}?）" if found else "") for name, found in near.items())
        hint = "map the new name, or name `columns` if it is not sent any more"
        raise Misconfigured(f"{view.relation.name} has lost columns that were read: {said}; new: {'、'.join(added[:_SHOWN]) or 'none'}", hint=hint)
    changed = {name: [old[name], declared] for name, declared in new.items() if name in old and old[name] != declared and name in view.columns}
    found = {"new_columns": added, "changed_columns": changed, "lost_columns": [name for name in old if name not in new]}
    return {key: value for key, value in found.items() if value}


def remembered(view: View) -> dict[str, Any]:
    """What a later pull compares with."""
    return {"columns": {column.name: column.declared for column in view.relation.columns}, "read": list(view.columns)}
