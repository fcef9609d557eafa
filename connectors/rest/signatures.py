"""The arithmetic of signatures: pure functions of keys and texts."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import hashes, hmac, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import SecretStr

from hub.contracts.errors import Misconfigured


def shown(secret: SecretStr | None) -> str:
    """The value of a secret; call it where it is used and keep no copy."""
    return secret.get_secret_value() if secret is not None else ""


def basic(user: str, password: str) -> str:
    """Value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def hmac_sha256(key: str, text: str) -> str:
    """Base64 of HMAC-SHA256."""
    return base64.b64encode(_mac(key, text, hashes.SHA256())).decode()


def hmac_sm3(key: str, text: str) -> str:
    """Hex of HMAC-SM3."""
    return _mac(key, text, hashes.SM3()).hex()


def sm3(content: bytes) -> str:
    """Hex of SM3 (GB/T 32905)."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(content)
    return digest.finalize().hex()


def _mac(key: str, text: str, algorithm: hashes.HashAlgorithm) -> bytes:
    made = hmac.HMAC(key.encode(), algorithm)
    made.update(text.encode())
    return made.finalize()


def opened(sealed: str, app_key: str) -> str:
    """What the platforms seal with an app key: Base64 of AES-ECB with PKCS#7, the key being the app key's 16, 24 or 32 bytes. Raises `Misconfigured`."""
    try:
        cipher = Cipher(algorithms.AES(app_key.encode()), modes.ECB()).decryptor()  # noqa: S305  # the platforms' own choice
        plain = cipher.update(base64.b64decode(sealed, validate=True)) + cipher.finalize()
        unpadder = padding.PKCS7(128).unpadder()
        return (unpadder.update(plain) + unpadder.finalize()).decode()
    except ValueError as error:
        raise Misconfigured("the secret that was fetched cannot be opened with the app key", hint="check the app key: 16, 24 or 32 characters") from error
