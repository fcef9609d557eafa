"""Parts of what clients send: binds, names and values of a login, and what is only to be read over."""

from __future__ import annotations

from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.lobs import Lobs
from tests.oracle_emulator.types import NUMBER, NUMBERS, TEXT, Cell, Type, bound, declared
from tests.oracle_emulator.wire import Request

Kind = tuple[int, int, int]
"""A bind or define: Oracle's number of its type, its character set form, the most bytes it takes."""

_ROW = 7
_BYTES = frozenset((1, 8, 23, 24, 96))
_LARGE = (112, 113)
_TYPES = {number: name for name, number in NUMBERS.items() if name not in ("NVARCHAR2", "NCHAR", "NCLOB")}


def bound_type(kind: Kind) -> Type:
    """The type of a bind."""
    name = _TYPES.get(kind[0], "VARCHAR2")
    if name == "NUMBER" or kind[0] == 3:
        return NUMBER
    if name.startswith("TIMESTAMP"):
        return declared(name.replace("TIMESTAMP", "TIMESTAMP(9)", 1))
    return TEXT if name in ("VARCHAR2", "CHAR", "LONG") else declared("RAW(2000)" if name in ("RAW", "LONG RAW") else name)


def kind(request: Request, version: int) -> Kind:
    """How a bind or define is described; `version` of the form of messages."""
    number = request.byte()
    request.skip("bbb")
    size = request.integer()
    request.skip("ii")
    request.counted()
    request.skip("ii")
    form = request.byte()
    request.skip("i", "i" if version >= 8 else "")
    return number, form, size


def row(request: Request, kinds: list[Kind], lobs: Lobs) -> list[Cell]:
    """One row of binds: values too long for VARCHAR2 come last."""
    if request.byte() != _ROW:
        raise OracleError(3120, "two-task conversion routine: integer overflow")
    values: list[Cell] = [None] * len(kinds)
    long = [number in _BYTES and size > 4000 for number, _, size in kinds]
    for late in (False, True):
        for i, (number, form, _) in enumerate(kinds):
            if long[i] == late:
                values[i] = lobs.content(request.counted()) if number in _LARGE else bound(number, form, request.string())
    return values


def login(request: Request) -> tuple[str, dict[str, str]]:
    """The user who logs in, and names and values."""
    request.byte()
    size = request.integer()
    request.integer()
    request.byte()
    count = request.integer()
    request.skip("bb")
    user = (request.string() or b"").decode() if size else ""
    pairs = {}
    for _ in range(count):
        key = request.counted().decode()
        pairs[key] = request.counted().decode()
        request.integer()
    return user, pairs


def end_to_end(request: Request) -> None:
    """What the client says of itself, read over."""
    request.skip("bbi")
    sizes = []
    for kind in ("bi", "bi", "bi", "bibi", "bi", "bibi", "bi"):
        present, size = request.byte(), request.integer()
        request.skip(kind[2:])
        sizes.append(bool(present and size) and len(kind) == 2)
    for present in sizes:
        if present:
            request.string()
