"""Answers as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitoring.balance import TERMS, terms
from monitoring.view import SILENT_S

_PAGE_WIDTH = 132
"""Columns where nobody watches: a file or a pipe."""


_WIDE = 9
"""Columns beyond which a table of records is turned."""

_SIDE_BY_SIDE = 3


def _console() -> Console:
    console = Console(highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=False, width=_PAGE_WIDTH)


_CONSOLE = _console()
_STATES = {
    "idle": "green",
    "succeeded": "green",
    "running": "cyan",
    "loading": "cyan",
    "held": "yellow",
    "waiting": "yellow",
    "stopped": "red",
    "failed": "red",
    "paused": "magenta",
}


def show(verb: str, answer: Any) -> None:
    """Print the answer of a verb; one that has no table of its own is printed as key and value."""
    _VIEWS.get(verb, _plain)(answer)


def _plain(answer: Any) -> None:
    if isinstance(answer, Mapping):
        for key, value in answer.items():
            if isinstance(value, Mapping) and value:
                _CONSOLE.print(Text(f"{key}:"))
                for name, one in value.items():
                    _CONSOLE.print(Text(f"  {name}: {one}"))
                continue
            _CONSOLE.print(Text(f"{key}: {value}"))
        return
    for line in answer or ["nothing"]:
        _CONSOLE.print(Text(str(line)))


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str, *, names: int = 0) -> None:
    """Rows under headings; the first `names` columns are never folded, so that they can be copied."""
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=place < names)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row))
    if table.row_count:
        _CONSOLE.print(table)
    else:
        _CONSOLE.print(Text(empty))


def _state(word: str) -> Text:
    return Text(word, style=_STATES.get(word, ""))


def equation(counts: Mapping[str, int]) -> str:
    """`read 12 = rejected 1 + inserted 11`."""
    right = " + ".join(f"{term} {number}" for term, number in terms(counts)) or "0"
    return f"read {counts['read']} = {right}"


def status(answer: Mapping[str, Any]) -> None:
    """Feeds, shares, queues, and what waits for a person."""
    feeds = []
    for feed in answer["feeds"]:
        last = feed["last_run"]
        feeds.append(
            (feed["feed"], _state(feed["state"]), equation(last["counts"]) if last else "nothing yet", feed["next"] or feed["when"] or "when it arrives")
        )
    _table("报送 feeds", ("feed", "state", "last run", "next"), feeds, "no feeds are configured: see `run_hub.py init`", names=1)
    for feed in answer["feeds"]:
        if feed["reporting"] == "overdue":
            since = f"nothing since {feed['last_report'][:16]}" if feed["last_report"] else "it never reported"
            _CONSOLE.print(Text(f"! {feed['feed']} is overdue ({feed['frequency']}, 超时): {since}; due by {feed['overdue_since'][:16]}", style="yellow"))
        for why, number in feed["passed_over"].items():
            _CONSOLE.print(Text(f"! {feed['feed']}: {number} passed over where its files lie: {why}", style="yellow"))
        if feed["late"]:
            _CONSOLE.print(Text(f"  {feed['feed']}: {feed['late']} new records came after their deadline (迟报)"))
    shares = [
        (s["share"], s["to"], _state(s["state"]), s["delivered"], "  ".join(f"{k} {v}" for k, v in s["withheld"].items()), s["waiting"], s["dead"])
        for s in answer["shares"]
    ]
    _table("共享 shares", ("share", "to", "state", "sent", "withheld", "waiting", "dead"), shares, "no shares are configured", names=1)
    busy = [(q["queue"], q["ready"], q["unacked"], q["oldest_s"]) for q in answer["queues"] if q["ready"] or q["unacked"]]
    _table("队列 queues", ("queue", "ready", "unacked", "oldest s"), busy, "all queues are empty")
    nodes(answer.get("nodes", ()), answer.get("version", ""))
    for waits in answer["decisions"]:
        kind = next((k for k in ("feed", "share") if k in waits), "hub")
        _CONSOLE.print(Text(f"! {kind} {waits[kind]} is {waits['state']}: {waits['reason']}", style="yellow"))
        if kind != "hub":
            _CONSOLE.print(Text(f"  decide: run_hub.py {kind} {waits['verb']} {waits[kind]} --because '…'"))


def nodes(found: Sequence[Mapping[str, Any]], version: str) -> None:
    """Processes that share the hub, where there are several: what they do, how much of it, and which are silent or run another configuration."""
    rows = [(n["node"], ", ".join(n["roles"]), len(n["holds"]), n["silent_s"], n["address"]) for n in found]
    if rows:
        _table("节点 nodes", ("node", "roles", "holds", "silent s", "console"), rows, "", names=1)
    for node in found:
        if node["silent_s"] > SILENT_S:
            _CONSOLE.print(Text(f"! node {node['node']} has been silent for {node['silent_s']:.0f} s: others take over what it holds", style="yellow"))
        if node["version"] != version:
            _CONSOLE.print(Text(f"! node {node['node']} runs configuration {node['version'][:12]}, not {version[:12]}", style="yellow"))


def check(answer: Sequence[Mapping[str, Any]]) -> None:
    """Findings of live connections, layer by layer."""
    rows = [(f["feed"], f["layer"], f["word"], Text("fine" if f["fine"] else "NOT", style="green" if f["fine"] else "bold red"), f["said"]) for f in answer]
    _table("连接检查 connections", ("feed", "layer", "", "", "found"), rows, "no feed was checked", names=2)
    for finding in answer:
        if finding["hint"] and not finding["fine"]:
            _CONSOLE.print(Text(f"! {finding['feed']} {finding['layer']}: {finding['hint']}", style="yellow"))


def reconciliation(answer: Mapping[str, Any]) -> None:
    """The equation, and everything that does not fit."""
    counts = answer["counts"]
    _table("对账 reconciliation", ("", "records"), [("read", counts["read"]), *((f"  {t}", counts[t]) for t in TERMS if counts[t])], "")
    for odd in answer["differences"]:
        _CONSOLE.print(Text("! " + "  ".join(f"{key}={value}" for key, value in odd.items()), style="red"))
    verdict = "balanced: every record is accounted for" if answer["balanced"] else "NOT balanced"
    _CONSOLE.print(Text(f"{verdict} ({answer['batches']} batches)", style="green" if answer["balanced"] else "bold red"))


def _trace(answer: Mapping[str, Any]) -> None:
    for record in answer["records"]:
        _CONSOLE.print(Text(f"{record['item']}  record {record['record_id'] or '—'}", style="bold"))
        for step in record["steps"]:
            _CONSOLE.print(Text(f"  {step['at']}  {step['what']}  ({step['where']})"))
    if not answer["records"]:
        _CONSOLE.print(Text("nothing found; give a USCC, a document number, a record id, or a file's name with --row"))


def _quarantine(rows: Sequence[Mapping[str, Any]]) -> None:
    columns = ("id", "feed", "origin", "code", "field", "reason", "state")
    _table("疑问数据 quarantine", columns, [[row[c] for c in columns] for row in rows], "nothing is set aside")


def _events(rows: Sequence[Mapping[str, Any]]) -> None:
    _table("events", ("at", "what", "where", "detail"), [(r["at"], r["what"], r["where"], r["detail"]) for r in rows], "nothing has happened yet")


def _queue(answer: Any) -> None:
    if isinstance(answer, Mapping):
        _plain(answer)
    elif answer and "queue" in answer[0]:
        _table("队列 queues", ("queue", "ready", "unacked", "oldest s"), [list(q.values()) for q in answer], "")
    else:
        _table("messages", ("id", "bytes", "item", "rows"), [list(m.values()) for m in answer], "the queue is empty")


def problems(found: Iterable[Any]) -> None:
    """Errors of a configuration, each with its line and a caret."""
    shown = [problem.to_text() for problem in found]
    for text in shown:
        _CONSOLE.print(Text(text))
    _CONSOLE.print(Text(f"{len(shown)} problem{'s' if len(shown) > 1 else ''}" if shown else "the configuration is fine"))


def demo(result: Mapping[str, Any]) -> None:
    """What the demonstration did."""
    for line in result["story"]:
        _CONSOLE.print(Text(line))
    sources = [
        (
            s["how"],
            s["agency"],
            s["item"],
            s["feed"].partition(".")[2],
            s["read"],
            s["stored"],
            s["rejected"],
            "  ".join(f"{k} {v}" for k, v in s["other"].items()),
        )
        for s in result["sources"]
    ]
    columns = ("how it came", "agency", "item", "feed", "read", "stored", "set aside", "others")
    _table("来源 sources", columns, sources, "no source had anything new", names=4)
    for kind, reason in result["left_out"].items():
        _CONSOLE.print(Text(f"! left out: {kind}: {reason}", style="yellow"))
    status(result["status"])
    reconciliation(result["reconciliation"])
    for line in result["next"]:
        _CONSOLE.print(Text(line, style="dim"))


def _doctor(findings: Sequence[Mapping[str, Any]]) -> None:
    for finding in findings:
        _CONSOLE.print(Text(("✓ " if finding["ok"] else "✗ ") + finding["what"], style="green" if finding["ok"] else "red"))
        if not finding["ok"]:
            _CONSOLE.print(Text(f"  way out: {finding['hint']}"))


def _tests(results: Sequence[Mapping[str, Any]]) -> None:
    for result in results:
        _CONSOLE.print(Text(("✓ " if result["passed"] else "✗ ") + f"{result['feed']}  {result['given']}", style="green" if result["passed"] else "red"))
        for line in result["differences"]:
            _CONSOLE.print(Text(f"    {line}"))
    _CONSOLE.print(Text(f"{sum(r['passed'] for r in results)} of {len(results)} tests passed"))


def _preview(answer: Mapping[str, Any]) -> None:
    for heading, table in answer["stages"].items():
        if len(table["columns"]) > _WIDE:
            _table(heading, *_turned(table["columns"], table["rows"]), "no rows", names=1)
        else:
            _table(heading, table["columns"], table["rows"], "no rows")
    for line in answer["notes"]:
        _CONSOLE.print(Text(line))


def _turned(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> tuple[list[str], list[list[object]]]:
    """Wide rows are read from top to bottom: a line per field, a column per record, as many as can be read side by side."""
    shown = rows[:_SIDE_BY_SIDE]
    left = len(rows) - len(shown)
    heads = ["field", *(f"row {place + 1}" for place in range(len(shown)))]
    lines = [[name, *(row[place] for row in shown)] for place, name in enumerate(columns) if any(row[place] is not None for row in shown)]
    if left:
        lines.append([f"and {left} more rows", *("" for _ in shown)])
    return heads, lines


def _keys(answer: Any) -> None:
    if isinstance(answer, Mapping):
        _plain(answer)
        return
    rows = [(k["id"], k["agency"], _state(k["state"]), k["expires_at"], k["last_used"], k["because"]) for k in answer]
    _table("密钥 keys", ("id", "agency", "state", "ends", "last used", "because"), rows, "no key was made yet: see `run_hub.py key add`", names=1)


def _schema(answer: Mapping[str, Any]) -> None:
    """Steps in words with their statements, what is refused and why, and what stays."""
    for database in answer["databases"]:
        _CONSOLE.print(Text(f"{database['name']}  ({database['place']})", style="bold"))
        for step in database["steps"]:
            _CONSOLE.print(Text(f"  {step['table']}: {step['words']}"))
            for statement in step["sql"]:
                _CONSOLE.print(Text("    " + " ".join(statement.split()) + ";", style="dim"))
        for refused in database["refused"]:
            where = f"{refused['table']}.{refused['column']}" if refused["column"] else refused["table"]
            _CONSOLE.print(Text(f"  ! refused: {where}: {refused['reason']}", style="red"))
            _CONSOLE.print(Text(f"    way out: {refused['hint']}"))
        for line in database["kept"]:
            _CONSOLE.print(Text(f"  {line}", style="dim"))
        if not database["steps"] and not database["refused"]:
            _CONSOLE.print(Text("  nothing to do", style="green"))
    if answer["plan"]:
        _CONSOLE.print(Text(f"do exactly this: run_hub.py store apply --plan {answer['plan']}"))


def _applied(answer: Mapping[str, Any]) -> None:
    for database in answer["applied"]:
        for step in database["steps"]:
            _CONSOLE.print(Text(f"✓ {database['name']}  {step['table']}: {step['words']}", style="green"))
    if not answer["applied"]:
        _CONSOLE.print(Text("nothing to do"))
    if any(database["steps"] or database["refused"] for database in answer["databases"]):
        _schema(answer)


_VIEWS: dict[str, Callable[[Any], None]] = {
    "status": status,
    "check": check,
    "reconcile": reconciliation,
    "trace": _trace,
    "quarantine_list": _quarantine,
    "events": _events,
    "queue": _queue,
    "key": _keys,
    "doctor": _doctor,
    "test": _tests,
    "preview": _preview,
    "store_plan": _schema,
    "store_apply": _applied,
}
