r"""Rows as the server sends them, one binary text each, made into pieces.

Cells stand between 0xFF, a byte that no UTF-8 text has: so a cell may hold anything and is still told from its neighbour.
Where rows stand in one text, each ends with 0xFC. 0xFD stands for a zero date.
A cell that begins with 0xFE is looked at one by one: `\xfeN` and a number with an exponent, `\xfeG` and, in hexadecimal, bytes that the server could
not read as GBK.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import numpy as np

from connectors.databases.dialect import Column, Piece
from hub.contracts.errors import Misconfigured

CELL, ASIDE, ZERO_DATE, ROW = 0xFF, 0xFE, 0xFD, 0xFC
EXPONENT, NO_GBK = b"\xfeN", b"\xfeG"
PIECE = 2 << 20
"""Bytes of a piece, but for its last row."""

_CUT = bytes([CELL])
_END = bytes([ROW])
_FINISH = bytes.maketrans(_CUT + _END, b"\x1f\n")
_DROPPED = bytes([ZERO_DATE, 0])
_RISKY = (b'"', b"\r", b"\n", b"\x1f", bytes([ASIDE]))
_NEEDS_QUOTES = frozenset(b'"\r\n\x1f')


class Lines:
    """Makes pieces of rows of `columns`; counts per column what was odd: zero dates, NUL bytes, text that is no GBK."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._columns = columns
        self.zero_dates: Counter[str] = Counter()
        self.nul: Counter[str] = Counter()
        self.no_gbk: Counter[str] = Counter()

    def piece(self, found: list[bytes | None]) -> Piece:
        """Rows without their ends, at least one. Raises `Misconfigured` for a row that the server could not send, or that is no text."""
        rows = [row for row in found if row is not None]
        if len(rows) < len(found):
            hint = "leave the long column out (columns:), or raise max_allowed_packet on the server"
            raise Misconfigured("a row is longer than the server's max_allowed_packet", hint=hint)
        return self._piece(_END.join(rows) + _END, len(rows))

    def page(self, block: bytes, rows: int) -> Piece | None:
        """Rows with their ends as one text. None where it is not as many rows as it should be: the server has cut it short."""
        return self._piece(block, rows) if block.count(_END) == rows and block.endswith(_END) else None

    def _piece(self, block: bytes, rows: int) -> Piece:
        final = block[block.rfind(_END, 0, -1) + 1 : -1]
        last = tuple(self._text(cell, column) for cell, column in zip(final.split(_CUT), self._columns, strict=False))
        if block.count(_CUT) != rows * (len(self._columns) - 1):
            raise Misconfigured("a text is not in the character set that its column declares", hint="ask who looks after the database to repair the column")
        for mark, counts in ((ZERO_DATE, self.zero_dates), (0, self.nul)):
            if mark in block:
                self._count(block, mark, counts)
        if len(self._columns) == 1 or any(mark in block for mark in _RISKY):
            lines = b"".join(self._line(row) for row in block[:-1].split(_END))
            return Piece(lines.translate(None, _DROPPED), rows, last)
        return Piece(block.translate(_FINISH, _DROPPED), rows, last)

    def _count(self, block: bytes, mark: int, into: Counter[str]) -> None:
        """How often `mark` stands in each column."""
        bytes_ = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero((bytes_ == CELL) | (bytes_ == ROW))
        before = np.searchsorted(ends, np.flatnonzero(bytes_ == mark))
        for at, times in enumerate(np.bincount(before % len(self._columns)).tolist()):
            if times:
                into[self._columns[at].name] += times

    def _line(self, row: bytes) -> bytes:
        """One row with its cells quoted where needed."""
        if len(self._columns) > 1 and not any(mark in row for mark in _RISKY):
            return row.replace(_CUT, b"\x1f") + b"\n"
        cells = [
            self._aside(cell, column, count=True) if cell[:1] == bytes([ASIDE]) else cell for cell, column in zip(row.split(_CUT), self._columns, strict=True)
        ]
        if len(cells) == 1 and not cells[0].translate(None, _DROPPED):
            return b'""\n'  # an empty line would be none
        return b"\x1f".join(cell if _NEEDS_QUOTES.isdisjoint(cell) else b'"' + cell.replace(b'"', b'""') + b'"' for cell in cells) + b"\n"

    def _aside(self, cell: bytes, column: Column, *, count: bool = False) -> bytes:
        """A cell that the server could not write as it should be. What is no GBK keeps U+FFFD where it cannot be read."""
        if cell[:2] == EXPONENT:
            return format(Decimal(cell[2:].decode("ascii")), "f").encode()
        raw = bytes.fromhex(cell[2:].decode("ascii"))
        try:
            return raw.decode("gb18030").encode()
        except UnicodeDecodeError:
            if count:
                self.no_gbk[column.name] += 1
            return raw.decode("gb18030", errors="replace").encode()

    def _text(self, cell: bytes, column: Column) -> str | None:
        if cell[:1] == bytes([ASIDE]):
            cell = self._aside(cell, column)
        return cell.translate(None, _DROPPED).decode() or None


def looks_like_gbk(raw: bytes) -> bool:
    """Whether bytes beyond ASCII come in pairs that are everyday Chinese characters (GB 2312, rows 16 to 87)."""
    try:
        text = raw.decode("gb2312")
    except UnicodeDecodeError:
        return False
    return any("一" <= character <= "鿿" for character in text) and all(character < "\x80" or character >= "\u2000" for character in text)
