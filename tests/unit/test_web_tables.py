"""Records are found in the tables of a page, whatever the page does to them."""

from __future__ import annotations

import pytest

from connectors.web.page import MOST_CELLS, Page, Selector
from connectors.web.tables import Cells
from hub.contracts.errors import Misconfigured, Rejected
from hub.contracts.headings import normalise_heading

TITLES = ("统一社会信用代码", "企业名称", "列入日期", "列入原因", "处罚类别1", "处罚类别2")
KNOWN = frozenset(map(normalise_heading, TITLES))


def page(content: str) -> Page:
    return Page(f"<html><head><meta charset=gbk></head><body>{content}</body></html>".encode("gb18030"), "text/html", "http://site.example/a/b.html")


def records(content: str, table: str | None = None) -> list[Cells | None]:
    return [record.cells for record in page(content).found(Selector(table) if table else None, KNOWN).records]


def test_one_record_per_row_below_the_headings() -> None:
    content = "<table><tr><th>企业名称</th><th>列入日期</th></tr><tr><td>甲公司</td><td>2026-01-02</td></tr><tr><td>乙公司</td><td></td></tr></table>"

    found = records(content)

    assert found == [{"企业名称": "甲公司", "列入日期": "2026-01-02"}, {"企业名称": "乙公司", "列入日期": None}]


def test_the_order_of_headings_may_change() -> None:
    content = "<table><tr><td>列入日期</td><td>备注</td><td>企业名称</td></tr><tr><td>2026-01-02</td><td>无</td><td>甲公司</td></tr></table>"

    found = records(content)

    assert found == [{"列入日期": "2026-01-02", "备注": "无", "企业名称": "甲公司"}]


def test_titles_notes_totals_and_repeated_headings_are_no_records() -> None:
    heading = "<tr><td>企业名称</td><td>列入日期</td></tr>"
    rows = "<tr><td>甲公司</td><td>2026-01-02</td></tr>"
    notes = '<tr><td colspan="2">注：依据暂行办法</td></tr><tr><td></td><td></td></tr><tr><td>合计</td><td>1</td></tr>'

    found = page(f'<table><tr><td colspan="2">2026年名录</td></tr>{heading}{rows}{heading}{notes}</table>').found(None, KNOWN)

    assert [record.cells for record in found.records] == [{"企业名称": "甲公司", "列入日期": "2026-01-02"}]
    assert found.passed == 5


def test_merged_cells_count_in_every_place_that_they_cover() -> None:
    content = (
        '<table><tr><th rowspan="2">企业名称</th><th colspan="2">列入</th></tr><tr><th>列入日期</th><th>列入原因</th></tr>'
        '<tr><td rowspan="2">甲公司</td><td>2026-01-02</td><td>甲</td></tr><tr><td>2026-03-04</td><td>乙</td></tr></table>'
    )

    found = records(content)

    assert found == [
        {"企业名称": "甲公司", "列入日期": "2026-01-02", "列入原因": "甲"},
        {"企业名称": "甲公司", "列入日期": "2026-03-04", "列入原因": "乙"},
    ]


def test_a_row_of_other_width_than_its_heading_is_told_apart() -> None:
    content = "<table><tr><th>企业名称</th><th>列入日期</th></tr><tr><td>甲公司</td></tr><tr><td>乙</td><td>2026-01-02</td><td>x</td></tr></table>"

    found = records("<table><tr><td>导航</td></tr></table>" + content)

    assert found == [None, None]


@pytest.mark.parametrize(
    "content",
    [
        "<table><tr><td>企业名称：</td><td>甲公司</td></tr><tr><td>列入日期</td><td>2026-01-02</td></tr></table>",
        "<table><tr><th>企业名称</th><td>甲公司</td><th>列入日期</th><td>2026-01-02</td></tr></table>",
        '<table><tr><td rowspan="2">基本信息</td><td>企业名称</td><td>甲公司</td></tr><tr><td>列入日期</td><td>2026-01-02</td></tr></table>',
        "<table><tr><td>企业名称</td><td>甲公司</td></tr></table><table><tr><td>列入日期</td><td>2026-01-02</td></tr></table>",
        '<table><tr><td colspan="4">公示</td></tr><tr><td>企业名称</td><td colspan="3">甲公司</td></tr><tr><td>列入日期</td><td>2026-01-02</td></tr></table>',
    ],
    ids=["one pair", "two pairs", "group at the side", "two tables", "merged value"],
)
def test_pairs_of_label_and_value_are_one_record(content: str) -> None:
    found = records(content)

    assert found == [{"企业名称": "甲公司", "列入日期": "2026-01-02"}]


