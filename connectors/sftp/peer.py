"""What may be said of a server before we log in: whether its key is the pinned one, and what it lacks where no algorithm fits."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from hub.contracts.errors import Misconfigured

Algorithms = Mapping[str, Sequence[str]]
"""Names by purpose, the preferred one first; the purposes are KINDS."""

KINDS = {"kex": "key exchange", "keys": "host keys", "ciphers": "encryption", "macs": "message authentication"}
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256")
_SHOWN = 8


def fingerprint(key: bytes) -> str:
    """`SHA256:…` of a public key in its wire form, as OpenSSH shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def pinned_fingerprints(pinned: Iterable[str]) -> frozenset[str]:
    """The fingerprints of pinned keys, given as fingerprints or whole."""
    return frozenset(text if text.startswith("SHA256:") else fingerprint(_decoded(text.split(" ")[1])) for text in pinned)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Misconfigured("a pinned host key is damaged", hint="copy the whole line again") from error


def families(pinned: Sequence[str]) -> list[tuple[str, ...]]:
    """Types of host keys to ask for, one kind after the other: a server has several keys, and the pinned one may not be its first."""
    kinds = [("ssh-ed25519",), tuple(t for t in KEY_TYPES if t.startswith("ecdsa")), ("rsa-sha2-512", "rsa-sha2-256")]
    named = {text.split(" ")[0].split("-")[1 if text.startswith("ssh-") else 0] for text in pinned if not text.startswith("SHA256:")}
    return sorted(kinds, key=lambda kind: not any(name in kind[0] for name in named))


def another_key(where: str, pinned: Iterable[str], seen: Iterable[str]) -> Misconfigured:
    """The server has a key that nobody pinned: a changed server, or someone between it and us."""
    return Misconfigured(
        f"{where} shows the host key {', '.join(sorted(seen))}, pinned is {', '.join(sorted(pinned))}",
        hint="do not go on before its owner has confirmed the new fingerprint by telephone or letter; then write it as `host_key`",
        code="host-key",
    )


def old_server(where: str, offered: Algorithms, ours: Algorithms) -> Misconfigured:
    """No algorithm fits: what the server offers, and the way out."""
    lacking = [kind for kind in KINDS if offered.get(kind) and not set(offered[kind]) & set(ours.get(kind, ()))]
    said = "; ".join(f"for {KINDS[kind]} only {', '.join(offered[kind][:_SHOWN])}" for kind in lacking) or "no version of SSH that is still in use"
    wanted = "; ".join(f"{KINDS[kind]}: {', '.join(ours[kind][:3])}" for kind in lacking if ours.get(kind))
    hint = f"ask its owner to turn on {wanted or 'SSH 2'}"
    if set(lacking) & {"ciphers", "macs"}:
        hint += "; until then `legacy: {allow: [aes256-cbc, hmac-sha1], because: …}` takes what is still supported of its list"
    hint += "; or let an OpenSSH client on a machine near the server bring the files into a folder, and use the `folder` source"
    return Misconfigured(f"{where} is too old: it offers {said}", hint=hint, code="old-server")
