"""A small configuration without faults, as files in memory, for tests that put one fault into it."""

from __future__ import annotations

from config.loader import Loaded, load_bundle

FILES = {
    "hub.yaml": """\
city: 样例市
broker: "amqp://hub:${env:MQ}@127.0.0.1:5672/credit"
defaults:
  limits: {rejected: 10%, shrink: 30%}
""",
    "agencies.yaml": """\
agencies:
  - {code: A0030, name: 法制办公室}
  - {code: A0011, name: 人民法院}
""",
    "codes/kinds.yaml": """\
codes: kinds
entries:
  01: 警告
  02: 罚款
""",
    "catalogue/A0030-F06-01.yaml": """\
item: A0030-F06-01
name: 行政处罚信息
level: open
key: doc_no + uscc|reg_no
fields:
  - {name: doc_no, title: 决定书文号, alias: CF_WSH, length: 128, need: M, role: key}
  - {name: uscc, title: 统一社会信用代码, length: 18, need: C1, check: uscc, role: subject.1}
  - {name: reg_no, title: 工商注册号, length: 15, need: C1, check: reg_no}
  - {name: kind, title: 处罚类别, codes: kinds, multi: true}
  - {name: fine_wan, title: 罚款金额, type: number, length: 18, scale: 6, unit: 万元}
  - {name: decision_date, title: 决定日期, type: date, need: M, role: event_date}
""",
    "agencies/A0030.yaml": """\
agency: {code: A0030, name: 法制办公室}
sources:
  drop: {folder: {path: agencies/A0030}}
feeds:
  penalty:
    item: A0030-F06-01
    read: {from: drop, files: "cf_*.csv", ready: {marker: .ok}}
    when: {cron: "0 2 * * *", due: 7 workdays}
    map:
      uscc: '代码 | uscc'
      fine_wan: col("罚款（元）") | money(unit="元", to="万元")
    only: fine_wan > 0
    check:
      - decision_date <= today()
      - warn: fine_wan < 1000
        message: 金额偏大
      - {fix: decision_date, unless: decision_date > today(), with: today()}
    limits: {rejected: 5%}
shares:
  to-court:
    items: [A0030-F06-01]
    to: A0011
    basis: {purpose: 执行查控, document: 一号文, until: 2028-12-31}
    fields: [uscc, doc_no]
    deliver: {webhook: {url: "https://court.example/", secret: "${env:HOOK}"}}
tests:
  - {feed: penalty, given: samples/x.csv, expect: {passed: 1, rejected: {R111: 2}}}
""",
}


def bundle(**changed: str) -> dict[str, bytes]:
    """The files, some of them replaced: `bundle(**{"hub.yaml": "…"})`."""
    return {name: text.encode() for name, text in {**FILES, **changed}.items()}


def loaded_with(file: str, old: str, new: str) -> Loaded:
    """The configuration after one replacement in one file; the old text must be there."""
    assert old in FILES[file], "the test replaces text that is not in the file"
    return load_bundle(bundle(**{file: FILES[file].replace(old, new, 1)}))
