"""The data contract: an item of the catalogue (信息项), its fields, keys, level and store."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property


class Level(StrEnum):
    """Disclosure level of an item (公开级别), least strict first."""

    OPEN = "open"  # 政务公开
    BASIC = "basic"  # 基础共享
    DEPARTMENT = "department"  # 部门专享
    AUTHORISED = "authorised"  # 授权共享


LEVEL_ZH = {
    Level.OPEN: "政务公开",
    Level.BASIC: "基础共享",
    Level.DEPARTMENT: "部门专享",
    Level.AUTHORISED: "授权共享",
}


class Kind(StrEnum):
    """Type of a field. In frames: text is String, number Int64 or Decimal(18, scale), date Date, time Datetime("us")."""

    TEXT = "text"  # 型 C
    LONG = "long"  # 型 X
    NUMBER = "number"  # 型 N
    DATE = "date"  # 型 D
    TIME = "time"  # 型 T


class Identifier(StrEnum):
    """An identifier whose form can be checked."""

    USCC = "uscc"  # GB 32100-2015
    ORG_CODE = "org_code"  # GB 11714-1997
    REG_NO = "reg_no"  # GS 15-2006
    ID_NO = "id_no"  # GB 11643-1999


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an item.

    `name` is the catalogue's identifier and the column's name everywhere; `title` the Chinese heading of the standard template;
    `aliases` other headings that mean the same. `group` ("C1") names fields of which one must be present. `codes` maps code to label
    for a coded field; `multi` allows several codes in one cell. `personal` is "", "P" (personal) or "S" (sensitive).
    `unit` is "元" or "万元" for money. `sealed` fields hold ID numbers: at rest they are ciphertext beside `<name>_hash`.
    """

    name: str
    title: str
    kind: Kind = Kind.TEXT
    length: int | None = None
    scale: int = 0
    required: bool = False
    group: str = ""
    aliases: tuple[str, ...] = ()
    codes: dict[str, str] = field(default_factory=dict, hash=False, compare=False)
    code_list: str = ""
    multi: bool = False
    identifier: Identifier | None = None
    identifier_if: tuple[str, str] | None = None  # checked as identifier only where another field has this value
    roles: tuple[str, ...] = ()  # "subject.1", "subject.name", "key", "event_date", "watermark", "status", …
    personal: str = ""
    unit: str = ""

    @property
    def sealed(self) -> bool:
        """True where the value is an ID number of a person and must never be in clear at rest."""
        return self.identifier is Identifier.ID_NO or (self.personal == "S" and self.name.endswith(("id", "id_no")))


@dataclass(frozen=True)
class Item:
    """One kind of record in the catalogue.

    `natural_key` is a conjunction of alternatives: `(("doc_no",), ("uscc", "reg_no"))` reads doc_no + (uscc or, where empty, reg_no).
    `fields` are the item's own fields followed by the common ones (`record_status`, `usage_scope`, `src_update_time`, …) that agencies may send.
    """

    code: str  # "A0030-F06-01"
    name: str
    name_en: str
    agency: str
    subject: str  # F, Z, G, J
    level: Level
    store: str  # ent, psn, gov, fin
    natural_key: tuple[tuple[str, ...], ...]
    fields: tuple[Field, ...]
    kind: str = ""  # 处罚
    frequency: str = ""
    version: str = "v1"
    public_persons: bool = False  # natural persons may be public only where the item says so
    priority: dict[str, int] = field(default_factory=dict, hash=False, compare=False)  # feed -> priority, higher wins

    @property
    def table(self) -> str:
        """Name of the item's table in its store."""
        return self.code.lower().replace("-", "_")

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """Fields by identifier."""
        return {f.name: f for f in self.fields}

    def having(self, role: str) -> tuple[Field, ...]:
        """Fields that carry a role, in catalogue order."""
        return tuple(f for f in self.fields if role in f.roles)


# Columns that the hub adds to every item's table, in this order, before the item's own columns.
HUB_COLUMNS = (
    "record_id",
    "subject_id",
    "row_hash",
    "source_time",
    "arrival",
    "feed",
    "batch_id",
    "ordinal",
    "status",
    "first_seen",
    "updated_at",
)
