"""Pages of a table in order of its key: many rows in one answer, where that is exact, in statements that are each short.

The server puts the rows of a page into one text (GROUP_CONCAT); each row ends with a byte that no text has, so a text that the server has cut short is
noticed. It puts them there as it finds them, which is the order of the key unless the table is partitioned, so the keys are looked at as well. A page that is
not as it should be is read row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from connectors.databases.dialect import Ask, Piece
from connectors.databases.mysql_session import Session
from connectors.databases.mysql_statements import Statements
from connectors.databases.mysql_types import word
from connectors.databases.mysql_wire import PIECE, Lines

_WHOLE = frozenset(("tinyint", "smallint", "mediumint", "int", "bigint"))
_ORDERED = _WHOLE | {"decimal", "char", "varchar"}
"""Types of keys whose values compare the same way as they come in order."""
_FIRST, _MOST = 500, 10_000


def in_pages(ask: Ask) -> bool:
    """Whether rows can be had page by page: by a primary key of one column, in any order, or in its order where it is a whole number."""
    key = ask.relation.key
    column = ask.relation.column(key[0]) if len(key) == 1 else None
    if column is None or ask.relation.sql:
        return False
    return word(column.declared) in _ORDERED if not ask.order else ask.order == key and word(column.declared) in _WHOLE


def pages(session: Session, statements: Statements, ask: Ask, lines: Lines) -> Iterator[Piece]:
    """All rows of the ask, in pieces of about 2 MiB."""
    low: Any = None
    left, size = ask.limit, _FIRST
    while left is None or left > 0:
        rows = size if left is None else min(size, left)
        ends = session.query(*statements.end_of_page(ask, low, rows))
        high = ends[0][0] if ends else None
        read = 0
        for piece in _page(session, statements, ask, lines, low, high):
            read += piece.rows
            size = max(1, min(_MOST, 2 * size, PIECE * piece.rows // len(piece.lines)))
            yield piece
        if not ends:
            return
        low = high
        left = None if left is None else left - read


def _page(session: Session, statements: Statements, ask: Ask, lines: Lines, low: Any, high: Any) -> Iterator[Piece]:
    ((rows, keys, block),) = session.query(*statements.page(ask, low, high))
    if not rows:
        return
    piece = lines.page(block or b"", int(rows)) if not ask.order or _ascending(keys, int(rows)) else None
    if piece is not None:
        yield piece
        return
    with closing(session.stream(*statements.stretch(ask, low, high), PIECE)) as stretch:
        for found in stretch:
            yield lines.piece(found)


def _ascending(keys: str | bytes, rows: int) -> bool:
    text = keys.decode("ascii") if isinstance(keys, bytes) else keys
    found = np.fromstring(text.rstrip(","), dtype=np.int64 if "-" in text else np.uint64, sep=",")
    return len(found) == rows and bool(np.all(found[1:] > found[:-1]))
