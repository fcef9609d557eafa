"""A first configuration for a newcomer: one agency, one item, one folder feed."""

from __future__ import annotations

from pathlib import Path

from hub.contracts.errors import Misconfigured

_HUB = """\
# The city and the machine. Everything has a safe default; `run_hub.py schema` completes these files in your editor.
city: 我的城市
broker: embedded            # or amqp://hub:${env:MQ_PASSWORD}@127.0.0.1:5672/hub
listen: 127.0.0.1:8700      # the console
"""

_AGENCIES = """\
agencies:
  - {code: A0001, name: 工商局}
"""

_ITEM = """\
# One kind of record: the data contract that every file of it is held to.
item: A0001-F08-01
name: 守合同重信用企业
name_en: Contract-abiding enterprises
level: open                 # open, basic, department or authorised
kind: 表彰
key: uscc+honor_name+year
fields:
  - {name: uscc, title: 统一社会信用代码, length: 18, need: M, check: uscc, role: subject.1}
  - {name: org_name, title: 企业名称, length: 200, need: M, role: subject.name}
  - {name: year, title: 认定年度, length: 4, need: M, role: key}
  - {name: honor_name, title: 荣誉名称, length: 200, need: M, role: key}
  - {name: org, title: 认定机关, length: 200}
  - {name: doc_no, title: 认定文号, length: 100}
  - {name: decision_date, title: 认定日期, type: date, role: event_date}
"""

_AGENCY = """\
# One file an agency: where its data comes from, and what it receives.
agency: {code: A0001, name: 工商局}

sources:
  drop: {folder: {path: inbox}}            # below the hub's home: HOME/inbox

feeds:
  honours:
    item: A0001-F08-01
    read: {from: drop, files: "*.csv", ready: {quiet: 2s}}   # a file untouched for two seconds is finished
    limits: {rejected: 50%}                # beyond: the run is held and asks; 5 % where nothing is written

tests:
  - feed: honours
    given: samples/honours.csv
    expect: {passed: 2, rejected: {R111: 1}}
"""

_SAMPLE = """\
统一社会信用代码,企业名称,认定年度,荣誉名称,认定机关,认定文号,认定日期
91320581MA0000A19W,常熟市示例一有限公司,2025,守合同重信用企业,常熟市工商局,常工商〔2025〕1号,2025-03-05
91320581MA0000B231,常熟市示例二有限公司,2025,守合同重信用企业,常熟市工商局,常工商〔2025〕2号,2025年3月6日
91320581MA0000A19X,常熟市示例三有限公司,2025,守合同重信用企业,常熟市工商局,常工商〔2025〕3号,2025/3/7
"""

_FILES = {
    "hub.yaml": _HUB,
    "agencies.yaml": _AGENCIES,
    "catalogue/A0001-F08-01.yaml": _ITEM,
    "agencies/A0001.yaml": _AGENCY,
    "samples/honours.csv": _SAMPLE,
}


def write_starter(directory: Path) -> list[str]:
    """Write the files; what to do next, in lines. Raises `Misconfigured` where something is there already."""
    if directory.exists() and any(directory.iterdir()):
        raise Misconfigured(f"{directory} is not empty", hint="name a new directory: run_hub.py init my-city")
    for name, content in _FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    home = directory / "var"
    return [
        f"Written to {directory}. Try it:",
        f"  run_hub.py lint --config {directory}",
        f"  run_hub.py test --config {directory}",
        f"  mkdir -p {home}/inbox && cp {directory}/samples/honours.csv {home}/inbox/",
        f"  run_hub.py run --once --config {directory} --home {home}",
        f"  run_hub.py status --config {directory} --home {home}",
        f"  run_hub.py quarantine list --config {directory} --home {home}   # the sample has one wrong code on purpose",
        f"  run_hub.py trace 91320581MA0000A19W --config {directory} --home {home}",
    ]
