"""Oracle's data types: how they are declared, described to a client, and how values of each travel."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.wire import counted, integer, string

Cell = str | int | float | bytes | None
"""What SQLite holds: text (dates as ISO text), numbers, bytes; a number that fits neither an integer nor 15 digits is `EXACT` and its wire form."""

EXACT = b"\0ora-number\0"
NUMBERS = {
    "VARCHAR2": 1, "NVARCHAR2": 1, "NUMBER": 2, "LONG": 8, "DATE": 12, "RAW": 23, "LONG RAW": 24, "CHAR": 96, "NCHAR": 96, "BINARY_FLOAT": 100,
    "BINARY_DOUBLE": 101, "CLOB": 112, "NCLOB": 112, "BLOB": 113, "TIMESTAMP": 180, "TIMESTAMP WITH TIME ZONE": 181, "INTERVAL DAY TO SECOND": 183,
    "TIMESTAMP WITH LOCAL TIME ZONE": 231,
}  # fmt: skip
"""Oracle's number of each type."""
_ALIASES = {
    "VARCHAR": "VARCHAR2", "CHARACTER VARYING": "VARCHAR2", "CHAR VARYING": "VARCHAR2", "NCHAR VARYING": "NVARCHAR2", "CHARACTER": "CHAR", "DECIMAL": "NUMBER",
    "NUMERIC": "NUMBER", "DOUBLE PRECISION": "FLOAT",
}  # fmt: skip
_WIDTHS = {
    "NUMBER": 22,
    "DATE": 7,
    "TIMESTAMP": 11,
    "TIMESTAMP WITH LOCAL TIME ZONE": 11,
    "TIMESTAMP WITH TIME ZONE": 13,
    "BINARY_DOUBLE": 8,
    "BINARY_FLOAT": 4,
}
_WIDTHS |= {"INTERVAL DAY TO SECOND": 11, "CLOB": 4000, "NCLOB": 4000, "BLOB": 4000}
_MOST = {"VARCHAR2": 4000, "NVARCHAR2": 2000, "CHAR": 2000, "NCHAR": 1000, "RAW": 2000}
_NATIONAL = frozenset(("NVARCHAR2", "NCHAR", "NCLOB"))
_TEXT = frozenset(("VARCHAR2", "CHAR", "LONG", "CLOB"))
LOBS = frozenset(("CLOB", "NCLOB", "BLOB"))
TIMES = frozenset(("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH LOCAL TIME ZONE"))
_DECLARED = re.compile(r"([A-Z_0-9 ]+?)\s*(?:\(\s*(\*|\d+)\s*(?:,\s*(-?\d+)\s*)?(BYTE|CHAR)?\s*\))?((?:\s+WITH(?: LOCAL)? TIME ZONE)?)")


@dataclass(frozen=True, slots=True)
class Type:
    """A type as declared. `size` in bytes, or in characters where `characters`; `scale` -127 stands for a NUMBER without precision."""

    name: str
    size: int = 0
    precision: int = 0
    scale: int = 0
    characters: bool = False

    @property
    def national(self) -> bool:
        return self.name in _NATIONAL

    @property
    def textual(self) -> bool:
        return self.name in _TEXT or self.national

    @property
    def declaration(self) -> str:
        """The type as it is declared."""
        if self.name == "NUMBER":
            return (
                f"FLOAT({self.precision})"
                if self.scale == -127 and self.precision
                else "NUMBER"
                if self.scale == -127
                else f"NUMBER({self.precision},{self.scale})"
            )
        if self.name.startswith("TIMESTAMP"):
            return self.name.replace("TIMESTAMP", f"TIMESTAMP({self.scale})", 1)
        if self.name in ("CHAR", "VARCHAR2", "NCHAR", "NVARCHAR2", "RAW"):
            return f"{self.name}({self.size}{' CHAR' if self.characters and not self.national else ''})"
        return self.name

    @property
    def affinity(self) -> str:
        """SQLite's type for a column of it."""
        if self.name == "NUMBER":
            return "NUMERIC"
        if self.name.startswith("BINARY_"):
            return "REAL"
        return "BLOB" if self.name in ("RAW", "LONG RAW", "BLOB") else "TEXT"

    @property
    def width(self) -> int:
        """The most bytes that a value takes."""
        return _WIDTHS.get(self.name) or self.size * (4 if self.characters and not self.national else 2 if self.national else 1)


TEXT = Type("VARCHAR2", 4000)
NUMBER = Type("NUMBER", 22, 0, -127)


