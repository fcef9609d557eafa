"""The file of a backup: members one after the other, encrypted and authenticated under a passphrase, so that no byte can be changed, moved or left out.

`MAGIC`, a format number, salt (16) and nonce prefix (7); then chunks of 1 MiB plain text, each its length and AES-256-GCM's output (NIST SP 800-38D) under
the key that scrypt (RFC 7914) makes of the passphrase. The nonce is prefix, chunk number and whether it is the last (the STREAM construction), and the head
of the file is authenticated with every chunk. Inside: members, each a length, a JSON description and its bytes; the last is the manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hub.contracts.errors import Misconfigured, Rejected

FORMAT = 1
MAGIC = b"XSBK"
CHUNK = 1 << 20
SHORTEST = 12
_SALT, _PREFIX, _TAG = 16, 7, 16
_HEAD = len(MAGIC) + 2 + _SALT + _PREFIX
_LENGTH = struct.Struct(">I")
_MOST_DESCRIPTION = 64 << 20
_ALTERED = "keep this file as evidence and restore another backup"

Key = Callable[[bytes], bytes]
"""The key that belongs to a salt."""


def key_of(passphrase: str) -> Key:
    """Keys of a passphrase; each takes 128 MiB and a third of a second, which is what makes guessing dear."""
    if len(passphrase) < SHORTEST:
        raise Misconfigured(f"the passphrase is shorter than {SHORTEST} characters", hint="use several random words, and keep them apart from the backups")
    return lambda salt: Scrypt(salt=salt, length=32, n=1 << 17, r=8, p=1).derive(passphrase.encode())


class BackupWriter:
    """Writes members, then the manifest. Blocking; holds one chunk in memory."""

    def __init__(self, out: BinaryIO, key: Key) -> None:
        self._out = out
        salt, self._prefix = os.urandom(_SALT), os.urandom(_PREFIX)
        self._head = MAGIC + FORMAT.to_bytes(2, "big") + salt + self._prefix
        self._cipher = AESGCM(key(salt))
        self._waiting = bytearray()
        self._number = 0
        self._members: list[dict[str, Any]] = []
        out.write(self._head)

    def add(self, name: str, content: BinaryIO, size: int, **more: Any) -> None:
        """One member of exactly `size` bytes; `more` is kept with it. Raises `Misconfigured` where the content ends early."""
        self._describe({"name": name, "size": size})
        digest, left = hashlib.sha256(), size
        while left:
            piece = content.read(min(CHUNK, left))
            if not piece:
                raise Misconfigured(f"{name} became shorter while it was read", hint="give the command again")
            digest.update(piece)
            self._plain(piece)
            left -= len(piece)
        self._members.append({"name": name, "size": size, "sha256": digest.hexdigest()} | more)

    def finish(self, **more: Any) -> dict[str, Any]:
        """Write the manifest and the last chunk; the manifest."""
        manifest = {"format": FORMAT, "members": self._members} | more
        self._describe({"manifest": manifest})
        self._chunk(last=True)
        return manifest

    def _describe(self, description: dict[str, Any]) -> None:
        text = json.dumps(description, ensure_ascii=False).encode()
        self._plain(_LENGTH.pack(len(text)) + text)

    def _plain(self, piece: bytes) -> None:
        self._waiting += piece
        while len(self._waiting) > CHUNK:
            self._chunk(last=False)

    def _chunk(self, *, last: bool) -> None:
        plain = bytes(self._waiting[:CHUNK])
        del self._waiting[:CHUNK]
        sealed = self._cipher.encrypt(_nonce(self._prefix, self._number, last), plain, self._head)
        self._out.write(_LENGTH.pack(len(sealed)) + sealed)
        self._number += 1


@dataclass
class Member:
    """One member while its turn lasts: `pieces` gives its bytes once, in order."""

    name: str
    size: int
    pieces: Iterator[bytes] = field(repr=False)

    def whole(self) -> bytes:
        """All bytes; only for members whose size is bounded."""
        return b"".join(self.pieces)


class BackupReader:
    """Reads what `BackupWriter` wrote. Raises `Rejected` for anything that was altered, cut short, put in another order or made by somebody else.

    `manifest` is there once `members` has come to its end; only then is it sure that the file is whole.
    """

    def __init__(self, source: BinaryIO, key: Key) -> None:
        self._source = source
        self._head = source.read(_HEAD)
        if len(self._head) < _HEAD or not self._head.startswith(MAGIC):
            raise Rejected("this is no backup of a hub, or one that nobody signed", hint="name a file that `run_hub.py backup` made")
        number = int.from_bytes(self._head[len(MAGIC) : len(MAGIC) + 2], "big")
        if number != FORMAT:
            cause = f"the backup has format {number}, and this version restores format {FORMAT}"
            raise Rejected(cause, hint="restore it with the version of the hub that made it")
        self._prefix = self._head[-_PREFIX:]
        self._cipher = AESGCM(key(self._head[len(MAGIC) + 2 : -_PREFIX]))
        self._number, self._last = 0, False
        self._ready = bytearray()
        self.manifest: dict[str, Any] = {}

    def members(self) -> Iterator[Member]:
        """Every member in order; what is left of one when the next is asked for is read over, so that everything is verified."""
        seen: list[dict[str, Any]] = []
        while "manifest" not in (description := self._description()):
            digest = hashlib.sha256()
            name, size = str(description["name"]), int(description["size"])
            member = Member(name, size, self._pieces(size, digest))
            yield member
            for _ in member.pieces:
                pass
            seen.append({"name": name, "size": size, "sha256": digest.hexdigest()})
        manifest = description["manifest"]
        if self._ready or not self._last or self._source.read(1):
            raise Rejected("the backup goes on after its end", hint=_ALTERED)
        if [{key: m[key] for key in ("name", "size", "sha256")} for m in manifest["members"]] != seen:
            raise Rejected("the backup holds other members than its manifest names", hint=_ALTERED)
        self.manifest = manifest

    def _description(self) -> dict[str, Any]:
        length = _LENGTH.unpack(self._take(_LENGTH.size))[0]
        if length > _MOST_DESCRIPTION:
            raise Rejected("the backup is malformed", hint=_ALTERED)
        found: dict[str, Any] = json.loads(self._take(length))
        return found

    def _pieces(self, size: int, digest: Any) -> Iterator[bytes]:
        left = size
        while left:
            piece = self._take(min(CHUNK, left))
            left -= len(piece)
            digest.update(piece)
            yield piece

    def _take(self, size: int) -> bytes:
        while len(self._ready) < size:
            self._ready += self._chunk()
        piece = bytes(self._ready[:size])
        del self._ready[:size]
        return piece

    def _chunk(self) -> bytes:
        """The next chunk in plain. Whether it is the last follows from the file's end, and must be what was authenticated."""
        length = self._source.read(_LENGTH.size)
        sealed = self._source.read(_LENGTH.unpack(length)[0]) if len(length) == _LENGTH.size and _LENGTH.unpack(length)[0] <= CHUNK + _TAG else b""
        if self._last or len(sealed) < _TAG or len(sealed) != _LENGTH.unpack(length)[0]:
            raise Rejected("the backup ends too early or is damaged", hint=_ALTERED)
        for last in (False, True):
            try:
                plain = self._cipher.decrypt(_nonce(self._prefix, self._number, last), sealed, self._head)
            except InvalidTag:
                continue
            self._number, self._last = self._number + 1, last
            return plain
        if self._number == 0:
            raise Rejected("the passphrase is wrong, or the backup was altered", hint="try the passphrase again; where it is right, restore another backup")
        raise Rejected("the backup was altered, cut or put in another order", hint=_ALTERED)


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + bytes([last])
