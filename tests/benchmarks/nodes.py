"""A hub over several processes: rows a second with one and with two loaders, and the processor seconds that a million records cost, by role.

State and stores on PostgreSQL, RabbitMQ between, all on this machine, so processes and servers share its cores. The queues are filled first; the loaders
have their items when loading begins, so that neither starting nor sharing out is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.benchmarks.databases import _ITEM, _frames
from tests.city.nodes import Node, ask, nodes_at
from tests.databases import PASSWORD, USER, PostgresServer
from tests.servers import RabbitServer, wait_until

_ITEMS = tuple(f"A0030-F06-0{n}" for n in range(1, 5))
_PATIENCE_S = 900.0


class Run:
    """One city in a database and a broker of its own."""

    def __init__(self, place: Path, postgres: PostgresServer, rabbit: RabbitServer, rows: int) -> None:
        self.config, self.home = place / "config", place / "home"
        self.home.mkdir(parents=True)
        self._each = rows // len(_ITEMS)
        self.rows = self._each * len(_ITEMS)
        self._postgres, self._rabbit = postgres, rabbit
        self.database = postgres.database()
        self._configure(postgres.url(self.database).replace(PASSWORD, "${env:CITY_DB}"), rabbit.url.replace("guest:guest", "guest:${env:CITY_MQ}"))

    def _configure(self, database: str, broker: str) -> None:
        stores = "".join(f"  {name}: {database}\n" for name in ("ent", "psn", "gov", "fin"))
        drops = "".join(f"  drop{n}: {{folder: {{path: in/{n}}}}}\n" for n in range(len(_ITEMS)))
        read = 'files: "*.csv", ready: {marker: .ok}, max_size: 100000000000'
        feeds = "".join(f"  feed{n}: {{item: {code}, read: {{from: drop{n}, {read}}}}}\n" for n, code in enumerate(_ITEMS))
        files = {f"catalogue/{code}.yaml": _ITEM.replace(_ITEMS[0], code) for code in _ITEMS} | {
            "hub.yaml": f'city: 基准\nstate: {database}\nbroker: "{broker}"\nstores:\n{stores}',
            "agencies.yaml": "agencies:\n  - {code: A0030, name: 法制办公室}\n",
            "agencies/A0030.yaml": f"agency: {{code: A0030, name: 法制办公室}}\nsources:\n{drops}feeds:\n{feeds}",
        }
        for name, text in files.items():
            (self.config / name).parent.mkdir(parents=True, exist_ok=True)
            (self.config / name).write_text(text, encoding="utf-8")

    def drop(self) -> None:
        """A file of the same rows for each item."""
        text = b"".join(frame.write_csv(include_header=number == 0).encode() for number, frame in enumerate(_frames(self._each)))
        for number in range(len(_ITEMS)):
            folder = self.home / "in" / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "all.csv").write_bytes(text)
            (folder / "all.csv.ok").touch()

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Asked of PostgreSQL, not of the hub."""
        login: Mapping[str, Any] = {"host": "127.0.0.1", "port": self._postgres.port, "user": USER, "password": PASSWORD, "dbname": self.database}
        with psycopg.connect(**login) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def servers(self) -> dict[str, float]:
        """Processor seconds of the servers so far."""
        return {"postgresql": _spent(self._postgres.pid), "rabbitmq": _spent(self._rabbit.pid)}


def _spent(pid: int) -> float:
    """Processor seconds of a process and of all that it began, those that have ended included."""
    one = psutil.Process(pid)
    total = sum(one.cpu_times()[:4])
    for child in one.children(recursive=True):
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return float(total)


def _of(node: Node) -> float:
    assert node.process is not None
    return _spent(node.process.pid)


def _collect(run: Run) -> dict[str, float]:
    """Fill the queues; processor seconds by who spent them."""
    with nodes_at(run.config, run.home, collector="collect") as nodes:
        node = nodes["collector"]
        wait_until(lambda: run.sql("SELECT count(*) FROM lease WHERE until > 0")[0][0] > len(_ITEMS), _PATIENCE_S, "the collector has its feeds", every=0.5)
        before = run.servers() | {"collect": _of(node)}
        run.drop()
        query = "SELECT coalesce(sum(rows), 0) FROM batch WHERE settled_at IS NOT NULL"
        wait_until(lambda: run.sql(query)[0][0] >= run.rows, _PATIENCE_S, "everything is collected", every=0.5)
        return _difference(run.servers() | {"collect": _of(node)}, before)


def _load(run: Run, loaders: int) -> tuple[float, dict[str, float]]:
    """Rows a second between the first batch and the last, and processor seconds by who spent them."""
    stops = ", ".join(f"('load:{code}', 'paused', '', '')" for code in _ITEMS)
    run.sql(f"INSERT INTO feed_state (name, state, reason, since) VALUES {stops}")
    with nodes_at(run.config, run.home, **{f"load_{n}": "load" for n in range(loaders)}) as nodes:
        spread = "SELECT count(*), max(n), min(n) FROM (SELECT count(*) n FROM lease WHERE until > 0 AND name LIKE 'load:%' GROUP BY node) t"
        even = (loaders, len(_ITEMS) // loaders, len(_ITEMS) // loaders)
        wait_until(lambda: run.sql(spread)[0] == even, _PATIENCE_S, "the loaders have their items", every=0.5)
        before = run.servers() | {"load": sum(map(_of, nodes.values()))}
        run.sql("DELETE FROM feed_state")
        done = "SELECT coalesce(sum(rows), 0) FROM batch WHERE applied_at IS NOT NULL"
        wait_until(lambda: run.sql(done)[0][0] >= run.rows, _PATIENCE_S, "everything is loaded", every=0.25)
        spent = _difference(run.servers() | {"load": sum(map(_of, nodes.values()))}, before)
    times = sorted((datetime.fromisoformat(at), int(rows)) for at, rows in run.sql("SELECT applied_at, rows FROM batch"))
    seconds = (times[-1][0] - times[0][0]).total_seconds()
    return (run.rows - times[0][1]) / seconds, spent


def _difference(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after}


def measure(rows: int, loaders: int) -> dict[str, Any]:
    """One city, filled and loaded; processor seconds are for a million records."""
    with tempfile.TemporaryDirectory() as place, PostgresServer() as postgres, RabbitServer() as rabbit:
        run = Run(Path(place), postgres, rabbit, rows)
        collected = _collect(run)
        rate, loaded = _load(run, loaders)
        proof = ask(run.config, run.home, "reconcile")
        assert proof["balanced"], "every record is accounted for"
        assert proof["counts"]["inserted"] == run.rows, "every record is in its store once"
        millions = run.rows / 1e6
        return {
            "loaders": loaders,
            "rows": run.rows,
            "loaded_rows_per_s": round(rate),
            "collecting_cpu_s_per_million": {name: round(seconds / millions, 1) for name, seconds in collected.items()},
            "loading_cpu_s_per_million": {name: round(seconds / millions, 1) for name, seconds in loaded.items()},
        }


def main() -> None:
    """Print a line of JSON for one loader and one for two."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=400_000)
    chosen = options.parse_args()
    print(json.dumps({"cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 1)}))
    for loaders in (1, 2):
        print(json.dumps(measure(chosen.rows, loaders), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
