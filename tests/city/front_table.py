"""An agency's front-end table (前置表) on a real server, and a small hub whose first feed reads from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.city.command import Hub
from tests.city.configuration import agency_yaml
from tests.city.identities import firm
from tests.databases import PASSWORD, MariaServer, PostgresServer

COLUMNS = "统一社会信用代码, 企业名称, 荣誉名称, 认定日期, opt_type, tong_time"
SECRET = {"AGENCY_DB": PASSWORD}
"""The password that the configuration only names."""
_TABLE = """CREATE TABLE honour (tongid {serial} PRIMARY KEY, 统一社会信用代码 VARCHAR(255), 企业名称 VARCHAR(255), 荣誉名称 VARCHAR(255),
    认定日期 VARCHAR(255), opt_type CHAR(1), tong_time {time}, clzt VARCHAR(2) DEFAULT '0')"""
_KINDS = {"mysql": {"serial": "BIGINT AUTO_INCREMENT", "time": "DATETIME"}, "postgres": {"serial": "BIGSERIAL", "time": "TIMESTAMP"}}
_AT_ONCE = 5_000  # rows of one statement


class FrontTable:
    """The table `honour` in a database of its own. `read` are settings of the feed, `source` of how it is connected; `when` is its schedule."""

    def __init__(self, hub: Hub, server: MariaServer | PostgresServer, *, source: dict[str, Any] | None = None, when: str = "{every: 1h}", **read: Any) -> None:
        self.hub, self.server, self.name = hub, server, server.database()
        kind = "postgres" if isinstance(server, PostgresServer) else "mysql"
        if kind == "postgres":
            self.run(f"ALTER DATABASE {self.name} SET timezone = 'Asia/Shanghai'")
            self.run(_TABLE.format(**_KINDS[kind]), "GRANT ALL ON ALL TABLES IN SCHEMA public TO hub")
        else:
            self.run("SET GLOBAL time_zone = '+08:00'")
            self.run(_TABLE.format(**_KINDS[kind]))
        settings = {**server.settings(self.name), "password": "${env:AGENCY_DB}", **(source or {})}
        text = agency_yaml().replace("{folder: {path: in/firms}}", json.dumps({kind: settings}))
        text = text.replace('{from: firms, files: "*.csv", ready: {marker: .ok}}', json.dumps({"from": "firms", "table": "honour", **read}))
        text = text.replace("    limits: {rejected: 50%}", f"    when: {when}\n    limits: {{rejected: 50%}}", 1)
        (hub.config / "agencies/A0001.yaml").write_text(text[: text.index("tests:")])

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """As the agency; the rows of the last."""
        return self.server.execute(*statements, database=self.name)

    def add(self, numbers: Iterable[int], *, operation: str = "I", honour: str = "守合同", time: str = "NOW()") -> None:
        """A row of each of these firms, as exchange middleware writes it."""
        rows = [f"('{firm(n)}', '示例{n}', '{honour}', '2025-03-05', '{operation}', {time})" for n in numbers]
        parts = (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))
        self.run(*(f"INSERT INTO honour ({COLUMNS}) VALUES {', '.join(part)}" for part in parts))

    def marks(self) -> list[str]:
        """The status column, in the order of the ids."""
        return [str(mark) for (mark,) in self.run("SELECT clzt FROM honour ORDER BY tongid")]

    def stored(self) -> list[tuple[Any, ...]]:
        """Codes, names and status of the store's rows (a file's)."""
        return self.hub.sql("ent", "SELECT uscc, org_name, status FROM a0001_f08_01 ORDER BY uscc")
