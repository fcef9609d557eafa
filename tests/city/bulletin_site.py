"""The bulletin board of the 市场监督管理局: the 经营异常名录 as such sites show it, with what goes wrong on them as switches.

`/list?page=1` names entries on three pages, `/query` gives the same list by POST, `/table?page=1` shows the records in the list itself. An entry is a page
of labels and values, of an older or a newer kind, or a notice with a workbook.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from openpyxl import Workbook

from tests.city.identities import firm

TITLES = ("统一社会信用代码", "注册号", "企业名称", "列入日期", "列入原因", "列入机关", "移出日期", "移出原因", "移出机关")
IN_WORKBOOK = 3  # records of the notice's workbook
PER_PAGE = 5


@dataclass
class BulletinSite:
    """What the site shows, and how it misbehaves. `requests` are (seconds, method, path and query, status)."""

    firms: int = 12
    gone: set[int] = field(default_factory=set)  # entries that have vanished
    paper: str = "xlsx"  # ending of the notice's attachment: xlsx or csv; pdf and doc are no tables
    drift: str = ""  # "tables" (none any more), "new" or "lost" (a heading), "links" (the list links nothing)
    empty: bool = False
    login: bool = False
    failing: int = 0  # so many answers are 503
    slow: float = 0.0
    circle: bool = False  # the last page's next leads to the first
    reverse: bool = False  # the list is in another order
    robots: str | int = "User-agent: *\nDisallow: /private/\n"  # its text, or the status of its absence
    notice: bool = True
    elsewhere: bool = False  # the notice is on another host
    requests: list[tuple[float, str, str, int]] = field(default_factory=list)

    def app(self) -> web.Application:
        """The site as an application."""
        app = web.Application(middlewares=[self._watch])
        routes = {"/robots.txt": self._robots, "/list": self._list, "/table": self._table, "/detail/{n}": self._detail, "/notice": self._notice}
        app.add_routes([web.get(path, handler) for path, handler in routes.items()])
        app.add_routes([web.post("/query", self._query), web.get("/files/{name}", self._file)])
        return app

    def asked(self, beginning: str = "/") -> list[str]:
        """Paths that were asked for, robots.txt left out."""
        return [path for _, _, path, _ in self.requests if path.startswith(beginning) and path != "/robots.txt"]

    def record(self, n: int) -> dict[str, str]:
        """One firm's entry under all headings; every third one has been removed from the list again."""
        removed = ("2026-09-01", "已补报年度报告", "常熟市市场监督管理局") if n % 3 == 0 else ("", "", "")
        reason = "通过登记的住所或者经营场所无法联系的" if n % 2 else "未在规定的期限公示年度报告的"
        listed = (f"2026-{n % 6 + 1:02d}-{n % 27 + 1:02d}", reason, "常熟市市场监督管理局")
        return dict(zip(TITLES, (firm(n), f"3205810000{n:05d}", f"常熟市样例{n}号有限公司", *listed, *removed), strict=True))

    @web.middleware
    async def _watch(self, request: web.Request, handler: Any) -> web.StreamResponse:
        await asyncio.sleep(self.slow)
        if self.failing:
            self.failing -= 1
            answer: web.StreamResponse = web.Response(status=503)
        elif self.login and request.path != "/robots.txt":
            answer = _page('<form action="/login">用户名<input name="u">密码<input type="password" name="p">验证码<input name="yzm"></form>')
        else:
            answer = _conditional(request, await handler(request))
        self.requests.append((time.monotonic(), request.method, request.path_qs, answer.status))
        return answer

    async def _robots(self, request: web.Request) -> web.Response:
        return web.Response(status=self.robots) if isinstance(self.robots, int) else web.Response(text=self.robots)

    def _entries(self) -> list[tuple[str, str]]:
        """Addresses and titles, newest first."""
        links = [(f"detail/{n}", f"关于将{self.record(n)['企业名称']}列入经营异常名录的公告") for n in range(1, self.firms + 1) if n not in self.gone]
        links += [("http://elsewhere.example/notice" if self.elsewhere else "notice", "关于批量列入经营异常名录的公告")] * self.notice
        return [] if self.empty else links[::-1] if self.reverse else links

    async def _list(self, request: web.Request) -> web.Response:
        number = int(request.query.get("page", "1"))
        return _page(self._listed(number, self._entries(), f'<a class="next" href="?page={number + 1}">下一页</a>'))

    async def _query(self, request: web.Request) -> web.Response:
        form = await request.post()
        number = int(str(form.get("pageNo", "1")))
        if number > 1 and form.get("token") != f"t{number - 1}":
            return _page("请求已失效")
        return _page(f'<input type="hidden" name="token" value="t{number}">' + self._listed(number, self._entries(), ""))

    def _listed(self, number: int, entries: list[tuple[str, str]], following: str) -> str:
        last = max(1, -(-len(entries) // PER_PAGE))
        shown = entries[(number - 1) * PER_PAGE : number * PER_PAGE]
        link = "{title}" if self.drift == "links" else '<a href="{href}" target="_blank">{title}</a>'
        rows = "".join(f"<tr><td>{i}</td><td>{link.format(href=href, title=title)}</td></tr>" for i, (href, title) in enumerate(shown, 1))
        following = following if number < last else '<a class="next" href="?page=1">下一页</a>' if self.circle else ""
        pages = f'<div class="pages"><span class="at">第<b>{number}</b>/{last}页</span> <span class="total">共 {len(entries)} 条</span>{following}</div>'
        return f'<table class="list"><tr><th>序号</th><th>标题</th></tr>{rows}</table>{pages}'

    async def _table(self, request: web.Request) -> web.Response:
        number = int(request.query.get("page", "1"))
        wanted = [n for n in range(1, self.firms + 1) if n not in self.gone and not self.empty]
        titles = TITLES if number % 2 else TITLES[::-1]
        head = "".join(f"<th>{title}</th>" for title in titles)
        rows = "".join("<tr>" + "".join(f"<td>{self.record(n)[t]}</td>" for t in titles) + "</tr>" for n in wanted[(number - 1) * PER_PAGE : number * PER_PAGE])
        last = max(1, -(-len(wanted) // PER_PAGE))
        return _page(f'<p class="pages">第{number}页/共{last}页</p><table><tr>{head}</tr>{rows}</table>')

    async def _detail(self, request: web.Request) -> web.Response:
        n = int(request.match_info["n"])
        if n in self.gone or not 1 <= n <= self.firms:
            return _page("<h1>404</h1>", status=404)
        cells = list(self.record(n).items())[:: -1 if n % 4 == 0 else 1]
        if self.drift == "new":
            cells.append(("经办人", "样例"))
        if self.drift == "lost":
            cells = [(title, value) for title, value in cells if title != "列入原因"]
        if self.drift == "tables":
            return _page("".join(f"<p>{title}：{value}</p>" for title, value in cells))
        if n % 5 == 0:  # an older page: UTF-8, whatever it says of itself
            return _page(_labels(cells, 1, "td"), charset="utf-8", declared="gb2312")
        return _page(_labels(cells, 2, "th"))

    async def _notice(self, request: web.Request) -> web.Response:
        return _page(f'<p>名单见附件。</p><a class="file" href="files/yc.{self.paper}">附件：经营异常名录</a>')

    async def _file(self, request: web.Request) -> web.Response:
        made = {"xlsx": self._workbook, "csv": self._text, "pdf": lambda: b"%PDF-1.4\n%%EOF\n", "doc": _word}
        return web.Response(body=made[request.match_info["name"].rpartition(".")[2]](), content_type="application/vnd.ms-excel")

    def _workbook(self) -> bytes:
        book = Workbook(write_only=True)
        sheet = book.create_sheet("名单")
        for row in (TITLES, *self._notified()):
            sheet.append(list(row))
        out = io.BytesIO()
        book.save(out)
        return out.getvalue()

    def _text(self) -> bytes:
        return "".join(",".join(row) + "\r\n" for row in (TITLES, *self._notified())).encode("gb18030")

    def _notified(self) -> list[tuple[str, ...]]:
        return [tuple(self.record(n).values()) for n in range(101, 101 + IN_WORKBOOK)]


def _word() -> bytes:
    """The first bytes of a document of an old word processor."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "WordDocument".encode("utf-16-le")


def _labels(cells: list[tuple[str, str]], pairs: int, label: str) -> str:
    """A table of labels and values, as many pairs in a row, with the blanks and nested tags of a word processor."""
    lines = "".join(_line(cells[at : at + pairs], pairs, label) for at in range(0, len(cells), pairs))
    return f'<table class="detail"><tr><td colspan="{pairs * 2}"><b>经营异常名录信息</b></td></tr>{lines}</table>'


def _line(cells: list[tuple[str, str]], pairs: int, label: str) -> str:
    wide = f' colspan="{pairs * 2 - 1}"' if len(cells) < pairs else ""
    return "<tr>" + "".join(f"<{label}>{t}：</{label}><td{wide}>&nbsp;<span><font>{v}</font></span>\u3000</td>" for t, v in cells) + "</tr>"


def _page(content: str, *, charset: str = "gb18030", declared: str = "gb2312", status: int = 200) -> web.Response:
    head = f'<!DOCTYPE html><html><head><meta http-equiv="Content-Type" content="text/html; charset={declared}"><title>公示</title></head>'
    text = f"{head}<body><table><tr><td>首页</td><td>信息公示</td></tr></table>{content}<script>var t='企业名称';</script></body></html>"
    return web.Response(body=text.encode(charset), status=status, headers={"content-type": "text/html"})


def _conditional(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """304 where the other side has the page already."""
    if not isinstance(answer, web.Response) or answer.status != 200 or not isinstance(answer.body, bytes) or request.method != "GET":
        return answer
    mark = f'"{hashlib.sha256(answer.body).hexdigest()[:16]}"'
    if request.headers.get("if-none-match") == mark:
        return web.Response(status=304, headers={"etag": mark})
    answer.headers["etag"] = mark
    return answer


def rows_of(site: BulletinSite) -> Iterator[tuple[str, ...]]:
    """What a pull of the whole site must find, by USCC."""
    numbers = [n for n in range(1, site.firms + 1) if n not in site.gone]
    numbers += range(101, 101 + IN_WORKBOOK) if site.notice and site.paper in ("xlsx", "csv") and not site.elsewhere else []
    yield from sorted(tuple(site.record(n).values()) for n in numbers)


async def serve(host: str, port: int, site: BulletinSite | None = None) -> web.AppRunner:
    """Start the site; the runner's `cleanup` ends it."""
    runner = web.AppRunner((site or BulletinSite()).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
