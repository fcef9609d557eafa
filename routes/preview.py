"""What a file would become, without writing anything: for `preview`, and for the `tests:` of the configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import polars as pl

from config.loader import Loaded
from config.resolved import Feed, FeedTest, HubConfig
from config.secrets import Secrets
from connectors.formats.csv import Cut
from connectors.stores import open_store
from hub.contracts.batch import LINE, OP, ORDINAL, RECORD_ID, ROW_HASH, Step
from hub.contracts.errors import Misconfigured, Rejected
from hub.contracts.headings import normalise_heading
from hub.contracts.item import Item
from hub.contracts.keys import KeyRing
from hub.keystore import load_keys
from routes.city import local_now, plan_of
from routes.documents import TRIAL_KEYS, feed_of
from routes.evidence import flat_evidence
from routes.trial import read
from transforms.intake import mapped, prepare, unmapped_values
from transforms.masking import default_mask, mask

_HOME = Path("var")
"""Where a test looks for the password of its archive, when it is kept in a file."""

_BLOCK_ROWS = 50_000
_SHOWN_WIDTH = 60


async def look(loaded: Loaded, home: Path, config: Path, name: str, file: Path | None, rows: int) -> dict[str, Any]:
    """Raw, parsed, mapped, checked, and what would change in the store; masked. Raises `Rejected` for a file that cannot be read at all."""
    hub = _hub(loaded)
    feed = feed_of(hub, name)
    path = file or _waiting(feed, home) or _sample(hub, config, name)
    keys = load_keys(home / "keys") if (home / "keys").exists() else TRIAL_KEYS
    plan = plan_of(feed, keys)
    now = local_now().replace(tzinfo=None)
    async with aclosing(read(feed, path, home=home, rows=rows)) as batches:
        found = await anext(batches, None)
    if found is None:
        raise Rejected(f"{path.name} has no rows", hint="give another file", code="F005")
    batch, cut = found
    step = prepare(batch, plan, now=now)
    stage = mapped(batch, plan, now=now)
    item = feed.item
    stages: dict[str, Any] = {
        f"raw: {_shown(path)}": _evidence(path, cut),
        "parsed (as the agency wrote it)": _table(_masked_source(batch.frame, stage.binding.plain, item)),
        "mapped (item fields, typed)": _table(_masked(stage.frame.select(ORDINAL, *_present(item, stage.frame)), item)),
        "checked: passed": _table(_masked(step.passed.frame.select(ORDINAL, OP, *_present(item, step.passed.frame)), item)),
        "checked: refused": _table(step.refused),
        "in the store": _table(await _changes(hub, home, item, keys, step)),
    }
    return {"feed": name, "stages": stages, "notes": _notes(step, stage.binding.ignored, unmapped_values(batch, plan, now=now))}


def _hub(loaded: Loaded) -> HubConfig:
    assert loaded.hub is not None, "the caller has shown the problems"
    return loaded.hub


def _waiting(feed: Feed, home: Path) -> Path | None:
    """The file that the feed has taken and not finished (a held one), otherwise the oldest that waits in its folder."""
    if feed.kind != "folder":
        return None
    folder = home / Path(str(getattr(feed.source_config, "path", "")))
    if taken := sorted(folder.glob(f"processing/{feed.name}/*/data")):
        return taken[0]
    files = [path for path in folder.glob(str(getattr(feed.read, "files", "*.csv"))) if path.is_file() and not path.is_symlink()]
    return min(files, key=lambda path: path.stat().st_mtime, default=None)


def _shown(path: Path) -> str:
    """The file's name; a file that was taken lies in a folder that is named after it."""
    return path.parent.name.partition("-")[2] if path.name == "data" else path.name


def _sample(hub: HubConfig, config: Path, name: str) -> Path:
    given = next((test.given for test in hub.tests if test.feed == name), None)
    if given is None:
        raise Misconfigured(
            f"no file waits for {name}, and it has no sample",
            hint=f"name a file: run_hub.py preview {name} FILE; run_hub.py record {name} makes one of a live source",
        )
    return config / given


async def _changes(hub: HubConfig, home: Path, item: Item, keys: KeyRing, step: Step) -> pl.DataFrame:
    """What the store would do with each passed row: insert, update, unchanged or withdraw."""
    new = step.passed.frame.select(ORDINAL, OP, RECORD_ID, ROW_HASH)
    setting = hub.stores[item.store]
    there = home / setting
    stored = pl.DataFrame(schema={RECORD_ID: pl.String, "row_hash": pl.String})
    if "://" in setting or there.exists():
        store = open_store(setting if "://" in setting else str(there), keys, hub.because_of.get(item.store, ""), Secrets(home / "secrets").expand)
        try:
            rows = await store.rows(item, new[RECORD_ID].to_list())
            stored = rows.select(pl.col("record_id").alias(RECORD_ID), "row_hash")
        finally:
            await store.close()
    both = new.join(stored, on=RECORD_ID, how="left", maintain_order="left")
    would = (
        pl.when(pl.col(OP) == "D").then(pl.lit("withdraw"))
        .when(pl.col("row_hash").is_null()).then(pl.lit("insert"))
        .when(pl.col("row_hash") == pl.col(ROW_HASH)).then(pl.lit("unchanged"))
        .otherwise(pl.lit("update"))
    )  # fmt: skip
    return both.select(ORDINAL, pl.col(RECORD_ID).alias("record_id"), would.alias("would"))


