"""What must not be collected of persons is refused where a configuration asks for it, and left out where a document brings it."""

from __future__ import annotations

import pytest

from config.loader import load_bundle
from hub.contracts.denied import denied, denied_among
from tests.unit.arrivals import TITLES, read
from tests.unit.sample_config import FILES, bundle, loaded_with

AGENCY, ITEM = "agencies/A0030.yaml", "catalogue/A0030-F06-01.yaml"


@pytest.mark.parametrize(
    "heading",
    [
        "宗教信仰",
        "ZJXY",
        "血型",
        "XueXing",
        "血型（ABO）",
        "指纹信息",
        "基因",
        "既往病史",
        "疾病史",
        "疾病和病史信息",
        "blood_type",
        "Religion",
        "DNA",
        "XX",
        "zw",
    ],
)
def test_banned_headings(heading: str) -> None:
    assert denied(heading)


@pytest.mark.parametrize("heading", ["宗教活动场所名称", "疾病预防控制中心", "转基因生物加工许可证号", "学校", "职务", "xxmc", "zwmc", "姓名", "jyzt"])
def test_headings_that_only_look_alike(heading: str) -> None:
    assert not denied(heading)


def test_a_doubtful_short_name_is_read_where_the_item_gives_it_a_meaning() -> None:
    assert denied_among(["XX", "ZW", "zjxy"], frozenset({"xx", "zjxy"})) == ("ZW", "zjxy")


def faults(file: str, old: str, new: str) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in loaded_with(file, old, new).problems if "R131" in problem.message]


@pytest.mark.parametrize("new", ["title: 血型", "title: 其他, alias: [XX, ZJXY]"])
def test_an_item_may_not_have_such_a_field(new: str) -> None:
    assert faults(ITEM, "title: 工商注册号", new) == [("denied-field", "fields.2")]


def test_a_map_may_not_read_such_a_heading() -> None:
    assert faults(AGENCY, "uscc: '代码 | uscc'", "uscc: '宗教信仰 | uscc'") == [("denied-field", "feeds.penalty.map.uscc")]


def test_a_feed_may_not_name_such_a_column() -> None:
    source = "drop: {mysql: {host: 127.0.0.1, database: a, user: u, password: '${env:P}'}}"
    text = FILES[AGENCY].replace("drop: {folder: {path: agencies/A0030}}", source)
    read_ = 'read: {from: drop, files: "cf_*.csv", ready: {marker: .ok}}'
    assert read_ in text

    found = load_bundle(bundle(**{AGENCY: text.replace(read_, "read: {from: drop, table: t, columns: [CF_WSH, XUEXING]}")}))

    assert [(p.code, p.path) for p in found.problems if "R131" in p.message] == [("denied-field", "feeds.penalty.read.columns")]


def test_a_snapshot_is_never_made_of_a_part() -> None:
    source = "drop: {mysql: {host: 127.0.0.1, database: a, user: u, password: '${env:P}'}}"
    text = FILES[AGENCY].replace("drop: {folder: {path: agencies/A0030}}", source)
    text = text.replace('read: {from: drop, files: "cf_*.csv", ready: {marker: .ok}}', "snapshot: true\n    read: {from: drop, table: t, since: {id: id}}")

    found = load_bundle(bundle(**{AGENCY: text}))

    assert [(p.code, p.path) for p in found.problems] == [("bad-value", "feeds.penalty.snapshot")]


async def test_a_document_that_brings_such_a_column_is_read_without_it() -> None:
    head = ",".join((*TITLES, "血型"))
    found = await read(f"{head}\n91320581MA0000A19W,甲公司,2026-11-01,AB\n".encode())

    assert "血型" not in found.frame.columns
    assert found.rows == [("91320581MA0000A19W", "甲公司", "2026-11-01")]
    assert found.cut["found"]["denied"] == ["血型"]
