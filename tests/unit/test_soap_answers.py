"""What answers hold: characters, trees, records."""

from __future__ import annotations

import pytest

from connectors.formats.http import Answer
from connectors.soap import wire
from connectors.soap.answers import rows_at, text_at, told
from connectors.soap.markup import cells, joined, parse
from connectors.soap.settings import SoapRead
from hub.contracts.errors import Misconfigured, Rejected, Unavailable

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


def envelope(content: str) -> bytes:
    return f'<s:Envelope xmlns:s="{SOAP}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><s:Body>{content}</s:Body></s:Envelope>'.encode()


def answer(body: bytes, kind: str = "text/xml; charset=utf-8", status: int = 200) -> Answer:
    return Answer(status, {"content-type": kind}, body, "http://x/")


@pytest.mark.parametrize(
    ("body", "declared", "charset"),
    [
        ("企业名称".encode(), "utf-8", "utf-8"), ("企业名称".encode("gbk"), "utf-8", "gb18030, declared utf-8"), ("企业名称".encode("gbk"), "", "gb18030, declared utf-8"),
        ("企业名称".encode(), "gbk", "utf-8, declared gbk"), ("企业名称".encode(), "iso-8859-1", "utf-8, declared iso-8859-1"),
        ("企业名称".encode("gbk"), "iso-8859-1", "gb18030, declared iso-8859-1"), ("企业名称".encode("gb18030"), "GB2312", "gb18030"),
        ("<?xml version='1.0' encoding='GBK'?>企业名称".encode("gbk"), "", "gb18030"), ("\ufeff企业名称".encode("utf-16-le"), "utf-8", "utf-16-le"),
        ("企业名称".encode(), "no-such-charset", "utf-8, declared no-such-charset"), ("联通".encode("gbk"), "gbk", "gb18030"),
    ],
)  # fmt: skip
def test_characters_are_found_whatever_is_declared(body: bytes, declared: str, charset: str) -> None:
    utf8, found = wire.decoded(body, declared)

    assert utf8.decode().rpartition(">")[2] in ("企业名称", "联通")
    assert found == charset


def test_bytes_that_are_no_text_are_refused_and_never_replaced() -> None:
    with pytest.raises(Rejected) as error:
        wire.decoded(b"\xff\xff\xff\xff\xff", "utf-8")

    assert error.value.code == "F002"


def test_nil_and_empty_are_nothing_and_names_lose_their_prefix() -> None:
    row = parse(b'<a:R xmlns:a="u" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="7"><a:x xsi:nil="true">no</a:x><y/><z> 1 </z></a:R>', called="it")

    assert cells(row) == {"id": "7", "x": None, "y": None, "z": " 1 "}


def test_leaves_of_leaves_and_repeats_keep_names_of_their_own() -> None:
    assert cells(parse(b"<R><a><b>1</b><b>2</b></a><a><b>3</b></a></R>", called="it")) == {"a.b": "1", "a.b.2": "2", "a.b.3": "3"}


def test_references_of_soap_encoding_are_followed() -> None:
    reply = wire.read(answer(envelope('<r><list><item href="#i1"/><item href="#i2"/></list></r><m id="i1"><a>1</a></m><m id="i2"><a>2</a></m>')), "it")

    assert reply.message is not None
    assert rows_at(reply.message, "list/item") == [{"a": "1"}, {"a": "2"}]


def test_references_in_a_circle_end() -> None:
    with pytest.raises(Rejected):
        joined(parse(b'<B><r><x href="#a"/></r><m id="a"><x href="#b"/></m><m id="b"><x href="#a"/></m></B>', called="it"))


def test_references_cannot_blow_up() -> None:
    levels = "".join(f'<m id="l{n}">' + f'<x href="#l{n + 1}"/>' * 10 + "</m>" for n in range(12))

    with pytest.raises(Rejected):
        joined(parse(f'<B><r href="#l0"/>{levels}<m id="l12">x</m></B>'.encode(), called="it"))