@lru_cache(2048)
def declared(text: str) -> Type:
    """The type that a declaration means: `VARCHAR2(40 CHAR)`, `NUMBER(10,2)`, `TIMESTAMP(6) WITH TIME ZONE`."""
    upper = re.sub(r"\s+", " ", text.strip().upper())
    if upper.startswith("INTERVAL DAY"):
        return Type("INTERVAL DAY TO SECOND", 11, 2, 6)
    found = _DECLARED.fullmatch(upper)
    if found is None:
        raise OracleError(902, "invalid datatype")
    name, first, second, unit, zone = found.groups()
    name = _ALIASES.get(name.strip(), name.strip()) + (zone or "")
    size = int(first) if first and first != "*" else None
    if name in ("INTEGER", "INT", "SMALLINT"):
        return Type("NUMBER", 22, 38, 0)
    if name in ("FLOAT", "REAL"):
        return Type("NUMBER", 22, size or 126, -127)
    if name not in NUMBERS:
        raise OracleError(902, "invalid datatype")
    if name == "NUMBER":
        return NUMBER if first is None else Type("NUMBER", 22, size or 38, int(second or 0))
    if name.startswith("TIMESTAMP"):
        return Type(name, _WIDTHS[name], 0, 6 if size is None else size)
    if size is not None and size > _MOST.get(name, size):
        raise OracleError(910, "specified length too long for its datatype")
    if name in ("CHAR", "NCHAR", "VARCHAR2", "NVARCHAR2", "RAW"):
        return Type(name, size or 1, characters=unit == "CHAR" or name in _NATIONAL)
    return Type(name)


def described(name: str, kind: Type, position: int, version: int, *, nullable: bool = True) -> bytes:
    """How a column of a result is described to the client."""
    spelled = name.encode()
    long = kind.name.startswith("LONG")
    form = 2 if kind.national else 1 if kind.textual else 0
    parts = [
        bytes((NUMBERS[kind.name], 0, kind.precision & 255, kind.scale & 255)), integer(0x7FFFFFFF if long else kind.width), b"\0\0\0\0",
        integer({1: 873, 2: 2000}.get(form, 0)), bytes((form,)), integer(kind.width // 2 if kind.national else kind.size if form else 0),
        b"\0" if version >= 8 else b"", bytes((nullable, min(len(spelled), 255))), counted(spelled), b"\0\0", integer(position), b"\0",
    ]  # fmt: skip
    return b"".join(parts)


def to_number(value: object) -> Decimal | int:
    """A cell as a number. Raises ORA-01722."""
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bytes) and value.startswith(EXACT):
        return number_from(value[len(EXACT) :])
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        raise OracleError(1722, "invalid number")
    return Decimal(text)


def stored(value: Decimal | int) -> Cell:
    """A number as SQLite holds it without loss."""
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 63 else EXACT + number_to(value)
    if not value.is_finite():
        raise OracleError(1426, "numeric overflow")
    if value == value.to_integral_value() and abs(value) < 1 << 63:
        return int(value)
    digits = "".join(map(str, value.as_tuple().digits)).strip("0")
    return float(value) if len(digits) <= 15 and Decimal(repr(float(value))) == value else EXACT + number_to(value)


@lru_cache(4096)
def number_to(value: Decimal | int) -> bytes:
    """A number in Oracle's form: an exponent of 100 and digits of base 100, so built that bytes sort as numbers do."""
    sign, digits, exponent = Decimal(value).as_tuple()
    assert isinstance(exponent, int), "infinities have no such form"
    text = "".join(map(str, digits)).lstrip("0")
    if not text:
        return b"\x80"
    if exponent % 2:
        text, exponent = text + "0", exponent - 1
    text = "0" * (len(text) % 2) + text
    pairs = [int(text[i : i + 2]) for i in range(0, len(text), 2)]
    power = exponent // 2 + len(pairs) - 1
    pairs = pairs[:20]
    while pairs and pairs[-1] == 0:
        pairs.pop()
    if power > 62 or power < -65:
        raise OracleError(1426, "numeric overflow")
    if sign:
        return bytes((~(193 + power) & 255, *(101 - pair for pair in pairs), *([102] if len(pairs) < 20 else [])))
    return bytes((193 + power, *(1 + pair for pair in pairs)))


def number_from(data: bytes) -> Decimal | int:
    """A number from Oracle's form."""
    if len(data) == 1:
        return 0
    positive = data[0] & 0x80
    body = data[1:] if positive or data[-1] != 102 else data[1:-1]
    power = (data[0] if positive else ~data[0] & 255) - 193
    whole = int("".join(f"{(byte - 1) if positive else (101 - byte):02d}" for byte in body))
    exponent = 2 * (power - len(body) + 1)
    if exponent >= 0:
        return int(whole if positive else -whole) * int(10**exponent)
    return Decimal((0 if positive else 1, tuple(map(int, str(whole))), exponent))


def moment(text: str) -> tuple[datetime, int, int | None]:
    """ISO text as SQLite holds it: the moment, its nanoseconds, and its offset from UTC in minutes where it has one."""
    clock, _, zone = text.partition(" +") if " +" in text else text.rpartition(" -") if text.count(" ") == 2 else (text, "", "")
    offset = None
    if zone:
        hours, _, minutes = zone.partition(":")
        offset = (-1 if " -" in text else 1) * (int(hours) * 60 + int(minutes or 0))
    whole, _, part = clock.partition(".")
    return datetime.fromisoformat(whole), int(part.ljust(9, "0")[:9] or 0) if part else 0, offset


