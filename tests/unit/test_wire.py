"""Batches on the wire: what is taken from a queue is what was put there, and nothing else is believed."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from hub.contracts.batch import ORDINAL, Batch, Header, Origin
from hub.contracts.errors import Rejected
from hub.landing import Landing
from hub.wire import LIMIT, decode, encode
from tests.unit.sample_items import KEYS, NOW, PENALTY, batch_of, good
from transforms.intake import FeedPlan, prepare


def header(rows: int, *, same_as: str = "") -> Header:
    return Header("0" * 32, "A0030.penalty", PENALTY.code, 1, 0, rows, "v1", Origin("0" * 64, "a.csv", 0, 9, 2), same_as=same_as)


@pytest.fixture
def claims(tmp_path: Path) -> Landing:
    return Landing(tmp_path, KEYS)


def test_rows_come_back_in_order_and_in_their_types(claims):
    passed = prepare(batch_of([good(), good(doc_no="常环罚〔2024〕2号", facts="")]), FeedPlan(PENALTY, KEYS), now=NOW).passed

    message = encode(passed, KEYS, claims)
    again = decode(message, KEYS, claims)

    assert again.header == passed.header
    assert again.frame.height == 2
    assert again.frame.schema == passed.frame.schema
    assert again.frame.equals(passed.frame)


def test_a_batch_that_is_too_large_for_a_message_travels_beside_it(claims):
    noise = random.Random(1)
    frame = pl.DataFrame({"facts": [noise.randbytes(1000).hex() for _ in range(6000)]})
    large = Batch(header(frame.height), frame)

    message = encode(large, KEYS, claims)

    assert len(message.body) < LIMIT
    assert decode(message, KEYS, claims).frame.equals(frame)


def test_a_batch_that_came_before_travels_without_its_rows(claims):
    known = Batch(header(3, same_as="1" * 32), pl.DataFrame({ORDINAL: [0, 1, 2]}))

    message = encode(known, KEYS, claims)

    assert message.body == b""
    assert len(decode(message, KEYS, claims)) == 3


@pytest.mark.parametrize("alter", [lambda body: body[:-1] + bytes([body[-1] ^ 1]), lambda body: body[: len(body) // 2]])
def test_an_altered_message_is_rejected(claims, alter):
    message = encode(Batch(header(1), pl.DataFrame({"facts": ["x"]})), KEYS, claims)

    with pytest.raises(Rejected):
        decode(replace(message, body=alter(message.body)), KEYS, claims)


def test_a_message_of_another_hub_is_no_message_of_ours(claims):
    stranger = replace(KEYS, seals={"k1": bytes(31) + b"x"})

    message = encode(Batch(header(1), pl.DataFrame({"facts": ["x"]})), stranger, claims)

    with pytest.raises(Rejected):
        decode(message, KEYS, claims)
