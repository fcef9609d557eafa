"""Whether a typed row keeps its contract: the standard checks of the catalogue, and the `check:` lines of a feed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal

import polars as pl

from hub.contracts.batch import OP, ORDINAL, REFUSED_SCHEMA, none_refused
from hub.contracts.item import Field, Identifier, Item, Kind
from transforms.codes import known_codes
from transforms.columns import Columnwise, each
from transforms.expression import Compiled
from transforms.identifiers import ORG_CODE, USCC, id_no_valid, reg_no_valid, uscc_valid

FIRST_YEAR = date(1949, 1, 1)
PAIRS = (("valid_from", "valid_to"), ("op_from", "op_to"), ("list_date", "remove_date"), ("decision_date", "valid_to"), ("decision_date", "public_until"))
CONDITIONS = {"fine_wan": ("penalty_class", "罚款"), "confiscated_wan": ("penalty_class", "没收"), "revoked_cert": ("penalty_class", "暂扣|吊销")}
CONDITIONAL_GROUP = "C2"
MOST_MONEY = {"元": 10**12, "万元": 10**8}
MOST_FINE_WAN = 10_000
PLACEHOLDERS = frozenset(
    [digit * length for digit in "0123456789" for length in range(6, 21)]
    + ["0" * length + "X" for length in range(5, 20)]
    + ["123456", "12345678", "123456789", "1234567890", "123456789012345", "123456789012345678"]
)
SPREADSHEET_ERRORS = frozenset(["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!", "#GETTING_DATA"])
TEST_NAMES = frozenset(["测试", "测试企业", "测试公司", "测试单位", "测试数据", "测试用户", "test", "TEST", "Test"])

_SCIENTIFIC = r"^\d(?:\.\d+)?E\+?\d+$"
_ROUNDED = r"^\d{15}000$"
_MASKED_ID = r"^[0-9]{3,14}\*{2,}[0-9X]{1,4}$"


@dataclass(frozen=True)
class CheckRule:
    """One `check:` line of a feed: a condition over the item's fields that a row must not break (an unknown answer is no breach).

    `reject` refuses the row, `warn` counts it, `fix` puts `fix` in place of `field` and counts it. `code` is X001, X002, … by position in the feed.
    """

    text: str
    compiled: Compiled
    action: Literal["reject", "warn", "fix"] = "reject"
    code: str = "X001"
    message: str = ""
    field: str = ""
    fix: Compiled | None = None


@dataclass(frozen=True)
class Rule:
    """One test. `bad` is true for rows that fail it; `detail` rules only name the reason of rows that failed another one; `warns` only counts.

    `key` rules say that the row's own key cannot be read.
    """

    code: str
    field: str
    reason: str
    bad: pl.Expr
    detail: bool = False
    warns: bool = False
    key: bool = False


@dataclass(frozen=True)
class Findings:
    """What reading the cells already found: per field the column that marks the rows, by rule code."""

    unread: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # code -> field -> column
    placeholders: Mapping[str, str] = field(default_factory=dict)  # field -> column


def contract_rules(item: Item, bound: frozenset[str], today: date, findings: Findings) -> list[Rule]:
    """The catalogue's rules for the fields that a file holds, gravest first. Reasons name the field in Chinese, never a value."""
    fields = [f for f in item.fields if f.name in bound]
    return [
        *_unread(item, findings),
        *_placeholders(item, findings),
        *_key(item),
        *(Rule("R101", f.name, f"{f.title}：不能为空", pl.col(f.name).is_null()) for f in fields if f.required),
        *_groups(item),
        *(rule for f in fields if f.identifier for rule in _identifier(f, item)),
        *(_rounded(f) for f in fields if f.sealed and f.identifier is None and f.kind is Kind.TEXT),
        *(rule for f in fields for rule in _size(f)),
        *(rule for f in fields for rule in _time(f, today)),
        *_pairs(item, bound),
        *(_code(f) for f in fields if f.codes),
        *_money(fields),
        *_conditional(item, bound),
    ]


def _unread(item: Item, findings: Findings) -> Iterable[Rule]:
    said = {"R104": "不是数字", "R105": "不是标准的日期格式"}
    for code, columns in findings.unread.items():
        for name, column in columns.items():
            yield Rule(code, name, f"{item.by_name[name].title}：{said.get(code, '无法识别')}", pl.col(column))


def _placeholders(item: Item, findings: Findings) -> Iterable[Rule]:
    for name, column in findings.placeholders.items():
        target = item.by_name[name]
        yield Rule("R116", name, f"{target.title}：是占位值，不是真实内容", pl.col(column), warns=not target.required)


