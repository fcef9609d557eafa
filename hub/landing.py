"""Landing (原始库): raw bytes as received, content-addressed, compressed, sealed and durable before anything else happens.

An object is `MAGIC`, a random object id, sealed chunks of 2 MiB plain text each (zstandard, then the key ring's seal), a sealed index, its length and
`MAGIC` again. Each seal authenticates object id and chunk number, so chunks cannot be moved, swapped or left out.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import zstandard

from hub.contracts.errors import Rejected, Unavailable
from hub.contracts.keys import KeyRing
from hub.contracts.source import Landed

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 2 << 20
MAGIC = b"XSL1"
_ID = 16
_LENGTH = struct.Struct(">Q")
_TRAILER = _LENGTH.size + len(MAGIC)
_INDEX_MAX = 64 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


class Landing:
    """A directory of objects named by the sha256 of their plain bytes. One process writes; files left by a crash are swept at start."""

    def __init__(self, root: Path, keys: KeyRing) -> None:
        self._root = root
        self._keys = keys
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in root.glob("*.part"):
            left.unlink()

    def put(self, content: Path | bytes) -> Landed:
        """Make the bytes durable; the same content twice is kept once. A path must be a regular file.

        Raises `Unavailable` when the disk is full or fails (nothing is left behind), `Rejected` for a path that is no regular file.
        """
        with _disk(self._root), _plain(content) as source:
            writer = self.writer()
            try:
                while piece := source.read(CHUNK):
                    writer.write(piece)
                return writer.commit()
            finally:
                writer.abort()

    def writer(self) -> Writing:
        """A new object, written piece by piece."""
        return Writing(self._root, self._keys)

    def open(self, digest: str) -> BinaryIO:
        """The plain bytes as a seekable stream that holds one chunk in memory. Raises `Rejected` when the object is missing or altered."""
        return io.BufferedReader(_Chunks(self._path(digest), self._keys), 256 << 10)

    def verify(self, digest: str) -> bool:
        """True when the object is there and its plain bytes have this digest; False when it is missing. Raises `Rejected` when it was altered."""
        if not self._path(digest).exists():
            return False
        sha = hashlib.sha256()
        with self.open(digest) as stream:
            while piece := stream.read(CHUNK):
                sha.update(piece)
        if sha.hexdigest() != digest:
            raise Rejected(f"landed object {digest[:12]} holds other bytes than its name says", hint="restore it from a backup")
        return True

    def digests(self) -> Iterator[str]:
        """Every object, in no order."""
        for folder in self._root.iterdir():
            if folder.is_dir():
                yield from (path.name for path in folder.iterdir() if len(path.name) == 64)

    def remove(self, digest: str) -> bool:
        """Delete an object; whether it was there."""
        path = self._path(digest)
        if not path.exists():
            return False
        path.unlink()
        _sync(path.parent)
        return True

    def _path(self, digest: str) -> Path:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise Rejected("not the name of a landed object", hint="a name is 64 lower-case hex digits")
        return _place(self._root, digest)


class Writing:
    """An object on its way into landing; `commit` or `abort` ends it. Blocking. Raises `Unavailable` when the disk is full or fails."""

    def __init__(self, root: Path, keys: KeyRing) -> None:
        self._root = root
        self._keys = keys
        self._part = root / f"{os.urandom(8).hex()}.part"
        self._number = os.urandom(_ID)
        self._sha = hashlib.sha256()
        self._size = 0
        self._lengths: list[int] = []
        self._waiting = bytearray()
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._out: BinaryIO | None = None

    def write(self, piece: bytes) -> None:
        """Take some more bytes; they are sealed in chunks of 2 MiB."""
        self._waiting += piece
        while len(self._waiting) >= CHUNK:
            chunk = bytes(self._waiting[:CHUNK])
            del self._waiting[:CHUNK]
            self._seal(chunk)

    def commit(self) -> Landed:
        """Make everything durable under its digest; the same content twice is kept once."""
        if self._waiting:
            self._seal(bytes(self._waiting))
            self._waiting.clear()
        with _disk(self._root):
            out, digest = self._opened(), self._sha.hexdigest()
            index = json.dumps({"size": self._size, "chunk": CHUNK, "lengths": self._lengths, "sha256": digest}).encode()
            sealed = self._keys.seal(index, _about(self._number, -1))
            out.write(sealed + _LENGTH.pack(len(sealed)) + MAGIC)
            out.flush()
            os.fsync(out.fileno())
            out.close()
            path = _place(self._root, digest)
            if not path.parent.exists():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                _sync(self._root)
            self._part.replace(path)  # the same bytes, and an altered object is healed
            _sync(path.parent)
        return Landed(digest, self._size)

    def abort(self) -> None:
        """Forget what was written; does nothing after `commit`."""
        if self._out is not None:
            self._out.close()
        self._part.unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        if self._out is None:
            self._out = open(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")  # noqa: SIM115  closed by commit or abort
            self._out.write(MAGIC + self._number)
        return self._out

    def _seal(self, chunk: bytes) -> None:
        with _disk(self._root):
            sealed = self._keys.seal(self._compressor.compress(chunk), _about(self._number, len(self._lengths)))
            self._opened().write(sealed)
        self._sha.update(chunk)
        self._size += len(chunk)
        self._lengths.append(len(sealed))


class _Chunks(io.RawIOBase):
    """Plain bytes of one object, one chunk at a time."""

    def __init__(self, path: Path, keys: KeyRing) -> None:
        super().__init__()
        self._keys = keys
        self._name = path.name[:12]
        try:
            self._file = path.open("rb")
        except FileNotFoundError as error:
            raise Rejected(f"landed object {self._name} is missing", hint="run `run_hub.py reconcile`; restore it from a backup") from error
        self._number, index = self._open_index()
        self._size, self._chunk = int(index["size"]), int(index["chunk"])
        self._bounds = [len(MAGIC) + _ID]
        for length in index["lengths"]:
            self._bounds.append(self._bounds[-1] + length)
        self._held, self._plain, self._at = -1, b"", 0

    def _open_index(self) -> tuple[bytes, dict[str, Any]]:
        head = self._file.read(len(MAGIC) + _ID)
        end = self._file.seek(0, io.SEEK_END)
        self._file.seek(max(0, end - _TRAILER))
        trailer = self._file.read(_TRAILER)
        length = _LENGTH.unpack(trailer[: _LENGTH.size])[0] if len(trailer) == _TRAILER else 0
        if not head.startswith(MAGIC) or not trailer.endswith(MAGIC) or not 0 < length <= min(end, _INDEX_MAX):
            raise Rejected(f"landed object {self._name} is damaged", hint="restore it from a backup")
        self._file.seek(end - _TRAILER - length)
        number = head[len(MAGIC) :]
        index: dict[str, Any] = json.loads(self._keys.open(self._file.read(length), _about(number, -1)))
        return number, index

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        if self._at >= self._size:
            return 0
        wanted, offset = divmod(self._at, self._chunk)
        if wanted != self._held:
            self._plain, self._held = self._load(wanted), wanted
        piece = self._plain[offset : offset + len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _load(self, chunk: int) -> bytes:
        self._file.seek(self._bounds[chunk])
        sealed = self._file.read(self._bounds[chunk + 1] - self._bounds[chunk])
        return zstandard.ZstdDecompressor().decompress(self._keys.open(sealed, _about(self._number, chunk)), max_output_size=self._chunk)

    def close(self) -> None:
        if not self.closed and hasattr(self, "_file"):  # the interpreter closes what never came to be, too
            self._file.close()
        super().close()


def _place(root: Path, digest: str) -> Path:
    return root / digest[:2] / digest


def _about(number: bytes, chunk: int) -> bytes:
    return b"landing" + number + chunk.to_bytes(8, "big", signed=True)


@contextmanager
def _plain(content: Path | bytes) -> Iterator[BinaryIO]:
    """The content as a stream; a link, device or directory is refused rather than followed."""
    if isinstance(content, bytes):
        yield io.BytesIO(content)
        return
    try:
        opened = os.open(content, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise Rejected("not a regular file", hint="links and devices are not followed", code="F001") from error
        raise
    with open(opened, "rb") as source:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise Rejected("not a regular file", hint="links and devices are not followed", code="F001")
        yield source


@contextmanager
def _disk(root: Path) -> Iterator[None]:
    """Turn what a disk can do wrong into a decision."""
    try:
        yield
    except OSError as error:
        hint = "free space on the volume of HOME/landing" if error.errno in _FULL else "check that HOME/landing and the file can be read and written"
        raise Unavailable(f"landing cannot take the file: {error.strerror}", hint=hint, code="disk-full" if error.errno in _FULL else "") from error


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
