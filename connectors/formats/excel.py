"""Spreadsheets (.xlsx, .xls, .ods), read in a throw-away process with limits."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from connectors.formats.cut import MAX_COLUMNS, TEMPLATE_HINT, TOTALS
from connectors.formats.excel_heading import NOTE, TOP, Table, Top, codes_of, find_table
from connectors.formats.excel_process import Limits, Reading, reading
from connectors.formats.plain import Document, Plain, heading_line
from connectors.formats.workbook import CODE_TITLE, REASON_TITLE
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Rejected

if TYPE_CHECKING:
    from connectors.formats.forms import Expected

SIGNED = ("填报单位", "填表单位", "单位负责人", "负责人", "联系人", "联系电话", "填报日期")  # closing words where a colon follows
SHOWN = 20
Sheet = Annotated[int, Field(ge=1, le=256)] | Annotated[str, Field(min_length=1, max_length=31)]


class ExcelFormat(EndpointConfig):
    """Spreadsheets (.xlsx, .xls, .ods). Sheets and headings are found by themselves unless they are named here."""

    sheet: Sheet | tuple[Sheet, ...] = Field(default=(), description="Sheets to read, by name or by number from 1; otherwise all whose heading the item knows.")
    heading: int | None = Field(default=None, ge=1, le=1000, description="Row in which the heading begins; otherwise it is looked for.")
    hidden: bool = Field(default=False, description="Whether hidden sheets are read without being named.")
    totals: tuple[str, ...] = Field(default=TOTALS, description="First words of the closing rows that are no records.")


@dataclass(frozen=True, slots=True)
class _Found:
    """The tables of a workbook, what the book is, and sheets that were passed over, each with the reason."""

    tables: list[Table]
    book: dict[str, Any]
    passed: list[dict[str, str]]


class ExcelFormer:
    """Makes a workbook into its plain form; the place of a record is its row in the sheet.

    `convert` raises `Rejected`: F001 (no workbook, encrypted, damaged), F003 (beyond a limit), F005 (empty), F006 (no heading that the item knows), F007 and F008
    (a standard template for another item or department).
    """

    form = "excel"

    def __init__(self, options: ExcelFormat, expected: Expected, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._expected = expected
        self._limits = limits or Limits()
        self._clock = clock

    def convert(self, document: Document, titles: Sequence[str] = ()) -> Generator[bytes, None, Plain]:
        """See `Former.convert`."""
        with reading(document, self._limits, self._clock) as child:
            found = self._find(child)
            headings = _united(titles, found.tables)
            yield heading_line([title for title, _ in headings])
            child.say({"parts": [self._part(table, headings) for table in found.tables]})
            parts: list[dict[str, Any]] = []
            for message in child.messages():
                if isinstance(message, bytes):
                    yield message
                else:
                    parts.append(_told(message, found.tables[len(parts)], sum(part["rows"] for part in parts)))
        evidence = {key: found.book[key] for key in ("kind", "macros", "links") if found.book[key]}
        evidence |= {"parts": parts, "passed_over": found.passed[:SHOWN]}
        return Plain(self.form, tuple(title for title, _ in headings), sum(part["rows"] for part in parts), evidence)

    def _find(self, child: Reading) -> _Found:
        book = child.told("book")
        names = [sheet["name"][:64] for sheet in book["sheets"]]
        wanted, passed = self._wanted(book["sheets"])
        child.say({"sheets": wanted, "rows": max(TOP, (self._options.heading or 0) + 5)})
        tops = [Top.of(names[index], child.told("top")) for index in wanted]
        tables = [(top, find_table(top, self._expected.known, self._options.heading)) for top in tops]
        most = max((table.matched for _, table in tables if table), default=0)
        kept = [table for _, table in tables if table and table.matched * 2 >= most]
        for top, table in tables:
            self._check_template(top, table)
            if table not in kept:
                passed.append({"name": top.name, "why": "heading" if top.rows else "empty"})
        if not kept:
            raise Rejected(f"no sheet of the workbook holds a heading that the item knows{_listed(passed)}", hint=TEMPLATE_HINT, code="F006")
        for table in kept:
            if len(table.columns) > MAX_COLUMNS:
                raise Rejected(f"a sheet with {len(table.columns)} columns, more than {MAX_COLUMNS}", hint=TEMPLATE_HINT, code="F006")
        return _Found(kept, book, passed)

    def _wanted(self, sheets: Sequence[dict[str, Any]]) -> tuple[list[int], list[dict[str, str]]]:
        """Which sheets to look at, and those that are passed over unseen."""
        named = self._options.sheet if isinstance(self._options.sheet, tuple) else (self._options.sheet,)
        names = [sheet["name"][:64] for sheet in sheets]
        missing = [one for one in named if (one not in names if isinstance(one, str) else one > len(names))]
        if missing:
            raise Rejected(f"the workbook has no sheet {missing[0]!r}; its sheets: {'、'.join(names[:SHOWN])}", hint="correct `sheet:`", code="F006")
        if named:
            return [names.index(one) if isinstance(one, str) else one - 1 for one in named], []
        why = ["" if s["cells"] and (s["visible"] or self._options.hidden) else "hidden" if s["cells"] else "no cells" for s in sheets]
        passed = [{"name": name, "why": reason} for name, reason in zip(names, why, strict=True) if reason]
        return [at for at, reason in enumerate(why) if not reason], passed

    def _check_template(self, top: Top, table: Table | None) -> None:
        """The standard template says which item and department it is for."""
        wanted = {"tablecode": ("F007", self._expected.item, "item"), "departmentcode": ("F008", self._expected.agency, "department")}
        for label, value in codes_of(top, table.begin if table else None):
            code, own, what = wanted[label]
            if value.upper() != own.upper():
                said = f"the template is for {what} {value[:40]!r}, this feed delivers {own}" if value else f"the template names no {what} code"
                raise Rejected(
                    f"标准模板的[{label}]不符：{said}", hint="send the file to the feed that it is meant for, or use this item's template", code=code
                )

    def _part(self, table: Table, headings: Sequence[tuple[str, int]]) -> dict[str, Any]:
        """What the reading process is to send of one table."""
        column = dict(zip(_numbered(table.titles), table.columns, strict=True))
        picked = {title: at for at, title in enumerate(headings)}
        places = {key: picked[key] for key in column}
        blank = [""] * len(headings)
        repeated = []
        for heading in table.headings:
            cells = blank.copy()
            for key, cell in zip(column, heading, strict=True):
                cells[places[key]] = cell
            repeated.append(cells)
        words = "|".join(map(re.escape, self._options.totals))
        signed = "|".join(SIGNED)
        return {
            "sheet": table.top.sheet,
            "after": table.after,
            "skip": table.skip,
            "columns": [column.get(key, -1) for key in headings],
            "headings": repeated,
            "guarded": {CODE_TITLE, REASON_TITLE} <= set(table.titles),
            "closing": rf"(?:{words})(?:[:：].*)?|(?:{signed})[^:：]{{0,10}}[:：].*" if words else r"(?!)",
            "note": NOTE,
        }


def _numbered(titles: Sequence[str]) -> list[tuple[str, int]]:
    """Titles, each with how often it came before."""
    seen: Counter[str] = Counter()
    found = []
    for title in titles:
        found.append((title, seen[title]))
        seen[title] += 1
    return found


def _united(titles: Sequence[str], tables: Sequence[Table]) -> list[tuple[str, int]]:
    """The titles of all tables, in order; one that a sheet repeats comes as often as there."""
    return list(dict.fromkeys([*_numbered(titles), *(key for table in tables for key in _numbered(table.titles))]))


def _listed(passed: Sequence[dict[str, str]]) -> str:
    hidden = [one["name"] for one in passed if one["why"] == "hidden"]
    return f"; hidden sheets were not looked at: {'、'.join(hidden[:SHOWN])}" if hidden else ""


def _told(message: dict[str, Any], table: Table, first: int) -> dict[str, Any]:
    """Evidence of one table: sheet, first ordinal, rows, heading rows (from 1), and what was passed over."""
    passed = dict(message["passed"])
    if table.skip:
        passed["explanation"] = {"count": len(table.skip), "rows": [row + 1 for row in table.skip]}
    above = [table.top.first + at + 1 for at in range(table.begin - table.top.first) if any(table.top.rows[at])]
    if above:
        passed["above"] = {"count": len(above), "rows": above[:SHOWN]}
    told = {
        "name": table.top.name,
        "first": first,
        "rows": message["rows"],
        "heading": [table.begin + 1, table.after],
        "matched": table.matched,
        "passed": passed,
    }
    if message["errors"]:
        told["errors"] = message["errors"]
    if message["unset"]:
        told["formulas_without_value"] = {"count": message["unset"], "rows": message["unset_rows"]}
    return told
