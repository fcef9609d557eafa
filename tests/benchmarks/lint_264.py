"""How long the configuration of a whole city takes to lint: 264 items, 61 agencies, 264 feeds and as many shares as agencies.

python -m tests.benchmarks.lint_264
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

ITEMS, AGENCIES, FIELDS = 264, 61, 20

_FIELD = "  - {{name: field_{n}, title: 字段{n}, alias: [ZD_{n}, zd{n}], length: 200, need: M, role: extra}}\n"
_ITEM = """item: {code}
name: 信息项{code}
level: open
key: doc_no + uscc
fields:
  - {{name: uscc, title: 统一社会信用代码, alias: [tyshxydm], length: 18, need: M, check: uscc, role: subject.1}}
  - {{name: doc_no, title: 文号, length: 128, need: M, role: key}}
  - {{name: amount, title: 金额（万元）, type: number, length: 18, scale: 6, unit: 万元}}
  - {{name: decision_date, title: 决定日期, type: date, need: M, role: event_date}}
"""
_FEED = """  feed-{n}:
    item: {code}
    read: {{from: drop, files: "f{n}_*.csv", ready: {{marker: .ok}}, csv: {{encoding: gb18030, delimiter: "|"}}}}
    when: {{cron: "0 2 * * *", due: 7 workdays}}
    map:
      uscc: 代码 | uscc
      decision_date: 日期 | date("%Y-%m-%d", "%Y年%m月%d日")
      amount: col("金额{n}（元）") | money(unit="元", to="万元")
    check:
      - decision_date <= today()
      - warn: amount < {limit}
    limits: {{rejected: 5%}}
"""
_SHARE = """shares:
  all-to-next:
    items: [{code}]
    to: {to}
    basis: {{purpose: 核查, document: 一号文, until: 2028-12-31}}
    fields: [uscc, doc_no, decision_date]
    deliver: {{folder: {{path: outbox/{to}}}}}
"""


def write_city(directory: Path) -> None:
    """A configuration of full size."""
    for folder in ("catalogue", "agencies", "codes"):
        (directory / folder).mkdir()
    (directory / "hub.yaml").write_text("city: 大市\n", encoding="utf-8")
    agencies = [f"A{n:04d}" for n in range(1, AGENCIES + 1)]
    owned: dict[str, list[str]] = {code: [] for code in agencies}
    for n in range(ITEMS):
        code = f"{agencies[n % AGENCIES]}-F01-{n // AGENCIES + 1:02d}"
        owned[code[:5]].append(code)
        fields = "".join(_FIELD.format(n=field) for field in range(FIELDS - 4))
        (directory / f"catalogue/{code}.yaml").write_text(_ITEM.format(code=code) + fields, encoding="utf-8")
    for n, agency in enumerate(agencies):
        head = f"agency: {{code: {agency}, name: 单位{n}}}\nsources:\n  drop: {{folder: {{path: in/{agency}}}}}\nfeeds:\n"
        feeds = "".join(_FEED.format(n=number, code=code, limit=1000 + int(code[1:5]) * 10 + number) for number, code in enumerate(owned[agency]))
        share = _SHARE.format(code=owned[agency][0], to=agencies[(n + 1) % AGENCIES])
        (directory / f"agencies/{agency}.yaml").write_text(head + feeds + share, encoding="utf-8")


def measure() -> dict[str, float | int]:
    """Seconds from the first import to the last finding, in this process."""
    with tempfile.TemporaryDirectory() as name:
        write_city(Path(name))
        started = time.perf_counter()
        from config.loader import load

        found = load(Path(name))
        seconds = time.perf_counter() - started
    assert found.hub is not None, [problem.to_text() for problem in found.problems[:5]]
    return {"items": len(found.hub.items), "agencies": len(found.hub.agencies), "feeds": len(found.hub.feeds), "seconds": round(seconds, 2)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure()) + "\n")
