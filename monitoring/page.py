"""The console page: from a status to HTML, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from monitoring.balance import imbalance, terms
from monitoring.view import SILENT_S

CONSOLE = Path(__file__).parent / "console"
LANGUAGES = ("zh-CN", "en")
WORDS: Mapping[str, Mapping[str, Any]] = {language: orjson.loads((CONSOLE / f"{language}.json").read_bytes()) for language in LANGUAGES}
ROWS = 2_000
_GRAVE = ("stopped", "held", "paused", "running", "loading", "idle")


def choose_language(wanted: str | None, accept: str) -> str:
    """The language asked for, otherwise the first of the browser's that there is, otherwise Chinese."""
    offers = [wanted] if wanted else [part.split(";")[0].strip() for part in accept[:500].split(",")]
    for offer in offers:
        for language in LANGUAGES:
            if offer and offer.lower().split("-")[0] == language.lower().split("-")[0]:
                return language
    return LANGUAGES[0]


def render(status: Mapping[str, Any], checks: Mapping[str, bool | str], *, language: str, now: datetime, part: bool = False) -> str:
    """HTML of the whole page, or only of what changes (`part`). `now` is shown as it is; `status` and `checks` follow `View`."""
    words = WORDS[language]
    feeds = [_feed(feed) for feed in status.get("feeds", ())[:ROWS]]
    context = {
        "words": words,
        "language": language,
        "other": "en" if language == "zh-CN" else "zh-CN",
        "now": now,
        "city": status.get("city", ""),
        "version": status.get("version", ""),
        "ready": bool(checks) and all(result is True for result in checks.values()),
        "failing": {name: "" if result is False else result for name, result in checks.items() if result is not True},
        "decisions": [_decision(one, words) for one in status.get("decisions", ())[:ROWS]],
        "proof": _equation(status["reconciliation"]) if status.get("reconciliation") else None,
        "groups": _by_agency(feeds, status.get("agencies", ())),
        "feeds": feeds,
        "shares": status.get("shares", ())[:ROWS],
        "queues": status.get("queues", ())[:ROWS],
        "nodes": [_node(node, status.get("version", "")) for node in status.get("nodes", ())[:ROWS]],
        "agencies": _agencies(status),
        "names": {agency["code"]: agency["name"] for agency in status.get("agencies", ())},
    }
    return _environment.get_template("main.html" if part else "page.html").render(context)


def render_trouble(message: str, hint: str, *, language: str, part: bool = False) -> str:
    """HTML shown where there is no status to show."""
    context = {"words": WORDS[language], "language": language, "other": "en" if language == "zh-CN" else "zh-CN", "message": message, "hint": hint}
    return _environment.get_template("trouble_main.html" if part else "trouble.html").render(context)


def _equation(holder: Mapping[str, Any]) -> dict[str, Any]:
    """What holds `counts`, with the terms to show and what is missing."""
    counts = holder.get("counts") or {}
    return {**holder, "read": counts.get("read", 0), "terms": terms(counts), "off": imbalance(counts)}


def _feed(feed: Mapping[str, Any]) -> dict[str, Any]:
    last = feed.get("last_run")
    return {**feed, "agency": feed.get("agency") or feed["feed"].split(".")[0], "last_run": _equation(last) if last else None}


def _node(node: Mapping[str, Any], version: str) -> dict[str, Any]:
    """A node with how much it holds, and what is odd about it."""
    odd = [word for word, so in (("silent", node["silent_s"] > SILENT_S), ("other_version", node["version"] != version)) if so]
    return {**node, "holds": len(node["holds"]), "odd": odd}


def _decision(decision: Mapping[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    """A decision with the exact commands, one per verb; what the command line cannot decide by name has none."""
    kind = next((kind for kind in ("feed", "share", "load", "offer") if decision.get(kind)), "feed")
    name = decision.get(kind) or ""
    verbs = [verb for verb in str(decision.get("verb", "")).split("|") if verb and kind in ("feed", "share")]
    return {**decision, "name": name, "commands": [f'run_hub.py {kind} {verb} {name} --because "{words["because"]}"' for verb in verbs]}


def _by_agency(feeds: Sequence[Mapping[str, Any]], agencies: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[Mapping[str, Any]]]]:
    """Feeds grouped by agency: code, name, feeds; in the order of first appearance."""
    names = {agency["code"]: agency["name"] for agency in agencies}
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for feed in feeds:
        grouped.setdefault(feed["agency"], []).append(feed)
    return [(code, names.get(code, ""), entries) for code, entries in grouped.items()]


def _agencies(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Agencies with how many feeds and shares they have, and the gravest state among their feeds."""
    feeds, shares = [_feed(feed) for feed in status.get("feeds", ())], status.get("shares", ())
    found = []
    for agency in status.get("agencies", ())[:ROWS]:
        own = [feed["state"] for feed in feeds if feed["agency"] == agency["code"]]
        gravest = min((state for state in own if state in _GRAVE), key=_GRAVE.index, default="none")
        provided = sum(share["share"].split(".")[0] == agency["code"] or share["to"] == agency["code"] for share in shares)
        found.append({**agency, "feeds": len(own), "shares": provided, "state": gravest})
    return found


def _number(value: object) -> str:
    """1309000 as 1,309,000; anything else as it is."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def _age(seconds: float | None) -> str:
    """Seconds in the largest fitting unit: 95.0 as "1 min 35 s"."""
    if seconds is None:
        return "–"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _moment(value: object, now: datetime) -> str:
    """An ISO text or datetime as "14:05" today and "03-05 14:05" otherwise, in the zone of `now`; other texts as they are."""
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    local = at.astimezone(now.tzinfo) if at.tzinfo else at
    if local.date() == now.date():
        return local.strftime("%H:%M")
    return local.strftime("%m-%d %H:%M" if local.year == now.year else "%Y-%m-%d %H:%M")


def _made() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(CONSOLE),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, age=_age, moment=_moment)
    return environment


_environment = _made()
