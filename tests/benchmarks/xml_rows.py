"""How fast XML becomes its plain form, and how much memory that takes, for a document and one ten times as long.

Run as `python -m tests.benchmarks.xml_rows [--rows N]`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from connectors.formats.forms import Expected
from connectors.formats.plain import Document
from connectors.formats.xml import XmlFormat, XmlFormer
from hub.contracts.headings import normalise_heading

NAMES = tuple(f"CF_{name}" for name in ["WSH", "AJMC", "CFLB1", "SY", "YJ", "XDR_MC", "XDR_SHXYM", "FR", "JG", "JDRQ", "XZJG", "FK", "GSJZQ"])


def write(path: Path, rows: int) -> None:
    """A document of `rows` records of 13 fields, about 620 bytes each."""
    with path.open("w", encoding="utf-8") as file:
        file.write("<?xml version='1.0' encoding='UTF-8'?>\n<ROWDATA>\n")
        for row in range(rows):
            cells = "".join(f"  <{name}>常熟{name}第{row}号 2024-03-05</{name}>\n" for name in NAMES)
            file.write(f"<ROW>\n{cells}</ROW>\n")
        file.write("</ROWDATA>\n")


def convert(path: Path) -> dict[str, float]:
    """Rows per second of wall and of processor time, and the peak of resident memory in MiB, of one conversion in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    former = XmlFormer(XmlFormat(), Expected("A0030-F06-01", "A0030", frozenset(map(normalise_heading, NAMES))))
    wall, processor = time.perf_counter(), time.process_time()
    rows = 0
    with path.open("rb") as stream:
        for piece in former.convert(Document(stream, path.stat().st_size, path.name)):
            rows += piece.count(b"\n")
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rows": rows - 1,
        "bytes": path.stat().st_size,
        "rows_per_second": round((rows - 1) / wall),
        "rows_per_processor_second": round((rows - 1) / processor),
        "peak_mib": round(peak / 1024),
        "grown_mib": round((peak - before) / 1024),
    }


def main() -> None:
    """Each document is converted in a process of its own, so that its memory is its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--convert", type=Path, help="convert this file in this process")
    options = parser.parse_args()
    if options.convert:
        print(json.dumps(convert(options.convert)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path, found = Path(folder) / "rows.xml", {}
        for name, rows in (("small", options.rows), ("ten times", 10 * options.rows)):
            write(path, rows)
            command = [sys.executable, "-m", "tests.benchmarks.xml_rows", "--convert", str(path)]
            found[name] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
