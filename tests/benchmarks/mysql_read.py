"""How fast a table of 13 columns is read from MariaDB: as pieces, row by row with the plain driver, and with connectorx where it is installed.

Run as `python -m tests.benchmarks.mysql_read [--rows N] [--connectorx PYTHON]`; PYTHON is an interpreter that has connectorx.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import polars as pl
import pymysql
from pymysql.cursors import SSCursor

from connectors.databases.dialect import Ask
from connectors.databases.mysql import MysqlDatabase
from connectors.databases.settings import MysqlConfig
from tests.databases import HOST, PASSWORD, USER, MariaServer

_TABLE = """
CREATE TABLE penalty (id BIGINT PRIMARY KEY, uscc VARCHAR(255), name VARCHAR(255), doc_no VARCHAR(255), basis VARCHAR(255), facts VARCHAR(255),
content VARCHAR(255), office VARCHAR(255), fine DECIMAL(12,2), months INT, decided DATE, public_until DATE, tong_time DATETIME) CHARACTER SET utf8mb4
"""
_OTHER = """
import sys, time, connectorx
begun = time.perf_counter()
table = connectorx.read_sql(sys.argv[1], "SELECT * FROM penalty", return_type="polars" if len(sys.argv) < 3 else sys.argv[2])
print(len(table) / (time.perf_counter() - begun))
"""


def fill(server: MariaServer, database: str, rows: int) -> None:
    """`rows` rows of about 300 bytes, by LOAD DATA."""
    server.execute(_TABLE, database=database)
    number = pl.int_range(1, rows + 1, eager=True).alias("id").to_frame()
    text = pl.col("id").cast(pl.String)
    frame = number.select(
        "id",
        uscc=pl.lit("9132058") + text.str.zfill(11),
        name=pl.format("常熟市第{}号纺织有限公司", "id"),
        doc_no=pl.format("常市监罚〔2024〕{}号", "id"),
        basis=pl.lit("《中华人民共和国产品质量法》第三十九条"),
        facts=pl.format("销售以次充好产品一案，货值{}元", "id"),
        content=pl.lit("罚款并没收违法所得"),
        office=pl.lit("常熟市市场监督管理局"),
        fine=pl.format("{}.{}", pl.col("id") % 90_000, 10 + pl.col("id") % 90),
        months=pl.when(pl.col("id") % 3 > 0).then(pl.col("id") % 60),
        decided=pl.lit("2024-03-01"),
        public_until=pl.when(pl.col("id") % 2 > 0).then(pl.lit("2027-03-01")),
        tong_time=pl.lit("2024-03-01 10:20:30"),
    )
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        frame.write_csv(file.name, separator="\t", include_header=False, null_value="\\N", quote_style="never")
        with server.connect(database, local_infile=True) as connection, connection.cursor() as cursor:
            cursor.execute(f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE penalty CHARACTER SET utf8mb4")


def pieces(server: MariaServer, database: str, order: tuple[str, ...]) -> int:
    """Rows read the way that pulls do."""
    with closing(MysqlDatabase(MysqlConfig.model_validate(server.settings(database)))) as db:
        relation = db.relation("penalty")
        db.begin()
        return sum(piece.rows for piece in db.read(Ask(relation, tuple(column.name for column in relation.columns), order=order)))


def plainly(server: MariaServer, database: str) -> int:
    """Rows fetched with the driver's unbuffered cursor."""
    connection = pymysql.connect(host=HOST, port=server.port, user=USER, password=PASSWORD, database=database, cursorclass=SSCursor)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM penalty")
        return sum(1 for _ in cursor)


def timed(call: Callable[[], int]) -> dict[str, float]:
    """Rows per second by the clock, and per second of this process's own work."""
    begun, worked = time.perf_counter(), time.process_time()
    rows = call()
    return {"rows_per_second": round(rows / (time.perf_counter() - begun)), "rows_per_cpu_second": round(rows / (time.process_time() - worked))}


def main() -> None:
    """Print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_309_000)
    parser.add_argument("--connectorx", type=Path, default=None)
    options = parser.parse_args()
    with MariaServer() as server:
        database = server.database()
        fill(server, database, options.rows)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        results: dict[str, object] = {
            "pieces in order of the key": timed(lambda: pieces(server, database, ("id",))),
            "pieces in any order": timed(lambda: pieces(server, database, ())),
            "pieces in another order": timed(lambda: pieces(server, database, ("decided", "id"))),
            "plain driver": timed(lambda: plainly(server, database)),
        }
        results["peak_grew_by_mib"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        if options.connectorx:
            url = f"mysql://{USER}:{PASSWORD}@{HOST}:{server.port}/{database}"
            said = subprocess.run([str(options.connectorx), "-c", _OTHER, url, "arrow"], capture_output=True, text=True, check=True, timeout=600)
            results["connectorx"] = {"rows_per_second": round(float(said.stdout))}
        print(json.dumps(results, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
