"""Oracle's functions as SQLite calls them: each is registered as ORA_ and its name."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from tests.oracle_emulator.aggregates import Average, Joined, Sum
from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.masks import number_text, number_value, time_text, time_value
from tests.oracle_emulator.types import EXACT, TIMES, Cell, as_text, declared, moment, spelled, stored, to_number

LOCAL = timezone(timedelta(hours=8))
_ISO = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( [+-]\d\d:\d\d)?")
_MOST_TEXT = 4000  # bytes
_UNITS = {"DAY": 86400, "HOUR": 3600, "MINUTE": 60, "SECOND": 1}


class Failure:
    """The Oracle error that a function has raised: SQLite itself passes on no more than that there was one."""

    error: OracleError | None = None


def install(connection: sqlite3.Connection, user: str, failure: Failure) -> None:
    """All functions, for one connection."""
    for name, function in FUNCTIONS.items():
        connection.create_function(f"ORA_{name.replace('.', '_')}", -1, _guarded(function, failure), deterministic=not name.startswith("SYS"))
    connection.create_function("ORA_USER", -1, lambda *_: user, deterministic=True)
    connection.create_function("ORA_SYS_CONTEXT", -1, lambda _space, word, *_: _context(word, user), deterministic=True)
    connection.create_aggregate("ORA_SUM", 1, Sum)  # type: ignore[arg-type]
    connection.create_aggregate("ORA_AVG", 1, Average)  # type: ignore[arg-type]
    connection.create_aggregate("ORA_LISTAGG", -1, Joined)  # type: ignore[arg-type]


def _context(word: str, user: str) -> str | None:
    return {"CURRENT_SCHEMA": user, "SESSION_USER": user, "CURRENT_USER": user, "DB_NAME": "EMULATED", "SERVICE_NAME": "EMULATED"}.get(word.upper())


def _guarded(function: Callable[..., Cell], failure: Failure) -> Callable[..., Cell]:
    def called(*arguments: Cell) -> Cell:
        try:
            value = function(*arguments)
        except OracleError as error:
            failure.error = error
            raise
        return None if value == "" else value

    return called


def store(value: Cell, kind: str, column: str) -> Cell:
    """A value as a column of a type takes it: rounded, checked for length, converted. Raises ORA-12899, ORA-01438, ORA-01722, ORA-01861."""
    if value is None or value == "":
        return None
    to = declared(kind)
    if to.name == "NUMBER":
        return _fitting(to_number(value), to.precision, to.scale)
    if to.name.startswith("BINARY_"):
        return float(to_number(value)) if not isinstance(value, float) else value
    if to.name in TIMES:
        text = as_text(value)
        if not _ISO.fullmatch(text):
            raise OracleError(1861, "literal does not match format string")
        return _rounded(text, to.name, to.scale)
    if to.affinity == "BLOB":
        try:
            data = value if isinstance(value, bytes) else bytes.fromhex(as_text(value))
        except ValueError as error:
            raise OracleError(1465, "invalid hex number") from error
        if to.name == "RAW" and len(data) > to.size:
            raise OracleError(12899, f'value too large for column "{column}" (actual: {len(data)}, maximum: {to.size})')
        return data
    text = as_text(value)
    if to.name.startswith("INTERVAL"):
        return text
    length = len(text) if to.characters else len(text.encode())
    if to.size and length > to.size:
        raise OracleError(12899, f'value too large for column "{column}" (actual: {length}, maximum: {to.size})')
    return text


def _fitting(value: Decimal | int, precision: int, scale: int) -> Cell:
    if scale == -127 or (isinstance(value, int) and scale >= 0 and abs(value) < 10 ** (precision - scale)):
        return stored(value)
    with localcontext(prec=80):
        rounded = Decimal(value).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
        too_large = abs(rounded) >= Decimal(1).scaleb(precision - scale)
    if too_large:
        raise OracleError(1438, "value larger than specified precision allowed for this column")
    return stored(rounded)


def _rounded(text: str, name: str, scale: int) -> str:
    at, nanoseconds, offset = moment(text)
    if name == "DATE":
        return spelled(at)
    if offset is not None and name != "TIMESTAMP WITH TIME ZONE":
        offset = None
    unit = 10 ** (9 - scale)
    nanoseconds = (nanoseconds + unit // 2) // unit * unit
    return spelled(at + timedelta(seconds=nanoseconds // 10**9), nanoseconds % 10**9, 480 if name.endswith("WITH TIME ZONE") and offset is None else offset)


def cast(value: Cell, kind: str) -> Cell:
    """CAST: as storing, but text is cut to its length."""
    to = declared(kind)
    if value is not None and to.textual and to.size:
        return as_text(value)[: to.size]
    return store(value, kind, "CAST")


def to_char(value: Cell, mask: Cell = None, *_: Cell) -> Cell:
    if value is None:
        return None
    if isinstance(value, str):
        if value.startswith("interval "):
            return _interval_text(float(value[9:]))
        return time_text(value, as_text(mask)) if mask is not None and _ISO.fullmatch(value) else value
    if isinstance(value, bytes) and not value.startswith(EXACT):
        return value.hex().upper()
    return as_text(value) if mask is None else number_text(to_number(value), as_text(mask))


def _interval_text(seconds: float) -> str:
    days, rest = divmod(abs(seconds), 86400)
    whole = int(rest)
    return f"{'-' if seconds < 0 else '+'}{int(days):02d} {whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{round((rest - whole) * 1e6):06d}"


def shift(value: Cell, amount: Cell, sign: int) -> Cell:
    """A time and a number of days or an interval; or two times, which gives days."""
    if value is None or amount is None:
        return None
    if isinstance(amount, str) and _ISO.fullmatch(amount):
        (left, part, _), (right, other, _) = moment(as_text(value)), moment(amount)
        return stored(Decimal(str(((left - right).total_seconds() + (part - other) / 1e9) / 86400)))
    at, nanoseconds, offset = moment(as_text(value))
    if isinstance(amount, str) and amount.startswith("months "):
        return spelled(_months(at, sign * int(float(amount[7:]))), nanoseconds, offset)
    seconds = Decimal(amount[9:]) if isinstance(amount, str) and amount.startswith("interval ") else Decimal(to_number(amount)) * 86400
    total = nanoseconds + sign * int((seconds * 10**9).to_integral_value(ROUND_HALF_UP))
    if not isinstance(amount, str) and not nanoseconds:
        total = round(total / 10**9) * 10**9
    return spelled(at + timedelta(seconds=total // 10**9), total % 10**9, offset)


def _months(at: datetime, months: int) -> datetime:
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    for day in (at.day, 30, 29, 28):
        if day <= at.day:
            try:
                return at.replace(year=year, month=month + 1, day=day)
            except ValueError:
                continue
    return at


def interval(amount: Cell, unit: Cell) -> Cell:
    """INTERVAL '10' MINUTE and NUMTODSINTERVAL."""
    word = as_text(unit).upper().removesuffix("S")
    if word in ("MONTH", "YEAR"):
        return f"months {int(to_number(amount)) * (12 if word == 'YEAR' else 1)}"
    if word not in _UNITS:
        raise OracleError(1867, "the interval is invalid")
    return None if amount is None else f"interval {to_number(amount) * _UNITS[word]}"


def zoned(value: Cell, zone: Cell) -> Cell:
    """AT TIME ZONE: the same moment as another zone's clocks show it."""
    if value is None:
        return None
    at, nanoseconds, offset = moment(as_text(value))
    minutes = _zone(as_text(zone))
    return spelled(at + timedelta(minutes=minutes - (480 if offset is None else offset)), nanoseconds, minutes)


