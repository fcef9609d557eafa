"""An HTTP address of the receiving agency, called with Standard Webhooks 1.0 signatures and a CloudEvents body."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import aiohttp
from pydantic import Field, SecretStr, field_validator

from connectors.formats.cloudevents import CONTENT_TYPE, to_event
from connectors.formats.destination import Destination, Resolve
from connectors.formats.http import RETRY, Pinned, translated, trusting
from connectors.formats.pace import wish
from hub.contracts.endpoint import Duration, EndpointConfig
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from hub.contracts.share import Parcel

_PREFIX = "whsec_"
_SHORTEST = 24  # bytes of a secret, as Standard Webhooks asks
_ANSWER = 64 * 1024  # bytes of an answer that are read; only their digest is kept
_GONE = 410


class WebhookConfig(EndpointConfig):
    """Where and how a receiver is called."""

    url: str = Field(description="Address that takes POST requests; https, or http where `allow` names its network.")
    secret: SecretStr = Field(description="Reference to the signing secret, such as `${env:COURT_HOOK}`: `whsec_…`, or plain text of at least 24 characters.")
    timeout: Duration = Field(timedelta(seconds=15), description="How long one call may take from name look-up to the end of the answer.")
    allow: Annotated[tuple[IPv4Network | IPv6Network, ...], Field(max_length=32)] = Field(
        (), description="Private or loopback networks (CIDR) that this address may lie in; without it only public addresses are called."
    )
    ca: Path | None = Field(None, description="PEM file of the authority that signed the receiver's certificate, where it is not a public one.")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None or parts.fragment:
            raise ValueError("write an address such as https://host/path, without user, password or #")
        return url


class WebhookOutlet:
    """Calls one address. A 2xx answer is success; redirects are not followed, and nothing of the environment (proxies, .netrc) is trusted."""

    def __init__(self, config: WebhookConfig, secret: str, *, clock: Callable[[], float] = time.time, resolve: Resolve | None = None) -> None:
        self._config = config
        self._key = signing_key(secret)
        self._clock = clock
        self._destination = Destination(config.url, config.allow, resolve)
        self._pinned = Pinned()
        self._session: aiohttp.ClientSession | None = None

    async def hand_over(self, parcel: Parcel) -> Mapping[str, Any]:
        """POST one event; evidence is the status, and size and sha256 of what was sent and answered."""
        body = to_event(parcel)
        async with translated(self._destination.name), asyncio.timeout(self._config.timeout.total_seconds()):
            self._pinned.addresses = await self._destination.addresses()
            async with self._opened().post(self._config.url, data=body, headers=self._headers(parcel, body), allow_redirects=False) as response:
                answer = await _read(response)
        self._judge(response)
        digests = {"sha256": hashlib.sha256(body).hexdigest(), "answer_sha256": hashlib.sha256(answer).hexdigest()}
        return {"status": response.status, "bytes": len(body), "answer_bytes": len(answer), **digests}

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=self._pinned, use_dns_cache=False, limit=4, ssl=trusting(self._config.ca))
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _headers(self, parcel: Parcel, body: bytes) -> dict[str, str]:
        stamp = int(self._clock())
        headers = {
            "content-type": CONTENT_TYPE,
            "accept-encoding": "identity",
            "user-agent": "credit-hub",
            "webhook-id": parcel.delivery_id,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature(self._key, parcel.delivery_id, stamp, body),
        }
        return headers | ({"traceparent": parcel.traceparent} if parcel.traceparent else {})

    def _judge(self, response: aiohttp.ClientResponse) -> None:
        """Turn the status into a decision."""
        status, name = response.status, self._destination.name
        if 200 <= status < 300:
            return
        if status == _GONE:
            raise Misconfigured(f"{name} answered 410: the receiver has said that it is gone", hint="ask the agency for its new address, or pause the share")
        if 300 <= status < 400:
            raise Misconfigured(
                f"{name} answered {status}: redirects are not followed", hint="write the address that it redirects to, once the agency has confirmed it"
            )
        if status in RETRY or status >= 500:
            raise Unavailable(
                f"{name} answered {status}",
                hint="tried again by the retry schedule",
                retry_after=wish(response.headers.get("Retry-After", ""), datetime.fromtimestamp(self._clock(), UTC)),
            )
        raise Rejected(f"{name} refused the delivery with status {status}", hint="settle it with the agency, then `run_hub.py replay`")

    async def close(self) -> None:
        """Close the connections and the resolver's thread."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        self._destination.close()


def signing_key(secret: str) -> bytes:
    """The key of a secret: base64 after `whsec_`, otherwise the text itself. Raises `Misconfigured` when it is too short or no base64."""
    try:
        key = base64.b64decode(secret[len(_PREFIX) :] + "==") if secret.startswith(_PREFIX) else secret.encode()
    except ValueError:
        key = b""
    if len(key) < _SHORTEST:
        raise Misconfigured("the webhook's secret is too short or damaged", hint="use at least 24 random bytes, such as whsec_$(openssl rand -base64 32)")
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body` (Standard Webhooks 1.0)."""
    signed = b".".join([message_id.encode(), str(timestamp).encode(), body])
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """At most 64 KiB of the answer."""
    parts, room = [], _ANSWER
    while room and (part := await response.content.read(room)):
        parts.append(part)
        room -= len(part)
    if not room:
        response.close()
    return b"".join(parts)
