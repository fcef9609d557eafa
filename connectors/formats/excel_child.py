"""The throw-away process that reads a workbook: hostile files can abort it, and nothing but it.

It speaks in frames (one letter, four bytes of length, content): `J` is JSON, `D` lines of the plain form. It hears two lines of JSON:
which sheets to look at, and what to read from each. It never repeats what a library says about a file, which may quote its cells.
"""

from __future__ import annotations

import json
import re
import resource
import struct
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import python_calamine as calamine

from connectors.formats.excel_cells import SEPARATOR, Lines, text_column, unguarded
from connectors.formats.excel_scan import MOST_SHEETS, Container, Faults, Unfit

ROWS = 4096  # that are made into text at once
CELLS = 1 << 17  # the same in a wide sheet
PIECE = 1 << 20  # bytes of one message
HELD = 64  # last rows that may turn out to be totals or notes
TOP_TEXT, TOP_CELLS = 200, 2_001  # characters of a cell, and cells of a row, that matter to find the heading
LONGEST = 32_767  # characters of a cell
KEPT_CELLS = 3_000_000  # of sheets that are looked at before they are read
SHOWN = 20
_NUMBERED = re.compile(r"[(（]?\d{1,2}[)）.、．].*", re.S)


def main(descriptor: int, memory: int, seconds: int) -> None:
    """Read the workbook behind a file descriptor, within so many bytes of memory and seconds of processor time."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    try:
        _serve(f"/proc/self/fd/{descriptor}")
    except BrokenPipeError:
        return  # nobody listens any more
    except MemoryError:
        _say(is_="unfit", why="memory")
    except Unfit as error:
        _say(is_="unfit", why=error.why, **error.detail)
    except calamine.PasswordError:
        _say(is_="unfit", why="locked")
    except BaseException:  # noqa: BLE001 (a panic of the library is no Exception)
        _say(is_="unfit", why="damaged")


def _serve(path: str) -> None:
    with open(path, "rb") as stream:
        sheets = _Sheets(path, Container(stream))
        sheets.announce()
        ask = _hear()
        for index in ask["sheets"]:
            _say(is_="top", sheet=index, **sheets.top(index, ask["rows"]))
        for part in _hear()["parts"]:
            _read(part, *sheets.take(part["sheet"]))
        _say(is_="end")


def _say(is_: str, **what: Any) -> None:
    _frame(b"J", json.dumps({"is": is_, **what}, ensure_ascii=False).encode("utf-8", "replace"))


def _frame(kind: bytes, content: bytes | memoryview) -> None:
    out = sys.stdout.buffer
    out.write(struct.pack(">cI", kind, len(content)))
    out.write(content)
    out.flush()


def _hear() -> Any:
    line = sys.stdin.buffer.readline()
    if not line:
        raise BrokenPipeError
    return json.loads(line)


class _Sheets:
    """The sheets of a workbook. What was looked at is kept for reading, as long as it is small or the only one."""

    def __init__(self, path: str, container: Container) -> None:
        self._container = container
        self._book = calamine.CalamineWorkbook.from_path(path)
        self._listed = self._book.sheets_metadata
        self._kept: dict[int, tuple[calamine.CalamineSheet, Faults]] = {}
        self._room = KEPT_CELLS
        if len(self._listed) > MOST_SHEETS:
            raise Unfit("sheets", count=len(self._listed))

    def announce(self) -> None:
        """Say what the workbook is and which sheets it has."""
        visible = [one.visible == calamine.SheetVisibleEnum.Visible for one in self._listed]
        cells = [one.typ == calamine.SheetTypeEnum.WorkSheet for one in self._listed]
        sheets = [{"name": one.name, "visible": v, "cells": c} for one, v, c in zip(self._listed, visible, cells, strict=True)]
        _say(is_="book", kind=self._container.kind, macros=self._container.macros, links=self._container.links, sheets=sheets)

    def top(self, index: int, rows: int) -> dict[str, Any]:
        """The first rows of a sheet as text, `first` (from 0) being the first one that is not empty."""
        sheet, faults = self.take(index)
        size = sheet.height * sheet.width
        if len(self._listed) == 1 or size <= self._room:
            self._kept[index] = sheet, faults
            self._room -= size
        (first, left) = sheet.start or (0, 0)
        found = [[text[:TOP_TEXT] for text in text_column(row[:TOP_CELLS])] for row in islice(sheet.iter_rows(), first, first + rows)]
        for (row, column), error in faults.errors.items():
            if 0 <= row - first < len(found) and 0 <= column - left < min(sheet.width, TOP_CELLS):
                found[row - first][column - left] = error
        return {"first": first, "left": left, "width": sheet.width, "rows": found}

    def take(self, index: int) -> tuple[calamine.CalamineSheet, Faults]:
        """A sheet, which is read by one thread while another looks for what the reader does not tell."""
        if index in self._kept:
            return self._kept.pop(index)
        scan = _Scan(self._container, index, self._listed[index].name)
        scan.start()
        sheet = self._book.get_sheet_by_index(index)
        scan.join()
        return sheet, scan.outcome()


class _Scan(threading.Thread):
    """A scan for faults beside the reading of a sheet."""

    def __init__(self, container: Container, index: int, name: str) -> None:
        super().__init__(daemon=True)
        self._look = container.faults, index, name
        self._found: Faults | BaseException = Faults()

    def run(self) -> None:
        look, index, name = self._look
        try:
            self._found = look(index, name)
        except BaseException as error:  # noqa: BLE001 (raised again where it is waited for)
            self._found = error

    def outcome(self) -> Faults:
        """What was found; raises what the scan raised."""
        if isinstance(self._found, BaseException):
            raise self._found
        return self._found


class _Passed:
    """Rows that are no records: how many, and the first of them."""

    def __init__(self) -> None:
        self._rows: dict[str, list[int]] = {}
        self._counts: dict[str, int] = {}

    def add(self, why: str, rows: list[int]) -> None:
        """Count some rows."""
        if rows:
            self._counts[why] = self._counts.get(why, 0) + len(rows)
            shown = self._rows.setdefault(why, [])
            shown += rows[: SHOWN - len(shown)]

    def told(self) -> dict[str, Any]:
        """As evidence."""
        return {why: {"count": count, "rows": sorted(self._rows[why])} for why, count in self._counts.items()}


def _read(part: dict[str, Any], sheet: calamine.CalamineSheet, faults: Faults) -> None:
    """Send the records of one sheet, and then what was passed over."""
    passed, written = _Passed(), 0
    headings = {SEPARATOR.join(heading) for heading in part["headings"]}
    held = Lines((), [()] * len(part["columns"]))
    for lines in _chunks(part, sheet, faults):
        passed.add("empty", list(lines.drop(lambda line: not line or line.isspace())))
        if not headings.isdisjoint(lines.lines):
            passed.add("heading", list(lines.drop(headings.__contains__)))
        held.extend(lines)
        ready = held.cut(max(len(held.lines) - HELD, 0))
        written += _send(ready)
    passed.add("closing", _without_closing(held, part))
    written += _send(held)
    _say(is_="part", sheet=part["sheet"], rows=written, passed=passed.told(), errors=len(faults.errors), unset=faults.unset, unset_rows=faults.unset_rows)


def _send(lines: Lines) -> int:
    if not lines.lines:
        return 0
    if lines.longest() > LONGEST:
        for place, row in zip(lines.places, lines.rows, strict=True):
            if max(map(len, row)) > LONGEST:
                raise Unfit("cell", row=place)
    content = memoryview(lines.written())
    for at in range(0, len(content), PIECE):
        _frame(b"D", content[at : at + PIECE])
    return len(lines.lines)


def _chunks(part: dict[str, Any], sheet: calamine.CalamineSheet, faults: Faults) -> Iterator[Lines]:
    """The rows below the heading as text, without those that are to be skipped; `columns` are counted from the sheet's first one, -1 is none."""
    left = sheet.start[1] if sheet.start else 0
    skipped, wrong = frozenset(part["skip"]), _by_row(faults)
    rows, at = islice(sheet.iter_rows(), part["after"], None), part["after"]
    many = max(1, min(ROWS, CELLS // max(sheet.width, 1)))
    while chunk := list(islice(rows, many)):
        for row in wrong.keys() & range(at, at + len(chunk)) if wrong else ():
            for column, error in wrong[row]:
                if 0 <= column - left < len(chunk[row - at]):
                    chunk[row - at][column - left] = error
        columns = list(zip(*chunk, strict=True))
        nothing = [""] * len(chunk)
        texts = [text_column(columns[c]) if 0 <= c < len(columns) else nothing for c in part["columns"]]
        lines = Lines(range(at + 1, at + len(chunk) + 1), list(map(unguarded, texts)) if part["guarded"] else texts)
        if skipped and at <= max(skipped):
            lines.keep([place - 1 not in skipped for place in lines.places])
        at += len(chunk)
        yield lines


def _by_row(faults: Faults) -> dict[int, list[tuple[int, str]]]:
    found: dict[int, list[tuple[int, str]]] = {}
    for (row, column), error in faults.errors.items():
        found.setdefault(row, []).append((column, error))
    return found


def _without_closing(held: Lines, part: dict[str, Any]) -> list[int]:
    """Take the totals, signatures and notes off the end, and say their rows."""
    closing, note = re.compile(part["closing"], re.S), re.compile(part["note"], re.S)
    kept = len(held.rows)
    for at in range(len(held.rows) - 1, -1, -1):
        cells = [cell for cell in ("".join(cell.split()) for cell in held.rows[at]) if cell]
        alone = len(cells) == 1 and len(held.rows[at]) >= 3
        if closing.fullmatch(cells[0]) or (alone and note.fullmatch(cells[0])):
            kept = at
        elif not (alone and _NUMBERED.fullmatch(cells[0])):  # a point of the notes, if their beginning comes above it
            break
    gone = list(held.places[kept:])
    held.keep([at < kept for at in range(len(held.rows))])
    return gone
