"""How fast a workbook of 13 columns (text, numbers, dates) becomes its plain form, the throw-away process included, and what that process needs.

python -m tests.benchmarks.excel_rows [rows]
"""

from __future__ import annotations

import json
import resource
import sys
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import psutil

from connectors.formats.excel import ExcelFormat, ExcelFormer
from connectors.formats.forms import Expected
from connectors.formats.plain import Document, Plain
from hub.contracts.headings import normalise_heading
from tests.unit.sample_workbooks import raw_xlsx

TITLES = (
    "统一社会信用代码",
    "行政相对人名称",
    "处罚文号",
    "处罚类别",
    "违法事实",
    "处罚依据",
    "罚款金额",
    "没收金额",
    "决定日期",
    "公示截止",
    "处罚机关",
    "备注",
    "序号",
)


def write(rows: int) -> bytes:
    """A workbook as Excel writes it: repeated texts shared, numbers and dates as numbers."""
    shared: dict[str, int] = {}
    lines = [_line(1, [_text(title, shared, letter) for letter, title in zip("ABCDEFGHIJKLM", TITLES, strict=True)])]
    lines += [_line(number, _cells(number, shared)) for number in range(2, rows + 2)]
    strings = "".join(f"<si><t>{escape(text)}</t></si>" for text in shared)
    sst = f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{strings}</sst>'
    return raw_xlsx("".join(lines), parts={"xl/sharedStrings.xml": sst})


def _cells(number: int, shared: dict[str, int]) -> Iterator[str]:
    texts = (f"9132058{number:011d}", f"常熟市第{number}号有限公司", f"常罚字〔2024〕{number}号", "罚款", "违反规定的事实描述若干文字", "依据某法第几条")
    yield from (_text(text, shared, letter) for letter, text in zip("ABCDEF", texts, strict=True))
    for letter, value, style in (("G", number * 1.25, 0), ("H", number, 0), ("I", 43466 + number % 900, 1), ("J", 43831.5 + number % 900, 1)):
        yield f'<c r="{letter}%d" s="{style}"><v>{value}</v></c>'
    yield _text("市场监督管理局", shared, "K")
    yield f'<c r="M%d"><v>{number}</v></c>'


def _text(text: str, shared: dict[str, int], letter: str) -> str:
    return f'<c r="{letter}%d" t="s"><v>{shared.setdefault(text, len(shared))}</v></c>'


def _line(number: int, cells: Any) -> str:
    return f'<row r="{number}">' + "".join(cell % number for cell in cells) + "</row>"


def measure(content: bytes) -> dict[str, Any]:
    """Convert once, from the landed bytes to the last piece."""
    former = ExcelFormer(ExcelFormat(), Expected("A0030-F06-01", "A0030", frozenset(map(normalise_heading, TITLES))))
    began, size, peak, before = time.perf_counter(), 0, 0, _processor()
    pieces = former.convert(Document(BytesIO(content), len(content), "a.xlsx"))
    while True:
        try:
            size += len(next(pieces))
        except StopIteration as ended:
            plain: Plain = ended.value
            break
        peak = max(peak, _peak())
    seconds = time.perf_counter() - began
    found = {"rows": plain.rows, "seconds": round(seconds, 2), "rows_per_second": round(plain.rows / seconds), "plain_bytes": size}
    return found | {"child_processor_seconds": round(_processor() - before, 2), "child_peak_mib": peak >> 20}


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak() -> int:
    """Bytes that the process has held so far. What the system counts for ended processes includes this one, which they began as."""
    child = psutil.Process().children()[0].pid
    lines = Path(f"/proc/{child}/status").read_text("ascii").splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)


if __name__ == "__main__":
    workbook = write(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    with zipfile.ZipFile(BytesIO(workbook)) as archive:
        unpacked = sum(one.file_size for one in archive.infolist())
    print(json.dumps({"columns": len(TITLES), "file_bytes": len(workbook), "unpacked_bytes": unpacked, **measure(workbook)}))