def _key(item: Item) -> Iterable[Rule]:
    for part in item.natural_key:
        titles = "、".join(item.by_name[name].title for name in part)
        yield Rule("R101", part[0], f"{titles}：主键不能为空", pl.all_horizontal(pl.col(name).is_null() for name in part), key=True)


def _groups(item: Item) -> Iterable[Rule]:
    groups: dict[str, list[Field]] = {}
    for member in item.fields:
        if member.group and member.group != CONDITIONAL_GROUP:
            groups.setdefault(member.group, []).append(member)
    for members in groups.values():
        titles = "、".join(m.title for m in members)
        yield Rule("R102", members[0].name, f"{titles}：必须填写其中一项", pl.all_horizontal(pl.col(m.name).is_null() for m in members))


def _organisation_holds(values: pl.Series) -> pl.Series:
    """An organisation code, or the credit code that contains it: sources mix them in one column."""
    verdict = ORG_CODE.holds(values)
    return verdict if verdict.all() else verdict | USCC.holds(values)


def _rounded(target: Field) -> Rule:
    """Numbers of accounts and documents whose kind nobody said."""
    damaged = pl.col(target.name).str.contains(_SCIENTIFIC)
    return Rule("R117", target.name, f"{target.title}：电子表格丢失了精度，无法恢复，请以文本格式重新导出", damaged)


def _identifier(target: Field, item: Item) -> Iterable[Rule]:
    value = pl.col(target.name)
    meant = _meant(target, item)
    damaged = Rule("R117", target.name, f"{target.title}：电子表格丢失了精度，无法恢复，请以文本格式重新导出", value.str.contains(_SCIENTIFIC) & meant)
    match target.identifier:
        case Identifier.USCC:
            wrong = ~uscc_valid(value) & meant
            yield _as_detail(damaged, damaged.bad | (wrong & value.str.contains(_ROUNDED)))
            yield Rule("R111", target.name, f"{target.title}：统一社会信用代码校验不通过", wrong)
        case Identifier.ID_NO:
            wrong = ~id_no_valid(value) & meant
            yield _as_detail(damaged, damaged.bad | (wrong & value.str.contains(_ROUNDED)))
            yield Rule("R114", target.name, f"{target.title}：身份证件号码校验不通过", wrong & ~value.str.contains(_MASKED_ID))
        case Identifier.ORG_CODE:
            yield _as_detail(damaged, damaged.bad)
            yield Rule("R112", target.name, f"{target.title}：组织机构代码校验不通过", ~each(value, _organisation_holds, kind=pl.Boolean) & meant)
        case _:
            yield damaged
            yield Rule("R113", target.name, f"{target.title}：注册号校验不通过", ~reg_no_valid(value) & meant, warns=True)


def _as_detail(rule: Rule, bad: pl.Expr) -> Rule:
    return Rule(rule.code, rule.field, rule.reason, bad, detail=True)


def _meant(target: Field, item: Item) -> pl.Expr:
    """Where the field holds this identifier at all: always, or where another field says so (by code or label)."""
    if target.identifier_if is None:
        return pl.lit(value=True)
    other, wanted = target.identifier_if
    labels = item.by_name[other].codes if other in item.by_name else {}
    return pl.col(other).is_in([wanted, *(code for code, label in labels.items() if label == wanted)]).fill_null(value=False)


def _size(target: Field) -> Iterable[Rule]:
    if target.length is None or target.codes:
        return
    value, most = pl.col(target.name), target.length
    if target.kind in (Kind.TEXT, Kind.LONG):
        yield Rule("R103", target.name, f"{target.title}：长度超过 {most} 个字符", each(value, _longer_than(most), kind=pl.Boolean))
    elif target.kind is Kind.NUMBER and most < 18:
        yield Rule("R104", target.name, f"{target.title}：数值太大", value.abs() >= 10 ** (most - target.scale))


def _longer_than(most: int) -> Columnwise:
    def function(values: pl.Series) -> pl.Series:
        suspects = values.str.len_bytes() > most
        return values.str.len_chars() > most if suspects.any() else suspects

    return function


def _time(target: Field, today: date) -> Iterable[Rule]:
    if "event_date" not in target.roles or target.kind not in (Kind.DATE, Kind.TIME):
        return
    day = pl.col(target.name) if target.kind is Kind.DATE else pl.col(target.name).dt.date()
    yield Rule("R106", target.name, f"{target.title}：不能晚于当前日期", day > today)
    yield Rule("R106", target.name, f"{target.title}：不能早于 1949 年", day < FIRST_YEAR)


def _pairs(item: Item, bound: frozenset[str]) -> Iterable[Rule]:
    for first, last in PAIRS:
        if {first, last} <= bound & item.by_name.keys() and item.by_name[first].kind is item.by_name[last].kind:
            reason = f"{item.by_name[first].title}晚于{item.by_name[last].title}"
            yield Rule("R107", last, reason, pl.col(first) > pl.col(last))


