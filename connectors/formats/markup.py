"""XML read safely with lxml: no DOCTYPE, no entities, no network, bounded depth and text; record elements one piece of the document at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lxml import etree

from connectors.formats.elements import Element, RecordPath, local, names_of
from hub.contracts.errors import Rejected

BARREN = 8 << 20
# Blanks between elements are not kept as text: a third fewer nodes. A cell of nothing but blanks stays as it is.
_SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
    "recover": False,
    "collect_ids": False,
    "remove_comments": True,
    "remove_pis": True,
    "remove_blank_text": True,
    "encoding": "utf-8",
}
_NESTED = etree.XPath("boolean(*/*/* | */text()[normalize-space()])")
_NESTED_IN = etree.XPath("boolean(*/* | text()[normalize-space()])")


@dataclass(frozen=True, slots=True)
class Group:
    """Record elements, in order, that lie in one parent; `flat` says that none has anything but text in its cells."""

    records: list[Element]
    flat: bool


def beginning(pieces: Iterable[bytes], size: int) -> Element | None:
    """The tree of about the first `size` bytes, whose last element may be unfinished; None where there is no element. Raises `Rejected` F001."""
    parser = etree.XMLPullParser(events=("start",), **_SAFE)
    read = 0
    for piece in pieces:
        with _border(parser):
            parser.feed(piece)
        read += len(piece)
        if read >= size:
            break
    root: Element | None = next((element for _, element in parser.read_events()), None)
    return root


def groups(pieces: Iterable[bytes], path: RecordPath) -> Iterator[Group]:
    """Records of a whole document, each handed out once and then forgotten: memory does not grow with the document.

    Raises `Rejected`: F001 (not well-formed, cut short, nested deeper than 256), F003 (8 MiB without the end of a record), F006 (no record in the first 8 MiB).
    """
    parser = etree.XMLPullParser(events=("end",), tag="{*}" + path.steps[-1], **_SAFE)
    root: Element | None = None
    barren = 0
    for piece in pieces:
        with _border(parser):
            parser.feed(piece)
        found = [element for _, element in parser.read_events()]
        barren = 0 if found else barren + len(piece)
        if found and root is None:
            root = found[0].getroottree().getroot()
        yield from _own(found, path)
        found.clear()
        if root is not None:
            _forget(root, path)
        if barren > BARREN:
            raise _no_record(path, seen=root is not None)
    with _border(parser):
        parser.close()


def _own(found: list[Element], path: RecordPath) -> Generator[Group, None, None]:
    """The elements that really are at the path, in groups of one parent."""
    at = 0
    while at < len(found):
        parent, first = found[at].getparent(), at
        while at < len(found) and found[at].getparent() is parent:
            at += 1
        if path.matches((*names_of(parent), path.steps[-1])):
            nested = _NESTED(parent) if parent is not None else _NESTED_IN(found[first])
            yield Group(found[first:at], flat=not nested)


def _forget(root: Element, path: RecordPath) -> None:
    """Drop what is finished: at each level all but the last element, down to a record that may still be open."""
    node, names = root, names_of(root)
    while not path.matches(names) and len(node):
        del node[:-1]
        node = node[-1]
        names = (*names, local(node.tag))


def _no_record(path: RecordPath, *, seen: bool) -> Rejected:
    if seen:
        return Rejected(f"more than {BARREN >> 20} MiB without a further record {path}", hint="a single record is never that long", code="F003")
    return Rejected(f"no record {path} in the first {BARREN >> 20} MiB", hint="name the path of the records: `xml: {rows: …}`", code="F006")


@contextmanager
def _border(parser: etree.XMLPullParser) -> Iterator[None]:
    """The parser's errors as ours: also those that it only notes down, after which it would begin a new document with the next piece."""
    try:
        yield
    except etree.LxmlError as error:
        raise _broken(parser) from error
    if parser.feed_error_log.filter_from_errors():
        raise _broken(parser)


def _broken(parser: etree.XMLPullParser) -> Rejected:
    """Line and kind of the first error; not its message, which may quote the document."""
    entry = next(iter(parser.feed_error_log.filter_from_errors()), None)
    kind, line = (entry.type_name.removeprefix("ERR_"), entry.line) if entry is not None else ("unknown", 1)
    hint = "ask the agency to send the whole document again" if kind in _CUT else "ask the agency to have its XML written by an XML library"
    return Rejected(f"line {line}: {_WORDS.get(kind, 'not well-formed XML')} ({kind})", hint=hint, code="F001")


_CUT = {"DOCUMENT_END", "TAG_NOT_FINISHED", "DOCUMENT_EMPTY", "GT_REQUIRED"}
_WORDS = {
    "DOCUMENT_END": "the document breaks off, or something follows its end",
    "TAG_NOT_FINISHED": "the document breaks off",
    "DOCUMENT_EMPTY": "there is no element",
    "TAG_NAME_MISMATCH": "an end tag does not fit its start tag",
    "UNDECLARED_ENTITY": "an entity, which is never read; a bare & is written &amp;",
    "INVALID_CHAR": "a control character, which XML does not allow",
    "ENTITYREF_SEMICOL_MISSING": "a bare &, which is written &amp;",
    "NAME_REQUIRED": "a bare & or <, which are written &amp; and &lt;",
    "GT_REQUIRED": "the document breaks off inside a tag",
    "NS_ERR_UNDEFINED_NAMESPACE": "a prefix that no xmlns declares",
    "RESOURCE_LIMIT": "nested too deep, or a text or attribute that is too long",
}
