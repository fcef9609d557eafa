"""The console in a real browser and over real HTTP."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Page, async_playwright
from prometheus_client.parser import text_string_to_metric_families

from hub.contracts.errors import Misconfigured
from monitoring.server import refuse_beyond_loopback, serve
from tests.acceptance.sample_view import SampleView, busy_city, empty_city

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</td></table><iframe srcdoc='<script>alert(1)</script>'>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "</title><script>alert(1)</script>",
    "\u202egnp.exe<a href=javascript:alert(1)>click",
]


@pytest.fixture
async def view() -> SampleView:
    return SampleView(busy_city())


@pytest.fixture
async def address(view: SampleView) -> AsyncIterator[str]:
    runner = await serve(view, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if not Path(CHROMIUM).exists():
        assert "CI" not in os.environ, "Chromium is needed where CI is set"
        pytest.skip("Chromium is not installed: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        await browser.close()


async def opened(browser: Browser, url: str, **context: Any) -> tuple[Page, list[str]]:
    """The page, and everything that went wrong or popped up while it loaded."""
    page = await (await browser.new_context(**context)).new_page()
    trouble: list[str] = []

    async def dismiss(dialog: Any) -> None:
        trouble.append(f"dialog {dialog.message}")
        await dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(url) else trouble.append(f"foreign request {request.url}"))
    await page.goto(url, wait_until="networkidle")
    return page, trouble


@pytest.mark.browser
async def test_a_chinese_reader_sees_the_city_at_a_glance(browser: Browser, address: str) -> None:
    page, trouble = await opened(browser, address, locale="zh-CN")

    text = await page.inner_text("main")

    assert "等待决定" in text
    assert "法人行政处罚信息" in text
    assert "账平" in text
    assert trouble == []


@pytest.mark.browser
async def test_the_language_is_one_click_away(browser: Browser, address: str) -> None:
    page, trouble = await opened(browser, address, locale="zh-CN")

    await page.click("text=English")

    assert "Needs a decision" in await page.inner_text("main")
    assert await page.get_attribute("html", "lang") == "en"
    assert trouble == []


@pytest.mark.browser
async def test_hostile_names_stay_text(browser: Browser, address: str, view: SampleView) -> None:
    hostile = "".join(HOSTILE)
    city = busy_city()
    city["city"] = city["version"] = hostile
    city["agencies"] = [{"code": name, "name": name} for name in HOSTILE]
    city["feeds"] = [{**city["feeds"][0], "feed": name, "item": name, "item_name": name, "state": name, "next": name} for name in HOSTILE]
    city["shares"] = [{**city["shares"][0], "share": name, "to": name, "withheld": {name: 1}} for name in HOSTILE]
    city["queues"] = [{"queue": name, "ready": 1, "unacked": 0, "oldest_s": None} for name in HOSTILE]
    city["decisions"] = [{"feed": name, "run": name, "reason": name, "verb": name} for name in HOSTILE]
    view.shown = city

    page, trouble = await opened(browser, address, locale="en")

    assert trouble == []
    assert await page.locator("iframe, main script, main img, main svg, a[href^=javascript]").count() == 0
    assert HOSTILE[0] in await page.inner_text("#agencies")


@pytest.mark.browser
async def test_the_page_renews_itself(browser: Browser, address: str, view: SampleView) -> None:
    page, trouble = await opened(browser, address, locale="en")

    view.shown = empty_city()

    await page.wait_for_selector("text=Nothing waits for a person", timeout=30_000)
    assert trouble == []


@pytest.mark.browser
async def test_a_narrow_screen_needs_no_sideways_scrolling(browser: Browser, address: str) -> None:
    page, trouble = await opened(browser, address, locale="zh-CN", viewport={"width": 360, "height": 740})

    overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    assert overflow <= 0
    assert trouble == []


async def test_status_is_also_for_machines(http: aiohttp.ClientSession, address: str) -> None:
    async with http.get(f"{address}/status.json") as answer:
        body = await answer.json()

    assert body == busy_city()


async def test_many_watchers_cost_one_look(http: aiohttp.ClientSession, address: str, view: SampleView) -> None:
    for _ in range(20):
        async with http.get(f"{address}/status.json") as answer:
            assert answer.status == 200

    assert view.asked < 20


async def test_prometheus_can_read_the_metrics(http: aiohttp.ClientSession, address: str) -> None:
    async with http.get(f"{address}/metrics") as answer:
        families = {family.name for family in text_string_to_metric_families(await answer.text())}

    assert {"credit_hub_feed_state", "credit_hub_queue_ready_messages", "credit_hub_share_delivered_records"} <= families


async def test_a_hub_that_cannot_keep_data_is_alive_but_not_ready(http: aiohttp.ClientSession, address: str, view: SampleView) -> None:
    view.checks = {"state": True, "landing": "the disk is full"}

    async with http.get(f"{address}/readyz") as ready, http.get(f"{address}/livez") as live:
        assert (ready.status, (await ready.json())["checks"]["landing"]) == (503, "the disk is full")
        assert live.status == 200


async def test_a_status_that_cannot_be_read_is_said_kindly(http: aiohttp.ClientSession, address: str, view: SampleView) -> None:
    view.away = True

    async with http.get(f"{address}/?lang=en") as page, http.get(f"{address}/status.json") as status:
        assert (page.status, status.status) == (503, 503)
        assert "another process holds it" in await page.text()
        assert (await status.json(content_type="application/problem+json"))["title"] == "the hub's state cannot be read"


async def test_a_foreign_name_for_this_machine_is_refused(http: aiohttp.ClientSession, address: str) -> None:
    async with http.get(address, headers={"Host": "evil.example:8700"}) as answer:
        assert answer.status == 421
        assert "常熟" not in await answer.text()


@pytest.mark.parametrize("path", ["/", "/status.json", "/metrics", "/static/console.js", "/nothing"])
async def test_every_answer_forbids_foreign_content(http: aiohttp.ClientSession, address: str, path: str) -> None:
    async with http.get(address + path) as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/static/page.html", "/static/zh-CN.json", "/static/..%2fserver.py", "/static/%2e%2e/server.py"])
async def test_only_the_named_files_are_served(http: aiohttp.ClientSession, address: str, path: str) -> None:
    async with http.get(address + path) as answer:
        assert answer.status == 404


async def test_nothing_can_be_changed_here(http: aiohttp.ClientSession, address: str) -> None:
    async with http.post(address, data=b"x") as answer:
        assert answer.status == 405


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "hub.example", ""])
async def test_the_console_opens_on_loopback_only(view: SampleView, host: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        await serve(view, host, 0)

    assert "127.0.0.1" in refused.value.hint


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback_has_several_names(host: str) -> None:
    assert refuse_beyond_loopback(host) is None


async def test_a_taken_port_is_a_matter_for_the_configuration(view: SampleView, address: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        await serve(view, "127.0.0.1", int(address.rsplit(":", 1)[1]))

    assert "listen" in refused.value.hint
