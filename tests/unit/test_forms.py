"""Documents are told apart by what they are, whatever they are called."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import Any

import openpyxl
import pytest

from connectors.formats.forms import FileFormat
from tests.unit.arrivals import TITLES, read, refusal

ROWS = [(f"9132{i:05}", f"常熟市某{i}公司", "2024-03-05") for i in range(4)]
OBJECTS = [dict(zip(TITLES, row, strict=True)) for row in ROWS]


def csv(encoding: str = "utf-8") -> bytes:
    return "".join(",".join(row) + "\r\n" for row in (TITLES, *ROWS)).encode(encoding)


def lines() -> bytes:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in OBJECTS).encode()


def xml(encoding: str = "utf-8") -> bytes:
    records = "".join("<DATA>" + "".join(f"<{title}>{cell}</{title}>" for title, cell in one.items()) + "</DATA>" for one in OBJECTS)
    return f'<?xml version="1.0" encoding="{encoding}"?><DATAS>{records}</DATAS>'.encode(encoding)


def xlsx() -> bytes:
    book, target = openpyxl.Workbook(), io.BytesIO()
    assert book.active is not None
    for row in (TITLES, *ROWS):
        book.active.append(row)
    book.save(target)
    return target.getvalue()


def packed(name: str, content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return target.getvalue()


def foreign(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, b"<x/>")
    return target.getvalue()


DOCUMENTS = {
    "csv": csv(),
    "csv in gb18030": csv("gb18030"),
    "csv in utf-16": csv("utf-16"),
    "lines": lines(),
    "json": json.dumps({"data": {"list": OBJECTS}}).encode(),
    "xml": xml(),
    "xml in gb18030": xml("gb18030"),
    "xlsx": xlsx(),
    "zip of csv": packed("a.csv", csv("gb18030")),
    "zip of xlsx": packed("a.xlsx", xlsx()),
    "zip of lines": packed("a.jsonl", lines()),
    "zip of zip": packed("a.zip", packed("a.xml", xml())),
    "gzip of csv": gzip.compress(csv()),
    "gzip of json": gzip.compress(json.dumps(OBJECTS).encode()),
}


@pytest.mark.parametrize("name", ["document", "报表.xls", "报表.csv", "x"])
@pytest.mark.parametrize("kind", DOCUMENTS)
async def test_the_same_rows_are_read_from_every_form_under_any_name(kind: str, name: str) -> None:
    found = await read(DOCUMENTS[kind], name)

    assert found.frame.columns == ["_ordinal", *TITLES]
    assert found.frame.rows() == [(i, *row) for i, row in enumerate(ROWS)]
    assert found.unread == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\r\n<!DOCTYPE html>\n<html><body><form><input type='password'></form></body></html>", "an HTML page that asks to log in"),
        ("\ufeff<HTML><table><tr><td>1</td></tr></table></HTML>".encode(), "an HTML page"),
        ("<html><h1>系统错误</h1></html>".encode("gb18030"), "an HTML page"),
        (b"<table border=1><tr><td>1</td></tr></table>", "an HTML page"),
        (
            b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Server</faultcode></s:Fault></s:Body></s:Envelope>',
            "a SOAP fault",
        ),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive"),
        (b"{\\rtf1\\ansi}", "a rich text document"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (foreign("[Content_Types].xml", "word/document.xml"), "a Word document"),
        (foreign("[Content_Types].xml", "ppt/presentation.xml"), "a presentation"),
        (bytes(257) + b"ustar\x0000", "a tar archive"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"csv": {}}, {"excel": {}}, {"json": {}}, {"xml": {}}])
async def test_what_cannot_be_read_is_called_by_its_name(content: bytes, said: str, options: dict[str, Any]) -> None:
    error = await refusal(content, "处罚.xls", **options)

    assert error.code == "F001"
    assert said in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("options", "content", "both"),
    [
        ({"csv": {}}, xlsx(), ("a workbook", "delimited text")),
        ({"csv": {}}, xml(), ("XML", "delimited text")),
        ({"excel": {}}, csv(), ("delimited text", "a workbook")),
        ({"json": {}}, xml(), ("XML", "JSON")),
        ({"xml": {}}, lines(), ("JSON", "XML")),
        ({"fixed": {"columns": [{"name": "uscc", "width": 18}]}}, xlsx(), ("a workbook", "fixed widths")),
    ],
)
async def test_a_document_of_another_form_than_the_feed_says_is_refused_with_both_names(options: dict[str, Any], content: bytes, both: tuple[str, str]) -> None:
    for document in (content, packed("a.csv", content), gzip.compress(content)):
        error = await refusal(document, "a.csv", **options)

        assert error.code == "F001"
        assert all(name in error.message for name in both)


async def test_a_heading_that_begins_with_a_bracket_is_delimited_text() -> None:
    content = "[统一社会信用代码],[企业名称],[决定日期]\n1,甲,2024-03-05\n".encode()

    assert (await read(content)).rows == [("1", "甲", "2024-03-05")]


async def test_delimited_text_that_begins_like_json_is_read_where_the_feed_says_so() -> None:
    content = '{"企业名称"},统一社会信用代码\n甲,1\n'.encode()

    assert (await read(content, csv={"quote": "none"})).rows == [("甲", "1")]


def test_a_feed_names_at_most_one_form_and_an_archive_around_it() -> None:
    FileFormat.model_validate({"csv": {}, "archive": {"files": "*.csv"}})

    with pytest.raises(ValueError, match="at most one"):
        FileFormat.model_validate({"csv": {}, "json": {}})
