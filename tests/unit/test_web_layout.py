"""A page that looks otherwise than last time is noticed; what a person accepted is not."""

from __future__ import annotations

import pytest

from connectors.web.layout import Layout
from connectors.web.robots import Robots
from connectors.web.settings import ListRead, WebConfig, WebRead
from hub.contracts.errors import Misconfigured

KNOWN = frozenset({"企业名称", "列入日期", "移出日期"})


def seen(*tables: tuple[str, ...], before: object = None, label: str = "") -> Layout:
    layout = Layout(KNOWN, before, label)  # type: ignore[arg-type]
    for titles in tables:
        layout.saw("detail", titles)
    return layout


def test_a_new_heading_stops_the_feed_unless_the_item_knows_it() -> None:
    before = seen(("企业名称", "列入日期")).note()

    seen(("企业名称", "列入日期", "移出日期"), before=before).check()
    with pytest.raises(Misconfigured, match="new headings: 经办人"):
        seen(("企业名称", "列入日期", "经办人"), before=before).check()


def test_a_heading_that_stood_everywhere_and_is_nowhere_stops_the_feed() -> None:
    before = seen(("企业名称", "列入日期", "备注"), ("企业名称", "列入日期")).note()

    seen(("企业名称", "列入日期"), before=before).check()
    with pytest.raises(Misconfigured, match="gone: 列入日期"):
        seen(("企业名称", "备注"), before=before).check()


def test_another_layout_text_accepts_what_is_found() -> None:
    before = seen(("企业名称", "列入日期")).note()
    changed = seen(("企业名称", "经办人"), before=before, label="2026-11")

    changed.check()

    seen(("企业名称", "经办人"), before=changed.note(), label="2026-11").check()


def test_headings_seen_once_are_not_new_when_they_return() -> None:
    first = seen(("企业名称", "备注"), ("企业名称",)).note()
    second = seen(("企业名称",), before=first).note()

    seen(("企业名称", "备注"), before=second).check()


def test_robots_rules_are_those_of_our_agent() -> None:
    rules = Robots(b"User-agent: *\nDisallow: /\n\nUser-agent: credit-hub\nDisallow: /private/\nCrawl-delay: 5\n", "credit-hub")

    rules.check("http://site.example/list?page=1", "site")
    assert rules.pause == 5
    with pytest.raises(Misconfigured, match=r"robots\.txt"):
        rules.check("http://site.example/private/x", "site")


def test_a_pause_that_no_feed_could_live_with_is_said() -> None:
    with pytest.raises(Misconfigured, match="86400 s"):
        _ = Robots(b"User-agent: *\nCrawl-delay: 86400\n", "credit-hub").pause


@pytest.mark.parametrize(
    ("model", "wrong", "said"),
    [
        (WebConfig, {"url": "https://site.example", "robots": "ignore"}, "because"),
        (WebConfig, {"url": "https://site.example", "because": "x"}, "because"),
        (WebConfig, {"url": "https://site.example", "concurrency": 2}, "concurrency"),
        (ListRead, {"path": "/l?p={page}", "next": "a.next"}, "not both"),
        (ListRead, {"path": "/l", "pages": 3}, "pages"),
        (WebRead, {"list": {"path": "/l"}, "detail": {"attachment": "a"}}, "link"),
    ],
)
def test_settings_that_make_no_sense_are_refused(model: type[WebConfig], wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model.model_validate(wrong)
