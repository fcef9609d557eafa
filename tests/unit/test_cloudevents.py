"""Parcels as CloudEvents, read back with the cloudevents package."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from connectors.formats.cloudevents import CONTENT_TYPE, to_event
from hub.contracts.share import Parcel

RECORDS = pl.DataFrame(
    {
        "record_id": ["a" * 32, "b" * 32],
        "op": ["upsert", "withdraw"],
        "version": ["0000000001.0000000000.ab", None],
        "xdr_name": ['常熟"某"公司\n二厂', None],
        "fine_wan": [Decimal("1.500000"), None],
        "days": [3, None],
        "decision_date": [date(2026, 11, 1), None],
        "seen": [datetime(2026, 11, 1, 8, 30), None],
    }
)
PARCEL = Parcel(
    "0" * 32, "A0030.处罚 to court", "A0011", "A0030-F06-01", "行政处罚信息（法人）", 7, RECORDS, "grant 文1", datetime(2026, 11, 2, 1, 2, 3, tzinfo=UTC)
)


def read(parcel: Parcel) -> Any:
    return from_http_event(HTTPMessage(headers={"content-type": CONTENT_TYPE}, body=to_event(parcel)))


def test_another_implementation_reads_the_event() -> None:
    event = read(PARCEL)

    assert (event.get_id(), event.get_subject(), event.get_specversion()) == ("0" * 32, "A0030-F06-01", "1.0")
    assert event.get_source() == "/credit-hub/shares/A0030.%E5%A4%84%E7%BD%9A%20to%20court"
    assert event.get_time() == datetime(2026, 11, 2, 1, 2, 3, tzinfo=UTC)
    assert event.get_extension("sequence") == "7"


def test_records_keep_their_order_values_and_digits() -> None:
    first = read(PARCEL).get_data()["records"][0]

    assert (first["record_id"], first["op"], first["version"]) == ("a" * 32, "upsert", "0000000001.0000000000.ab")
    assert first["fields"] == {
        "xdr_name": '常熟"某"公司\n二厂',
        "fine_wan": "1.500000",
        "days": 3,
        "decision_date": "2026-11-01",
        "seen": "2026-11-01T08:30:00+08:00",
    }


def test_a_withdrawal_carries_no_fields() -> None:
    assert read(PARCEL).get_data()["records"][1] == {"record_id": "b" * 32, "op": "withdraw", "version": None}


def test_the_same_parcel_makes_the_same_bytes() -> None:
    assert to_event(PARCEL) == to_event(replace(PARCEL, records=RECORDS.clone()))


def test_a_parcel_without_fields_or_with_a_trace_is_still_an_event() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    event = json.loads(to_event(replace(PARCEL, records=RECORDS.select("record_id", "op", "version"), traceparent=trace)))

    assert event["traceparent"] == trace
    assert event["data"]["count"] == 2
    assert "fields" not in event["data"]["records"][0]
