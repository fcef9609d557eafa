"""The webhook outlet against a real server: signatures, answers, and addresses that must not be called."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import polars as pl
import pytest
from aiohttp import web
from pydantic import ValidationError
from standardwebhooks import Webhook

from connectors.webhook import WebhookConfig, WebhookOutlet, signing_key
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable
from hub.contracts.share import Parcel
from tests.integration.receiver import SECRET, Receiver

RECORDS = pl.DataFrame({"record_id": ["a" * 32], "op": ["upsert"], "version": ["1"], "xdr_name": ["常熟某某有限公司"]})
PARCEL = Parcel("5" * 32, "A0030.s", "A0011", "A0030-F06-01", "行政处罚信息（法人）", 1, RECORDS, "grant 文1", datetime(2026, 11, 2, tzinfo=UTC))


@asynccontextmanager
async def outlet_to(receiver: Receiver, **changes: object) -> AsyncIterator[WebhookOutlet]:
    outlet = WebhookOutlet(receiver.config(**changes), SECRET)
    try:
        yield outlet
    finally:
        await outlet.close()


async def test_a_receiver_can_verify_the_signature_with_its_own_library() -> None:
    async with Receiver() as receiver, outlet_to(receiver) as outlet:
        evidence = await outlet.hand_over(PARCEL)

    (call,) = receiver.calls
    event = Webhook(SECRET).verify(call.body, call.headers)
    assert event["data"]["records"][0]["fields"] == {"xdr_name": "常熟某某有限公司"}
    assert call.headers["content-type"] == "application/cloudevents+json"
    assert (evidence["status"], evidence["bytes"]) == (200, len(call.body))
    assert json.loads(json.dumps(evidence)) == evidence


async def test_the_delivery_id_is_the_same_at_each_attempt_and_the_time_is_not() -> None:
    times = iter([1_700_000_000.0, 1_700_000_300.0])

    async with Receiver() as receiver:
        outlet = WebhookOutlet(receiver.config(), SECRET, clock=lambda: next(times))
        await outlet.hand_over(PARCEL)
        await outlet.hand_over(PARCEL)
        await outlet.close()

    first, second = receiver.calls
    assert first.delivery_id == second.delivery_id == PARCEL.delivery_id
    assert (first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]) == ("1700000000", "1700000300")
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize(
    ("status", "decision"),
    [
        (408, Unavailable),
        (425, Unavailable),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (400, Rejected),
        (403, Rejected),
        (413, Rejected),
        (410, Misconfigured),
        (307, Misconfigured),
    ],
)
async def test_an_answer_is_a_decision(status: int, decision: type[HubError]) -> None:
    async with Receiver(web.Response(status=status)) as receiver, outlet_to(receiver) as outlet:
        with pytest.raises(decision, match=str(status)):
            await outlet.hand_over(PARCEL)


async def test_a_redirect_is_not_followed() -> None:
    async with Receiver() as other, Receiver() as receiver, outlet_to(receiver) as outlet:
        receiver.answers.append(web.Response(status=302, headers={"Location": other.url}))
        with pytest.raises(Misconfigured, match="redirects are not followed"):
            await outlet.hand_over(PARCEL)

    assert (len(receiver.calls), other.calls) == (1, [])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), (format_datetime(datetime(2026, 11, 2, tzinfo=UTC) + timedelta(minutes=3), usegmt=True), 180.0), ("soon", None), ("", None), ("-5", None)],
)
async def test_the_receivers_wish_for_a_pause_is_passed_on(header: str, seconds: float | None) -> None:
    async with Receiver(web.Response(status=503, headers={"Retry-After": header})) as receiver:
        outlet = WebhookOutlet(receiver.config(), SECRET, clock=datetime(2026, 11, 2, tzinfo=UTC).timestamp)
        with pytest.raises(Unavailable) as caught:
            await outlet.hand_over(PARCEL)
        await outlet.close()

    assert caught.value.retry_after == seconds


async def test_a_huge_answer_is_not_read_to_its_end() -> None:
    async with Receiver(web.Response(body=b"x" * 5_000_000)) as receiver, outlet_to(receiver) as outlet:
        evidence = await outlet.hand_over(PARCEL)

    assert evidence["answer_bytes"] == 64 * 1024


async def test_a_silent_receiver_is_given_up_after_the_timeout() -> None:
    hung_up = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    receiver = Receiver()
    receiver.port = server.sockets[0].getsockname()[1]

    async with outlet_to(receiver, timeout="200ms") as outlet:
        with pytest.raises(Unavailable, match="in time"):
            await outlet.hand_over(PARCEL)

    await asyncio.wait_for(hung_up.wait(), 5)
    server.close()
    await server.wait_closed()


async def test_a_receiver_that_is_down_is_unavailable() -> None:
    async with Receiver() as receiver:
        config = receiver.config()
    outlet = WebhookOutlet(config, SECRET)

    with pytest.raises(Unavailable, match="could not be called"):
        await outlet.hand_over(PARCEL)

    await outlet.close()


async def test_nothing_private_is_called_unless_its_network_is_named() -> None:
    async with Receiver() as receiver, outlet_to(receiver, allow=[]) as outlet:
        with pytest.raises(Misconfigured, match="private or reserved"):
            await outlet.hand_over(PARCEL)

    assert receiver.calls == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "2130706433",
        "0x7f.0.0.1",
        "127.1",
        "0177.0.0.1",
    ],
)
async def test_no_spelling_of_a_private_address_gets_through(host: str) -> None:
    outlet = WebhookOutlet(WebhookConfig.model_validate({"url": f"https://{host}/hook", "secret": SECRET}), SECRET)

    with pytest.raises(Misconfigured):
        await outlet.hand_over(PARCEL)

    await outlet.close()


async def test_one_private_address_among_public_ones_spoils_the_name() -> None:
    config = WebhookConfig.model_validate({"url": "https://hook.example.org/", "secret": SECRET})
    outlet = WebhookOutlet(config, SECRET, resolve=lambda host, port: ["93.184.215.14", "127.0.0.1"])

    with pytest.raises(Misconfigured, match="private or reserved"):
        await outlet.hand_over(PARCEL)

    await outlet.close()


async def test_what_is_connected_to_is_what_was_checked() -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.99"]

    async with Receiver() as receiver:
        config = receiver.config(url=f"http://hook.example.org:{receiver.port}/hook")
        outlet = WebhookOutlet(config, SECRET, resolve=resolve)
        await outlet.hand_over(PARCEL)
        await outlet.close()

    assert (asked, receiver.calls[0].headers["host"]) == (["hook.example.org"], f"hook.example.org:{receiver.port}")


async def test_a_public_address_is_not_called_without_encryption() -> None:
    config = WebhookConfig.model_validate({"url": "http://hook.example.org/", "secret": SECRET})
    outlet = WebhookOutlet(config, SECRET, resolve=lambda host, port: ["93.184.215.14"])

    with pytest.raises(Misconfigured, match="without encryption"):
        await outlet.hand_over(PARCEL)

    await outlet.close()


async def test_a_name_that_cannot_be_looked_up_is_unavailable() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise OSError("no name server")

    outlet = WebhookOutlet(WebhookConfig.model_validate({"url": "https://hook.example.org/", "secret": SECRET}), SECRET, resolve=resolve)

    with pytest.raises(Unavailable, match="could not be looked up"):
        await outlet.hand_over(PARCEL)

    await outlet.close()


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")

    async with Receiver() as receiver, outlet_to(receiver) as outlet:
        evidence = await outlet.hand_over(PARCEL)

    assert evidence["status"] == 200


@pytest.mark.parametrize("url", ["ftp://host/x", "https://user:pw@host/x", "https:///x", "https://host/x#part", "host"])
def test_an_address_that_cannot_be_called_is_refused_when_it_is_read(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookConfig.model_validate({"url": url, "secret": SECRET})

    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("secret", ["", "short", "whsec_c2hvcnQ=", "whsec_é"])
def test_a_weak_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(Misconfigured, match="too short or damaged"):
        signing_key(secret)


def test_a_plain_secret_is_taken_as_it_is() -> None:
    assert signing_key("a plain secret of the court's") == b"a plain secret of the court's"


def test_the_settings_do_not_show_the_secret() -> None:
    config = Receiver().config()

    assert SECRET not in f"{config!r} {config.model_dump_json()}"
