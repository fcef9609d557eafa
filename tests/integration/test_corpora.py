"""Public collections of hard documents, read as any arrival is: every one gives the rows that it holds, or a typed error; never others, never a crash.

What a document holds is read a second time, by the standard library or from the collection's own answers.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from openpyxl import Workbook
from openpyxl.utils.exceptions import IllegalCharacterError

from connectors.formats.elements import RecordPath
from hub.contracts.batch import ORDINAL
from hub.contracts.errors import Rejected
from hub.contracts.headings import normalise_heading
from tests.corpora import csv_cases, json_cases, naughty_strings, xml_cases
from tests.unit.arrivals import Read, read

VALUE = frozenset(("value",))
_READABLE = ("F001", "F002", "F003", "F005", "F006")
"""Codes that say: this document cannot be read, or holds no record."""


async def outcome(content: bytes, name: str, **options: Any) -> Read | Rejected:
    """What was read of it, or the one error by which it was refused, with a way out and a code of its own."""
    try:
        return await read(content, name, **options)
    except Rejected as error:
        return _typed(error)


def _typed(error: Rejected) -> Rejected:
    assert error.code in _READABLE, error
    assert error.hint
    return error


def cells(found: Read | Rejected) -> list[list[str]]:
    """Every row's cells that hold something."""
    return [[cell for cell in row if cell] for row in found.rows] if isinstance(found, Read) and found.batches else []


# JSON -----------------------------------------------------------------------------------------------------------------------------------


