"""The messages that the server answers with."""

from __future__ import annotations

from collections.abc import Sequence

from tests.oracle_emulator.catalogue import Column
from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.lobs import Lobs
from tests.oracle_emulator.types import LOBS, Cell, Type, as_text, cell, described
from tests.oracle_emulator.wire import integer, string

HANDSHAKES: Sequence[tuple[tuple[int, ...], int]] = (((19,), 12), ((18,), 11), ((12, 2), 8), ((12, 1), 7))
"""The form of messages that a version speaks: newer ones speak that of 19 here, which every client knows."""

_LONG, _LONG_RAW = 8, 24
_IN_TRANSACTION = 2


def accepted(version: tuple[int, ...], *, native_encryption: bool) -> bytes:
    """The connection is accepted; 314 is what a server before 12.1 offers."""
    offered = 315 if version >= (12, 1) else 314
    head = offered.to_bytes(2, "big") + bytes((0, 0)) + b"\x20\0" + b"\xff\xff" + b"\1\0" + bytes((0, 0, 0, 45))
    return head + bytes((0x10 if native_encryption else 0x04, 0x04)) + bytes(8) + (32768).to_bytes(4, "big") * 2 + bytes(1)


def refused(code: int) -> bytes:
    """The listener's refusal."""
    text = f"(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR={code})(ERROR_STACK=(ERROR=(CODE={code})(EMFI=4))))".encode()
    return b"\x22\0" + len(text).to_bytes(2, "big") + text


def protocol(version: int) -> bytes:
    """What the server can do: AL32UTF8, and AL16UTF16 as its national character set."""
    able = bytearray(45)
    able[7] = version
    runs = bytearray(7)
    national = b"\0" * 9 + (2000).to_bytes(2, "big")
    banner = b"x86_64/Linux 2.4.xx\0"
    head = b"\1\6\0" + banner + (873).to_bytes(2, "little") + b"\1" + b"\0\0"
    return head + len(national).to_bytes(2, "big") + national + string(bytes(able)) + string(bytes(runs))


def data_types() -> bytes:
    """No type is converted."""
    return b"\2\0\0"


def status() -> bytes:
    """The end of a call that gives nothing."""
    return b"\x09\0\0"


def ended(error: OracleError | None, cursor: int, rows: int, batch: Sequence[tuple[int, OracleError]], *, in_transaction: bool) -> bytes:
    """The end of a call: an error or none, the cursor's number, rows so far."""
    code = error.code if error else 0
    parts = [
        b"\4", integer(_IN_TRANSACTION if in_transaction else 0), b"\0" * 2, integer(code if code < 1 << 16 else 0), b"\0" * 2, integer(cursor), b"\0", bytes(6), b"\0\0\0\0\0",
        b"\0\0\0\0\0", b"\0", _batch(batch), integer(code), integer(rows), string(f"{error}\n".encode()) if error else b"",
    ]  # fmt: skip
    return b"".join(parts)


def _batch(errors: Sequence[tuple[int, OracleError]]) -> bytes:
    if not errors:
        return b"\0\0\0"
    count = integer(len(errors))
    codes = count + bytes((len(errors) & 0x7F,)) + b"".join(integer(error.code) for _, error in errors)
    places = count + bytes((len(errors) & 0x7F,)) + b"".join(integer(place) for place, _ in errors)
    texts = count + b"\0" + b"".join(b"\0" + string(str(error).encode()) + b"\0\0" for _, error in errors)
    return codes + places + texts


def described_rows(columns: Sequence[Column], version: int) -> bytes:
    """The columns of a result."""
    parts = [b"\x10\0", integer(sum(column.type.width for column in columns)), integer(len(columns)), b"\0"]
    parts += [described(column.name, column.type, i, version, nullable=column.nullable) for i, column in enumerate(columns, 1)]
    return b"".join(parts) + b"\0\0\0\0\0\0"


def values_of(rows: Sequence[Sequence[Cell]], columns: Sequence[Column], defines: Sequence[int], lobs: Lobs) -> bytes:
    """Rows, a message each. `defines` are the types that the client wants large objects in."""
    kinds = [(column.type, defines[i] if i < len(defines) else 0) for i, column in enumerate(columns)]
    parts: list[bytes] = []
    for row in rows:
        parts.append(b"\7")
        parts += [
            _large(value, kind, wanted, lobs) if kind.name in LOBS else cell(value, kind) + (b"\0\0" if kind.name.startswith("LONG") else b"")
            for value, (kind, wanted) in zip(row, kinds, strict=True)
        ]
    return b"".join(parts)


def _large(value: Cell, kind: Type, wanted: int, lobs: Lobs) -> bytes:
    if wanted in (_LONG, _LONG_RAW):
        content = None if value is None else value if isinstance(value, bytes) else as_text(value).encode("utf-16-be" if kind.national else "utf-8")
        return string(content) + b"\0\0"
    if value is None:
        return b"\0"
    held = value if isinstance(value, bytes) and kind.name == "BLOB" else as_text(value)
    locator = lobs.locator(held)
    return integer(len(locator)) + integer(len(held)) + integer(8132) + string(locator)
