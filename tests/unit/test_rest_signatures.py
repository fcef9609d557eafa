"""Signatures against vectors that the platforms' own documents give."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import SecretStr, ValidationError

from connectors.formats.http import Client, HttpSettings
from connectors.formats.pace import Surroundings
from connectors.rest.auth import GjgxjhptAuth, HmacSm3Auth, Md5Auth, Request, make_auth
from connectors.rest.settings import Gjgxjhpt, HmacSm3, Md5, RestConfig
from connectors.rest.signatures import basic, hmac_sha256, hmac_sm3, opened, sm3
from hub.contracts.errors import Misconfigured

AT = datetime.fromtimestamp(1_700_000_000, UTC)
KEY = "0123456789abcdef"


def at() -> datetime:
    return AT


def test_the_national_platforms_vector() -> None:
    assert hmac_sha256("demo-app-secret", "SID001" + "RID001" + "1700000000000") == "hu9zmUqTx7CV5dMeBwome/74Sb7gdGD3qINzgJUygak="


def test_sm3_vectors() -> None:
    assert sm3(b"abc") == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert hmac_sm3("secret-key", "CSCREDIT1700000000000") == "5aa530dcb8448fb9a7caece9fc59e50cbf97428a612070d616fffc281c012277"


async def test_a_national_request_carries_the_four_values() -> None:
    client = Client(HttpSettings(url="https://example.com"), world=Surroundings(now=at))
    auth = GjgxjhptAuth(Gjgxjhpt(rid="RID001", sid="SID001", secret=SecretStr("demo-app-secret")), client)

    signed = await auth.sign(Request())
    await client.close()

    assert signed.headers == {
        "gjgxjhpt_rid": "RID001",
        "gjgxjhpt_sid": "SID001",
        "gjgxjhpt_rtime": "1700000000000",
        "gjgxjhpt_sign": "hu9zmUqTx7CV5dMeBwome/74Sb7gdGD3qINzgJUygak=",
    }


@pytest.mark.parametrize(
    ("pattern", "stamp", "sign"),
    [
        ("ms", "1700000000000", "9adf0821a63d60e2863e0cafd2c59d01"),
        ("%Y%m%d%H%M%S", "20231115061320", hashlib.md5(b"APPKEY001SECRET00120231115061320").hexdigest()),
    ],
)
async def test_the_department_dialect_signs_with_md5(pattern: str, stamp: str, sign: str) -> None:
    auth = Md5Auth(Md5(app_key=SecretStr("APPKEY001"), secret=SecretStr("SECRET001"), time_format=pattern), at)

    signed = await auth.sign(Request(params={"uniscId": "x"}))

    assert signed.params == {"uniscId": "x", "appKey": "APPKEY001", "sign": sign, "requestTime": stamp}


async def test_hmac_sm3_signs_what_the_settings_name() -> None:
    settings = HmacSm3(app_key=SecretStr("CSCREDIT"), secret=SecretStr("secret-key"), signed="{app_key}{timestamp}")
    auth = HmacSm3Auth(settings, at, lambda: "n1")

    signed = await auth.sign(Request())

    expected = "5aa530dcb8448fb9a7caece9fc59e50cbf97428a612070d616fffc281c012277"
    assert signed.headers == {"X-App-Key": "CSCREDIT", "X-Timestamp": "1700000000000", "X-Nonce": "n1", "X-Sign": expected}


async def test_a_signature_can_cover_method_path_query_and_body() -> None:
    signed_by = "{method}|{path}|{query}|{body}|{nonce}"
    auth = HmacSm3Auth(HmacSm3(app_key=SecretStr("A"), secret=SecretStr("S"), signed=signed_by), at, lambda: "n1")

    signed = await auth.sign(Request("POST", "/v1/list", {"b": "2", "a": "中"}, {}, b"{}"))

    assert signed.headers["X-Sign"] == hmac_sm3("S", f"POST|/v1/list|a=%E4%B8%AD&b=2|{sm3(b'{}')}|n1")


def test_a_sealed_secret_opens_with_its_key_only() -> None:
    plain = b"licence-centre" + bytes([2]) * 2
    cipher = Cipher(algorithms.AES(KEY.encode()), modes.ECB()).encryptor()
    sealed = base64.b64encode(cipher.update(plain) + cipher.finalize()).decode()

    assert opened(sealed, KEY) == "licence-centre"
    for wrong in (KEY[::-1], "short"):
        with pytest.raises(Misconfigured, match="app key"):
            opened(sealed, wrong)


def test_basic_is_utf_8() -> None:
    assert basic("常熟", "口令") == "Basic " + base64.b64encode("常熟:口令".encode()).decode()


@pytest.mark.parametrize(
    "ways",
    [
        {"bearer": {"token": "t"}, "basic": {"user": "u", "password": "p"}},
        {"hmac": {"rid": "r", "sid": "s"}},
        {"hmac": {"rid": "r", "sid": "s", "secret": "x", "app_key": "y", "secret_path": "/s"}},
        {"md5": {"app_key": "a", "secret": "b", "more": "c"}},
    ],
)
def test_two_ways_half_a_way_and_unknown_keys_are_refused(ways: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RestConfig.model_validate({"url": "https://example.com"} | ways)


async def test_without_a_way_nothing_is_added() -> None:
    config = RestConfig(url="https://example.com")
    client = Client(config)

    signed = await make_auth(config, client).sign(Request())
    await client.close()

    assert (signed.params, signed.headers) == ({}, {})
