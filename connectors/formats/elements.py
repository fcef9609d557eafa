"""What the elements of an XML document say: where its records are, the fields of a record, what stands outside of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, Self, overload

from hub.contracts.errors import Rejected
from hub.contracts.headings import normalise_heading

MAX_COLUMNS = 2_000
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"


class Element(Protocol):
    """What we use of lxml's elements. Text is None where there is none; children are elements only, for comments and instructions are not kept."""

    tag: str
    text: str | None
    tail: str | None
    attrib: Mapping[str, str]
    sourceline: int

    def getparent(self) -> Element | None: ...  # noqa: D102
    def iter(self) -> Iterator[Element]: ...  # noqa: D102
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Element]: ...
    def __reversed__(self) -> Iterator[Element]: ...
    @overload
    def __getitem__(self, place: int) -> Element: ...
    @overload
    def __getitem__(self, place: slice) -> list[Element]: ...
    def __delitem__(self, place: slice) -> None: ...


@dataclass(frozen=True, slots=True)
class RecordPath:
    """Where record elements are: names from the root on, or (`anywhere`) only the last ones; outermost where they lie in each other."""

    steps: tuple[str, ...]
    anywhere: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """`DATAS/DATA`, `/DATAS/DATA`, `//DATA`; prefixes of namespaces are ignored. Raises ValueError."""
        steps = tuple(step.rpartition(":")[2] for step in text.removeprefix("//").removeprefix("/").split("/"))
        if not all(step and not set(step) & set("[]@*()= .") for step in steps):
            raise ValueError("write the names of elements with / between them: DATAS/DATA or //DATA")
        return cls(steps, text.startswith("//"))

    def __str__(self) -> str:
        return ("//" if self.anywhere else "") + "/".join(self.steps)

    def matches(self, names: tuple[str, ...]) -> bool:
        """Whether the element with these names from the root on is a record."""
        if not self.anywhere:
            return names == self.steps
        return self._ends(names) and not any(self._ends(names[:i]) for i in range(1, len(names)))

    def _ends(self, names: tuple[str, ...]) -> bool:
        return names[-len(self.steps) :] == self.steps


def local(tag: str) -> str:
    """A name without its namespace."""
    return tag.rpartition("}")[2]


def names_of(element: Element | None) -> tuple[str, ...]:
    """Local names from the root to this element."""
    names: list[str] = []
    while element is not None:
        names.append(local(element.tag))
        element = element.getparent()
    return tuple(reversed(names))


class Leaves:
    """Fields of one record as (title, text), each title once: `name`, `outer.inner`, `name_2` for the second of a name. Raises `Rejected` F006 beyond 2,000.

    Attributes count where `attributes` is the set of headings that the item knows: those of the record are `name` if known, else `@name`; others `inner@name`.
    """

    def __init__(self, record: Element, attributes: frozenset[str] | None) -> None:
        self._record = record
        self._attributes = attributes
        self._seen: dict[str, int] = {}  # how often each title was wanted

    def __iter__(self) -> Iterator[tuple[str, str]]:
        record = self._record
        if self._attributes is not None:
            for name, value in _attributes(record):
                yield self._titled(name if _comparable(name) in self._attributes else "@" + name), value
        text = own_text(record)
        if text and (text.strip() or not len(record)):
            yield self._titled(local(record.tag)), text
        yield from self._inside(record, "")

    def _inside(self, element: Element, prefix: str) -> Iterator[tuple[str, str]]:
        for child in element:
            title = self._titled(prefix + local(child.tag))
            text = own_text(child)
            if not len(child) or text.strip():
                yield title, text
            if self._attributes is not None:
                yield from ((self._titled(f"{title}@{name}"), value) for name, value in _attributes(child))
            if len(child):
                yield from self._inside(child, title + ".")

    def _titled(self, title: str) -> str:
        found = title
        while found in self._seen:
            self._seen[title] += 1
            found = f"{title}_{self._seen[title]}"
        self._seen[found] = 1
        if len(self._seen) > MAX_COLUMNS:
            raise too_many()
        return found


def too_many() -> Rejected:
    """The error for records that cannot be rows."""
    return Rejected(f"records of more than {MAX_COLUMNS} fields", hint="name the path of the records: `xml: {rows: …}`", code="F006")


_comparable = lru_cache(1_000)(normalise_heading)


def _attributes(element: Element) -> list[tuple[str, str]]:
    """Attributes by their local names, without those that only say how to read the element (`xsi:nil`, `xsi:type`)."""
    return [(local(name), value) for name, value in element.attrib.items() if not name.startswith(XSI)]


def own_text(element: Element) -> str:
    """All text of an element itself, also what stands between and behind its children."""
    return (element.text or "") + "".join([child.tail or "" for child in element])


def at(root: Element, path: RecordPath) -> list[Element]:
    """Elements of a tree at this path."""
    return [element for names, element in _walk(root) if path.matches(names)]


def outside(root: Element, path: RecordPath) -> Iterator[tuple[str, str]]:
    """Names and texts of elements and attributes that are not inside a record."""
    for names, element in _walk(root):
        if not any(path.matches(names[:i]) for i in range(1, len(names) + 1)):
            yield names[-1], own_text(element)
            yield from _attributes(element)


def has_attributes(records: list[Element], known: frozenset[str]) -> bool:
    """Whether the fields of these records are attributes: the item knows one of them, or there is nothing else."""
    names = {_comparable(name) for record in records for name, _ in _attributes(record)}
    return bool(names & known) or (bool(names) and not any(len(record) for record in records))


def likeliest(root: Element, known: frozenset[str]) -> RecordPath:
    """Where the records are: the element whose fields the item knows most of; of equals, the one that is repeated, then the one nearest to the root.

    Where nothing is said at all, it is the root. Raises `Rejected` F006 where the item knows no field of any element.
    """
    path, matched = _best(root, known)
    if matched or not known:
        return path
    if not any(own_text(element).strip() or element.attrib for element in root.iter()):
        return RecordPath((local(root.tag),))
    raise Rejected("no element of the document holds fields that the item knows", hint="map the agency's names, or name `xml: {rows: …}`", code="F006")


def known_at(root: Element, known: frozenset[str]) -> str:
    """The path of the elements that hold fields of the item; empty where there are none."""
    path, matched = _best(root, known)
    return str(path) if known and matched else ""


def _best(root: Element, known: frozenset[str]) -> tuple[RecordPath, int]:
    titles: dict[tuple[str, ...], set[str]] = defaultdict(set)
    count: Counter[tuple[str, ...]] = Counter()
    for names, element in _walk(root):
        count[names] += 1
        titles[names].update(_comparable(name) for name, _ in _attributes(element))
        if len(names) > 1:
            titles[names[:-1]].add(_comparable(names[-1]))
    matched = {names: len(found & known) if known else len(found) for names, found in titles.items()}
    best = max(titles, key=lambda names: (matched[names], count[names] > 1, -len(names)))
    return RecordPath(best), matched[best]


def _walk(root: Element) -> Iterator[tuple[tuple[str, ...], Element]]:
    """Every element with the names that lead to it."""
    names: list[tuple[tuple[str, ...], Element]] = [((local(root.tag),), root)]
    while names:
        path, element = names.pop()
        yield path, element
        names.extend(((*path, local(child.tag)), child) for child in reversed(element))
