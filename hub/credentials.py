"""API keys of agencies (接口密钥): shown once, kept as keyed hashes, expiring, rotated with overlap, revoked at once."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256, SM3, Hash, HashAlgorithm
from sqlalchemy import Connection, Row, delete, insert, select, update

from hub.contracts.errors import Misconfigured
from hub.contracts.gateway import Caller, SigningKey
from hub.contracts.keys import KeyRing
from hub.state import State, row_dict
from hub.tables import api_key, used_nonce
from hub.upserts import add_new

KEY = re.compile(r"chk_(?P<id>[0-9a-f]{12})_[0-9a-f]{64}")
NONCE_KEPT = timedelta(minutes=15)
"""Three times the tolerance of a signature's time: a request that is still in time was never forgotten."""
_SEEN_EVERY = timedelta(minutes=1)
_LONGEST_DAYS = 3660


class Credentials:
    """Keys as the state keeps them; every question goes to the state, so that a revoked key is refused by the next request."""

    def __init__(self, state: State, keys: KeyRing, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._keys = keys
        self._clock = clock

    async def add(self, agency: str, *, days: int, because: str = "") -> tuple[str, str]:
        """Make a key: its id, and the key itself, which nobody can ever show again. Raises `Misconfigured` for an impossible lifetime."""
        if not 0 < days <= _LONGEST_DAYS:
            raise Misconfigured(f"a key cannot live for {days} days", hint=f"choose 1 to {_LONGEST_DAYS}")
        name = secrets.token_hex(6)
        key = f"chk_{name}_{secrets.token_hex(32)}"
        now = self._clock()
        row = {"id": name, "agency": agency, "hash": self._hash(key), "signing": self._keys.seal(_digests(key), name.encode()), "made_at": _text(now)}
        row |= {"expires_at": _text(now + timedelta(days=days)), "because": because[:400]}
        await self._state.write(lambda c: c.execute(insert(api_key).values(row)))
        return name, key

    async def list(self, agency: str = "") -> list[dict[str, Any]]:
        """Keys, newest first, with everything but what could be used: id, agency, state, made_at, expires_at, last_used, revoked_at, because."""
        query = select(api_key).order_by(api_key.c.made_at.desc(), api_key.c.id)
        rows = await self._state.read(lambda c: c.execute(query.where(api_key.c.agency == agency) if agency else query).all())
        return [self._shown(row) for row in rows]

    async def rotate(self, key_id: str, overlap: timedelta) -> tuple[str, str]:
        """A new key for the same agency and as long a life; the old one ends after `overlap`. Raises `Misconfigured` for a key that is not in force."""
        old = await self._in_force(key_id)
        if old is None:
            raise Misconfigured(f"there is no key {key_id} in force", hint="`run_hub.py key list` names them")
        lifetime = datetime.fromisoformat(old.expires_at) - datetime.fromisoformat(old.made_at)
        made = await self.add(old.agency, days=max(1, lifetime.days), because=f"rotated from {key_id}")
        ends = min(old.expires_at, _text(self._clock() + overlap))
        await self._state.write(lambda c: c.execute(update(api_key).where(api_key.c.id == key_id).values(expires_at=ends)))
        return made

    async def revoke(self, key_id: str, because: str) -> str:
        """End a key now; whose it was. Raises `Misconfigured` for an unknown one."""
        row = await self._row(key_id)
        if row is None:
            raise Misconfigured(f"there is no key {key_id}", hint="`run_hub.py key list` names them")
        where = (api_key.c.id == key_id) & api_key.c.revoked_at.is_(None)
        change = {"revoked_at": _text(self._clock()), "because": because[:400]}
        await self._state.write(lambda c: c.execute(update(api_key).where(where).values(change)))
        return str(row.agency)

    async def recognise(self, key: str) -> Caller | None:
        """Whose key it is, None where it is unknown, expired or revoked. Takes the same steps for a wrong secret as for a right one."""
        match = KEY.fullmatch(key)
        if match is None:
            return None
        row = await self._in_force(match["id"])
        known = row.hash if row is not None else "0" * 32
        if not hmac.compare_digest(known, self._hash(key)) or row is None:
            return None
        await self._used(row)
        return Caller(row.agency, row.id)

    async def signing(self, key_id: str) -> SigningKey | None:
        """What signatures of a key are checked with, None where it is unknown, expired or revoked."""
        row = await self._in_force(key_id)
        if row is None:
            return None
        digests = self._keys.open(row.signing, row.id.encode())
        return SigningKey(Caller(row.agency, row.id), digests[:32], digests[32:])

    async def first_use(self, caller: Caller, nonce: str) -> bool:
        """Keep a nonce; False where this key used it within `NONCE_KEPT`."""
        now = self._clock()
        row = {"key": caller.key, "nonce": self._keys.hash_text(f"nonce\x1f{nonce}"), "at": _text(now)}

        def work(connection: Connection) -> bool:
            connection.execute(delete(used_nonce).where(used_nonce.c.at < _text(now - NONCE_KEPT)))
            return add_new(connection, used_nonce, row) == 1

        return await self._state.write(work)

    def _hash(self, key: str) -> str:
        return self._keys.hash_text(f"api-key\x1f{key}")

    async def _row(self, key_id: str) -> Row[Any] | None:
        return await self._state.read(lambda c: c.execute(select(api_key).where(api_key.c.id == key_id)).first())

    async def _in_force(self, key_id: str) -> Row[Any] | None:
        row = await self._row(key_id)
        return row if row is not None and self._standing(row) == "in force" else None

    def _standing(self, row: Row[Any]) -> str:
        if row.revoked_at is not None:
            return "revoked"
        return "in force" if datetime.fromisoformat(row.expires_at) > self._clock() else "expired"

    async def _used(self, row: Row[Any]) -> None:
        """Remember the last use, to the minute."""
        now = self._clock()
        if row.last_used is None or now - datetime.fromisoformat(row.last_used) > _SEEN_EVERY:
            await self._state.write(lambda c: c.execute(update(api_key).where(api_key.c.id == row.id).values(last_used=_text(now))))

    def _shown(self, row: Row[Any]) -> dict[str, Any]:
        hidden = ("hash", "signing")
        return {key: value for key, value in row_dict(row).items() if key not in hidden} | {"state": self._standing(row)}


def _digests(key: str) -> bytes:
    return _digest(SHA256(), key) + _digest(SM3(), key)


def _digest(algorithm: HashAlgorithm, key: str) -> bytes:
    digest = Hash(algorithm)
    digest.update(key.encode())
    return digest.finalize()


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
