"""Tests live connections layer by layer, without side effects: reach, authenticate, shape, sample, and what the rows of a sample would become."""

from __future__ import annotations

import difflib
from collections import Counter
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any

from config.resolved import Feed, HubConfig
from config.secrets import Secrets
from connectors.memory import MemoryIntake
from connectors.registry import SOURCES
from hub.contracts.batch import Batch
from hub.contracts.errors import HubError, Misconfigured, Rejected
from hub.contracts.source import Finding, Source
from routes.city import known_headings, local_now, plan_of
from routes.documents import TRIAL_KEYS, batches_of
from transforms.intake import prepare

_SAMPLE_ROWS = 50
_WORDS = {"reach": "连接", "authenticate": "认证", "shape": "结构", "sample": "样本", "rows": "校验"}


async def check(hub: HubConfig, home: Path, agency: str = "", feed: str = "") -> list[dict[str, Any]]:
    """Findings of every feed of an agency, of one feed, or of all: `{feed, layer, word, fine, said, hint}`. Raises `Misconfigured` for an unknown name."""
    chosen = [one for one in hub.feeds.values() if agency in ("", one.agency) and feed in ("", one.name)]
    if not chosen:
        known = [*hub.agencies, *hub.feeds]
        near = difflib.get_close_matches(agency or feed, known, n=1, cutoff=0.3)
        message = f"{agency or feed} has no feed here"
        raise Misconfigured(message, hint=f"did you mean {near[0]}?" if near else "`run_hub.py status` names them all")
    found: list[dict[str, Any]] = []
    for one in chosen:
        found += [
            {"feed": one.name, "layer": layer, "word": _WORDS[layer], "fine": fine, "said": said, "hint": hint}
            for layer, fine, said, hint in await _layers(one, home)
        ]
    return found


def live_source(feed: Feed, home: Path) -> tuple[Source, MemoryIntake]:
    """The feed's source over an intake that forgets everything. Raises `Misconfigured` where a secret is missing."""
    intake = MemoryIntake(feed.name, feed.item.code)
    secrets = Secrets(home / "secrets")
    config = secrets.fill(feed.source_config)
    source = SOURCES[feed.kind].build(
        config, secrets.fill(feed.read), feed=feed.name, item=feed.item.code, known=known_headings(feed), intake=intake, home=home, batch_rows=10_000
    )
    return source, intake


async def _layers(feed: Feed, home: Path) -> list[tuple[str, bool, str, str]]:
    try:
        source, _ = live_source(feed, home)
    except HubError as error:
        return [("reach", False, error.message, error.hint)]
    told: list[tuple[str, bool, str, str]] = []
    try:
        async with aclosing(source.probe()) as findings:
            told += [_told(finding) async for finding in findings]
        if told and all(fine for _, fine, _, _ in told):
            told.append(await _rows(feed, source))
    except HubError as error:
        told.append((_next(told), False, error.message, error.hint))
    finally:
        await source.close()
    return told


def _told(finding: Finding) -> tuple[str, bool, str, str]:
    return finding.layer, finding.fine, finding.said, finding.hint


def _next(told: list[tuple[str, bool, str, str]]) -> str:
    """The layer in which something went wrong that no finding named."""
    layers = [*_WORDS]
    return layers[min(len(told), len(layers) - 1)]


async def _rows(feed: Feed, source: Source) -> tuple[str, bool, str, str]:
    """What the rules of the feed make of a sample."""
    try:
        name, content = await source.sample(_SAMPLE_ROWS)
    except HubError as error:
        return "rows", True, f"nothing to try: {error.message}", error.hint
    try:
        batches = [batch async for batch in batches_of(feed, name, content, rows=_SAMPLE_ROWS)]
    except Rejected as error:
        return "rows", False, error.message, error.hint
    now = local_now().replace(tzinfo=None)
    return _tried(feed, batches, now)


def _tried(feed: Feed, batches: list[Batch], now: datetime) -> tuple[str, bool, str, str]:
    plan = plan_of(feed, TRIAL_KEYS)
    passed = read = 0
    refused: Counter[str] = Counter()
    try:
        for batch in batches:
            step = prepare(batch, plan, now=now)
            read += batch.header.rows
            passed += step.passed.frame.height
            refused.update(step.refused["code"].to_list())
    except Rejected as error:
        return "rows", False, error.message, error.hint
    codes = ", ".join(f"{code} {count}" for code, count in sorted(refused.items()))
    fine = read > 0 and sum(refused.values()) <= read * feed.limits.rejected
    hint = "" if fine else f"look at them with `run_hub.py record {feed.name}` and `preview`; beyond `limits` the run would be held"
    return "rows", fine, f"{passed} of {read} rows of a sample would pass" + (f"; refused: {codes}" if codes else ""), hint


def fine(findings: list[dict[str, Any]]) -> bool:
    """True where every layer of every feed is fine."""
    return all(finding["fine"] for finding in findings)