def test_a_label_that_comes_again_begins_the_next_record() -> None:
    one = "<table><tr><td>企业名称</td><td>{}</td></tr><tr><td>列入日期</td><td>2026-01-0{}</td></tr></table>"

    found = records(one.format("甲", 1) + one.format("乙", 2))

    assert found == [{"企业名称": "甲", "列入日期": "2026-01-01"}, {"企业名称": "乙", "列入日期": "2026-01-02"}]


def test_one_row_of_22_cells_with_two_penalty_classes() -> None:
    titles = ["处罚类别1", "处罚类别2", "企业名称", *(f"其他{i}" for i in range(19))]
    content = f"<table><tr>{''.join(f'<td>{t}</td>' for t in titles)}</tr><tr>{''.join(f'<td>{i}</td>' for i in range(22))}</tr></table>"

    found = records(content)

    assert found == [{title: str(i) for i, title in enumerate(titles)}]


def test_text_is_what_a_person_reads() -> None:
    cell = "\u3000&nbsp;<b>常熟市</b><span>样例<!-- 注 --></span>公司<script>var 企业名称</script>\u200b\n</td>"
    content = f"<table><tr><td>企业名称</td><td>列入原因</td></tr><tr><td>{cell}<td>第一条<br>第二条</td></tr></table>"

    found = records(content)

    assert found == [{"企业名称": "常熟市样例公司", "列入原因": "第一条 第二条"}]


def test_a_table_without_known_headings_is_read_only_when_it_is_named() -> None:
    content = '<table id="t"><tr><td>单位</td><td>时间</td></tr><tr><td>甲公司</td><td>1月</td></tr></table>'

    assert records(content) == []
    assert records(content, "#t") == [{"单位": "甲公司", "时间": "1月"}]
    assert records(content, "//table[@id='t']") == [{"单位": "甲公司", "时间": "1月"}]


def test_an_empty_list_has_headings_and_no_records() -> None:
    found = page("<table><tr><td>企业名称</td><td>列入日期</td><td>备注</td></tr></table>").found(None, KNOWN)

    assert (found.titles, found.records) == (("企业名称", "列入日期", "备注"), ())


@pytest.mark.parametrize("spans", ['colspan="99999999" rowspan="99999999"', 'colspan="-1" rowspan="x"', 'colspan="0" rowspan="0"', 'rowspan="１２"'])
def test_absurd_spans_stay_within_bounds(spans: str) -> None:
    rows = f"<tr><td {spans}>x</td></tr>" * 300

    assert records(f"<table><tr><td>企业名称</td><td>列入日期</td></tr>{rows}</table>") is not None


def test_a_page_of_cells_beyond_all_measure_is_refused() -> None:
    cells = '<td colspan="500">x</td>' * 10

    with pytest.raises(Rejected) as refused:
        records("<table>" + f"<tr>{cells}</tr>" * (MOST_CELLS // 5000 + 1) + "</table>")

    assert refused.value.code == "F003"


def test_a_page_nested_without_end_does_no_harm() -> None:
    deep = "<table><tr><td>" * 3000 + "<div>" * 20_000

    assert records(deep + "<b>x") == []


def test_links_are_made_absolute_and_lead_somewhere() -> None:
    content = '<a href="../c.xls#x">1</a><a href="javascript:go(1)">2</a><a href="#top">3</a><a>4</a><p><a href=" /d ">5</a></p><a href="mailto:a@b.c">6</a>'

    found = [link.url for link in page(content).links(Selector("a"))]

    assert found == ["http://site.example/c.xls", "http://site.example/d"]


def test_the_next_page_ends_where_its_link_is_off() -> None:
    on, off, none = (page(f"<a class='{css}' {href}>下一页</a>") for css, href in (("next", "href='?p=2'"), ("next disabled", "href='?p=2'"), ("next", "")))
    selector = Selector("a.next")

    assert [one.following(selector) for one in (on, off, none)] == ["http://site.example/a/b.html?p=2", None, None]


def test_a_selector_that_cannot_be_read_is_named() -> None:
    for wrong in ("table..x", "//table[", "a:nosuch(1)"):
        with pytest.raises(Misconfigured, match="selector"):
            Selector(wrong)
    with pytest.raises(Misconfigured, match="finds no elements"):
        page("<a>x</a>").links(Selector("//a/text()"))


def test_a_login_page_is_known_by_what_it_asks() -> None:
    assert page("<input type='PASSWORD'>").guarded()
    assert page("<input placeholder='请输入验证码'>").guarded()
    assert not page("<input name='keyword'>").guarded()
