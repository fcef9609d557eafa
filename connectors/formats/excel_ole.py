"""What lies in an old Office file ([MS-CFB]): its streams by name, and in a workbook ([MS-XLS]) the cells that hold an error.

Runs in the throw-away process, so it knows nothing but the standard library. A damaged file raises whatever it raises: the process is thrown away.
"""

from __future__ import annotations

import struct

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ERRORS = {0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A"}
_FREE = 0xFFFFFFFA  # sector numbers from here on are marks
_BOF, _EOF, _SHEET, _LOCKED, _ERROR, _FORMULA = 0x0809, 0x000A, 0x0085, 0x002F, 0x0205, 0x0006


class Locked(ValueError):
    """The workbook is encrypted."""


class Compound:
    """A compound file: `names` in the order of its directory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._size = 1 << struct.unpack_from("<H", data, 30)[0]
        self._cutoff = struct.unpack_from("<I", data, 56)[0]
        self._fat = self._numbers(self._fat_sectors())
        directory = self._chain(struct.unpack_from("<I", data, 48)[0])
        self._entries = {name: place for name, place in map(_entry, _pieces(directory, 128)) if name}
        self.names = tuple(self._entries)

    def stream(self, name: str) -> bytes:
        """The bytes of one stream."""
        start, size = self._entries[name]
        if size >= self._cutoff:
            return self._chain(start)[:size]
        mini = self._numbers(self._sectors(struct.unpack_from("<I", self._data, 60)[0]))
        root = self._chain(self._entries["Root Entry"][0])
        found: list[bytes] = []
        while start < _FREE and len(found) * 64 < size:
            found.append(root[start * 64 : start * 64 + 64])
            start = mini[start]
        return b"".join(found)[:size]

    def _fat_sectors(self) -> list[int]:
        sectors = [n for n in struct.unpack_from("<109I", self._data, 76) if n < _FREE]
        following, left = struct.unpack_from("<II", self._data, 68)
        per = self._size // 4
        while following < _FREE and left:
            *more, following = struct.unpack_from(f"<{per}I", self._data, (following + 1) * self._size)
            sectors += [n for n in more if n < _FREE]
            left -= 1
        return sectors

    def _numbers(self, sectors: list[int]) -> tuple[int, ...]:
        data = b"".join(self._sector(n) for n in sectors)
        return struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])

    def _sectors(self, start: int) -> list[int]:
        found: list[int] = []
        while start < _FREE and len(found) <= len(self._fat):
            found.append(start)
            start = self._fat[start]
        return found

    def _sector(self, number: int) -> bytes:
        return self._data[(number + 1) * self._size : (number + 2) * self._size]

    def _chain(self, start: int) -> bytes:
        return b"".join(self._sector(n) for n in self._sectors(start))


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data) - size + 1, size)]


def _entry(raw: bytes) -> tuple[str, tuple[int, int]]:
    length, kind = struct.unpack_from("<HB", raw, 64)
    name = raw[: max(length - 2, 0)].decode("utf-16-le", "replace") if kind else ""
    return ("Root Entry" if kind == 5 else name), struct.unpack_from("<II", raw, 116)


def faults(workbook: bytes) -> list[dict[tuple[int, int], str]]:
    """Per sheet, in order, the cells (row, column, from 0) that hold an error. Raises `Locked`."""
    return [_sheet_faults(workbook, start) for start in _sheet_starts(workbook)]


def _sheet_starts(workbook: bytes) -> list[int]:
    starts, position = [], 0
    while position + 4 <= len(workbook):
        kind, size = struct.unpack_from("<HH", workbook, position)
        if kind == _SHEET:
            starts.append(struct.unpack_from("<I", workbook, position + 4)[0])
        elif kind == _LOCKED:
            raise Locked
        elif kind == _EOF:
            break
        position += 4 + size
    return starts


def _sheet_faults(workbook: bytes, position: int) -> dict[tuple[int, int], str]:
    found: dict[tuple[int, int], str] = {}
    depth, head, end = 0, struct.Struct("<HH").unpack_from, len(workbook) - 4
    while position <= end:
        kind, size = head(workbook, position)
        if kind == _ERROR and workbook[position + 11]:
            found[head(workbook, position + 4)] = ERRORS.get(workbook[position + 10], "#ERROR!")
        elif kind == _FORMULA and workbook[position + 16 : position + 18] == b"\xff\xff" and workbook[position + 10] == 2:
            found[head(workbook, position + 4)] = ERRORS.get(workbook[position + 12], "#ERROR!")
        elif kind == _BOF:
            depth += 1
        elif kind == _EOF:
            depth -= 1
            if depth <= 0:
                break
        position += 4 + size
    return found