@pytest.mark.parametrize("document", [b"<a>" * 5000, b"<!DOCTYPE a><a/>", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", b"<a>&x;</a>", b"<a", b"", b"<a/><a/>"])
def test_documents_that_are_never_read(document: bytes) -> None:
    with pytest.raises(Rejected) as error:
        parse(document, called="it")

    assert error.value.hint


def test_the_declaration_of_a_text_that_is_decoded_already_does_not_count() -> None:
    message = parse(
        '<r><return>&lt;?xml version="1.0" encoding="GBK"?&gt;&lt;D&gt;&lt;R&gt;&lt;a&gt;甲&lt;/a&gt;&lt;/R&gt;&lt;/D&gt;</return></r>'.encode(), called="it"
    )

    assert rows_at(told(message, "xml", None).tree, "D/R") == [{"a": "甲"}]


def test_a_text_wrapped_in_cdata_once_more_is_unwrapped() -> None:
    message = parse(b"<r><return>&lt;![CDATA[&lt;D&gt;&lt;R/&gt;&lt;/D&gt;]]&gt;</return></r>", called="it")

    assert rows_at(told(message, "xml", None).tree, "D/R") == [{}]


def test_json_keeps_every_digit_and_tells_nothing_from_an_empty_list() -> None:
    tree = told(parse(b'<r><v>{"d": [{"n": 12345678901234567890.10, "x": null}], "e": [], "f": null}</v></r>', called="it"), "json", None).tree

    assert rows_at(tree, "d") == [{"n": "12345678901234567890.10", "x": None}]
    assert [rows_at(tree, path) for path in ("e", "f", "g")] == [[], [], None]


def test_a_list_of_something_else_is_no_records() -> None:
    with pytest.raises(Misconfigured):
        rows_at({"d": ["a"]}, "d")


def test_several_texts_ask_for_a_path_and_it_is_followed() -> None:
    message = parse(b"<r><code>00</code><data>&lt;D&gt;&lt;R/&gt;&lt;/D&gt;</data></r>", called="it")

    with pytest.raises(Misconfigured, match="more than one"):
        told(message, "xml", None)
    assert rows_at(told(message, "xml", "data").tree, "D/R") == [{}]


def test_a_code_may_be_an_attribute() -> None:
    tree = told(parse(b"<r><v>&lt;D c='1'/&gt;</v></r>", called="it"), "xml", None).tree

    assert (text_at(tree, "D/@c"), text_at(tree, "D/@d"), text_at(tree, "E/c")) == ("1", None, None)


@pytest.mark.parametrize("body", [b"", b"  \n", envelope(""), f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(), envelope("<a/>")[:-3], envelope("<a/>") + b"x"])
def test_an_answer_that_is_not_whole_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(Unavailable):
        wire.read(answer(body), "it")


def test_a_fault_inside_of_parts_is_found() -> None:
    fault = envelope("<s:Fault><faultcode>s:Server.Busy</faultcode><faultstring>no</faultstring></s:Fault>")
    body = b"--b\r\nContent-Type: text/xml\r\n\r\n" + fault + b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"

    reply = wire.read(answer(body, 'multipart/related; boundary="b"'), "it")

    assert reply.fault == wire.Fault(("Server.Busy",), "no")


def test_parts_without_an_end_are_not_whole() -> None:
    with pytest.raises(Unavailable):
        wire.read(answer(b"--b\r\nContent-Type: text/xml\r\n\r\n" + envelope("<a/>"), 'multipart/related; boundary="b"'), "it")


@pytest.mark.parametrize(
    "read",
    [
        {"arguments": {"xml": "<a>{page}</a>"}}, {"page": {}}, {"arguments": {"k": "{key}"}}, {"each": {"keys": ["1"]}}, {"arguments": {"s": "{since}"}},
        {"answer": "text"}, {"arguments": {"p": "{page}{key}"}, "page": {}, "each": {"keys": ["1"]}}, {"arguments": {"k": "{key}"}, "each": {"keys": ["1"], "start": 1}},
        {"rows": "a//b"}, {"rows": ""}, {"headers": {"a b": "c"}},
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_work_is_found_at_load(read: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        SoapRead.model_validate({"operation": "o", "rows": "R"} | read)