def spelled(at: datetime, nanoseconds: int = 0, offset: int | None = None) -> str:
    """The same, back: no fraction where it is zero, so that text sorts and compares as time does."""
    text = at.replace(microsecond=0, tzinfo=None).isoformat(" ")
    text += f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return text if offset is None else f"{text} {'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"


def time_to(text: str, kind: str) -> bytes:
    """A date or time in Oracle's form."""
    try:
        at, nanoseconds, offset = moment(text)
    except ValueError as error:
        raise OracleError(1861, "literal does not match format string") from error
    if kind == "TIMESTAMP WITH TIME ZONE":
        at -= timedelta(minutes=offset or 0)
    data = bytes((at.year // 100 + 100, at.year % 100 + 100, at.month, at.day, at.hour + 1, at.minute + 1, at.second + 1))
    if kind == "DATE":
        return data
    data += nanoseconds.to_bytes(4, "big")
    if kind != "TIMESTAMP WITH TIME ZONE":
        return data
    hours, minutes = divmod(abs(offset or 0), 60)
    sign = -1 if (offset or 0) < 0 else 1
    return data + bytes((20 + sign * hours, 60 + sign * minutes))


def time_from(data: bytes) -> str:
    """A date or time from Oracle's form."""
    at = datetime((data[0] - 100) * 100 + data[1] - 100, data[2], data[3], data[4] - 1, data[5] - 1, data[6] - 1)
    nanoseconds = int.from_bytes(data[7:11], "big") if len(data) >= 11 else 0
    if len(data) < 13:
        return spelled(at, nanoseconds)
    offset = (data[11] - 20) * 60 + data[12] - 60
    return spelled(at + timedelta(minutes=offset), nanoseconds, offset)


def double_to(value: float, code: str = ">d") -> bytes:
    """A binary double (or float, ">f") in the form that sorts."""
    data = struct.pack(code, value)
    return bytes((data[0] | 0x80,)) + data[1:] if not data[0] & 0x80 else bytes(~byte & 255 for byte in data)


def double_from(data: bytes) -> float:
    """A binary double or float from that form."""
    plain = bytes((data[0] & 0x7F,)) + data[1:] if data[0] & 0x80 else bytes(~byte & 255 for byte in data)
    return float(struct.unpack(">d" if len(data) == 8 else ">f", plain)[0])


def plain_number(value: Decimal | int) -> str:
    """A number as `TO_CHAR` writes it: no zero before the point."""
    if isinstance(value, int):
        return str(value)
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("", "-0", "0") else re.sub(r"^(-?)0\.", r"\1.", text)


def as_text(value: Cell) -> str:
    """A cell as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes) and not value.startswith(EXACT):
        return value.hex().upper()
    if isinstance(value, float) and not math.isfinite(value):
        return "Nan" if math.isnan(value) else ("Inf" if value > 0 else "-Inf")
    return plain_number(to_number(value))


def cell(value: Cell, kind: Type) -> bytes:
    """A value of a result as it travels, but for LOBs."""
    if value is None or value == "":
        return b"\0"
    if kind.national:
        text = as_text(value)
        return string((text.ljust(kind.size) if kind.name == "NCHAR" else text).encode("utf-16-be"))
    if kind.textual:
        data = as_text(value).encode()
        return string(data + b" " * (kind.size - (len(data.decode()) if kind.characters else len(data))) if kind.name == "CHAR" else data)
    if kind.name == "NUMBER":
        return string(number_to(to_number(value)))
    if kind.name in TIMES:
        return string(time_to(as_text(value), kind.name))
    if kind.name.startswith("BINARY_"):
        return string(double_to(float(to_number(value)) if not isinstance(value, float) else value, ">d" if kind.name == "BINARY_DOUBLE" else ">f"))
    if kind.name == "INTERVAL DAY TO SECOND":
        return string(_interval_to(float(as_text(value).removeprefix("interval "))))
    return string(value if isinstance(value, bytes) else as_text(value).encode())


def bound(number: int, form: int, data: bytes | None) -> Cell:
    """A value that a client binds, as SQLite holds it; the empty string is nothing."""
    if data is None:
        return None
    if number in (2, 3):
        return stored(number_from(data))
    if number in (12, 180, 181, 231):
        return time_from(data)
    if number in (100, 101):
        return double_from(data)
    if number in (23, 24):
        return data
    if number == 183:
        days, seconds = int.from_bytes(data[:4], "big") - (1 << 31), (data[4] - 60) * 3600 + (data[5] - 60) * 60 + data[6] - 60
        return f"interval {days * 86400 + seconds + (int.from_bytes(data[7:11], 'big') - (1 << 31)) / 1e9!r}"
    return data.decode("utf-16-be" if form == 2 else "utf-8")


def _interval_to(seconds: float) -> bytes:
    sign = -1 if seconds < 0 else 1
    whole, part = divmod(round(abs(seconds) * 10**9), 10**9)
    days, rest = divmod(whole, 86400)
    clock = (rest // 3600, rest // 60 % 60, rest % 60)
    return (sign * days + (1 << 31)).to_bytes(4, "big") + bytes(60 + sign * each for each in clock) + (sign * part + (1 << 31)).to_bytes(4, "big")