def _zone(text: str) -> int:
    found = re.fullmatch(r"([+-]?)(\d\d?):(\d\d)", text.strip())
    if found:
        return (-1 if found[1] == "-" else 1) * (int(found[2]) * 60 + int(found[3]))
    return {"UTC": 0, "GMT": 0}.get(text.upper(), 480)


def truncated(value: Cell, unit: Cell = None) -> Cell:
    if value is None:
        return None
    if isinstance(value, str) and _ISO.fullmatch(value):
        at, word = moment(value)[0], as_text(unit).upper() if unit is not None else "DD"
        cut = {"YYYY": "%Y-01-01 00:00:00", "YEAR": "%Y-01-01 00:00:00", "MM": "%Y-%m-01 00:00:00", "MONTH": "%Y-%m-01 00:00:00"}
        return at.strftime(cut.get(word, "%Y-%m-%d %H:00:00" if word.startswith("HH") else "%Y-%m-%d %H:%M:00" if word == "MI" else "%Y-%m-%d 00:00:00"))
    return _quantized(value, unit, ROUND_DOWN)


def _quantized(value: Cell, places: Cell, how: str) -> Cell:
    if value is None:
        return None
    with localcontext(prec=80):
        return stored(Decimal(to_number(value)).quantize(Decimal(1).scaleb(-int(to_number(places or 0))), how))


