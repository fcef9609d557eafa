"""Items of the catalogue and code lists, from their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from config.models import CodesFile, CommonFile, FieldPart, ItemFile
from config.problems import nearest
from config.syntax import Document
from config.validation import check
from config.values import natural_key
from hub.contracts.denied import HINT, RULE, denied_among
from hub.contracts.headings import normalise_heading
from hub.contracts.item import HUB_COLUMNS, Field, Identifier, Item, Kind, Level

STORE_OF: Final = {"F": "ent", "Z": "psn", "G": "gov", "J": "fin"}
Codes = Mapping[str, Mapping[str, str]]


def read_codes(documents: Sequence[Document]) -> dict[str, dict[str, str]]:
    """Code lists by name: code to label."""
    lists: dict[str, dict[str, str]] = {}
    for document in documents:
        if document.root is None:
            continue
        part = check(document, document.root, CodesFile, "")
        if part is None:
            lists.setdefault(document.root.at("codes").text, {})  # it is there, if not in order: nobody else is to blame
        elif part.codes in lists:
            document.report(document.root.at("codes"), "codes", "duplicate-name", f"the code list {part.codes} is in another file too", "rename one")
        else:
            lists[part.codes] = dict(part.entries)
    return lists


def read_common(document: Document | None, codes: Codes) -> tuple[Field, ...]:
    """The fields that every item may carry besides its own."""
    if document is None or document.root is None or (part := check(document, document.root, CommonFile, "")) is None:
        return ()
    fields = tuple(_field(document, number, field, codes) for number, field in enumerate(part.fields))
    _report_denied(document, fields)
    return fields


def read_items(documents: Sequence[Document], common: tuple[Field, ...], codes: Codes) -> tuple[dict[str, Item], frozenset[str]]:
    """Items by code, and the codes of those whose file is not in order: what refers to them may look wrong without being so."""
    items: dict[str, Item] = {}
    doubtful: set[str] = set()
    for document in documents:
        part = check(document, document.root, ItemFile, "") if document.root else None
        if document.root is None or part is None:
            doubtful.add(document.root.at("item").text if document.root else document.file.removeprefix("catalogue/").removesuffix(".yaml"))
            continue
        if part.item in items:
            document.report(document.root.at("item"), "item", "duplicate-name", f"the item {part.item} is in another file too", "keep one of the two")
            continue
        items[part.item] = _item(document, part, common, codes)
        if document.problems:
            doubtful.add(part.item)
    return items, frozenset(doubtful)


def _item(document: Document, part: ItemFile, common: tuple[Field, ...], codes: Codes) -> Item:
    fields = tuple(_field(document, number, field, codes) for number, field in enumerate(part.fields))
    _report_clashes(document, fields)
    _report_denied(document, fields)
    _report_conditions(document, part, fields)
    own = {field.name for field in fields}
    return Item(
        code=part.item,
        name=part.name,
        name_en=part.name_en,
        agency=part.agency or part.item[:5],
        subject=part.item[6],
        level=Level(part.level),
        store=part.store or STORE_OF[part.item[6]],
        natural_key=_key(document, part, own),
        fields=fields + tuple(field for field in common if field.name not in own),
        kind=part.kind,
        frequency=part.frequency,
        version=part.version,
        public_persons=part.public_persons,
        priority=part.priority,
    )


def _field(document: Document, number: int, part: FieldPart, codes: Codes) -> Field:
    kind = Kind(part.type)
    found, name = _codes(document, number, part, codes)
    condition = next(iter(part.when.items())) if part.when else None
    return Field(
        name=part.name,
        title=part.title,
        kind=kind,
        length=part.length,
        scale=part.scale,
        required=part.need == "M",
        group=part.need if part.need and part.need != "M" else "",
        aliases=part.alias,
        codes=found,
        code_list=name,
        multi=part.multi,
        identifier=Identifier(part.check) if part.check else None,
        identifier_if=condition,
        roles=part.role,
        personal=part.pii or "",
        unit=part.unit or "",
    )


def _codes(document: Document, number: int, part: FieldPart, codes: Codes) -> tuple[dict[str, str], str]:
    if part.codes is None:
        return {}, ""
    if isinstance(part.codes, list):
        return {code: code for code in part.codes}, ""
    if isinstance(part.codes, dict):
        return dict(part.codes), ""
    if part.codes not in codes and document.root is not None:
        place = document.root.at("fields", number, "codes")
        path = f"fields.{number}.codes"
        document.report(place, path, "unknown-code-list", f"there is no code list {part.codes}", nearest(part.codes, codes, noun="code lists"))
    return dict(codes.get(part.codes, {})), part.codes


def _key(document: Document, part: ItemFile, own: set[str]) -> tuple[tuple[str, ...], ...]:
    assert document.root is not None
    place = document.root.at("key")
    try:
        key = natural_key(part.key)
    except ValueError as error:
        document.report(place, "key", "bad-value", f"key: {error}")
        return ()
    for name in (name for alternatives in key for name in alternatives if name not in own):
        spot = document.spot(place, max(0, part.key.find(name)))
        document.report(spot, "key", "unknown-field", f"the item has no field {name}", nearest(name, own, noun="fields"))
    return key


def _report_clashes(document: Document, fields: tuple[Field, ...]) -> None:
    """A heading must mean one field only, and no field may be named like a column of the hub."""
    assert document.root is not None
    meant: dict[str, str] = {}
    for number, field in enumerate(fields):
        place, path = document.root.at("fields", number), f"fields.{number}"
        if field.name in HUB_COLUMNS:
            document.report(place.at("name"), f"{path}.name", "duplicate-name", f"{field.name} is a column that the hub adds itself", "choose another name")
        for heading in dict.fromkeys((field.name, field.title, *field.aliases)):
            key = normalise_heading(heading)
            if meant.setdefault(key, field.name) != field.name:
                document.report(place, path, "duplicate-name", f"{heading} means {meant[key]} already", "a heading can mean one field only")
        if field.name in [other.name for other in fields[:number]]:
            document.report(place.at("name"), f"{path}.name", "duplicate-name", f"the field {field.name} is there twice", "keep one of the two")


def _report_denied(document: Document, fields: tuple[Field, ...]) -> None:
    """No item may have a field that must not be collected, whatever it is called."""
    assert document.root is not None
    for number, field in enumerate(fields):
        claimed = frozenset(map(normalise_heading, field.aliases))
        for heading in denied_among((field.name, field.title, *field.aliases), claimed)[:1]:
            place = document.root.at("fields", number)
            document.report(place, f"fields.{number}", "denied-field", f"{heading} may not be collected ({RULE})", HINT)


def _report_conditions(document: Document, part: ItemFile, fields: tuple[Field, ...]) -> None:
    assert document.root is not None
    names = {field.name for field in fields}
    for number, field in enumerate(fields):
        if field.identifier_if and field.identifier_if[0] not in names:
            place = document.root.at("fields", number, "when")
            name = field.identifier_if[0]
            document.report(place, f"fields.{number}.when", "unknown-field", f"the item has no field {name}", nearest(name, names, noun="fields"))
