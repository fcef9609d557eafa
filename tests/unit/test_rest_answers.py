"""What is read from an answer: text in its real encoding, rows, totals, and errors behind status 200."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.formats.http import Answer
from connectors.rest.answers import Expired, Page, Reader, next_link, saved_rows
from connectors.rest.settings import RestConfig, RestRead
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.headings import normalise_heading

KNOWN = frozenset(map(normalise_heading, ("企业名称", "统一社会信用代码")))
ROW = {"企业名称": "常熟市示例一有限公司", "统一社会信用代码": "91320581MA0000A19W"}


def answer(document: Any, *, charset: str = "utf-8", declared: str = "application/json", status: int = 200, announced: bool = True) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode(charset)
    return Answer(status, {"content-type": declared}, body, "https://example.com/list", announced)


def page(document: Any, read: dict[str, Any] | None = None, **how: Any) -> Page:
    return Reader(RestRead.model_validate(read or {}), KNOWN, "https://example.com").page(answer(document, **how))


@pytest.mark.parametrize(
    ("document", "total"),
    [
        ([ROW], None),
        ({"data": {"total": 7, "list": [ROW]}}, 7),
        ({"data": {"list": [ROW]}, "dataCount": "7"}, 7),
        ({"datas": [ROW], "count": 7, "errors": [], "user": [{"name": "x"}]}, 7),
        ({"Result": {"Records": [ROW], "TotalCount": 7}}, 7),
    ],
)
def test_rows_and_total_are_found_under_their_usual_names(document: Any, total: int | None) -> None:
    found = page(document)

    assert found.rows == [ROW]
    assert found.total == total


def test_a_count_that_is_only_this_pages_is_no_total() -> None:
    assert page({"rows": [ROW, ROW], "count": 2}).total is None


def test_a_path_is_forgiving_about_letter_case_and_nothing_else() -> None:
    assert page({"Data": {"List": [ROW]}}, {"rows": "data.list"}).rows == [ROW]
    with pytest.raises(Misconfigured, match=r"no rows at `data\.rows`") as wrong:
        page({"data": {"list": [ROW]}}, {"rows": "data.rows"})
    assert "`data.list`" in wrong.value.hint


@pytest.mark.parametrize("document", [{"data": None}, {"data": {"list": None}}, {"data": {"list": []}}, {"data": {}, "total": 0}])
def test_null_or_a_total_of_nothing_is_an_empty_list(document: Any) -> None:
    assert page(document, {"rows": "data.list"}).rows == []


def test_a_list_of_other_things_is_not_taken_for_rows() -> None:
    with pytest.raises(Misconfigured, match="no rows with columns of the item"):
        page({"errors": [{"message": "x"}]})


def test_a_saved_answer_can_be_tried_without_the_system() -> None:
    read = RestRead.model_validate({"ok": {"values": ["0"]}})

    rows = saved_rows(RestConfig(url="https://example.com"), read, json.dumps({"code": "0", "warnings": [], "data": [ROW]}).encode())

    assert rows == [ROW]


def test_numbers_keep_every_digit() -> None:
    rows = page(b'[{"\xe4\xbc\x81\xe4\xb8\x9a\xe5\x90\x8d\xe7\xa7\xb0":1e400,"n":123456789012345678901234567890,"x":1.10,"y":{"z":true}}]').rows

    assert rows == [{"企业名称": "1e400", "n": "123456789012345678901234567890", "x": "1.10", "y.z": "true"}]


@pytest.mark.parametrize(
    ("charset", "declared", "used"),
    [
        ("gb18030", "application/json; charset=GBK", "gb18030"),
        ("gb18030", "application/json; charset=utf-8", "gb18030"),
        ("gb18030", "application/json", "gb18030"),
        ("utf-8", 'text/plain; charset="gb2312"', "utf-8"),
        ("utf-8-sig", "application/json; charset=gbk", "utf-8"),
        ("utf-16", "application/json", "utf-16-le"),
        ("utf-8", "application/json; charset=nonsense", "utf-8"),
    ],
)
def test_the_encoding_that_fits_is_used_and_told(charset: str, declared: str, used: str) -> None:
    row = ROW | {"企业名称": "常熟市示例壹有限公司"}

    found = page([row], charset=charset, declared=declared)

    assert (found.rows, found.encoding) == ([row], used)


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><html>", b"  \r\n<html>", b"\xef\xbb\xbf<?xml version='1.0'?><a/>"])
def test_a_login_page_with_status_200_stops_the_feed(body: bytes) -> None:
    with pytest.raises(Misconfigured, match="instead of JSON"):
        page(body, declared="application/json")


def test_json_cut_anywhere_is_never_taken_for_whole() -> None:
    whole = json.dumps({"total": 1, "rows": [ROW]}, ensure_ascii=False).encode()

    for length in range(len(whole)):
        with pytest.raises(Unavailable):
            page(whole[:length], announced=False)


@pytest.mark.parametrize("body", [b'[{"a":NaN}]', b'[{"a":1,"a":2}]', b"[" * 100 + b"]" * 100, b'[{"a":"\\ud800"}]', b"", b"null x"])
def test_what_is_no_strict_json_is_not_taken(body: bytes) -> None:
    with pytest.raises(Unavailable) as refused:
        page(body)

    assert refused.value.code == "F001"


OK = {"ok": {"values": ["00"], "empty": ["01"]}, "errors": {"misconfigured": ["97"], "unavailable": ["99"], "expired": ["96"]}, "message": "msg"}


def test_codes_behind_status_200_are_decisions() -> None:
    assert page({"code": "00", "datas": [ROW]}, OK).rows == [ROW]
    assert page({"code": "01"}, OK).rows == []
    with pytest.raises(Misconfigured, match="code 97: 参数缺失"):
        page({"code": "97", "msg": "参数缺失"}, OK)
    with pytest.raises(Unavailable, match="code 99"):
        page({"code": 99}, OK)
    with pytest.raises(Unavailable, match="code 55"):
        page({"code": "55"}, OK)
    with pytest.raises(Expired):
        page({"code": "96"}, OK)
    with pytest.raises(Misconfigured, match="no code at `code`"):
        page({"kode": "00"}, OK)


def test_a_message_shows_no_number_of_a_person() -> None:
    with pytest.raises(Unavailable) as failed:
        page({"code": "99", "msg": "证件号码 320581190012310015 重复\n第二行"}, OK)

    assert "320581" not in failed.value.message
    assert "\n" not in failed.value.message


def test_accepted_but_not_ready_is_no_page_and_no_content_is_an_empty_one() -> None:
    with pytest.raises(Unavailable, match="preparing"):
        page(b"", status=202)
    assert page(b"", status=204).rows == []


def test_a_page_is_known_by_its_rows_and_not_by_what_surrounds_them() -> None:
    one, two = page({"rows": [ROW], "requestId": "1"}), page({"rows": [ROW], "requestId": "2"})

    assert one.digest == two.digest


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://x/a?p=2>; rel="next", <https://x/a>; rel="first"', "https://x/a?p=2"),
        ('<https://x/a>; rel="first", </a?p=3>; title="a, b"; REL=Next', "/a?p=3"),
        ('</a?p=3>; rel="prev next"', "/a?p=3"),
        ('</a>; rel="nextish"', ""),
        ("nonsense", ""),
    ],
)
def test_the_next_link_is_found(header: str, target: str) -> None:
    assert next_link(header) == target
