"""How we say who we are: one class for each way, and what is kept of tokens."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode

from connectors.formats.http import Client, HttpSettings
from connectors.formats.strict_json import parse
from connectors.rest.json_path import found_at
from connectors.rest.settings import ApiKey, Basic, Bearer, Gateway, Gjgxjhpt, HmacSm3, Md5, OAuth2, RestConfig
from connectors.rest.signatures import basic, hmac_sha256, hmac_sm3, opened, shown, sm3
from connectors.rest.times import written
from hub.contracts.errors import Misconfigured, Rejected

_EARLY = 60.0  # seconds before its end that a token is fetched again
_ANSWER = 64 << 10
Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Request:
    """What is about to be asked, for signing."""

    method: str = "GET"
    path: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def with_headers(self, **more: str) -> Request:
        """The same with further headers; `_` in a name stands for `-`."""
        return replace(self, headers={**self.headers, **{name.replace("_", "-"): value for name, value in more.items()}})

    def placed(self, where: str, values: Mapping[str, str]) -> Request:
        """The same with values in headers or parameters."""
        if where == "header":
            return replace(self, headers={**self.headers, **values})
        return replace(self, params={**self.params, **values})


class Auth(Protocol):
    """Signs requests. Raises the three errors. `version` counts the tokens that were fetched, 0 where there are none."""

    version: int

    async def sign(self, request: Request) -> Request:
        """The request with what shows who we are; called anew for each try."""

    def forget(self, version: int) -> bool:
        """The token of this version is no good any more; whether there is such a thing as a fresh one."""

    async def close(self) -> None:
        """Release what is held open."""


class Fixed:
    """The same headers or parameters each time: Basic, Bearer, API keys, or nothing at all."""

    version = 0

    def __init__(self, where: str = "header", values: Mapping[str, str] | None = None) -> None:
        self._where = where
        self._values = values or {}

    async def sign(self, request: Request) -> Request:
        """Add them."""
        return request.placed(self._where, self._values)

    def forget(self, version: int) -> bool:
        """There is no fresh one."""
        return False

    async def close(self) -> None:
        """Nothing is held open."""


class Md5Auth(Fixed):
    """`sign = lower(MD5(appKey + secret + requestTime))`, as the Zhejiang 法人库 asks."""

    def __init__(self, settings: Md5, now: Now) -> None:
        super().__init__()
        self._settings = settings
        self._now = now

    async def sign(self, request: Request) -> Request:
        """Add appKey, sign and requestTime to the parameters."""
        app, secret = shown(self._settings.app_key), shown(self._settings.secret)
        stamp = written(self._now(), self._settings.time_format)
        sign = hashlib.md5((app + secret + stamp).encode(), usedforsecurity=False).hexdigest()
        return request.placed("query", {self._settings.app_name: app, "sign": sign, "requestTime": stamp})


class HmacSm3Auth(Fixed):
    """`X-Sign = hex(HMAC-SM3(secret, what the settings say))` (GB/T 32905)."""

    def __init__(self, settings: HmacSm3, now: Now, nonce: Callable[[], str]) -> None:
        super().__init__()
        self._settings = settings
        self._now = now
        self._nonce = nonce

    async def sign(self, request: Request) -> Request:
        """Add the four headers."""
        stamp, nonce, app = written(self._now(), "ms"), self._nonce(), shown(self._settings.app_key)
        parts = {"app_key": app, "timestamp": stamp, "nonce": nonce, "method": request.method, "path": request.path}
        parts |= {"query": urlencode(sorted(request.params.items())), "body": sm3(request.body)}
        text = self._settings.signed
        for name in ("app_key", "timestamp", "nonce", "method", "path", "query", "body"):
            text = text.replace("{" + name + "}", parts[name])
        return request.with_headers(X_App_Key=app, X_Timestamp=stamp, X_Nonce=nonce, X_Sign=hmac_sm3(shown(self._settings.secret), text))


@dataclass(frozen=True, slots=True)
class Kept:
    """A token or secret, the time (ms) it was made with, and until when it is used."""

    value: str
    stamp: str
    until: datetime


class Fetched:
    """What all ways with a token share: it is fetched once, however many requests wait for it, and kept until it ends."""

    def __init__(self, client: Client) -> None:
        self.version = 0
        self._client = client
        self._now = client.world.now
        self._kept: Kept | None = None
        self._lock = asyncio.Lock()

    async def kept(self) -> Kept:
        """The token, fetched when there is none or it has ended."""
        async with self._lock:
            if self._kept is None or self._now() >= self._kept.until:
                self._kept = await self._fetch()
                self.version += 1
            return self._kept

    async def _fetch(self) -> Kept:
        raise NotImplementedError

    def forget(self, version: int) -> bool:
        """Fetch it anew the next time, unless another request has done so already."""
        if version == self.version:
            self._kept = None
        return version > 0

    async def close(self) -> None:
        """The client belongs to the caller."""

    async def _asked(self, path: str, headers: Mapping[str, str], data: bytes, what: str) -> Any:
        answer = await self._client.ask("POST", path, headers=headers, data=data, most_bytes=_ANSWER, again=True)
        try:
            return parse(answer.body, called=what)
        except Rejected as error:
            raise Misconfigured(f"{self._client.name} gave no token: {error.message}", hint="check the path and the credentials") from error

    def _text(self, found: Any, path: str) -> str:
        value = found_at(found, path)
        if not isinstance(value, str) or not value:
            raise Misconfigured(f"{self._client.name} gave no token at `{path}`", hint="check the credentials, and where the token is in the answer")
        return value


class OAuth2Auth(Fetched):
    """A bearer token from a token address (RFC 6749, 4.4), asked with HTTP Basic."""

    def __init__(self, settings: OAuth2, client: Client) -> None:
        super().__init__(client)
        self._settings = settings

    async def sign(self, request: Request) -> Request:
        """Add the bearer token."""
        return request.with_headers(Authorization=f"Bearer {(await self.kept()).value}")

    async def _fetch(self) -> Kept:
        form = {"grant_type": "client_credentials"} | ({"scope": self._settings.scope} if self._settings.scope else {})
        headers = {"content-type": "application/x-www-form-urlencoded", "authorization": basic(self._settings.client_id, shown(self._settings.client_secret))}
        found = await self._asked("", headers, urlencode(form).encode(), "the token's answer")
        token, life = self._text(found, "access_token"), seconds(found_at(found, "expires_in"))
        return Kept(token, "", self._now() + timedelta(seconds=max(life - _EARLY, life / 2)))

    async def close(self) -> None:
        """The client of the token address is ours."""
        await self._client.close()


class GjgxjhptAuth(Fetched):
    """The national sharing platform: each call is signed with a secret that may itself be fetched with the app key."""

    def __init__(self, settings: Gjgxjhpt, client: Client) -> None:
        super().__init__(client)
        self._settings = settings

    async def sign(self, request: Request) -> Request:
        """Add the four values."""
        secret = shown(self._settings.secret) if self._settings.secret else (await self.kept()).value
        return request.placed(self._settings.place, self._signed(secret))

    def _signed(self, key: str) -> dict[str, str]:
        stamp = written(self._now(), "ms")
        sign = hmac_sha256(key, self._settings.sid + self._settings.rid + stamp)
        return {"gjgxjhpt_rid": self._settings.rid, "gjgxjhpt_sid": self._settings.sid, "gjgxjhpt_rtime": stamp, "gjgxjhpt_sign": sign}

    async def _fetch(self) -> Kept:
        app_key = shown(self._settings.app_key)
        values = self._signed(app_key)
        headers = {"content-type": "application/x-www-form-urlencoded"} | (values if self._settings.place == "header" else {})
        found = await self._asked(self._settings.secret_path, headers, urlencode(values).encode(), "the secret's answer")
        ends = found_at(found, "data.secretEndTime")
        until = datetime.fromtimestamp(int(ends) / 1000, self._now().tzinfo) if isinstance(ends, str) and ends.isdigit() and len(ends) < 15 else None
        limit = self._now() + timedelta(days=1)
        return Kept(opened(self._text(found, "data.secret"), app_key), "", min(until, limit) - timedelta(seconds=_EARLY) if until else self._now())


class GatewayAuth(Fetched):
    """The provincial gateways: calls are signed with the token's secret over the very time that the token was made with."""

    def __init__(self, settings: Gateway, client: Client) -> None:
        super().__init__(client)
        self._settings = settings

    async def sign(self, request: Request) -> Request:
        """Add application, time and signature."""
        kept = await self.kept()
        return request.placed("header", self._signed(kept.value, kept.stamp))

    def _signed(self, key: str, stamp: str) -> dict[str, str]:
        app = self._settings.app_id
        return {"gateway_appid": app, "gateway_rtime": stamp, "gateway_sig": hmac_sha256(key, app + stamp)}

    async def _fetch(self) -> Kept:
        app_key, stamp = shown(self._settings.app_key), written(self._now(), "ms")
        found = await self._asked(self._settings.token_path, self._signed(app_key, stamp), b"", "the token's answer")
        token = self._text(found, self._settings.token_at)
        return Kept(opened(token, app_key), stamp, self._now() + self._settings.life)


