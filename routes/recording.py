"""A sample of a live source as a fixture for `tests:`, with every identity in it replaced by a made-up one."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from config.resolved import Feed
from connectors.formats.pulling import json_lines
from hub.contracts.batch import LINE, ORDINAL, Batch
from hub.contracts.errors import Misconfigured, Rejected
from hub.contracts.item import Item, Kind
from routes.checking import live_source
from routes.city import local_now, plan_of
from routes.documents import RECORDED, TRIAL_KEYS, batches_of
from transforms.headings import bind
from transforms.identifiers import USCC, id_no_valid
from transforms.intake import prepare
from transforms.masking import default_mask

_DAY = re.compile(r"(?:19|20)\d\d(?:[-/.年]\d{1,2}(?:[-/.月]\d{1,2}日?)?|\d{2}|\d{4})?(?:[ T]\d{1,2}:\d{2}(?::\d{2})?)?")
_AMOUNT = re.compile(r"-?\d{1,8}(?:\.\d{1,6})?")
_KINDS = 12  # a column with no more different values than this, each used again, holds kinds of things and no identities


async def record(feed: Feed, home: Path, config: Path, rows: int) -> dict[str, Any]:
    """Ask the live source for a sample, disguise it, and write it below `samples/`: `{file, rows, passed, rejected, test}`.

    Raises what the source raises, and `Misconfigured` where the file is there already.
    """
    source, _ = live_source(feed, home)
    try:
        name, content = await source.sample(rows)
    finally:
        await source.close()
    batches = [batch async for batch in batches_of(feed, name, content, rows=rows)][:1]
    if not batches or not batches[0].frame.height:
        raise Rejected("the sample holds no row that can be read", hint="try `run_hub.py check`", code="F005")
    disguised = disguise(batches[0].frame.head(rows), feed)
    where = Path("samples") / feed.agency / f"{feed.name.partition('.')[2]}_{local_now():%Y%m%d}{RECORDED}"
    _write(config / where, json_lines(disguised.drop(ORDINAL, LINE).iter_rows(named=True)))
    passed, rejected = _tried(feed, batches[0], disguised)
    expect = f"{{passed: {passed}" + (f", rejected: {json.dumps(rejected).replace(chr(34), '')}" if rejected else "") + "}"
    test = f"  - feed: {feed.name.partition('.')[2]}\n    given: {where.as_posix()}\n    expect: {expect}"
    return {"file": str(config / where), "rows": disguised.height, "passed": passed, "rejected": rejected, "test": test}


def disguise(frame: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """The rows with every value that may name somebody replaced: the same value by the same one, valid numbers by valid ones, others by ones as wrong.

    Columns that an impersonal field is read from stay, and so do columns of a few words that come again and again. All else is made up.
    """
    binding = bind([c for c in frame.columns if c not in (ORDINAL, LINE)], feed.item, feed.rules)
    keep = {heading for name, heading in binding.plain.items() if _impersonal(feed.item, name)}
    return frame.with_columns(
        _disguised(frame.get_column(c)) for c in frame.columns if c not in (ORDINAL, LINE) and c not in keep and not _says_nobody(frame[c])
    )


def _impersonal(item: Item, name: str) -> bool:
    field = item.by_name[name]
    return (
        default_mask(field, item) is None
        and field.identifier is None
        and "subject.name" not in field.roles
        and (field.kind not in (Kind.TEXT, Kind.LONG) or bool(field.codes))
    )


def _says_nobody(column: pl.Series) -> bool:
    """Days, amounts, and words that come again and again."""
    values = column.drop_nulls().unique()
    plain = all(_DAY.fullmatch(value.strip()) or _AMOUNT.fullmatch(value.strip()) for value in values)
    return plain or _kinds(column)


def _kinds(column: pl.Series) -> bool:
    counts = column.drop_nulls().value_counts()
    return counts.height <= _KINDS and bool((counts["count"] > 1).all()) and not column.str.contains(r"\d{6}").any()


def _disguised(column: pl.Series) -> pl.Series:
    made: dict[str | None, str | None] = {None: None}
    for value in column.drop_nulls().unique(maintain_order=True):
        made[value] = _other(value, len(made))
    return pl.Series(column.name, [made[value] for value in column], dtype=pl.String)


def _other(value: str, number: int) -> str:
    """A made-up value of the same sort."""
    for valid, make in ((_is_id_no, made_up_id_no), (_is_uscc, made_up_uscc)):  # one ID number in 31 has the check digit of a USCC, too
        if valid(value):
            return make(number)
    if any("\u4e00" <= letter <= "\u9fff" for letter in value) and not any(letter.isdigit() for letter in value):
        return f"样本{number}" + ("有限公司" if value.endswith("公司") else "")
    return "".join(_letter(letter, place + number) for place, letter in enumerate(value))


def _letter(letter: str, place: int) -> str:
    if letter.isdigit():
        return str(place % 10)
    if letter.isascii() and letter.isalpha():
        return "AB"[place % 2] if letter.isupper() else "ab"[place % 2]
    return "样" if "\u4e00" <= letter <= "\u9fff" else letter


def _is_uscc(value: str) -> bool:
    return bool(USCC.holds(pl.Series([value]))[0])


def _is_id_no(value: str) -> bool:
    return bool(pl.select(id_no_valid(pl.lit(value))).item())


def made_up_uscc(number: int) -> str:
    """A valid unified social credit code that nobody has: the body says 样本."""
    return _checked(f"91320581MAYB{number % 100_000:05}", "0123456789ABCDEFGHJKLMNPQRTUWXY", _is_uscc)


def made_up_id_no(number: int) -> str:
    """A valid ID number of the year 1900."""
    return _checked(f"32058119000101{number % 1000:03}", "0123456789X", _is_id_no)


def _checked(body: str, letters: str, holds: Callable[[str], bool]) -> str:
    return next(body + letter for letter in letters if holds(body + letter))


def _tried(feed: Feed, batch: Batch, rows: pl.DataFrame) -> tuple[int, dict[str, int]]:
    """What the feed's rules make of the disguised rows, and of none but them."""
    plan = plan_of(feed, TRIAL_KEYS)
    step = prepare(Batch(batch.header, rows), plan, now=local_now().replace(tzinfo=None))
    return step.passed.frame.height, dict(sorted(Counter(step.refused["code"].to_list()).items()))


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError as error:
        raise Misconfigured(f"{path} is there already", hint="rename it first; a fixture is never overwritten") from error
    except OSError as error:
        raise Misconfigured(f"{path} cannot be written: {error.strerror}", hint="record into a configuration of your own: --config DIR") from error
