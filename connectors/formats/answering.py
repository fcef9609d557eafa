"""What is left for an agency beside its files: a receipt `ack/<file>.ack.json`, and `err/<file>-错误数据表.xlsx` with the rows to be corrected."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Literal, Protocol

from pydantic import StrictBool

from connectors.formats.workbook import error_workbook, error_workbook_name
from hub.contracts.answer import Answer, Returned, Wish
from hub.contracts.errors import Unavailable

ACK, ERR = "ack", "err"
RAW_TITLE = "原始内容"
"""Column of rows that could not be read as cells."""

Answers = StrictBool | Literal["errors"]
"""The setting `answers`."""

_LONGEST = 180  # bytes of a name, leaving room for a number and an ending within the 255 of a file name
_NUMBERS = 20
_REFUSED = {
    "F001": "文件无法读取",
    "F002": "编码错误或含空字符",
    "F003": "文件或单行过大",
    "F005": "没有数据行",
    "F006": "标题行与信息项不符",
    "F007": "模板的目录编码与信息项不符",
    "F008": "模板的部门编码与委办局不符",
    "F009": "与清单不符，或内容已变",
    "F010": "压缩包不安全",
    "F011": "压缩包已加密，密码缺失或不正确",
    "held": "经人工审核拒收",
}


class Shelf(Protocol):
    """The place beside an agency's files. Blocking. Raises `Unavailable` and `Misconfigured`."""

    def holds(self, folder: str, name: str, content: bytes) -> bool | None:
        """Whether a name in a folder holds this content; None where nothing has the name."""

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Let the content appear whole under a name that nothing has, durably."""


def wish(answers: Answers) -> Wish:
    """The setting as a wish."""
    return "errors" if answers == "errors" else "all" if answers else "none"


def leave(answer: Answer, shelf: Shelf) -> None:
    """Leave the documents of an answer, the workbook first; names that are taken get a number, what is there already is left. Blocking."""
    file = _own_name(answer.file)
    workbook = ""
    if answer.returned:
        workbook = _leave(shelf, answer.key, ERR, error_workbook_name(file), ".xlsx", error_workbook(*_table(answer)))
    _leave(shelf, answer.key, ACK, f"{file}.ack.json", ".ack.json", receipt(answer, workbook))


def receipt(answer: Answer, workbook: str = "") -> bytes:
    """The receipt: JSON in UTF-8, the equation's words, and beside them the names that agencies know from older platforms. It holds no value of a row."""
    chinese, english = _message(answer, workbook)
    told: dict[str, Any] = {"batch": answer.batch, "item": answer.item, "item_name": answer.item_name, "file": answer.file, "size": answer.size}
    told |= {"sha256": answer.digest} if answer.digest else {}
    told |= {"state": answer.state, "received_at": answer.received_at, "closed_at": answer.closed_at}
    told |= {"code": answer.code, "reason": answer.reason} if answer.state == "failed" else {}
    told |= {"total": answer.total, "success": answer.success, "fail": answer.fail, "counts": dict(answer.counts)}
    told |= {"gone": answer.gone} if answer.gone else {}
    told |= {"errors": [{"code": code, "rows": rows} for code, rows in answer.errors.items()]}
    told |= {"returned": {"file": f"{ERR}/{workbook}", "rows": answer.returned, "of": answer.fail}} if workbook else {}
    told |= {"message": {"zh": chinese, "en": english}}
    classic = {"totalSize": answer.total, "successSize": answer.success, "failSize": answer.fail, "errorSize": answer.fail, "tips": chinese}
    return json.dumps(told | {"taskCode": answer.batch} | classic, ensure_ascii=False, indent=2).encode("utf-8", "replace") + b"\n"


def _message(answer: Answer, workbook: str) -> tuple[str, str]:
    """What happened, in Chinese and English."""
    if answer.state == "duplicate":
        return f"内容与批次 {answer.batch} 相同，未重复处理。", f"The content is that of batch {answer.batch}; nothing was read again."
    chinese = english = ""
    if answer.state == "failed":
        chinese = f"文件未被接收：{answer.code} {_REFUSED.get(answer.code, '')}（{answer.reason}）。"
        english = f"The file was refused: {answer.code} {answer.reason}. "
    if answer.state == "succeeded" or answer.total:
        chinese += f"共读取 {answer.total} 条：通过 {answer.success} 条，退回 {answer.fail} 条。"
        english += f"{answer.total} rows were read: {answer.success} passed, {answer.fail} set aside. "
    if answer.gone:
        chinese += f"全量数据中不再出现的 {answer.gone} 条记录按撤销处理。"
        english += f"{answer.gone} records that this snapshot no longer names count as withdrawn. "
    if workbook:
        some = f"前 {answer.returned} 条" if answer.returned < answer.fail else ""
        chinese += f"退回的数据{some}见 {ERR}/{workbook}，改正后可作为新文件报送。"
        english += f"{f'The first {answer.returned}' if some else 'They'} are in {ERR}/{workbook}: correct them and send it as a new file."
    return chinese, english.rstrip()


def _table(answer: Answer) -> tuple[list[str], Iterator[list[str | None]]]:
    """The sender's own columns, in the order in which they are met, and the rows to give back."""
    columns = list(dict.fromkeys(heading for row in answer.rows() for heading in row.cells))
    return [column or RAW_TITLE for column in columns], (_row(row, columns) for row in answer.rows())


def _row(row: Returned, columns: list[str]) -> list[str | None]:
    return [str(row.line or row.row), *(row.cells.get(column) for column in columns), row.code, row.reason]


def _own_name(shown: str) -> str:
    """The last part of a file's name as it is shown, short enough for more behind it."""
    name = shown.rpartition("/")[2].lstrip(".") or "unnamed"
    if len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.sha256(shown.encode()).hexdigest()[:8]
    return name.encode()[: _LONGEST - 9].decode("utf-8", "ignore") + "-" + digest


def _leave(shelf: Shelf, key: str, folder: str, name: str, ending: str, content: bytes) -> str:
    """Put a document under the first name that nothing has, unless one of them holds it already; that name."""
    stem = name.removesuffix(ending)
    for number in ("", *(f".{n}" for n in range(2, _NUMBERS)), f".{key[:12]}"):
        candidate = f"{stem}{number}{ending}"
        held = shelf.holds(folder, candidate, content)
        if held is None:
            shelf.put(folder, candidate, content)
        if held is not False:
            return candidate
    raise Unavailable(f"{folder}/ is full of documents of this name", hint="the agency takes away what it has read")
