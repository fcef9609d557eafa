"""Who may see what, said a second time: one record at a time, in plain Python, from the rules and not from the product's code.

The answer for a record is ("upsert", fields), ("withdraw", {}) or (reason, {}).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from hub.contracts.item import Field, Item
from hub.contracts.share import Share

STRICTNESS = {"open": 0, "basic": 1, "department": 2, "authorised": 3}
SCOPE = {"0": "open", "1": "basic", "2": "authorised"}
DOUBLE = ("欧阳", "司马", "诸葛")


def answer(item: Item, share: Share, record: Mapping[str, Any], today: date, revoked: set[str], known: set[str]) -> tuple[str, dict[str, Any]]:
    """What must happen to one record."""
    why = _why_not(item, share, record, today, revoked)
    if why is None:
        return "upsert", {name: _seen(item.by_name[name], item, share, record[name]) for name in share.fields if name in item.by_name}
    told = why in ("withdrawn", "public_until") and record["record_id"] in known
    return ("withdraw" if told else why), {}


def _why_not(item: Item, share: Share, record: Mapping[str, Any], today: date, revoked: set[str]) -> str | None:
    if record["status"] is None or record["usage_scope"] not in SCOPE:
        return "unreadable"
    if record["status"] != 0:
        return {1: "withdrawn", 2: "disputed"}.get(record["status"], "not_normal")
    if item.code not in share.items:
        return "no_grant"
    if share.name in revoked or (share.basis and share.basis.document in revoked):
        return "grant_revoked"
    strict = max(str(item.level), SCOPE[record["usage_scope"]], key=STRICTNESS.__getitem__)
    if strict == "authorised":
        return "no_consent"
    grant = _grant(share, today)
    if grant == "live":
        return None
    private = item.subject == "Z" and not item.public_persons
    if strict == "open" and not private:
        until = record["public_until"]
        return "public_until" if until is not None and until < today else None
    if strict == "basic" and share.to[0] in "AB":
        return None
    if grant != "no_grant":
        return grant
    if STRICTNESS[strict] > STRICTNESS[item.level]:
        return "level"
    return "person" if strict == "open" else "no_grant"


def _grant(share: Share, today: date) -> str:
    basis = share.basis
    if basis is None or "" in (basis.purpose, basis.document) or basis.until is None:
        return "no_grant"
    if basis.start and basis.start > today:
        return "grant_not_started"
    return "live" if basis.until >= today else "grant_expired"


def _seen(field: Field, item: Item, share: Share, value: Any) -> Any:
    """A value as the receiver sees it."""
    if value is None or share.masks.get(field.name) == "none":
        return value
    if share.masks.get(field.name) == "all":
        return "***"
    if field.name == "id_no":
        return value[:6] + "*" * 8 + value[-4:] if len(value) > 10 else "***"
    if field.name == "name" and item.subject == "Z":
        kept = 2 if value[:2] in DOUBLE and len(value) > 2 else 1
        return value[:kept] + "*" * max(len(value) - kept, 1)
    return value
