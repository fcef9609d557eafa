"""Measures the hub end to end against a plain upsert of the same rows on the same machine, in the same run."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

from hub.contracts.errors import Misconfigured

SUBJECTS = 200_000
_CHUNK = 100_000
_COMMIT_ROWS = 25_000
_LOOK_S = 0.05
_TABLE = "a0030_f06_01"
_ALPHABET = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRTUWXY", np.uint8)
_WEIGHTS = np.array([pow(3, i, 31) for i in range(17)])

FILES = {
    "hub.yaml": "city: 基准\n",
    "agencies.yaml": "agencies:\n  - {code: A0030, name: 法制办公室}\n",
    "catalogue/A0030-F06-01.yaml": """\
item: A0030-F06-01
name: 行政处罚信息（法人）
level: open
key: doc_no+uscc
fields:
  - {name: uscc, title: 统一社会信用代码, length: 18, need: M, check: uscc, role: subject.1}
  - {name: xdr_name, title: 行政相对人名称, length: 200, need: M, role: subject.name}
  - {name: legal_rep, title: 法定代表人, length: 50, need: M, pii: P}
  - {name: doc_no, title: 处罚决定书文号, length: 128, need: M, role: key}
  - {name: violation_type, title: 违法行为类型, length: 200, need: M}
  - {name: facts, title: 违法事实, type: long, length: 4000, need: M}
  - {name: basis, title: 处罚依据, type: long, length: 4000, need: M}
  - {name: penalty_class, title: 处罚类别, length: 100, need: M}
  - {name: fine_wan, title: 罚款金额（万元）, type: number, length: 18, scale: 6, unit: 万元}
  - {name: decision_date, title: 处罚决定日期, type: date, need: M, role: event_date}
  - {name: valid_to, title: 处罚有效期, type: date, need: M}
  - {name: org, title: 处罚机关, length: 200, need: M}
  - {name: org_uscc, title: 处罚机关统一社会信用代码, length: 18, need: M, check: uscc}
""",
    "agencies/A0030.yaml": """\
agency: {code: A0030, name: 法制办公室}
sources:
  drop: {folder: {path: inbox}}
feeds:
  penalty:
    item: A0030-F06-01
    read: {from: drop, files: "*.csv", ready: {marker: .ok}, csv: {encoding: gb18030}, max_size: 100000000000}
""",
}


async def measure(rows: int, home: Path | None) -> Mapping[str, Any]:
    """Rows a second of the hub and of the plain upsert, their ratio, the same file again with one row changed, and the hub's peak memory in MB."""
    with ThreadPoolExecutor(1, thread_name_prefix="bench") as worker:
        future = asyncio.get_running_loop().run_in_executor(worker, _measure, rows, home)
        return await future


def _measure(rows: int, home: Path | None) -> dict[str, Any]:
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="credit-hub-bench-", dir=home) as folder:
        root = Path(folder)
        for name, content in FILES.items():
            path = root / "config" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        first, first_mb = _deliver(root, rows, "a.csv", changed=False)
        floor = _floor(root, rows)
        again, again_mb = _deliver(root, rows, "b.csv", changed=True)
        return {
            "rows": rows,
            "rows_per_s": round(rows / first),
            "floor_rows_per_s": round(rows / floor),
            "ratio": round(floor / first, 2),
            "again_rows_per_s": round(rows / again),
            "peak_mb": round(max(first_mb, again_mb)),
        }


# The agency -----------------------------------------------------------------------------------------------------------------------------


