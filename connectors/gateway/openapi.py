"""The OpenAPI 3.1 document of what one caller may do, made from its items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.gateway.receipts import LARGEST_PAGE, PAGE
from connectors.gateway.submissions import KEY_PATTERN, LONGEST_REASON, PERIOD_PATTERN, SUFFIXES
from hub.contracts.gateway import Offer
from hub.contracts.item import Field, Item, Kind

Json = dict[str, Any]
_REASONS = {
    "400": "The request is malformed.", "401": "Nobody we know, or a signature that does not hold.", "403": "This agency may not call.",
    "404": "There is no such thing, or it is not yours.", "408": "The body did not come in time.", "409": "A request with this key is being answered.",
    "413": "The body is too large.", "415": "The media type or encoding is not taken.", "422": "The key was used for another body.",
    "429": "Too many requests; wait as Retry-After says.", "503": "Not now; wait as Retry-After says.", "507": "There is no room; wait as Retry-After says.",
}  # fmt: skip
_TYPES = {Kind.TEXT: "string", Kind.LONG: "string", Kind.NUMBER: "number", Kind.DATE: "string", Kind.TIME: "string"}


def document(offers: Sequence[Offer]) -> Json:
    """The document for a caller that may submit these items."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "信枢 Credit Hub: submitting credit records", "version": "1", "description": _ABOUT},
        "security": [{"key": []}],
        "paths": _paths([offer.item for offer in offers]),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key: chk_<id>_<secret>."}},
            "schemas": {"Problem": _PROBLEM, "Receipt": _RECEIPT} | {offer.item.code: _row(offer.item) for offer in offers},
        },
    }


_ABOUT = """Every refusal is a problem document (RFC 9457) with `errors[]`. A submission is answered 202 as soon as it is safe; its receipt says what became of it.
An `Idempotency-Key` answers with its first receipt for 8 days."""

_ENTRY = {"type": "object", "required": ["code", "detail"], "properties": {name: {"type": "string"} for name in ("code", "detail", "place", "hint")}}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "errors"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
        "errors": {"type": "array", "minItems": 1, "items": _ENTRY}, "request_id": {"type": "string"},
    },
}  # fmt: skip
_RECEIPT = {
    "type": "object",
    "required": ["receipt", "item", "state", "settled", "counts", "errors"],
    "properties": {
        "receipt": {"type": "string"}, "item": {"type": "string"}, "name": {"type": "string"}, "at": {"type": "string"},
        "state": {"enum": ["running", "loading", "held", "succeeded", "failed"]}, "settled": {"type": "boolean"}, "duplicate": {"type": "boolean"},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        **{name: {"type": "integer"} for name in ("totalSize", "successSize", "failSize", "errorSize")},
        "errors": {"type": "array", "items": {"type": "object", "required": ["row", "code", "reason"], "properties": {"row": {"type": "integer"}}}},
        "code": {"type": "string"}, "reason": {"type": "string"}, "next": {"type": "string"},
    },
}  # fmt: skip


def _row(item: Item) -> Json:
    """One record of an item, under its identifiers; the standard headings are understood as well."""
    needed = [field.name for field in item.fields if field.required]
    return {"type": "object", "title": item.name, "properties": {f.name: _field(f) for f in item.fields}, "required": needed}


def _field(field: Field) -> Json:
    found: Json = {"type": [_TYPES[field.kind], "string", "null"] if field.kind is Kind.NUMBER else [_TYPES[field.kind], "null"], "title": field.title}
    if field.length and field.kind in (Kind.TEXT, Kind.LONG):
        found["maxLength"] = field.length
    return found


def _paths(items: Sequence[Item]) -> Json:
    paths: Json = {"/v1/items": {"get": _operation("items", "What you may submit.", {"200": _json("Your items.", {"type": "object"})}, ())}}
    if items:
        word = {"name": "item", "in": "path", "required": True, "schema": {"enum": [item.code for item in items]}}
        paths["/v1/items/{item}/batches"] = {"parameters": [word], "post": _batch()}
        paths["/v1/items/{item}/nil"] = {"parameters": [word], "post": _nil()}
    receipt = {"name": "receipt", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}
    paths["/v1/receipts/{receipt}"] = {"parameters": [receipt], "get": _show()}
    for ending, media in (("csv", "text/csv"), ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")):
        answers = {"200": {"description": "Rows set aside, in your own columns, with the reason.", "content": {media: {}}}}
        paths[f"/v1/receipts/{{receipt}}/errors.{ending}"] = {
            "parameters": [receipt],
            "get": _operation(f"errors_{ending}", "Rows to correct.", answers, ("404",)),
        }
    return paths


def _operation(name: str, summary: str, answers: Json, refusals: Sequence[str], **more: Any) -> Json:
    refused = {status: _problem(_REASONS[status]) for status in sorted({*refusals, "400", "401", "403", "429", "503"})}
    return {"operationId": name, "summary": summary, "responses": answers | refused, **more}


def _batch() -> Json:
    key = {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string", "pattern": f"^({KEY_PATTERN})$"}}
    content: Json = {media: {"schema": {}} for media in SUFFIXES}
    location = {"Location": {"schema": {"type": "string"}, "description": "The receipt."}}
    taken = _json("Safe, and numbered; ask for the receipt.", {"type": "object", "required": ["receipt", "href"]}) | {"headers": location}
    refusals = ("404", "408", "409", "413", "415", "422", "507")
    summary = "Submit records: an array of objects, JSON Lines, CSV or a workbook. Rows are checked afterwards; see the schema named like the item."
    return _operation("submit", summary, {"202": taken}, refusals, parameters=[key], requestBody={"required": True, "content": content})


def _nil() -> Json:
    properties = {"period": {"type": "string", "pattern": f"^{PERIOD_PATTERN}$"}, "because": {"type": "string", "maxLength": LONGEST_REASON}}
    schema = {"type": "object", "required": ["period"], "additionalProperties": False, "properties": properties}
    kept = {"type": "object", "required": ["item", "period", "state"]}
    answers = {"201": _json("Kept.", kept), "200": _json("It was kept before.", kept)}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return _operation("nil", "Nothing to report for a period (无数据上报).", answers, ("404", "408", "413", "415"), requestBody=body)


def _show() -> Json:
    after = {"name": "after", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": (1 << 53) - 1, "default": 0}}
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": LARGEST_PAGE, "default": PAGE}}
    found = _json("How it stands.", {"$ref": "#/components/schemas/Receipt"})
    answers = {"200": found, "304": {"description": "As you know it (If-None-Match)."}}
    return _operation("receipt", "How a submission stands, and its errors by row.", answers, ("404",), parameters=[after, limit])


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> Json:
    return {"description": description, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