def _masked(frame: pl.DataFrame, item: Item) -> pl.DataFrame:
    """Personal fields as everybody may see them."""
    kinds = {name: default_mask(item.by_name[name], item) for name in frame.columns if name in item.by_name}
    return frame.with_columns(mask(kind, pl.col(name).cast(pl.String)).alias(name) for name, kind in kinds.items() if kind)


def _masked_source(frame: pl.DataFrame, plain: Mapping[str, str], item: Item) -> pl.DataFrame:
    """The agency's own columns: those that a field was read from are masked like the field, all others are hidden."""
    fields = {heading: default_mask(item.by_name[name], item) for name, heading in plain.items()}
    exprs = []
    for name in frame.columns:
        if name in (ORDINAL, LINE) or (name in fields and fields[name] is None):
            continue
        kind = fields.get(name)
        exprs.append(mask(kind, pl.col(name)).alias(name) if kind else pl.when(pl.col(name) != "").then(pl.lit("…")).alias(name))
    return frame.with_columns(exprs)


def masked_cells(cells: Mapping[str, str | None], item: Item | None) -> dict[str, str]:
    """Cells of one row under the agency's headings: those of impersonal fields in clear, personal ones masked, unknown ones hidden."""
    known = {normalise_heading(heading): f for f in item.fields for heading in (f.name, f.title, *f.aliases)} if item else {}
    shown: dict[str, str] = {}
    for heading, cell in cells.items():
        field = known.get(normalise_heading(heading))
        kind = default_mask(field, item) if field and item else "hidden"
        masked = pl.select(mask(kind, pl.lit(cell))).item() if kind and kind != "hidden" and cell else cell
        shown[heading] = "…" if kind == "hidden" and cell else str(masked or "")
    return shown


def _present(item: Item, frame: pl.DataFrame) -> list[str]:
    """The fields that hold anything."""
    return [f.name for f in item.fields if f.name in frame.columns and frame[f.name].null_count() < frame.height]


def _table(frame: pl.DataFrame) -> dict[str, Any]:
    rows = [["" if cell is None else _short(str(cell)) for cell in row] for row in frame.iter_rows()]
    return {"columns": frame.columns, "rows": rows}


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_WIDTH else text[: _SHOWN_WIDTH - 1] + "…"


def _evidence(path: Path, cut: Cut) -> dict[str, Any]:
    """How the raw bytes are understood; the bytes themselves hold personal data and are not shown."""
    told: dict[str, Any] = {"bytes": path.stat().st_size, "form": cut.form}
    if not cut.placed:
        told |= {"encoding": f"{cut.encoding} ({cut.basis})", "delimiter": repr(cut.delimiter), "quoted": cut.quote, "rows begin at line": cut.line}
    told |= {"headings": len(cut.titles) - cut.placed, "headings the item knows": cut.matched, **dict(flat_evidence(cut.found))}
    return {"columns": ["evidence", "value"], "rows": [[key, str(value)] for key, value in told.items()]}


def _notes(step: Step, ignored: Sequence[str], unmapped: Mapping[str, Mapping[str, int]]) -> list[str]:
    notes = [f"{step.passed.frame.height} passed, {step.refused.height} refused, {len(step.filtered)} filtered"]
    notes += [f"warning {code}: {count} rows" for code, count in step.warned.items()]
    notes += [f"heading not used: {heading}" for heading in ignored]
    notes += [f"{name}: no code for {value!r} ({count} rows)" for name, values in unmapped.items() for value, count in values.items()]
    return notes


async def try_tests(loaded: Loaded, config: Path, only: str) -> list[dict[str, Any]]:
    """Run the configuration's own tests; each with the differences in words."""
    hub = _hub(loaded)
    if only:
        feed_of(hub, only)
    return [await _try(hub.feeds[test.feed], test, config) for test in hub.tests if only in ("", test.feed)]


async def _try(feed: Feed, test: FeedTest, config: Path) -> dict[str, Any]:
    plan = plan_of(feed, TRIAL_KEYS)
    now = local_now().replace(tzinfo=None)
    passed = filtered = 0
    rejected: Counter[str] = Counter()
    warned: Counter[str] = Counter()
    try:
        async with aclosing(read(feed, config / test.given, home=_HOME, rows=_BLOCK_ROWS)) as batches:
            async for batch, _ in batches:
                step = prepare(batch, plan, now=now)
                passed += step.passed.frame.height
                filtered += len(step.filtered)
                rejected.update(step.refused["code"].to_list())
                warned.update(step.warned)
    except Rejected as error:
        rejected[error.code] += 1
    found = {"passed": passed, "filtered": filtered, "rejected": dict(rejected), "warned": dict(warned)}
    wanted = {"passed": test.passed, "filtered": test.filtered, "rejected": dict(test.rejected), "warned": dict(test.warned)}
    odd = [
        f"{key}: expected {want}, found {found[key]}" for key, want in wanted.items() if want is not None and want != found[key] and (key != "warned" or want)
    ]
    return {"feed": test.feed, "given": test.given, "passed": not odd, "differences": odd, "found": found}
