"""SFTP version 3 over one channel (draft-ietf-secsh-filexfer-02): paths are bytes, many requests are on their way at a time, every answer is looked at.

Why not paramiko's own client: it drops errors of closing (a quota shows nowhere else), reads ahead without bound in a thread that nobody hears,
and can neither list names nor report errors that are not UTF-8.
"""

from __future__ import annotations

import errno
import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT = 1, 2, 3, 4, 5, 6, 7
OPENDIR, READDIR, REMOVE, MKDIR, RENAME = 11, 12, 13, 14, 18
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED, EXTENDED_REPLY = 101, 102, 103, 104, 105, 200, 201
POSIX_RENAME, FSYNC, LIMITS = b"posix-rename@openssh.com", b"fsync@openssh.com", b"limits@openssh.com"
_TO_READ, _TO_WRITE = 0x01, 0x02 | 0x08 | 0x10  # read; write, create, truncate
_PIECE = 32 << 10  # bytes of one request that every server takes
_SHORTEST_PIECE = 4 << 10
_LONGEST_PIECE = 255 << 10
_IN_FLIGHT = 4 << 20  # bytes asked for and not yet here
_LONGEST_PACKET = 1 << 20
_STRAY = 1024
_OK, _EOF, _FAILURE = 0, 1, 4
_ERRNO = {2: errno.ENOENT, 3: errno.EACCES, 8: errno.EOPNOTSUPP, 11: errno.EEXIST, 14: errno.ENOSPC, 15: errno.EDQUOT}
_FULL = (b"quota", b"no space", b"disk full", *(word.encode(coding) for word in ("配额", "空间不足") for coding in ("utf-8", "gb18030")))


class Channel(Protocol):
    """A stream in both directions whose calls end after a time-out."""

    def sendall(self, data: bytes) -> None:
        """Send everything."""

    def recv(self, size: int) -> bytes:
        """At most `size` bytes, none at the end of the stream."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name on the server as bytes, with mode (0 where the server does not tell), size in bytes and modification time in seconds."""

    name: bytes
    mode: int
    size: int
    mtime: int