def substring(text: Cell, start: Cell, length: Cell = None) -> Cell:
    if text is None or start is None:
        return None
    whole, at = as_text(text), int(to_number(start))
    begin = at - 1 if at > 0 else 0 if at == 0 else len(whole) + at
    return whole[max(begin, 0) :] if length is None else whole[max(begin, 0) : max(begin, 0) + max(int(to_number(length)), 0)]


def joined(*parts: Cell) -> Cell:
    """`||`: nothing is the empty text, and no more comes out than VARCHAR2 holds."""
    text = "".join(as_text(part) for part in parts if part is not None)
    if len(text) > _MOST_TEXT // 4 and len(text.encode()) > _MOST_TEXT:
        raise OracleError(1489, "result of string concatenation is too long")
    return text


def hashed(value: Cell, most: Cell = None, seed: Cell = None) -> Cell:
    """ORA_HASH: another function than Oracle's, with the same range."""
    if value is None:
        return 0
    data = f"{0 if seed is None else as_text(seed)}|{as_text(value)}".encode()
    return zlib.crc32(hashlib.md5(data).digest()) % (int(to_number(most)) + 1 if most is not None else 1 << 32)


def digest(value: Cell, name: Cell = "SHA1") -> Cell:
    """STANDARD_HASH."""
    data = b"" if value is None else value if isinstance(value, bytes) and not value.startswith(EXACT) else as_text(value).encode()
    return hashlib.new(as_text(name).lower(), data).digest()


def text_date(value: Cell, mask: Cell = "YYYY-MM-DD HH24:MI:SS", *_: Cell) -> Cell:
    if value is None or (isinstance(value, str) and mask is None):
        return value
    return time_value(as_text(value), as_text(mask), fraction=False)


def text_time(value: Cell, mask: Cell = "YYYY-MM-DD HH24:MI:SS.FF9", *_: Cell) -> Cell:
    return None if value is None else time_value(as_text(value), as_text(mask), fraction=True)


def text_number(value: Cell, mask: Cell = None, *_: Cell) -> Cell:
    if value is None:
        return None
    return stored(number_value(as_text(value), as_text(mask)) if mask is not None else to_number(value))


def now(*_: Cell) -> Cell:
    return spelled(datetime.now(LOCAL))


def precise_now(*_: Cell) -> Cell:
    at = datetime.now(LOCAL)
    return spelled(at, at.microsecond * 1000, 480)


def decode(value: Cell, *pairs: Cell) -> Cell:
    for i in range(0, len(pairs) - 1, 2):
        if pairs[i] == value:
            return pairs[i + 1]
    return pairs[-1] if len(pairs) % 2 else None


def _padded(text: Cell, size: Cell, fill: Cell, left: bool) -> Cell:
    if text is None or size is None:
        return None
    whole, width, pad = as_text(text), int(to_number(size)), as_text(fill) if fill is not None else " "
    missing = (pad * width)[: max(width - len(whole), 0)]
    return (missing + whole if left else whole + missing)[:width]


def _text(function: Callable[..., str | int]) -> Callable[..., Cell]:
    """A function of text that gives nothing for nothing."""

    def called(value: Cell, *rest: Cell) -> Cell:
        return None if value is None else function(as_text(value), *("" if each is None else as_text(each) for each in rest))

    return called


def _exact(function: Callable[..., Any]) -> Callable[..., Cell]:
    def called(*values: Cell) -> Cell:
        if any(value is None for value in values):
            return None
        with localcontext(prec=60):
            return stored(function(*(Decimal(to_number(value)) for value in values)))

    return called


