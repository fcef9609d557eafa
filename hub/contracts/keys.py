"""Keyed hashes and sealing: equality survives, values do not show.

Hashes are HMAC-SHA-256 (RFC 2104, FIPS 180-4) cut to 128 bits and written as 32 hex digits. Sealing is AES-256-GCM (NIST SP 800-38D) with a
random 96-bit nonce and the key's id inside, so that an older key still opens what it sealed.
"""

from __future__ import annotations

import base64
import hmac
import os
from dataclasses import dataclass, field

import polars as pl
import polars_hash  # noqa: F401  registers the `chash` namespace
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.contracts.errors import Misconfigured, Rejected

HASH_LENGTH = 32
_NONCE = 12


@dataclass(frozen=True)
class KeyRing:
    """The hub's keys. `match` (hex text) makes hashes and is never rotated in place; `seals` maps key id (2 characters) to 32 bytes, newest last."""

    match: str = field(repr=False)
    seals: dict[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.match) < HASH_LENGTH or not self.seals or any(len(k) != 2 for k in self.seals):
            raise Misconfigured("the key ring is incomplete", hint="restore HOME/keys from a backup, or start with an empty home")

    def hash(self, text: pl.Expr) -> pl.Expr:
        """Keyed hash of a text or binary expression, vectorised (3 M values/s a core): String of 32 hex digits; null stays null."""
        hashed: pl.Expr = text.chash.hmac_sha256(key=self.match)  # type: ignore[attr-defined]
        return hashed.str.slice(0, HASH_LENGTH)

    def hash_text(self, text: str | bytes) -> str:
        """Keyed hash of one value; equals `hash` for the same text."""
        data = text.encode() if isinstance(text, str) else text
        return hmac.digest(self.match.encode(), data, "sha256").hex()[:HASH_LENGTH]

    def seal(self, data: bytes, about: bytes = b"") -> bytes:
        """Ciphertext: key id (2 bytes), nonce (12), AES-GCM output. `about` is authenticated and must be given again to open."""
        name, key = next(reversed(self.seals.items()))
        nonce = os.urandom(_NONCE)
        return name.encode() + nonce + AESGCM(key).encrypt(nonce, data, about)

    def open(self, sealed: bytes, about: bytes = b"") -> bytes:
        """Plain bytes of what `seal` made. Raises `Rejected` when the bytes were altered, `Misconfigured` when the key is missing."""
        name = sealed[:2].decode("ascii", "replace")
        key = self.seals.get(name)
        if key is None:
            raise Misconfigured(f"sealed with key {name!r}, which is not in the key ring", hint="restore HOME/keys from the backup that belongs to this data")
        try:
            return AESGCM(key).decrypt(sealed[2 : 2 + _NONCE], sealed[2 + _NONCE :], about)
        except InvalidTag as error:
            raise Rejected("sealed bytes were altered or belong elsewhere", hint="run `run_hub.py reconcile`; restore the object from a backup") from error

    def seal_values(self, values: pl.Series) -> pl.Series:
        """Seal each distinct text value (the one permitted per-value loop): String, base64url of `seal`; null stays null."""
        distinct = values.drop_nulls().unique()
        sealed = [base64.urlsafe_b64encode(self.seal(v.encode())).decode() for v in distinct.to_list()]
        return values.replace_strict(distinct, pl.Series(sealed, dtype=pl.String), default=None, return_dtype=pl.String)

    def open_values(self, values: pl.Series) -> pl.Series:
        """Inverse of `seal_values`."""
        distinct = values.drop_nulls().unique()
        plain = [self.open(base64.urlsafe_b64decode(v)).decode() for v in distinct.to_list()]
        return values.replace_strict(distinct, pl.Series(plain, dtype=pl.String), default=None, return_dtype=pl.String)