def make_auth(config: RestConfig, client: Client, nonce: Callable[[], str] = lambda: secrets.token_hex(16)) -> Auth:
    """The way that a configuration names."""
    now = client.world.now
    match config.basic or config.bearer or config.api_key or config.oauth2 or config.hmac or config.gateway or config.md5 or config.hmac_sm3:
        case Basic() as it:
            return Fixed("header", {"authorization": basic(it.user, shown(it.password))})
        case Bearer() as it:
            return Fixed("header", {"authorization": f"Bearer {shown(it.token)}"})
        case ApiKey() as it:
            return Fixed(it.place, {it.name: shown(it.value)})
        case OAuth2() as it:
            apart = HttpSettings(**{name: getattr(config, name) for name in HttpSettings.model_fields} | {"url": it.token_url})
            return OAuth2Auth(it, Client(apart, world=client.world))
        case Gjgxjhpt() as it:
            return GjgxjhptAuth(it, client)
        case Gateway() as it:
            return GatewayAuth(it, client)
        case Md5() as it:
            return Md5Auth(it, now)
        case HmacSm3() as it:
            return HmacSm3Auth(it, now, nonce)
    return Fixed()


def seconds(value: Any) -> float:
    """A lifetime in seconds, five minutes where none is given, at most a day."""
    return min(float(value), 86_400.0) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12 else 300.0
