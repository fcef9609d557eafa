"""Payloads of the embedded queue that are too large for a row: one file each, durable before its row commits."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.contracts.errors import Rejected, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Translate failures of the file system: a full disk and everything else may pass, so both are `Unavailable`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Unavailable(
                f"no space left for the queue in {place.name}/", hint="free space on the disk that holds HOME; the hub goes on by itself"
            ) from error
        raise Unavailable(f"the queue's files in {place.name}/ cannot be used: {error.strerror}", hint="check the disk that holds HOME") from error


def digest(body: bytes) -> bytes:
    """16 bytes of BLAKE2b (RFC 7693), to notice a damaged file."""
    return hashlib.blake2b(body, digest_size=16).digest()


class Spool:
    """A directory of payload files. Every method blocks; a file's name reaches the disk with `sync`, once per group of files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.aside = directory / "aside"
        with disk_errors(directory):
            self.aside.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)

    def write(self, body: bytes) -> str:
        """Store a payload; its bytes are on the disk on return. Answers with the file's name."""
        name = secrets.token_hex(16)
        part = self.directory / f"{name}.part"
        with disk_errors(self.directory):
            try:
                with open(part, "xb", buffering=0) as file:
                    view = memoryview(body)
                    while view:
                        view = view[file.write(view) :]
                    os.fsync(file.fileno())
                part.rename(self.directory / name)
            except OSError:
                part.unlink(missing_ok=True)
                raise
        return name

    def sync(self) -> None:
        """Make the names of all files written so far durable."""
        with disk_errors(self.directory):
            os.fsync(self._handle)

    def read(self, name: str, size: int, expected: bytes) -> bytes:
        """The payload of `size` bytes. Raises `Rejected` when the file is gone or differs from what was written."""
        try:
            with open(self.directory / name, "rb") as file:
                body = file.read(size + 1)
        except FileNotFoundError as error:
            raise Rejected("its payload file is missing") from error
        except OSError as error:
            if error.errno == errno.EIO:
                raise Rejected("its payload file cannot be read from the disk") from error
            raise Unavailable(f"a payload file cannot be opened: {error.strerror}", hint="check the disk that holds HOME") from error
        if len(body) != size or digest(body) != expected:
            raise Rejected("its payload file is damaged")
        return body

    def has(self, name: str) -> bool:
        """True where the payload's file is there."""
        return (self.directory / name).exists()

    def remove(self, name: str) -> None:
        """Delete a payload. One that cannot be deleted now is swept at the next start."""
        with contextlib.suppress(OSError):
            (self.directory / name).unlink(missing_ok=True)

    def put_aside(self, name: str) -> None:
        """Keep what is left of a damaged payload, in `aside/`, for a person to look at."""
        with disk_errors(self.directory), contextlib.suppress(FileNotFoundError):
            (self.directory / name).rename(self.aside / name)

    def sweep(self, is_wanted: Callable[[str], bool]) -> int:
        """Delete files that no message refers to (a process died in between); how many they were."""
        swept = 0
        with disk_errors(self.directory), os.scandir(self.directory) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and not is_wanted(entry.name):
                    self.remove(entry.name)
                    swept += 1
        return swept

    def close(self) -> None:
        """Release the directory."""
        os.close(self._handle)
