"""The same journeys with dlt, tuned: from MariaDB or CSV into PostgreSQL by upsert. Runs in an environment of its own (rivals.txt) and prints seconds."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def _settings(folder: str, postgres: str) -> None:
    os.environ.update(
        {
            "DLT_DATA_DIR": folder,
            "DLT_PROJECT_DIR": folder,
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "RUNTIME__LOG_LEVEL": "ERROR",
            "DESTINATION__POSTGRES__CREDENTIALS": postgres,
            "DATA_WRITER__FILE_MAX_ITEMS": "200000",
            "EXTRACT__WORKERS": "2",
            "NORMALIZE__WORKERS": "2",
            "LOAD__WORKERS": "4",
        }
    )


def _mariadb(source: str, table: str) -> Any:
    from dlt.sources.sql_database import sql_table

    login = source.replace("mysql://", "mysql+pymysql://")
    return sql_table(credentials=login, table=table, backend="connectorx", reflection_level="minimal", backend_kwargs={"return_type": "arrow", "conn": source})


def _csv(path: str) -> Any:
    import dlt
    import pyarrow.csv as arrow

    @dlt.resource(name="penalty")
    def rows() -> Any:
        text = dict.fromkeys(("uscc", "org_uscc", "doc_no"), "string")
        options = arrow.ConvertOptions(column_types=text)
        with arrow.open_csv(path, read_options=arrow.ReadOptions(block_size=64 << 20), convert_options=options) as reader:
            yield from reader

    return rows()


def carry(kind: str, folder: str, postgres: str, *where: str) -> float:
    """Seconds from the first byte read to the last row merged."""
    _settings(folder, postgres)
    import dlt

    resource = _mariadb(*where) if kind == "mariadb" else _csv(*where)
    resource.apply_hints(table_name="penalty", primary_key=["doc_no", "uscc"], write_disposition={"disposition": "merge", "strategy": "upsert"})
    pipeline = dlt.pipeline(pipeline_name=f"rival_{kind}", destination="postgres", dataset_name=f"rival_{kind}")
    begun = time.perf_counter()
    info = pipeline.run(resource, loader_file_format="parquet" if kind == "mariadb" else "csv")
    seconds = time.perf_counter() - begun
    info.raise_on_failed_jobs()
    return seconds


def frames(source: str, table: str) -> float:
    """Seconds in which connectorx reads a table into Arrow."""
    import connectorx

    begun = time.perf_counter()
    found = connectorx.read_sql(source, f"SELECT * FROM {table}", return_type="arrow")
    assert found.num_rows
    return time.perf_counter() - begun


if __name__ == "__main__":
    word, *arguments = sys.argv[1:]
    taken = frames(*arguments) if word == "frames" else carry(word, *arguments)
    sys.stdout.write("\n" + json.dumps({"seconds": taken}) + "\n")
