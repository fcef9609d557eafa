"""Databases end to end: MariaDB and CSV into PostgreSQL over RabbitMQ, beside dlt in the same run; and how fast a MariaDB table is pulled and checked."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from routes.bench import FILES, SUBJECTS, _rows, _usccs
from tests.databases import PASSWORD, MariaServer, PostgresServer
from tests.servers import RabbitServer

ROOT = Path(__file__).resolve().parents[2]
RIVALS = ROOT / ".venv" / "rivals" / "bin" / "python"
_CHUNK = 100_000
_COLUMNS = {
    "uscc": "varchar(18)", "xdr_name": "varchar(200)", "legal_rep": "varchar(50)", "doc_no": "varchar(128)", "violation_type": "varchar(200)",
    "facts": "varchar(4000)", "basis": "varchar(4000)", "penalty_class": "varchar(100)", "fine_wan": "decimal(18,6)", "decision_date": "date",
    "valid_to": "date", "org": "varchar(200)", "org_uscc": "varchar(18)",
}  # fmt: skip


def _frames(rows: int, *, changed: float = 0.0) -> list[pl.DataFrame]:
    """The rows in chunks, under the names of `_COLUMNS`; of a share of them, spread evenly, the fine is another."""
    codes = _usccs(min(rows, SUBJECTS))
    found = []
    for start in range(0, rows, _CHUNK):
        frame = _rows(codes, start, min(start + _CHUNK, rows), changed=False)
        frame = frame.rename(dict(zip(frame.columns, _COLUMNS, strict=True)))
        if changed:
            number = pl.int_range(pl.len()) % round(1 / changed)
            frame = frame.with_columns(pl.when(number == 0).then(pl.col("fine_wan") + 1).otherwise(pl.col("fine_wan")))
        found.append(frame)
    return found


def _fill(maria: MariaServer, database: str, frames: list[pl.DataFrame], folder: Path) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    with maria.connect(database, local_infile=True) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS penalty")
        cursor.execute(f"CREATE TABLE penalty (id bigint PRIMARY KEY AUTO_INCREMENT, {columns})")
        for frame in frames:
            path = folder / "chunk.csv"
            frame.write_csv(path, include_header=False)
            cursor.execute(
                f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE penalty CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' "
                f"({', '.join(_COLUMNS)})"
            )
            path.unlink()


def _csv(path: Path, frames: list[pl.DataFrame]) -> None:
    with path.open("wb") as file:
        for number, frame in enumerate(frames):
            file.write(frame.write_csv(include_header=number == 0).encode())


def _city(place: Path, *, source: Mapping[str, Any] | None, store: str, broker: str) -> None:
    """A configuration with one feed, from MariaDB or a folder."""
    stores = "".join(f"  {name}: {store}\n" for name in ("ent", "psn", "gov", "fin")) if store else ""
    files = {
        "hub.yaml": f'city: 基准\nbroker: "{broker}"\n' + (f"stores:\n{stores}" if stores else ""),
        "agencies.yaml": "agencies:\n  - {code: A0030, name: 法制办公室}\n",
        "catalogue/A0030-F06-01.yaml": FILES["catalogue/A0030-F06-01.yaml"],
    }
    if source is None:
        read = 'read: {from: it, files: "*.csv", ready: {marker: .ok}, max_size: 100000000000}'
        where = "{folder: {path: inbox}}"
    else:
        read = "read: {from: it, table: penalty}\n    when: {every: 1d}"
        where = f"{{mysql: {{host: 127.0.0.1, port: {source['port']}, user: hub, password: '${{env:CITY_DB}}', database: {source['database']}}}}}"
    files["agencies/A0030.yaml"] = (
        f"agency: {{code: A0030, name: 法制办公室}}\nsources:\n  it: {where}\nfeeds:\n  penalty:\n    item: A0030-F06-01\n    {read}\n"
    )
    for name, text in files.items():
        path = place / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _hub(place: Path, word: str, rows: int) -> dict[str, Any]:
    """A hub in a process of its own; what it told, with its peak memory in MB."""
    environment = os.environ | {"CITY_DB": PASSWORD, "CITY_MQ": "guest"}
    hub = psutil.Popen([sys.executable, "-m", "tests.benchmarks.databases", word, str(place), str(rows)], stdout=-1, text=True, cwd=ROOT, env=environment)
    peak = 0.0
    while hub.poll() is None:
        try:
            peak = max(peak, sum(p.memory_info().rss for p in [hub, *hub.children(recursive=True)]) / 1e6)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    told: dict[str, Any] = json.loads((hub.stdout.read() if hub.stdout else "").strip().splitlines()[-1])
    if hub.wait() or not told.get("fine"):
        raise RuntimeError(f"the hub did not carry it: {told}")
    return told | {"peak_mb": round(peak)}


def _rival(*words: str) -> float | None:
    """Seconds that the other took; None where it is not installed."""
    if not RIVALS.exists():
        return None
    done = subprocess.run(
        [str(RIVALS), "-W", "ignore", str(ROOT / "tests/benchmarks/rival.py"), *words], capture_output=True, text=True, timeout=3600, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return float(json.loads(done.stdout.strip().splitlines()[-1])["seconds"])


async def _carry(place: Path, rows: int) -> dict[str, Any]:
    """From the source to a ledger whose runs are closed; that it is right is proved after the clock was stopped."""
    from config.loader import load
    from hub.lock import HomeLock
    from hub.memory import share_arenas
    from routes.city import City
    from routes.running import RunningHub

    share_arenas()
    loaded = load(place / "config")
    begun = time.perf_counter()
    with HomeLock(place / "home"):
        city = City(place / "home", loaded)
        await city.open()
        before = (await city.ledger.totals()).read
        hub = RunningHub(city)
        fine = await hub.once()
        trouble = {kept.name: kept.trouble for kept in hub.engine.kept.values() if kept.trouble}
        seconds = time.perf_counter() - begun
        proof = await hub.desk.reconcile()
        proved_s = time.perf_counter() - begun - seconds
        await hub.close()
        read = proof["counts"]["read"] - before
        await city.close()
    good = fine and proof["balanced"] and read == rows
    return {
        "fine": good,
        "seconds": seconds,
        "proved_s": round(proved_s, 2),
        "counts": proof["counts"],
        "differences": proof["differences"][:3],
        "trouble": trouble,
    }


async def _pull(place: Path, rows: int) -> dict[str, Any]:
    """From the table to checked rows in batches whose places are settled in the ledger; nothing is sent on."""
    from config.loader import load
    from hub.contracts.batch import Batch, Fate, Receipt
    from hub.memory import share_arenas
    from routes.city import City

    share_arenas()

    class Nowhere:
        async def deliver(self, batch: Batch) -> Receipt:
            import numpy as np

            return Receipt(batch.header.batch_id, np.full(len(batch), Fate.PASSED, np.uint8))

    city = City(place / "home", load(place / "config"))
    await city.open()
    route = city.feeds["A0030.penalty"]
    route.pipeline._sink = Nowhere()  # type: ignore[assignment]
    begun = time.perf_counter()
    await route.pipeline.drain()
    seconds = time.perf_counter() - begun
    totals = await city.ledger.totals()
    await city.close()
    return {"fine": totals.read == rows and not totals.fates.get("rejected"), "seconds": seconds, "read": totals.read, "fates": dict(totals.fates)}


def measure(rows: int, folder: Path, only: str | None = None) -> dict[str, Any]:
    """All of it, on servers of our own."""
    found: dict[str, Any] = {"rows": rows}
    with MariaServer("innodb_buffer_pool_size=1G") as maria, PostgresServer("shared_buffers = 512MB") as postgres, RabbitServer() as rabbit:
        broker = rabbit.url.replace("guest:guest", "guest:${env:CITY_MQ}")
        database, store = maria.database(), postgres.database()
        mine = postgres.url(store).replace(PASSWORD, "${env:CITY_DB}")
        source = f"mysql://hub:{PASSWORD}@127.0.0.1:{maria.port}/{database}"
        _fill(maria, database, _frames(rows), folder)
        if only in (None, "pull"):
            found["pull"] = _pulled(folder, maria, database, rows, source)
        for kind in ("mariadb", "csv"):
            if only not in (None, kind):
                continue
            found[kind] = _journey(kind, folder, rows, maria=maria, database=database, postgres=postgres, mine=mine, broker=broker, source=source)
    return found


def _pulled(folder: Path, maria: MariaServer, database: str, rows: int, source: str) -> dict[str, Any]:
    _city(folder / "pull", source={"port": maria.port, "database": database}, store="", broker="embedded")
    told = _hub(folder / "pull", "pull", rows)
    sys.stderr.write(f"pull {told}\n")
    frames = _rival("frames", source, "penalty")
    mine = rows / told["seconds"]
    others = {} if frames is None else {"connectorx_rows_per_s": round(rows / frames), "ratio": round(mine * frames / rows, 2)}
    return {"rows_per_s": round(mine), "peak_mb": told["peak_mb"], **others}


def _journey(
    kind: str, folder: Path, rows: int, *, maria: MariaServer, database: str, postgres: PostgresServer, mine: str, broker: str, source: str
) -> dict[str, Any]:
    """First delivery and the same with 1 % changed, ours and the other's in turns."""
    place = folder / kind
    store = postgres.database()
    _city(place, source={"port": maria.port, "database": database} if kind == "mariadb" else None, store=mine.rsplit("/", 1)[0] + f"/{store}", broker=broker)
    theirs = postgres.url(postgres.database())
    found: dict[str, Any] = {}
    for turn, changed in (("first", 0.0), ("again", 0.01)):
        frames = _frames(rows, changed=changed)
        if kind == "mariadb":
            _fill(maria, database, frames, folder)
        else:
            inbox = place / "home" / "inbox"
            inbox.mkdir(parents=True, exist_ok=True)
            _csv(inbox / f"{turn}.csv", frames)
            _csv(folder / "theirs.csv", frames)
            (inbox / f"{turn}.csv.ok").touch()
        del frames
        told = _hub(place, "carry", rows)
        sys.stderr.write(f"{kind} {turn} {told}\n")
        other = _rival(kind, str(folder / f"rival-{kind}"), theirs, *((source, "penalty") if kind == "mariadb" else (str(folder / "theirs.csv"),)))
        found[turn] = {
            "rows_per_s": round(rows / told["seconds"]),
            "peak_mb": told["peak_mb"],
            "proved_s": told["proved_s"],
            "seconds": round(told["seconds"], 1),
        }
        if other is not None:
            found[turn] |= {"dlt_rows_per_s": round(rows / other), "ratio": round(other / told["seconds"], 2)}
    return found


def main() -> None:
    """Print JSON."""
    if len(sys.argv) > 2 and sys.argv[1] in ("carry", "pull"):
        word, place, rows = sys.argv[1:]
        sys.stdout.write("\n" + json.dumps(asyncio.run((_carry if word == "carry" else _pull)(Path(place), int(rows)))) + "\n")
        return
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=1_309_000)
    asked.add_argument("--only", choices=("pull", "mariadb", "csv"), help="one of the measurements; all by default")
    said = asked.parse_args()
    rows, only = said.rows, said.only
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        os.chmod(folder, 0o755)
        sys.stdout.write(json.dumps(measure(rows, Path(folder), only), indent=2) + "\n")


if __name__ == "__main__":
    main()
