"""The server's half of a login with a password (O5LOGON, verifier 0x4815: PBKDF2 with SHA-512, AES-256)."""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

VERIFIER = 0x4815
_ROUNDS, _LAST_ROUNDS = 4096, 3


def _derived(secret: bytes, salt: bytes, size: int, rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", secret, salt, rounds, size)


def _decrypted(key: bytes, data: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def _encrypted(key: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return encryptor.update(data) + encryptor.finalize()


class Login:
    """One attempt: `challenge` is what the client is sent first, `accepts` checks what it answers."""

    def __init__(self, password: str | None) -> None:
        self._password = os.urandom(16).hex() if password is None else password  # an unknown user fails like a wrong password
        self._salt, self._last_salt, self._mine = os.urandom(16), os.urandom(16), os.urandom(32)
        speedy = _derived(self._password.encode(), self._salt + b"AUTH_PBKDF2_SPEEDY_KEY", 64, _ROUNDS)
        self._key = hashlib.sha512(speedy + self._salt).digest()[:32]
        self.response = ""

    def challenge(self) -> dict[str, tuple[str, int]]:
        """Names and values, with the number that stands behind each."""
        return {
            "AUTH_SESSKEY": (_encrypted(self._key, self._mine).hex().upper(), 0),
            "AUTH_VFR_DATA": (self._salt.hex().upper(), VERIFIER),
            "AUTH_PBKDF2_CSK_SALT": (self._last_salt.hex().upper(), 0),
            "AUTH_PBKDF2_VGEN_COUNT": (str(_ROUNDS), 0),
            "AUTH_PBKDF2_SDER_COUNT": (str(_LAST_ROUNDS), 0),
            "AUTH_GLOBALLY_UNIQUE_DBID\0": (os.urandom(16).hex().upper(), 0),
        }

    def accepts(self, answered: dict[str, str]) -> bool:
        """Whether the password is right; then `response` proves to the client that the server knew it too."""
        theirs = _decrypted(self._key, bytes.fromhex(answered.get("AUTH_SESSKEY", "")[:64]))
        if len(theirs) != 32:
            return False
        session = _derived((theirs + self._mine).hex().upper().encode(), self._last_salt, 32, _LAST_ROUNDS)
        sent = _decrypted(session, bytes.fromhex(answered.get("AUTH_PASSWORD", "")))[16:]
        if not sent or not 0 < sent[-1] <= 16 or not hmac.compare_digest(sent[: -sent[-1]], self._password.encode()):
            return False
        self.response = _encrypted(session, os.urandom(16) + b"SERVER_TO_CLIENT" + bytes((16,)) * 16).hex().upper()
        return True
