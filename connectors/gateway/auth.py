"""Who calls: an API key, or a signature made with one. Looks at the head of a request only, before anything else of it is read."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SM3
from cryptography.hazmat.primitives.hmac import HMAC

from connectors.gateway.exchange import EMPTY, Exchange
from connectors.gateway.problems import Refusal
from hub.contracts.gateway import Caller, Reception, SigningKey

TOLERANCE_S = 300
_KEY = re.compile(r"[0-9a-f]{12}")
_TIME = re.compile(r"[0-9]{1,11}")
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_HEX = re.compile(r"[0-9a-f]{64}")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="credit-hub"'}


class Authentication:
    """`clock` gives seconds since 1970."""

    def __init__(self, reception: Reception, clock: Callable[[], float]) -> None:
        self._reception = reception
        self._clock = clock

    async def caller(self, exchange: Exchange) -> tuple[Caller, str]:
        """Who calls, and the digest of the body that was signed. Raises `Refusal` 401 and 403; what was wrong exactly is not told to strangers."""
        if exchange.header("X-Hub-Signature"):
            found, digest = await self._signed(exchange)
        else:
            found, digest = await self.bearer(exchange.header("Authorization").removeprefix("Bearer ")), ""
        if found is None:
            await self._reception.turned_away("signature" if digest else "key")
            raise Refusal(401, "unknown-caller", "no valid API key or signature was given", hint="Authorization: Bearer chk_…", headers=_CHALLENGE)
        self.admit(found, signed=bool(digest))
        return found, digest

    async def bearer(self, key: str) -> Caller | None:
        """The caller of an API key."""
        return await self._reception.recognise(key) if key else None

    def admit(self, caller: Caller, *, signed: bool) -> None:
        """Raise `Refusal` where the agency may not call at all, or not like this."""
        terms = self._reception.terms(caller.agency)
        if terms is None:
            raise Refusal(403, "no-source", "this agency is not configured to call", hint="its file needs sources: {api: {gateway: {}}}")
        if terms.signed and not signed:
            raise Refusal(401, "unsigned", "every request of this agency must be signed", hint="see the guide: X-Hub-Signature", headers=_CHALLENGE)

    async def _signed(self, exchange: Exchange) -> tuple[Caller | None, str]:
        key_id, stamp, nonce = (exchange.header(f"X-Hub-{name}") for name in ("Key", "Timestamp", "Nonce"))
        digest, signature = exchange.header("X-Hub-Content-SHA256"), exchange.header("X-Hub-Signature")
        if not (_KEY.fullmatch(key_id) and _TIME.fullmatch(stamp) and _NONCE.fullmatch(nonce) and _HEX.fullmatch(digest) and _HEX.fullmatch(signature)):
            hint = "X-Hub-Key, X-Hub-Timestamp (seconds), X-Hub-Nonce (16 to 64), X-Hub-Content-SHA256 and X-Hub-Signature (hex) belong together"
            raise Refusal(401, "signature", "the headers of the signature are incomplete or malformed", hint=hint, headers=_CHALLENGE)
        key = await self._reception.signing(key_id)
        if key is None or not self._matches(exchange, key, canonical(exchange, stamp, nonce, digest)):
            return None, digest
        if abs(self._clock() - int(stamp)) > TOLERANCE_S:
            raise Refusal(401, "clock", f"the time of the signature is more than {TOLERANCE_S} s off", hint="set the clock", headers=_CHALLENGE)
        if not await self._reception.first_use(key.caller, nonce):
            raise Refusal(401, "replay", "this request was made before", hint="sign each request with a new nonce", headers=_CHALLENGE)
        if exchange.request.method in ("GET", "HEAD") and digest != EMPTY:
            return None, digest
        return key.caller, digest

    def _matches(self, exchange: Exchange, key: SigningKey, text: bytes) -> bool:
        algorithm, signature = exchange.header("X-Hub-Algorithm") or "sha256", exchange.header("X-Hub-Signature")
        if algorithm == "sha256":
            return hmac.compare_digest(hmac.digest(key.sha256, text, "sha256").hex(), signature)
        if algorithm != "sm3":
            raise Refusal(401, "signature", "the algorithm is sha256 or sm3", place="header X-Hub-Algorithm", headers=_CHALLENGE)
        expected = HMAC(key.sm3, SM3())
        expected.update(text)
        try:
            expected.verify(bytes.fromhex(signature))
        except InvalidSignature:
            return False
        return True


def canonical(exchange: Exchange, stamp: str, nonce: str, digest: str) -> bytes:
    """What is signed: method, path, query (both as they were sent), time, nonce and the body's SHA-256 in hex, each on its line."""
    path, _, query = exchange.request.raw_path.partition("?")
    return "\n".join((exchange.request.method, path, query, stamp, nonce, digest)).encode()
