"""ZIP archives (APPNOTE 6.3), every entry checked before any byte of it is believed: names, places, modes, methods, sizes and ratios."""

from __future__ import annotations

import re
import stat
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from hub.contracts.errors import Misconfigured, Rejected

ENTRIES = 1_000
TOTAL = 1 << 30
RATIO = 200
PIECE = 256 << 10
_FREE = 1 << 20  # bytes before the ratio counts: short texts of blanks are no attack
_OLD_CIPHER = 32 << 20  # packed bytes of one member: ZipCrypto is opened byte by byte, 0.7 MB/s
_TAIL = (64 << 10) + 22 + 20 + 56
_LOOKED = 256 << 10
_LOCAL = struct.Struct("<4s2B4HL2L2H")
_DRIVE = re.compile(r"[A-Za-z]:")
_STORED, _DEFLATED, _AES = 0, 8, 99
_ENCRYPTED, _DESCRIBED, _PATCHED, _STRONG, _UTF8, _MASKED = 0x1, 0x8, 0x20, 0x40, 0x800, 0x2000
_SENTINEL16, _SENTINEL32 = 0xFFFF, 0xFFFFFFFF
_BROKEN_HINT = "ask the agency to pack and send it again"
_UNSAFE_HINT = "the archive was refused unopened; ask the agency how it was made before it is sent again"


@dataclass(slots=True)
class Budget:
    """What an archive, with everything in it, may still grow to."""

    total: int = TOTAL
    ratio: int = RATIO
    entries: int = ENTRIES
    used: int = field(default=0, init=False)

    def take(self, size: int, whole: int, packed: int) -> None:
        """Count `size` more bytes of a member that is now `whole` bytes, made of `packed`. Raises `Rejected` F003."""
        self.used += size
        if self.used > self.total:
            raise Rejected(f"the archive unpacks to more than {self.total} bytes", hint="send several archives", code="F003")
        if whole > _FREE and whole > self.ratio * max(packed, 1):
            raise Rejected(f"a member unpacks to more than {self.ratio} times its size", hint=_UNSAFE_HINT, code="F003")

    def open_entries(self, count: int) -> None:
        """Count the entries of one more archive. Raises `Rejected` F003."""
        self.entries -= count
        if self.entries < 0:
            raise Rejected("the archive has too many entries", hint="send several archives", code="F003")


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive. `name` is evidence and never a path; `pieces` unpacks it anew at each call."""

    number: int
    name: str
    pieces: Callable[[], Iterator[bytes]]


@contextmanager
def members_of_zip(stream: BinaryIO, size: int, *, password: str, encoding: str, budget: Budget) -> Iterator[list[Member]]:
    """The files of a ZIP archive, as long as the context lasts.

    Raises `Rejected`: F001 (damaged, or an unknown method), F003 (too much), F010 (unsafe), F011 (encrypted, and the password is missing or wrong).
    """
    _look_at_the_end(stream, size, budget)
    with _translated():
        archive = _library().AESZipFile(stream)
    with archive:
        entries = archive.infolist()
        budget.open_entries(len(entries))
        names = [_name(info, encoding) for info in entries]
        _check_names(names)
        for info in entries:
            _check_entry(info)
        _check_places(stream, entries, archive.start_dir)
        if sum(info.file_size for info in entries) > budget.total - budget.used:
            raise Rejected(f"the archive unpacks to more than {budget.total} bytes", hint="send several archives", code="F003")
        files = [(number, name, info) for number, (name, info) in enumerate(zip(names, entries, strict=True), 1) if not name.endswith("/")]
        yield [Member(number, name, lambda info=info: _unpacked(archive, info, password, budget)) for number, name, info in files]  # type: ignore[misc]


def names_in_zip(stream: BinaryIO, size: int) -> set[str]:
    """The first names of a ZIP archive's directory, for telling workbooks from archives; empty where it cannot be read."""
    begin = max(0, size - _TAIL)
    stream.seek(begin)
    tail = stream.read(_TAIL)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        return set()
    length, start = struct.unpack_from("<2L", tail, at + 12)
    stream.seek(min(start, size))
    directory, names = stream.read(min(length, _LOOKED)), set[str]()
    at = 0
    while directory[at : at + 4] == b"PK\1\2" and len(directory) - at >= 46:
        name, extra, comment = struct.unpack_from("<3H", directory, at + 28)
        names.add(directory[at + 46 : at + 46 + name].decode("cp437"))
        at += 46 + name + extra + comment
    return names


