"""Which heading of a file is which field of an item: by name, title or alias, or as a feed's `map:` says."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.contracts.batch import LINE, ORDINAL
from hub.contracts.errors import Rejected
from hub.contracts.headings import normalise_heading
from hub.contracts.item import Field, Item
from transforms.expression import Compiled

# Fields that agencies may leave out because the hub knows what they would say.
FILLED = frozenset(
    {"record_id", "item_code", "dept_code", "dept_name", "provide_date", "batch_no", "op_flag", "src_update_time", "usage_scope", "record_status"}
)
CONDITIONAL_GROUP = "C2"
MESSAGE = "标题行内容不正确，请使用标准模板"


@dataclass(frozen=True)
class Binding:
    """`plain`: field to the heading it is read from; `rules`: field to its rule, over the frame's own spelling; `ignored`: headings nobody wants."""

    plain: Mapping[str, str]
    rules: Mapping[str, Compiled]
    ignored: tuple[str, ...]

    @property
    def bound(self) -> frozenset[str]:
        """Fields that get a value from the file."""
        return frozenset(self.plain) | frozenset(self.rules)


def bind(columns: Sequence[str], item: Item, rules: Mapping[str, Compiled]) -> Binding:
    """Bind the headings of a file. A rule wins over a heading; an exact spelling wins over one that is only alike.

    Raises `Rejected` F006 where a heading that is required, or that a rule reads, is not there, or where two headings claim one field; the
    message names what is missing and the nearest headings that are there.
    """
    headings = [column for column in columns if column not in (ORDINAL, LINE)]
    spelt = {normalise_heading(heading): heading for heading in reversed(headings)}
    bound_rules = {name: _bound_rule(rule, headings, spelt) for name, rule in rules.items()}
    plain = _claimed(headings, [field for field in item.fields if field.name not in rules])
    _require(item, frozenset(plain) | frozenset(rules), headings)
    used = {*plain.values(), *(_found(column, headings, spelt) for rule in rules.values() for column in rule.columns)}
    return Binding(plain, bound_rules, tuple(heading for heading in headings if heading not in used))


def _found(name: str, headings: Sequence[str], spelt: Mapping[str, str]) -> str | None:
    return name if name in headings else spelt.get(normalise_heading(name))


def _bound_rule(rule: Compiled, headings: Sequence[str], spelt: Mapping[str, str]) -> Compiled:
    """The rule over the frame's own headings."""
    found = {name: _found(name, headings, spelt) for name in rule.columns}
    missing = [name for name, heading in found.items() if heading is None]
    if missing:
        raise _wrong([f"“{name}”（map 中引用）" for name in missing], missing, headings)
    names = {name: heading for name, heading in found.items() if heading and heading != name}
    return rule.renamed(names) if names else rule


def _spellings(field: Field) -> list[str]:
    """All spellings of a field, strongest first."""
    return [field.name, field.title, *field.aliases]


def _claimed(headings: Sequence[str], fields: Sequence[Field]) -> dict[str, str]:
    """Field to heading. Exact spellings are served first, so that a heading that is only alike cannot take their place."""
    taken: dict[str, str] = {}
    free = dict.fromkeys(headings)
    for field in fields:
        exact = next((spelling for spelling in _spellings(field) if spelling in free), None)
        if exact is not None:
            taken[field.name] = exact
            del free[exact]
    alike: dict[str, list[str]] = {}
    for heading in free:
        alike.setdefault(normalise_heading(heading), []).append(heading)
    for field in fields:
        if field.name in taken:
            continue
        keys = dict.fromkeys(normalise_heading(spelling) for spelling in _spellings(field))
        claims = [heading for key in keys for heading in alike.get(key, []) if heading in free]
        if len(claims) > 1:
            shown = "、".join(f"“{heading}”" for heading in claims)
            raise Rejected(f"{MESSAGE}：{shown}都表示“{field.title}”", code="F006", hint=f"keep one of these headings, or say which one in map: {field.name}")
        if claims:
            taken[field.name] = claims[0]
            del free[claims[0]]
    return taken


def _require(item: Item, bound: frozenset[str], headings: Sequence[str]) -> None:
    lacking = [field for field in item.fields if field.required and field.name not in bound and field.name not in FILLED]
    missing, wanted = [f"“{field.title}”" for field in lacking], [field.title for field in lacking]
    groups: dict[str, list[Field]] = {}
    for field in item.fields:
        if field.group and field.group != CONDITIONAL_GROUP:
            groups.setdefault(field.group, []).append(field)
    needed = [*groups.values(), *([item.by_name[name] for name in part] for part in item.natural_key)]
    for alternatives in needed:
        if not any(field.name in bound for field in alternatives):
            titles = "、".join(f"“{field.title}”" for field in alternatives)
            said = titles if len(alternatives) == 1 else f"{titles}（至少其一）"
            if said not in missing:
                missing.append(said)
                wanted += [field.title for field in alternatives]
    if missing:
        raise _wrong(missing, wanted, headings)


def _wrong(missing: Sequence[str], wanted: Sequence[str], headings: Sequence[str]) -> Rejected:
    near = dict.fromkeys(heading for name in wanted for heading in difflib.get_close_matches(name, headings, n=1, cutoff=0.4))
    shown = f"；最接近的标题：{'、'.join(f'“{heading[:50]}”' for heading in list(near)[:10])}" if near else ""
    hint = "use the standard template, or add the heading to the field's aliases or to map:"
    return Rejected(f"{MESSAGE}：缺少{'、'.join(missing[:20])}{shown}", code="F006", hint=hint)