def divided(left: Cell, right: Cell) -> Cell:
    if left is None or right is None:
        return None
    with localcontext(prec=40):
        if not to_number(right):
            raise OracleError(1476, "divisor is equal to zero")
        return stored(Decimal(to_number(left)) / Decimal(to_number(right)))


def extracted(part: Cell, value: Cell) -> Cell:
    if value is None:
        return None
    at = moment(as_text(value))[0]
    return int(getattr(at, as_text(part).lower()))


FUNCTIONS: dict[str, Callable[..., Cell]] = {
    "STORE": store, "CAST": cast, "TO_CHAR": to_char, "TO_NCHAR": to_char, "TO_DATE": text_date, "TO_TIMESTAMP": text_time, "TO_TIMESTAMP_TZ": text_time,
    "TO_NUMBER": text_number, "TO_CLOB": lambda value: None if value is None else as_text(value), "TO_BINARY_DOUBLE": lambda value: None if value is None else float(to_number(value)),
    "SYSDATE": now, "SYSTIMESTAMP": precise_now, "PLUS": lambda a, b: shift(a, b, 1), "MINUS": lambda a, b: shift(a, b, -1), "INTERVAL": interval,
    "NUMTODSINTERVAL": interval, "NUMTOYMINTERVAL": interval, "ZONED": zoned, "FROM_TZ": lambda a, zone: None if a is None else spelled(*moment(as_text(a))[:2], _zone(as_text(zone))),
    "SYS_EXTRACT_UTC": lambda a: None if a is None else as_text(zoned(a, "UTC")).removesuffix(" +00:00"), "TRUNC": truncated, "ROUND": lambda a, n=0: _quantized(a, n, ROUND_HALF_UP),
    "ADD_MONTHS": lambda a, n: None if a is None else spelled(_months(moment(as_text(a))[0], int(to_number(n)))), "EXTRACT": extracted,
    "CONCAT": joined,
    "CONCAT_LOB": lambda *parts: "".join(as_text(part) for part in parts if part is not None), "SUBSTR": substring, "SUBSTRB": substring,
    "DBMS_LOB.SUBSTR": lambda text, n=None, at=1: substring(text, at, n), "ORA_HASH": hashed, "STANDARD_HASH": digest,
    "RAWTOHEX": lambda value: None if value is None else (value if isinstance(value, bytes) and not value.startswith(EXACT) else as_text(value).encode()).hex().upper(),
    "HEXTORAW": lambda value: None if value is None else store(value, "LONG RAW", ""), "NVL": lambda a, b: b if a is None else a, "NVL2": lambda a, b, c: c if a is None else b,
    "DECODE": decode, "LENGTH": lambda value: None if value is None else len(value if isinstance(value, bytes) and not value.startswith(EXACT) else as_text(value)),
    "LENGTHB": lambda value: None if value is None else len(value if isinstance(value, bytes) else as_text(value).encode()),
    "DBMS_LOB.GETLENGTH": lambda value: None if value is None else len(value if isinstance(value, bytes) else as_text(value)),
    "DBMS_LOB.COMPARE": lambda a, b: None if a is None or b is None else (as_text(a) > as_text(b)) - (as_text(a) < as_text(b)),
    "UPPER": _text(str.upper), "LOWER": _text(str.lower), "TRIM": _text(lambda text: text.strip(" ")), "RTRIM": _text(lambda text, cut=" ": text.rstrip(cut)),
    "LTRIM": _text(lambda text, cut=" ": text.lstrip(cut)), "INITCAP": _text(str.title), "REPLACE": _text(lambda text, old, new="": text.replace(old, new) if old else text),
    "TRANSLATE": _text(lambda text, old, new: text.translate({ord(c): new[i] if i < len(new) else None for i, c in enumerate(old)})),
    "INSTR": _text(lambda text, part, at="1", *_: text.find(part, int(at) - 1) + 1), "REGEXP_LIKE": _text(lambda text, pattern, *_: int(bool(re.search(pattern, text)))),
    "REGEXP_REPLACE": _text(lambda text, pattern, new="", *_: re.sub(pattern, new, text)), "ASCII": _text(lambda text: ord(text[0])),
    "CHR": lambda code, *_: None if code is None else chr(int(to_number(code))), "LPAD": lambda a, n, fill=" ": _padded(a, n, fill, True),
    "RPAD": lambda a, n, fill=" ": _padded(a, n, fill, False), "MOD": _exact(lambda a, b: a - b * (a / b).to_integral_value(ROUND_DOWN) if b else a),
    "ABS": _exact(abs), "SIGN": _exact(lambda a: (a > 0) - (a < 0)), "FLOOR": _exact(lambda a: a.to_integral_value("ROUND_FLOOR")),
    "CEIL": _exact(lambda a: a.to_integral_value("ROUND_CEILING")), "POWER": _exact(lambda a, b: a**b), "DIVIDE": divided,
    "GREATEST": lambda *all_: None if None in all_ else max(all_), "LEAST": lambda *all_: None if None in all_ else min(all_), "NULLIF": lambda a, b: None if a == b else a,
    "COALESCE": lambda *all_: next((each for each in all_ if each is not None), None), "ROWIDTOCHAR": lambda a: a, "CHARTOROWID": lambda a: a, "TO_DSINTERVAL": lambda a: a,
    "USERENV": lambda *_: None, "UNISTR": lambda a: a, "XMLSERIALIZE": lambda a: a, "SYS_GUID": lambda *_: hashlib.md5(str(datetime.now().timestamp()).encode()).digest(),
}  # fmt: skip
"""By name. What is not here has SQLite's own function, or none: then ORA-00904."""

