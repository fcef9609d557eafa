"""Documents left for the agency in `ack/` and `err/` of its folder. Blocking; called in a worker thread."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from connectors.folder.drop import on_disk
from hub.contracts.errors import Unavailable

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_UNREADABLE = (errno.ELOOP, errno.EACCES, errno.ENXIO)


class Beside:
    """The `Shelf` of a folder. Links are not followed: the agency may write here, too."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def holds(self, folder: str, name: str, content: bytes) -> bool | None:
        """Whether a regular file of this name holds this content; None where nothing has the name."""
        with self._open(folder) as place:
            try:
                opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno in _UNREADABLE:
                    return False
                raise
            with open(opened, "rb") as stream:
                status = os.fstat(opened)
                return stat.S_ISREG(status.st_mode) and status.st_size == len(content) and stream.read(len(content)) == content

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Write it under a hidden name through to the disk, then give it its own, which must be free."""
        part = f".{hashlib.sha256(content).hexdigest()[:16]}.part"
        with self._open(folder) as place:
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=place)  # from a life that ended here
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=place), "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            _name(place, part, name)
            os.fsync(place)

    @contextmanager
    def _open(self, folder: str) -> Iterator[int]:
        """The folder itself, made where it is missing; never one that a link leads to."""
        with on_disk(self._root / folder):
            with suppress(FileExistsError):
                (self._root / folder).mkdir()
            opened = os.open(self._root / folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                yield opened
            finally:
                os.close(opened)


def _name(place: int, part: str, name: str) -> None:
    """Rename without replacing anything, as far as the file system can."""
    try:
        os.link(part, name, src_dir_fd=place, dst_dir_fd=place, follow_symlinks=False)
        os.unlink(part, dir_fd=place)
    except FileExistsError as error:
        os.unlink(part, dir_fd=place)
        raise Unavailable("another document has just taken the name", hint="it is tried again under the next one") from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(part, name, src_dir_fd=place, dst_dir_fd=place)  # no second names on this volume: what was free a moment ago must do