def _library() -> Any:
    try:
        import pyzipper  # type: ignore[import-untyped]
    except ImportError as error:
        raise Misconfigured("ZIP archives need a library that is not installed", hint="pip install credit-hub[archive]") from error
    return pyzipper


@contextmanager
def _translated() -> Iterator[None]:
    """The library's errors in ours; their texts may hold names of members and are left out."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:
        said = str(error)
        if "assword" in said or "encrypt" in said:
            raise _locked("wrong" if "Bad password" in said else "missing") from error
        raise Rejected("the archive uses a method that is not supported", hint="pack it as plain ZIP (store or deflate)", code="F001") from error
    except (ValueError, KeyError, OverflowError, EOFError, struct.error, zlib.error) as error:
        raise Rejected("the archive is damaged", hint=_BROKEN_HINT, code="F001") from error
    except OSError:
        raise
    except Exception as error:
        if type(error).__name__ not in ("BadZipFile", "LargeZipFile"):
            raise
        raise Rejected("the archive is damaged, or cut short", hint=_BROKEN_HINT, code="F001") from error


def _locked(how: str) -> Rejected:
    return Rejected(f"the archive is encrypted, and the password is {how}", hint='set `archive: {password: "${file:…}"}` of the feed', code="F011")


def _look_at_the_end(stream: BinaryIO, size: int, budget: Budget) -> None:
    """The end record, before a library reads the directory that it announces: few entries, a short directory, no contradiction with ZIP64."""
    begin = max(0, size - _TAIL)
    stream.seek(begin)
    tail = stream.read(_TAIL)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        raise Rejected("the archive has no end: it was cut short", hint=_BROKEN_HINT, code="F001")
    disk, start_disk, here, entries, length, start, comment = struct.unpack_from("<4H2LH", tail, at + 4)
    if at + 22 + comment != len(tail) or disk or start_disk or here != entries:
        raise Rejected("the archive's end record does not fit it: cut short, several parts, or something was added", hint=_BROKEN_HINT, code="F001")
    if tail[max(0, at - 20) : at].startswith(b"PK\6\7"):
        entries, length = _zip64(stream, tail[at - 20 : at], (entries, length, start))
    if entries > budget.entries:
        raise Rejected(f"{entries} entries, more than {ENTRIES}", hint="send several archives", code="F003")
    if length > entries * (46 + 3 * _SENTINEL16) or length > size:
        raise Rejected("the archive's directory is longer than its entries", hint=_UNSAFE_HINT, code="F010")


def _zip64(stream: BinaryIO, locator: bytes, plain: tuple[int, int, int]) -> tuple[int, int]:
    """Entries and directory length of the ZIP64 end record; where the plain one has values of its own, they must be the same."""
    (place,) = struct.unpack_from("<Q", locator, 8)
    stream.seek(place if place < 1 << 62 else 0)
    record = stream.read(56)
    if len(record) < 56 or not record.startswith(b"PK\6\6"):
        raise Rejected("the archive's ZIP64 end record is not where it should be", hint=_BROKEN_HINT, code="F001")
    here, entries, length, start = struct.unpack_from("<4Q", record, 24)
    for said, wide, sentinel in zip(plain, (entries, length, start), (_SENTINEL16, _SENTINEL32, _SENTINEL32), strict=True):
        if said not in (wide, sentinel):
            raise Rejected("the archive's two end records contradict each other", hint=_UNSAFE_HINT, code="F010")
    if here != entries:
        raise Rejected("the archive has several parts", hint="pack it in one part", code="F001")
    return entries, length


def _name(info: Any, encoding: str) -> str:
    """The name as it was written: UTF-8 where the entry says so, otherwise GB 18030 (most Chinese packers) unless it is strict UTF-8."""
    written = str(info.orig_filename)
    if info.flag_bits & _UTF8 or written.isascii():
        return written
    raw = written.encode("cp437")
    for one in ("utf-8", "gb18030") if encoding == "auto" else (encoding,):
        try:
            return raw.decode(one)
        except UnicodeDecodeError:
            continue
    raise Rejected("a member's name is in no known character set", hint="set `archive: {encoding: …}` of the feed", code="F002")


def _check_names(names: list[str]) -> None:
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        parts = name.removesuffix("/").split("/")
        odd = "\\" in name or "\0" in name or any(ord(c) < 32 or ord(c) == 127 for c in name)
        if not name or odd or _DRIVE.match(name) or any(part in ("", ".", "..") for part in parts):
            raise _unsafe(number, "its name is a path that leads elsewhere, or no name at all")
        same = unicodedata.normalize("NFC", name.removesuffix("/")).casefold()
        if same in seen:
            raise _unsafe(number, "its name stands twice")
        seen.add(same)


def _check_entry(info: Any) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Rejected("a member is a link or a special file", hint=_UNSAFE_HINT, code="F010")
    if info.flag_bits & (_STRONG | _MASKED):
        raise Rejected("the archive is encrypted in a way that is not supported", hint="encrypt it with AES-256 (WinZip) or not at all", code="F011")
    if info.flag_bits & _PATCHED or info.compress_type not in (_STORED, _DEFLATED):
        raise Rejected("a member is packed by a method other than store or deflate", hint="pack it as plain ZIP (deflate)", code="F001")
    if info.compress_type == _STORED and not info.flag_bits & _ENCRYPTED and info.file_size != info.compress_size:
        raise Rejected("a stored member has two sizes", hint=_UNSAFE_HINT, code="F010")


def _check_places(stream: BinaryIO, entries: list[Any], directory: int) -> None:
    """Each entry has bytes of its own, and its local header says what the directory says (Fifield's overlaps, CVE-2024-0450, CVE-2025-8291)."""
    free = 0
    for info in sorted(entries, key=lambda info: int(info.header_offset)):
        if info.header_offset < free:
            raise Rejected("members of the archive overlap", hint=_UNSAFE_HINT, code="F010")
        free = _end_of_entry(stream, info)
    if free > directory:
        raise Rejected("members of the archive overlap its directory", hint=_UNSAFE_HINT, code="F010")


def _end_of_entry(stream: BinaryIO, info: Any) -> int:
    stream.seek(info.header_offset)
    header = stream.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\3\4"):
        raise Rejected("the archive's directory leads to a place that holds no member", hint=_BROKEN_HINT, code="F001")
    _, _, _, flags, method, _, _, _, packed, size, name, extra = _LOCAL.unpack(header)
    sizes = flags & _DESCRIBED or all(said in (own, _SENTINEL32) for said, own in ((packed, info.compress_size), (size, info.file_size)))
    if (flags ^ info.flag_bits) & (_ENCRYPTED | _DESCRIBED | _UTF8) or method not in (info.compress_type, _AES) or not sizes:
        raise Rejected("a member's header contradicts the archive's directory", hint=_UNSAFE_HINT, code="F010")
    return int(info.header_offset + _LOCAL.size + name + extra + info.compress_size)


def _unsafe(number: int, why: str) -> Rejected:
    return Rejected(f"member {number} of the archive: {why}", hint=_UNSAFE_HINT, code="F010")


def _unpacked(archive: Any, info: Any, password: str, budget: Budget) -> Iterator[bytes]:
    if info.flag_bits & _ENCRYPTED and not password:
        raise _locked("missing")
    if info.flag_bits & _ENCRYPTED and info.wz_aes_version is None and info.compress_size > _OLD_CIPHER:
        hint = "encrypt it with AES-256 (WinZip), or send several archives"
        raise Rejected(f"more than {_OLD_CIPHER >> 20} MiB in ZipCrypto, which takes too long to open", hint=hint, code="F003")
    whole = 0
    with _translated(), archive.open(info, pwd=password.encode() if info.flag_bits & _ENCRYPTED else None) as member:
        while piece := member.read(PIECE):
            whole += len(piece)
            budget.take(len(piece), whole, info.compress_size)
            yield piece
    if whole != info.file_size:
        raise Rejected("a member is shorter than the archive says", hint=_BROKEN_HINT, code="F001")