RESULTS = {
    **dict.fromkeys(("TO_DATE", "SYSDATE", "ADD_MONTHS", "CURRENT_DATE", "LAST_DAY"), "DATE"),
    **dict.fromkeys(("TO_TIMESTAMP", "SYS_EXTRACT_UTC", "LOCALTIMESTAMP"), "TIMESTAMP(9)"),
    **dict.fromkeys(("SYSTIMESTAMP", "CURRENT_TIMESTAMP"), "TIMESTAMP(6) WITH TIME ZONE"),
    **dict.fromkeys(("TO_TIMESTAMP_TZ", "FROM_TZ"), "TIMESTAMP(9) WITH TIME ZONE"),
    **dict.fromkeys(
        ["TO_NUMBER", "COUNT", "SUM", "AVG", "MOD", "ABS", "SIGN", "FLOOR", "CEIL", "POWER", "LENGTH", "LENGTHB", "INSTR", "ORA_HASH", "EXTRACT", "ASCII", "ROW_NUMBER", "RANK", "DENSE_RANK", "DBMS_LOB.GETLENGTH", "DBMS_LOB.COMPARE", "MONTHS_BETWEEN"],
        "NUMBER",
    ),
    **dict.fromkeys(("NUMTODSINTERVAL", "TO_DSINTERVAL"), "INTERVAL DAY TO SECOND"),
    **dict.fromkeys(("STANDARD_HASH", "HEXTORAW", "SYS_GUID"), "RAW(2000)"),
    **dict.fromkeys(("TO_CLOB", "XMLSERIALIZE"), "CLOB"),
    "TO_BINARY_DOUBLE": "BINARY_DOUBLE", "TO_NCHAR": "NVARCHAR2(2000)", "ROWIDTOCHAR": "VARCHAR2(18)", "CHR": "VARCHAR2(4)",
}  # fmt: skip
"""The type of what a function gives; of others: that of its first argument, or text."""
SAME = frozenset(["MIN", "MAX", "NVL", "COALESCE", "GREATEST", "LEAST", "TRUNC", "ROUND", "NULLIF", "FIRST_VALUE", "LAST_VALUE", "LAG", "LEAD"])
"""Functions that give the type that they are given."""
AGGREGATES = frozenset(["COUNT", "SUM", "AVG", "MIN", "MAX", "LISTAGG"])
NATIVE = frozenset(["COUNT", "MIN", "MAX", "ROW_NUMBER", "RANK", "DENSE_RANK", "FIRST_VALUE", "LAST_VALUE", "LAG", "LEAD"])
"""Functions that SQLite has itself."""
