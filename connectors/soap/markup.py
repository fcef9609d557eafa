"""XML as agencies answer it, made into a tree: no DOCTYPE, so no entities; bounded depth and size; text exactly as it was written."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from hub.contracts.errors import Rejected

NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_DEEPEST = 100
_MOST = 2_000_000
_HINT = "ask the agency to have its XML written by an XML library"


def parse(raw: bytes, *, called: str, encoding: str | None = None) -> Element:
    """The root element. `encoding` overrides what the document says of itself. Raises `Rejected` F001."""
    parser = expat.ParserCreate(encoding, "}")
    parser.buffer_text = True
    parser.buffer_size = 64 << 10
    building = _Building(called)
    parser.StartElementHandler = building.start
    parser.EndElementHandler = building.end
    parser.CharacterDataHandler = building.tree.data
    parser.StartDoctypeDeclHandler = building.refuse_doctype
    try:
        parser.Parse(raw, True)
        return building.tree.close()
    except expat.ExpatError as error:
        where = f"line {error.lineno}, column {error.offset + 1}"
        raise Rejected(f"{called} is no well-formed XML: {expat.ErrorString(error.code)}, {where}", hint=_HINT, code="F001") from error
    except (ValueError, LookupError) as error:  # an encoding that expat does not know
        raise Rejected(f"{called} is in an encoding that cannot be read", hint=_HINT, code="F002") from error


class _Building:
    """Puts a tree together, and watches over its size."""

    def __init__(self, called: str) -> None:
        self.tree = TreeBuilder()
        self._called = called
        self._depth = 0
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._count += 1
        if self._depth > _DEEPEST or self._count > _MOST:
            raise Rejected(f"{self._called} is nested too deep, or has too many elements", hint="ask for smaller pages", code="F003")
        self.tree.start(_named(tag), {_named(name): value for name, value in attributes.items()})

    def end(self, tag: str) -> None:
        self._depth -= 1
        self.tree.end(_named(tag))

    def refuse_doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        raise Rejected(f"{self._called} has a DOCTYPE, which is never read", hint="ask the agency to leave it out", code="F001")


def _named(name: str) -> str:
    return "{" + name if "}" in name else name


def local(element: Element) -> str:
    """The element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def text_of(element: Element) -> str | None:
    """What a leaf says; None for nothing, which is also what `xsi:nil` means."""
    if element.get(NIL, "").strip() in ("true", "1"):
        return None
    return element.text or None


def children(element: Element, name: str) -> list[Element]:
    """Children by local name."""
    return [child for child in element if local(child) == name]


def cells(row: Element) -> dict[str, str | None]:
    """One record: attributes and leaves under their own names, leaves of leaves as `outer.inner`, what repeats as `name.2`."""
    found: dict[str, str | None] = {}
    for name, value in _leaves(row, ""):
        place, again = name, 1
        while place in found:
            again += 1
            place = f"{name}.{again}"
        found[place] = value
    return found


def _leaves(element: Element, before: str) -> Iterator[tuple[str, str | None]]:
    yield from ((before + name, value or None) for name, value in element.attrib.items() if "}" not in name)
    for child in element:
        name = before + local(child)
        if len(child):
            yield from _leaves(child, name + ".")
        else:
            yield name, text_of(child)
            yield from ((f"{name}.{key}", value or None) for key, value in child.attrib.items() if "}" not in key)


def joined(root: Element) -> Element:
    """The same tree with SOAP-encoded references (`href="#id"`, SOAP 1.1 section 5) replaced by what they point to. Raises `Rejected` F001 for circles."""
    targets = {str(element.get("id")): element for element in root.iter() if element.get("id") is not None}
    if targets:
        _follow(root, targets, 0, [0])
    return root


def _follow(element: Element, targets: dict[str, Element], depth: int, count: list[int]) -> None:
    count[0] += 1
    if depth > _DEEPEST or count[0] > _MOST:
        raise Rejected("the answer's references go in a circle, or make too much of it", hint=_HINT, code="F001")
    target = targets.get(element.get("href", "").removeprefix("#")) if element.get("href", "").startswith("#") else None
    if target is not None and not len(element):
        element.attrib.pop("href")
        element.text = target.text
        element.attrib.update({name: value for name, value in target.attrib.items() if name not in ("id", "href")})
        element.extend(list(target))
    for child in element:
        _follow(child, targets, depth + 1, count)
