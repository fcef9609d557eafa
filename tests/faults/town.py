"""A small city for fault tests: two agencies' feeds, two shares, and a clerk who keeps files coming."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.databases import MariaServer, PostgresServer
from tests.faults.paperwork import FIRMS, PERSONS, Clerk, Form, lines
from tests.faults.places import Files, OnServer, Places
from tests.oracles.filing import Filing

HOOK_SECRET = "whsec_" + "ZmF1bHRzIHNlY3JldCBvZiB0aGUgY291cnQgaG9vaw=="
FIRM_ITEM, PERSON_ITEM = "A0030-F06-01", "A0030-Z06-01"
FOLDER_SHARE, HOOK_SHARE = "A0030.penalties-to-court", "A0030.persons-to-police"

_HUB = """\
city: 样例市
broker: {broker}
listen: 127.0.0.1:0
{places}"""

_AGENCIES = """\
agencies:
  - {code: A0010, name: 公安局}
  - {code: A0011, name: 人民法院}
  - {code: A0030, name: 法制办公室}
"""

_FIRMS = """\
item: A0030-F06-01
name: 行政处罚信息（法人）
name_en: Penalties of legal persons
level: open
kind: 处罚
key: doc_no
fields:
  - {name: doc_no, title: 决定书文号, length: 128, need: M, role: key}
  - {name: uscc, title: 统一社会信用代码, length: 18, need: C1, check: uscc, role: subject.1}
  - {name: reg_no, title: 工商注册号, length: 50, need: C1, role: subject.3}
  - {name: name, title: 相对人名称, length: 200, need: M, role: subject.name}
  - {name: facts, title: 违法事实, type: long, length: 4000, need: M}
  - {name: fine_wan, title: 罚款金额（万元）, type: number, length: 18, scale: 2, unit: 万元}
  - {name: decided, title: 决定日期, type: date, need: M, role: event_date}
"""

_PERSONS = """\
item: A0030-Z06-01
name: 行政处罚信息（自然人）
name_en: Penalties of natural persons
level: basic
kind: 处罚
key: doc_no + id_no
fields:
  - {name: doc_no, title: 决定书文号, length: 128, need: M, role: key}
  - {name: id_no, title: 证件号码, length: 18, need: M, check: id_no, role: subject.1, pii: S}
  - {name: name, title: 姓名, length: 50, need: M, role: subject.name, pii: P}
  - {name: facts, title: 违法事实, type: long, length: 4000, need: M}
  - {name: fine_wan, title: 罚款金额（万元）, type: number, length: 18, scale: 2, unit: 万元}
  - {name: decided, title: 决定日期, type: date, need: M, role: event_date}
"""

_AGENCY = """\
agency: {code: A0030, name: 法制办公室}

sources:
  firms: {folder: {path: drop/firms}}
  persons: {folder: {path: drop/persons}}

feeds:
  penalty:
    item: A0030-F06-01
    read: {from: firms, files: "*.csv", ready: {marker: .ok}}
    limits: {rejected: 50%}
  penalty-person:
    item: A0030-Z06-01
    read: {from: persons, files: "*.csv", ready: {marker: .ok}}
    limits: {rejected: 50%}

shares:
  penalties-to-court:
    items: [A0030-F06-01]
    to: A0011
    basis: {purpose: 执行查控, document: "样例〔2026〕1号", until: 2099-12-31}
    fields: [doc_no, uscc, name, facts, fine_wan, decided]
    deliver: {folder: {path: outbox/court, format: jsonl}}
  persons-to-police:
    items: [A0030-Z06-01]
    to: A0010
    basis: {purpose: 治安管理, document: "样例〔2026〕2号", until: 2099-12-31}
    fields: [doc_no, facts, fine_wan, decided]
    deliver: {webhook: {url: "@hook@", secret: "${env:POLICE_HOOK}", allow: [127.0.0.0/8]}}
    because: the receiver of the test is on loopback
"""


@dataclass
class Desk:
    """One feed's clerk, the folder where its files go, and the oracle's view of them."""

    form: Form
    folder: Path
    table: str
    store: str
    clerk: Clerk
    filing: Filing
    files: int = 0

    def drop(self, rows: int) -> list[dict[str, str]]:
        """One more finished file: the data, then its marker. Answers with its rows."""
        content = self.clerk.file(rows)
        self.filing.file(content)
        self.files += 1
        path = self.folder / f"f{self.files:05d}.csv"
        part = self.folder / f".{path.name}.part"
        with part.open("w", encoding="utf-8", newline="") as out:
            out.writelines(lines(self.form, content))
        stamp = 1_700_000_000_000_000_000 + self.files * 1_000_000_000  # files are read in the order of their times
        os.utime(part, ns=(stamp, stamp))
        part.rename(path)
        (self.folder / f"{path.name}.ok").touch()
        return content

    def waiting(self) -> int:
        """Files that nobody has claimed yet."""
        return sum(1 for _ in self.folder.glob("f*.csv"))


@dataclass
class Town:
    """Configuration, home and desks below `root`. `broker` is the configuration's text, `hook` the address of the police's receiver.

    State and stores are files, or databases of `server`.
    """

    root: Path
    hook: str
    seed: int
    broker: str = "embedded"
    batch_rows: int = 500
    server: PostgresServer | MariaServer | None = None
    places: Places = field(init=False)
    desks: list[Desk] = field(init=False)

    def __post_init__(self) -> None:
        self.config, self.home = self.root / "config", self.root / "home"
        self.places = Files(self.home) if self.server is None else OnServer(self.server)
        texts = {
            "hub.yaml": _HUB.format(broker=self.broker, places=self.places.settings),
            "agencies.yaml": _AGENCIES,
            f"catalogue/{FIRM_ITEM}.yaml": _FIRMS,
            f"catalogue/{PERSON_ITEM}.yaml": _PERSONS,
            "agencies/A0030.yaml": _AGENCY.replace("@hook@", self.hook),
        }
        for name, text in texts.items():
            path = self.config / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.desks = [
            self._desk(FIRMS, "firms", "a0030_f06_01", "ent", Random(self.seed)),
            self._desk(PERSONS, "persons", "a0030_z06_01", "psn", Random(self.seed + 1)),
        ]

    def _desk(self, form: Form, folder: str, table: str, store: str, random: Random) -> Desk:
        place = self.home / "drop" / folder
        place.mkdir(parents=True)
        return Desk(form, place, table, store, Clerk(form, random), Filing(form.key, form.content, self.batch_rows))

    def drop(self, rows: int) -> None:
        """One more file at every desk."""
        for desk in self.desks:
            desk.drop(rows)

    def keep_busy(self, files: int, rows: int) -> None:
        """See to it that so many files wait at every desk."""
        for desk in self.desks:
            while desk.waiting() < files:
                desk.drop(rows)

    @property
    def expected(self) -> dict[str, int]:
        """The equation's terms over all files dropped, but for `in_flight`."""
        words = {word for desk in self.desks for word in desk.filing.fates}
        return {word: sum(desk.filing.fates[word] for desk in self.desks) for word in words}
