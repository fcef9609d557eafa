"""How fast a table of 13 columns in MariaDB becomes validated rows: read and landed, then read back from landing and prepared.

Run as `python -m tests.benchmarks.database_pull [--rows N]`; it starts a private MariaDB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from connectors.databases.mysql import MysqlDatabase
from connectors.databases.settings import DatabaseRead, MysqlConfig
from connectors.databases.source import database_source
from connectors.memory import MemoryIntake
from hub.contracts.blocking import to_its_end
from hub.contracts.headings import normalise_heading
from hub.contracts.keys import KeyRing
from hub.contracts.source import LandingWriter
from hub.landing import Landing
from tests.databases import MariaServer
from tests.unit.sample_items import PENALTY
from transforms.intake import FeedPlan, prepare

NAMES = {
    "xdr_name": "CONCAT('常熟市第', seq, '纺织有限公司')", "uscc": "'91320581MA0000A19W'", "reg_no": "LPAD(seq, 15, '3')", "org_code": "NULL",
    "legal_rep": "CONCAT('张', seq % 9999)", "doc_no": "CONCAT('常', seq)", "facts": "CONCAT('违反规定第', seq % 97, '条')", "penalty_class": "'2'",
    "fine_wan": "seq % 1000 / 100", "cases": "seq % 9", "decision_date": "DATE('2024-01-01') + INTERVAL seq % 900 DAY", "op_flag": "'I'",
    "src_update_time": "NOW() - INTERVAL (2000000 - seq) SECOND",
}  # fmt: skip
TYPES = {"fine_wan": "DECIMAL(18,6)", "cases": "INT", "decision_date": "DATE", "src_update_time": "DATETIME"}


class LandedIntake(MemoryIntake):
    """An intake whose landing is the real one: compressed, sealed, on disk."""

    def __init__(self, landing: Landing) -> None:
        super().__init__()
        self.landing = landing

    def writer(self) -> LandingWriter:  # type: ignore[override]
        return self.landing.writer()

    def open(self, landed: str) -> BinaryIO:
        return self.landing.open(landed)


async def measure(server: MariaServer, database: str, read: dict[str, Any], keys: KeyRing, home: Path) -> dict[str, Any]:
    """Rows per second of one mode, and where the time went."""
    config = MysqlConfig.model_validate(server.settings(database))
    intake = LandedIntake(Landing(home / read.get("since", {}).get("time", "all" if not read else "id"), keys))
    known = frozenset(map(normalise_heading, NAMES))
    settings = DatabaseRead.model_validate({"table": "penalty", **read})
    about: dict[str, Any] = {"feed": "A0030.penalty", "item": "A0030-F06-01", "known": known, "intake": intake}
    source = database_source(lambda: MysqlDatabase(config), config, settings, **about)
    plan, pool = FeedPlan(PENALTY, keys), ThreadPoolExecutor(1)
    began, offering, rows, passed = time.perf_counter(), 0.0, 0, 0
    first = None
    async with aclosing(source.batches()) as batches:
        async for batch in batches:
            first = first or time.perf_counter() - began
            at = time.perf_counter()
            step = await to_its_end(pool, prepare, batch, plan, now=datetime(2026, 11, 24))
            offering += time.perf_counter() - at
            rows, passed = rows + batch.header.rows, passed + len(step.passed)
            intake.settle(batch)
    took = time.perf_counter() - began
    await source.close()
    found = {"rows": rows, "passed": passed, "seconds": round(took, 2), "rows_per_second": round(rows / took)}
    return {"read": read, **found, "landed_after_s": round(first or 0, 2), "checking_s": round(offering, 2)}


def main() -> None:
    """Each way of reading, once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_309_000)
    rows = parser.parse_args().rows
    with MariaServer("innodb_flush_log_at_trx_commit=2") as server, tempfile.TemporaryDirectory() as folder:
        database = server.database()
        columns = ", ".join(f"{name} {TYPES.get(name, 'VARCHAR(255)')}" for name in NAMES)
        server.execute(
            f"CREATE TABLE penalty (id BIGINT PRIMARY KEY AUTO_INCREMENT, {columns}, KEY (src_update_time, id))",
            f"INSERT INTO penalty ({', '.join(NAMES)}) SELECT {', '.join(NAMES.values())} FROM seq_1_to_{rows}",
            database=database,
        )
        keys = KeyRing("5" * 64, {"k1": bytes(32)})
        ways: tuple[dict[str, Any], ...] = ({}, {"since": {"id": "id"}}, {"since": {"time": "src_update_time", "id": "id"}})
        for read in ways:
            print(json.dumps(asyncio.run(measure(server, database, read, keys, Path(folder)))))
        print(json.dumps({"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}))


if __name__ == "__main__":
    main()
