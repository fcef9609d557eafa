"""A small city: one agency whose firms and persons are told apart, an item of each kind, and shares to two receivers."""

from __future__ import annotations

from pathlib import Path

FIRMS, PERSONS = "A0001-F08-01", "A0001-Z06-01"

_ITEM = """\
item: A0001-F08-01
name: 守合同重信用企业
level: open
kind: 表彰
key: uscc + honor_name
fields:
  - {name: uscc, title: 统一社会信用代码, length: 18, need: M, check: uscc, role: subject.1}
  - {name: org_name, title: 企业名称, length: 200, need: M, role: subject.name}
  - {name: honor_name, title: 荣誉名称, length: 200, need: M, role: key}
  - {name: decision_date, title: 认定日期, type: date, role: event_date}
  - {name: inner_note, title: 内部意见, length: 500}
"""

_PERSON_ITEM = """\
item: A0001-Z06-01
name: 行政处罚信息（自然人）
level: basic
kind: 处罚
key: doc_no
fields:
  - {name: name, title: 姓名, length: 50, need: M, role: subject.name, pii: P}
  - {name: id_no, title: 证件号码, length: 64, need: M, check: id_no, role: subject.1, pii: S}
  - {name: doc_no, title: 决定书文号, length: 128, need: M, role: key}
  - {name: fine, title: 罚款金额（元）, type: number, length: 18, scale: 2, unit: 元}
  - {name: decision_date, title: 处罚决定日期, type: date, role: event_date}
"""

_AGENCY = """\
agency: {{code: A0001, name: 工商局}}

sources:
  firms: {{folder: {{path: in/firms}}}}
  persons: {{folder: {{path: in/persons}}}}

feeds:
  firms:
    item: A0001-F08-01
    read: {{from: firms, files: "*.csv", ready: {firms_ready}}}
    limits: {{rejected: {rejected}}}
  persons:
    item: A0001-Z06-01
    read: {{from: persons, files: "*.csv", ready: {{marker: .ok}}}}
    limits: {{rejected: {rejected}}}
{shares}
tests:
  - feed: firms
    given: samples/firms.csv
    expect: {{passed: 1, rejected: {{R111: 1}}}}
"""

FOLDER_SHARES = """
shares:
  firms-to-court:
    items: [A0001-F08-01]
    to: A0011
    fields: [uscc, org_name, honor_name]
    deliver: {folder: {path: out/court}}
  persons-to-police:
    items: [A0001-Z06-01]
    to: A0010
    basis: {purpose: 治安管理, document: "常信办〔2026〕1号", until: 2099-12-31}
    fields: [name, id_no, doc_no]
    deliver: {folder: {path: out/police}}
"""

SAMPLE = """\
统一社会信用代码,企业名称,荣誉名称,认定日期
91320581MA0000A19W,常熟市示例一有限公司,守合同重信用企业,2025-03-05
91320581MA0000A19X,常熟市示例二有限公司,守合同重信用企业,2025-03-05
"""


def hub_yaml(*, broker: str = "embedded", listen: str = "127.0.0.1:8700") -> str:
    """The city's own file."""
    return f'city: 示例市\nbroker: "{broker}"\nlisten: {listen}\n'


def agency_yaml(*, shares: str = FOLDER_SHARES, rejected: str = "50%", firms_ready: str = "{marker: .ok}") -> str:
    """The agency's file."""
    return _AGENCY.format(shares=shares, rejected=rejected, firms_ready=firms_ready)


def write_city(directory: Path, *, hub: str = "", agency: str = "") -> None:
    """Write the configuration; `hub` and `agency` replace their files' content."""
    files = {
        "hub.yaml": hub or hub_yaml(),
        "agencies.yaml": "agencies:\n  - {code: A0001, name: 工商局}\n  - {code: A0010, name: 公安局}\n  - {code: A0011, name: 人民法院}\n",
        "catalogue/A0001-F08-01.yaml": _ITEM,
        "catalogue/A0001-Z06-01.yaml": _PERSON_ITEM,
        "agencies/A0001.yaml": agency or agency_yaml(),
        "samples/firms.csv": SAMPLE,
    }
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
