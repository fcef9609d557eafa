"""Bytes that are needed once more and are too many for memory: encrypted under a key that lives in memory only, in a file that has no name."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable
from types import TracebackType
from typing import BinaryIO, Self, cast

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hub.contracts.errors import Unavailable

IN_MEMORY = 16 << 20
_BLOCK = 16  # bytes of the counter mode's key stream per count


class Spool(io.RawIOBase):
    """What was put in, as a seekable stream. Up to 16 MiB stay in memory; beyond, they lie in an unlinked temporary file, in AES-256-CTR.

    The key is made for this spool and never written, so nobody can read what a crash or a copy of the disk leaves behind. Blocking.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self._key = os.urandom(32)
        self._file = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 - closed with the spool
        self._at = 0
        self.size = 0
        try:
            self._fill(pieces)
        except OSError as error:
            self.close()
            raise Unavailable(f"no room for a temporary copy: {error.strerror}", hint="free space where TMPDIR points to") from error
        except BaseException:
            self.close()
            raise

    def _fill(self, pieces: Iterable[bytes]) -> None:
        turn = self._cipher(0)
        for piece in pieces:
            self._file.write(turn.update(piece))
            self.size += len(piece)

    def _cipher(self, block: int):  # type: ignore[no-untyped-def]  # the library's own context type
        return Cipher(algorithms.AES(self._key), modes.CTR(block.to_bytes(_BLOCK, "big"))).encryptor()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """The byte that is read next."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or all that is left."""
        size = self.size - self._at if size < 0 else min(size, self.size - self._at)
        if size <= 0:
            return b""
        block, within = divmod(self._at, _BLOCK)
        self._file.seek(self._at - within)
        found: bytes = self._cipher(block).update(self._file.read(size + within))[within:]
        self._at += len(found)
        return found

    def readall(self) -> bytes:
        """All that is left."""
        return self.read()

    def readinto(self, buffer: object) -> int:
        """Fill a buffer."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        found = self.read(len(view))
        view[: len(found)] = found
        return len(found)

    def close(self) -> None:
        """Forget everything."""
        self._file.close()
        super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