def _deliver(root: Path, rows: int, name: str, *, changed: bool) -> tuple[float, float]:
    """Drop the file, let a hub of its own process carry it; seconds, and the most memory in MB that the hub and its children held."""
    inbox = root / "home" / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    _write(inbox / name, rows, changed=changed)
    (inbox / f"{name}.ok").touch()
    command = [sys.executable, "-m", "routes.bench", str(root), str(rows)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")]))}
    hub = psutil.Popen(command, stdout=-1, text=True, env=environment)
    peak = 0.0
    while hub.poll() is None:
        peak = max(peak, _memory(hub))
        time.sleep(_LOOK_S)
    told = json.loads((hub.stdout.read() if hub.stdout else "") or "{}")
    if hub.returncode or not told.get("balanced"):
        raise Misconfigured(f"the hub did not carry the file: {told}", hint="run it again with --home to keep nothing of this run apart")
    return float(told["seconds"]), peak


def _memory(process: psutil.Process) -> float:
    """Resident memory of a process and its children, in MB."""
    try:
        family = [process, *process.children(recursive=True)]
        return float(sum(member.memory_info().rss for member in family)) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


def _write(path: Path, rows: int, *, changed: bool) -> None:
    """The agency's file: GB18030, 13 columns, 200,000 distinct subjects; `changed` alters one row."""
    codes = _usccs(min(rows, SUBJECTS))
    with path.open("wb") as file:
        for start in range(0, rows, _CHUNK):
            frame = _rows(codes, start, min(start + _CHUNK, rows), changed=changed)
            file.write(frame.write_csv(include_header=start == 0).encode("gb18030"))


def _usccs(count: int) -> pl.Series:
    """Synthetic codes of one district with valid check digits (GB 32100-2015)."""
    digits = np.zeros((count, 17), np.int64)
    digits[:, :8] = [9, 1, 3, 2, 0, 5, 8, 1]
    numbers = np.arange(count)
    for place in range(16, 7, -1):
        digits[:, place] = numbers % 31
        numbers //= 31
    check = (31 - (digits * _WEIGHTS).sum(axis=1) % 31) % 31
    text = _ALPHABET[np.concatenate([digits, check[:, None]], axis=1)]
    return pl.Series("uscc", np.ascontiguousarray(text).view("S18").ravel().astype(str).tolist(), dtype=pl.String)


def _rows(codes: pl.Series, start: int, stop: int, *, changed: bool) -> pl.DataFrame:
    number = pl.Series("n", np.arange(start, stop))
    subject = number % len(codes)
    frame = pl.DataFrame({"n": number, "s": subject, "统一社会信用代码": codes.gather(subject)})
    n, s = pl.col("n"), pl.col("s")
    fine = pl.when(n == stop - 1).then(99 if changed and start == 0 else 7).otherwise(n % 500)
    day = pl.date(2019, 1, 1) + pl.duration(days=n % 2000)
    return frame.select(
        "统一社会信用代码",
        pl.format("常熟市示例{}号制造有限公司", s).alias("行政相对人名称"),
        pl.format("示例{}", s % 9973).alias("法定代表人"),
        pl.format("常示罚字〔2024〕第{}号", n).alias("处罚决定书文号"),
        pl.format("违反管理规定第{}类", n % 37).alias("违法行为类型"),
        pl.format("当事人于检查中被发现存在第{}项问题，未按期改正。", n % 1009).alias("违法事实"),
        pl.format("《示例条例》第{}条", n % 83).alias("处罚依据"),
        pl.lit("罚款").alias("处罚类别"),
        fine.alias("罚款金额（万元）"),
        day.alias("处罚决定日期"),
        (day + pl.duration(days=365)).alias("处罚有效期"),
        pl.lit("常熟市示例管理局").alias("处罚机关"),
        pl.lit("113205810000000274").alias("处罚机关统一社会信用代码"),
    )


# The floor ------------------------------------------------------------------------------------------------------------------------------


def _floor(root: Path, rows: int) -> float:
    """Seconds that a plain `sqlite3` upsert takes for the hub's own typed rows, into the same table shape, at the same durability."""
    source = sqlite3.connect(f"file:{root / 'home/stores/ent.sqlite'}?mode=ro", uri=True)
    target = sqlite3.connect(root / "floor.sqlite", isolation_level=None)
    try:
        target.execute("PRAGMA journal_mode=WAL")
        target.execute("PRAGMA synchronous=FULL")
        for (statement,) in source.execute("SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type DESC", (_TABLE,)).fetchall():
            target.execute(statement)
        columns = [row[1] for row in source.execute(f"PRAGMA table_info({_TABLE})")]
        changes = ", ".join(f"{c} = excluded.{c}" for c in columns if c != "record_id")
        upsert = f"INSERT INTO {_TABLE} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) ON CONFLICT (record_id) DO UPDATE SET {changes}"
        return sum(_timed(target, upsert, chunk) for chunk in _chunks(source, columns))
    finally:
        source.close()
        target.close()


def _chunks(source: sqlite3.Connection, columns: list[str]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows in the order in which they arrived."""
    cursor = source.execute(f"SELECT {', '.join(columns)} FROM {_TABLE} ORDER BY ordinal")
    while chunk := cursor.fetchmany(_COMMIT_ROWS):
        yield chunk


def _timed(target: sqlite3.Connection, upsert: str, chunk: list[tuple[Any, ...]]) -> float:
    begun = time.perf_counter()
    target.execute("BEGIN IMMEDIATE")
    target.executemany(upsert, chunk)
    target.execute("COMMIT")
    return time.perf_counter() - begun


# The hub, in a process of its own -------------------------------------------------------------------------------------------------------


async def _carry(root: Path, rows: int) -> dict[str, Any]:
    """From a file in a folder to a proved ledger; seconds without the start of the interpreter."""
    from config.loader import load
    from hub.lock import HomeLock
    from hub.memory import share_arenas
    from routes.city import City
    from routes.running import RunningHub

    share_arenas()
    loaded = load(root / "config")
    begun = time.perf_counter()
    with HomeLock(root / "home"):
        city = City(root / "home", loaded)
        await city.open()
        before = (await city.ledger.totals()).read
        hub = RunningHub(city)
        fine = await hub.once()
        proof = await hub.desk.reconcile()
        seconds = time.perf_counter() - begun
        await hub.close()
        read = proof["counts"]["read"] - before
        await city.close()
    return {"seconds": seconds, "balanced": fine and proof["balanced"] and read == rows, "counts": proof["counts"], "differences": proof["differences"][:5]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_carry(Path(sys.argv[1]), int(sys.argv[2])))))