def _strict(text: str) -> Any:
    """The standard library's reading; ValueError for anything that is no strict JSON. Numbers are the text that they were written as."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    def refuse(name: str) -> Any:
        raise ValueError(name)

    found = json.loads(text, parse_int=str, parse_float=str, parse_constant=refuse, object_pairs_hook=unique)
    json.dumps(found, ensure_ascii=False).encode()  # half characters are none
    return found


async def test_json_is_taken_as_the_standard_has_it_and_nothing_else() -> None:
    wrong = {}
    for name, text in {**json_cases("parsing"), **json_cases("transform")}.items():
        document = f'[{{"value":[{text}]}}]'
        found = await outcome(document.encode(), "x.json", known=VALUE, json={})
        try:
            expected = [_strict(document)[0]["value"]]
        except (ValueError, RecursionError):
            expected = []
        got = [_strict(row[0]) for row in cells(found)]
        if got != expected and not (got == [] and _may_be_set_aside(name, text)):
            wrong[name] = document[:200]

    assert wrong == {}


def _may_be_set_aside(name: str, text: str) -> bool:
    """NUL is a character of JSON and of no database; and what the suite leaves open need not be taken."""
    return "\\u0000" in text or name.startswith("i_")


async def test_documents_that_are_no_json_give_no_row() -> None:
    wrong = {}
    for name, text in json_cases("parsing").items():
        for ending in ("json", "jsonl"):
            found = await outcome(text.encode(), f"x.{ending}", known=VALUE, json={})
            if name.startswith("n_") and cells(found):
                wrong[name, ending] = cells(found)

    assert wrong == {}


# XML ------------------------------------------------------------------------------------------------------------------------------------


NO_DOCTYPE = frozenset(("o-p18pass1",))
"""The word stands in a CDATA section there, and is text."""


_DOCTYPE = re.compile(rb"<!DOCTYPE[^\[>]*(\[.*?\]\s*)?>", re.DOTALL)


async def test_xml_that_is_not_well_formed_or_has_a_doctype_is_refused() -> None:
    wrong = []
    for case in xml_cases():
        plain = case.content.replace(b"\0", b"")
        if (case.kind == "not-wf" or b"<!DOCTYPE" in plain) and case.name not in NO_DOCTYPE:
            found = await outcome(case.content, "x.xml", known=frozenset(), xml={})
            if isinstance(found, Read):
                wrong.append((case.name, cells(found)))

    assert wrong == []


async def test_every_text_of_a_well_formed_document_is_read() -> None:
    compared, wrong = 0, []
    for case in xml_cases():
        content = _DOCTYPE.sub(b"", case.content) if case.kind in ("valid", "invalid") else b""
        try:
            root = ElementTree.fromstring(content)
            path = "//" + root.tag.rpartition("}")[2]
            RecordPath.parse(path)
        except (ElementTree.ParseError, ValueError):
            continue  # not without its DOCTYPE
        found = await outcome(content, "x.xml", known=frozenset(), xml={"rows": path, "attributes": False})
        texts = {_own(element): not len(element) for element in root.iter() if _own(element).strip()}
        got = [cell for row in cells(found) for cell in row if cell.strip()]
        if isinstance(found, Read) or found.code == "F005":
            compared += 1
            lost = [text for text, leaf in texts.items() if leaf and text not in got]
            if lost or sorted(map(str.split, set(got))) != sorted(map(str.split, texts)):  # blanks around children are layout
                wrong.append((case.name, got, texts))

    assert wrong == []
    assert compared > 400


def _own(element: ElementTree.Element) -> str:
    return (element.text or "") + "".join(child.tail or "" for child in element)


# Delimited text -------------------------------------------------------------------------------------------------------------------------


async def test_delimited_text_gives_the_rows_that_its_collection_says() -> None:
    wrong = {}
    for name, (content, expected) in csv_cases().items():
        if name == "location_coordinates":
            expected = [expected | {"Contact Phone Number": "2095257564"}]  # type: ignore[operator]  # one row, and of another file
        known = frozenset(map(normalise_heading, expected[0]))
        found = await outcome(content, f"{name}.csv", known=known, csv={})
        got = [{key: value or "" for key, value in row.items()} for row in found.frame.drop(ORDINAL).to_dicts()] if isinstance(found, Read) else found
        if got != expected:
            wrong[name] = got

    assert wrong == {}


# Naughty strings ------------------------------------------------------------------------------------------------------------------------


def _csv(texts: list[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["number", "value"], *enumerate(texts)])
    return out.getvalue().encode()


def _xml(texts: list[str]) -> bytes:
    rows = "".join(f"<r><number>{n}</number><value>{escape(text, {chr(13): '&#13;'})}</value></r>" for n, text in enumerate(texts))
    return f'<?xml version="1.0" encoding="UTF-8"?><rows>{rows}</rows>'.encode()


def _json(texts: list[str]) -> bytes:
    return json.dumps([{"number": n, "value": text} for n, text in enumerate(texts)]).encode()


def _lines(texts: list[str]) -> bytes:
    return "".join(json.dumps({"number": n, "value": text}, ensure_ascii=False) + "\n" for n, text in enumerate(texts)).encode()


def _xlsx(texts: list[str]) -> bytes:
    book, out = Workbook(), io.BytesIO()
    book.active.append(["number", "value"])
    for n, text in enumerate(texts):
        try:
            book.active.append([str(n), text])
        except IllegalCharacterError:  # no workbook can hold it
            continue
        book.active.cell(book.active.max_row, 2).data_type = "s"
    book.save(out)
    return out.getvalue()


FORMS: dict[str, tuple[Callable[[list[str]], bytes], dict[str, Any]]] = {
    "csv": (_csv, {"csv": {}}), "json": (_json, {"json": {}}), "jsonl": (_lines, {"json": {}}), "xml": (_xml, {"xml": {}}), "xlsx": (_xlsx, {"excel": {}}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
async def test_naughty_strings_come_out_as_they_went_in_or_are_refused(form: str) -> None:
    write, options = FORMS[form]
    texts = naughty_strings()

    found = await outcome(write(texts), f"x.{form}", known=frozenset(("number", "value")), **options)
    if isinstance(found, Rejected):  # one of them makes the whole document unreadable: each is its own document then
        rows: dict[str, str | None] = {}
        for n, text in enumerate(texts):
            one = await outcome(write([text]), f"x.{form}", known=frozenset(("number", "value")), **options)
            rows |= {str(n): row["value"] for row in one.frame.to_dicts()} if isinstance(one, Read) else {}
    else:
        rows = {row["number"]: row["value"] for row in found.frame.to_dicts()}

    changed = {n: (rows[str(n)], text) for n, text in enumerate(texts) if str(n) in rows and (rows[str(n)] or "") != text}
    assert changed == {}
    assert len(rows) > 0.98 * len(texts)