class Client:
    """One session. `shut` ends what the channel lies on. Raises OSError: EBADMSG where the other side does not speak SFTP as agreed."""

    def __init__(self, channel: Channel, shut: Callable[[], None]) -> None:
        self.shut = shut
        self._channel = channel
        self._number = 0
        self._answers: dict[int, tuple[int, _Reading]] = {}
        self.extensions = self._greet()
        self.piece = self._longest_piece()

    @property
    def replaces(self) -> bool:
        """Whether a rename can replace what lies at its target."""
        return POSIX_RENAME in self.extensions

    def entries(self, folder: bytes, most: int) -> list[Entry]:
        """What lies in a folder, in no order; once there are `most`, the rest is left unread."""
        handle = self._handle(OPENDIR, _text(folder))
        found: list[Entry] = []
        while len(found) < most and (more := self._names(handle)) is not None:
            found += more
        self._request(CLOSE, _text(handle))
        return found

    def look(self, path: bytes) -> Entry | None:
        """What lies at a path, links not followed; None where nothing does."""
        try:
            answer = self._expect(ATTRS, LSTAT, _text(path))
        except FileNotFoundError:
            return None
        return answer.entry(path)

    def fetch(self, path: bytes, start: int, end: int) -> Iterator[bytes]:
        """Bytes `start` to `end` of a file in order, fewer where it is shorter. After leaving it half-way the session is of no more use."""
        handle = self._handle(OPEN, _text(path), struct.pack(">II", _TO_READ, 0))
        yield from self._pieces(handle, start, end)
        self._request(CLOSE, _text(handle))

    def store(self, path: bytes, content: bytes) -> None:
        """Write a file anew, through to its disk where the server can do that. An error of closing is an error."""
        handle = self._handle(OPEN, _text(path), struct.pack(">II", _TO_WRITE, 0))
        waiting: deque[int] = deque()
        for offset in range(0, len(content), _PIECE):
            waiting.append(self._ask(WRITE, _text(handle), struct.pack(">Q", offset), _text(content[offset : offset + _PIECE])))
            if len(waiting) * _PIECE > _IN_FLIGHT:
                self._answer(waiting.popleft())
        for number in waiting:
            self._answer(number)
        if FSYNC in self.extensions:
            self._request(EXTENDED, _text(FSYNC), _text(handle))
        self._request(CLOSE, _text(handle))

    def rename(self, path: bytes, target: bytes, *, replace: bool = False) -> None:
        """Rename a file. `replace` asks for one step that replaces what lies at the target, which not every server has."""
        if replace and self.replaces:
            self._request(EXTENDED, _text(POSIX_RENAME), _text(path), _text(target))
        else:
            self._request(RENAME, _text(path), _text(target))

    def remove(self, path: bytes) -> None:
        """Delete a file; one that is gone already is no error."""
        try:
            self._request(REMOVE, _text(path))
        except FileNotFoundError:
            return

    def make_folder(self, path: bytes) -> None:
        """Create a folder and those above it; what exists is left alone."""
        if path in (b"", b".", b"/") or self.look(path) is not None:
            return
        self.make_folder(path.rpartition(b"/")[0])
        self._request(MKDIR, _text(path), struct.pack(">I", 0))

    def _greet(self) -> frozenset[bytes]:
        self._send(INIT, struct.pack(">I", 3))
        kind, answer = self._packet()
        if kind != VERSION:
            raise _garbled()
        answer.number()
        found = []
        while answer.more():
            found.append(answer.text())
            answer.text()
        return frozenset(found)

    def _longest_piece(self) -> int:
        """How many bytes the server gives at once."""
        if LIMITS not in self.extensions:
            return _PIECE
        answer = self._expect(EXTENDED_REPLY, EXTENDED, _text(LIMITS))
        answer.long()
        return max(_PIECE, min(answer.long() or _LONGEST_PIECE, _LONGEST_PIECE))

    def _pieces(self, handle: bytes, start: int, end: int) -> Iterator[bytes]:
        waiting: deque[tuple[int, int, int]] = deque()
        while True:
            while start < end and len(waiting) * self.piece < _IN_FLIGHT:
                length = min(self.piece, end - start)
                waiting.append((self._ask_for(handle, start, length), start, length))
                start += length
            if not waiting:
                return
            number, offset, length = waiting.popleft()
            piece = self._data(number, length)
            if not piece:
                break
            yield piece
            if len(piece) < length:  # this server gives less at a time
                self.piece = min(self.piece, max(len(piece), _SHORTEST_PIECE))
                rest = offset + len(piece), length - len(piece)
                waiting.appendleft((self._ask_for(handle, *rest), *rest))
        for number, _, length in waiting:
            self._data(number, length)

    def _ask_for(self, handle: bytes, offset: int, length: int) -> int:
        return self._ask(READ, _text(handle), struct.pack(">QI", offset, length))

    def _data(self, number: int, length: int) -> bytes:
        """Bytes of a file, none at its end."""
        try:
            kind, answer = self._answer(number)
        except EOFError:
            return b""
        piece = answer.text()
        if kind != DATA or len(piece) > length:
            raise _garbled()
        return piece

    def _names(self, handle: bytes) -> list[Entry] | None:
        try:
            answer = self._expect(NAME, READDIR, _text(handle))
        except EOFError:
            return None
        return [answer.named() for _ in range(answer.number())]

    def _handle(self, kind: int, *parts: bytes) -> bytes:
        return self._expect(HANDLE, kind, *parts).text()

    def _expect(self, wanted: int, kind: int, *parts: bytes) -> _Reading:
        found, answer = self._request(kind, *parts)
        if found != wanted:
            raise _garbled()
        return answer

    def _request(self, kind: int, *parts: bytes) -> tuple[int, _Reading]:
        return self._answer(self._ask(kind, *parts))

    def _ask(self, kind: int, *parts: bytes) -> int:
        self._number = (self._number + 1) & 0xFFFFFFFF
        self._send(kind, struct.pack(">I", self._number), *parts)
        return self._number

    def _send(self, kind: int, *parts: bytes) -> None:
        body = b"".join(parts)
        self._channel.sendall(struct.pack(">IB", len(body) + 1, kind) + body)

    def _answer(self, number: int) -> tuple[int, _Reading]:
        """The answer to one request; others that come before it are kept. A refusal is raised: EOFError at an end, else OSError."""
        while number not in self._answers:
            kind, answer = self._packet()
            self._answers[answer.number()] = kind, answer
            if len(self._answers) > _STRAY:
                raise _garbled()
        kind, answer = self._answers.pop(number)
        if kind == STATUS:
            _check(answer)
        return kind, answer

    def _packet(self) -> tuple[int, _Reading]:
        length, kind = struct.unpack(">IB", self._exactly(5))
        if not 1 <= length <= _LONGEST_PACKET:
            raise _garbled()
        return kind, _Reading(self._exactly(length - 1))

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size:
            piece = self._channel.recv(size)
            if not piece:
                raise ConnectionResetError(errno.ECONNRESET, "the stream ended")
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Reading:
    """The fields of one packet, taken from its front. Raises OSError (EBADMSG) where it is shorter than it says."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def more(self) -> bool:
        return self._at < len(self._body)

    def number(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def long(self) -> int:
        return int.from_bytes(self._take(8), "big")

    def text(self) -> bytes:
        return self._take(self.number())

    def named(self) -> Entry:
        name = self.text()
        self.text()  # the same line as `ls -l` would show it
        return self.entry(name)

    def entry(self, name: bytes) -> Entry:
        flags, size, mode, mtime = self.number(), 0, 0, 0
        if flags & 1:
            size = self.long()
        if flags & 2:
            self._take(8)
        if flags & 4:
            mode = self.number()
        if flags & 8:
            self.number()
            mtime = self.number()
        if flags & 0x80000000:
            for _ in range(2 * self.number()):
                self.text()
        return Entry(name, mode, size, mtime)

    def _take(self, size: int) -> bytes:
        piece = self._body[self._at : self._at + size]
        if len(piece) != size:
            raise _garbled()
        self._at += size
        return piece


def _garbled() -> OSError:
    return OSError(errno.EBADMSG, "not SFTP as agreed")


def _text(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _check(answer: _Reading) -> None:
    code = answer.number()
    if code == _OK:
        return
    if code == _EOF:
        raise EOFError
    said = answer.text().lower() if answer.more() else b""
    if code == _FAILURE and any(word in said for word in _FULL):
        raise OSError(errno.EDQUOT, "no space")
    raise OSError(_ERRNO.get(code, errno.EPROTO), "the server refused")