def _code(target: Field) -> Rule:
    return Rule("R108", target.name, f"{target.title}：代码值不在码表中", ~each(pl.col(target.name), known_codes(target), kind=pl.Boolean))


def _money(fields: Sequence[Field]) -> Iterable[Rule]:
    for target in fields:
        if target.unit and target.kind is Kind.NUMBER:
            most = MOST_FINE_WAN if target.name == "fine_wan" else MOST_MONEY.get(target.unit, 10**12)
            bad = (pl.col(target.name) < 0) | (pl.col(target.name) > most)
            yield Rule("R118", target.name, f"{target.title}：金额超出合理范围，请核对单位（{target.unit}）", bad)


def _conditional(item: Item, bound: frozenset[str]) -> Iterable[Rule]:
    for name, (other, words) in CONDITIONS.items():
        if other in bound and name in item.by_name and item.by_name[name].group == CONDITIONAL_GROUP:
            codes = [code for code, label in item.by_name[other].codes.items() if any(word in label for word in words.split("|"))]
            says = pl.col(other).str.split(";").list.eval(pl.element().is_in(codes)).list.any() if codes else pl.col(other).str.contains(words)
            title = item.by_name[name].title
            reason = f"{title}：{item.by_name[other].title}含“{words.replace('|', '或')}”时必须填写"
            yield Rule("R119", name, reason, pl.col(name).is_null() & says)


def feed_rules(checks: Sequence[CheckRule], item: Item, now: datetime) -> list[Rule]:
    """The `check:` lines that reject or warn, in their order."""
    return [
        Rule(c.code, c.field, c.message or f"不满足检查：{c.text}", ~c.compiled.at(now).expr, warns=c.action == "warn")
        for c in checks
        if c.action in ("reject", "warn")
    ]


def repaired_by(checks: Sequence[CheckRule], item: Item, frame: pl.DataFrame, now: datetime) -> tuple[pl.DataFrame, dict[str, int]]:
    """The frame after the `fix` lines, in their order, and how many rows each one changed, by code."""
    counts: dict[str, int] = {}
    for check in checks:
        if check.action != "fix" or check.fix is None:
            continue
        broken = frame.select((~check.compiled.at(now).expr).fill_null(value=False)).to_series()
        if broken.any():
            kind = frame.schema[check.field]
            frame = frame.with_columns(pl.when(broken).then(check.fix.at(now).expr.cast(kind)).otherwise(pl.col(check.field)).alias(check.field))
            counts[check.code] = int(broken.sum())
    return frame, counts


def for_withdrawals(rules: Sequence[Rule]) -> list[Rule]:
    """The rules where some rows withdraw a record: those need a readable key and nothing else."""
    return [rule if rule.key else replace(rule, bad=rule.bad & (pl.col(OP) != "D")) for rule in rules]


def judge(frame: pl.DataFrame, rules: Sequence[Rule]) -> tuple[pl.Series | None, pl.DataFrame, dict[str, int]]:
    """Which rows pass (None: all), the refused ones with their gravest reason (`REFUSED_SCHEMA`), and warnings counted by code among passing rows."""
    gates = [r.bad for r in rules if not r.detail and not r.warns]
    warning = [r for r in rules if r.warns]
    bad = pl.any_horizontal(gates).fill_null(value=False) if gates else pl.repeat(value=False, n=pl.len())
    verdict = frame.select(bad.alias("bad"), *(r.bad.alias(str(at)) for at, r in enumerate(warning)))
    refused = verdict.get_column("bad")
    fine = None if not refused.any() else ~refused
    kept = verdict if fine is None else verdict.filter(fine)
    warned: dict[str, int] = {}
    for at, rule in enumerate(warning):
        if count := int(kept.get_column(str(at)).sum() or 0):
            warned[rule.code] = warned.get(rule.code, 0) + count
    return fine, none_refused() if fine is None else _reasons(frame.filter(refused), rules), warned


def _reasons(failed: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """The first rule that each failed row broke."""
    graded = [rule for rule in rules if not rule.warns]
    first = pl.coalesce(pl.when(rule.bad).then(pl.lit(at, pl.UInt16)) for at, rule in enumerate(graded)).alias("rule")
    words = pl.DataFrame(
        {"rule": range(len(graded)), "code": [r.code for r in graded], "field": [r.field for r in graded], "reason": [r.reason for r in graded]},
        schema_overrides={"rule": pl.UInt16},
    )
    return failed.select(ORDINAL, first).join(words, on="rule", how="left", maintain_order="left").select(list(REFUSED_SCHEMA))
