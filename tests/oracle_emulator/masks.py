"""Format masks of `TO_CHAR`, `TO_DATE` and `TO_NUMBER`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from tests.oracle_emulator.errors import OracleError
from tests.oracle_emulator.types import moment, plain_number, spelled

_ELEMENTS = re.compile(
    r'"[^"]*"|FM|FX|SYYYY|YYYY|RRRR|YYY|YY|RR|Y|MONTH|MON|MM|DDD|DD|DAY|DY|D|HH24|HH12|HH|MI|SSSSS|SS|FF[1-9]?|TZH|TZM|TZR|IYYY|IW|WW|Q|J|AM|PM|A\.M\.|P\.M\.|X|.',
    re.IGNORECASE | re.DOTALL,
)
_SPAN = {"YYYY": 4, "SYYYY": 4, "RRRR": 4, "YY": 2, "RR": 2, "MM": 2, "DD": 2, "HH24": 2, "HH12": 2, "HH": 2, "MI": 2, "SS": 2, "SSSSS": 5, "DDD": 3, "FF": 9}
_ISO = "YYYY-MM-DD HH24:MI:SS"
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@lru_cache(256)
def _elements(mask: str) -> tuple[str, ...]:
    return tuple(each if each.startswith('"') else each.upper() for each in _ELEMENTS.findall(mask))


def time_text(text: str, mask: str) -> str:
    """A date or time (ISO text) by a mask."""
    if mask == _ISO and len(text) == 19:
        return text
    at, nanoseconds, offset = moment(text)
    fill = True
    parts = []
    for element in _elements(mask):
        if element == "FM":
            fill = False
            continue
        word = element[1:-1] if element.startswith('"') else _time_part(element, at, nanoseconds, offset)
        parts.append(word if fill or not word.isdigit() or element.startswith(("FF", '"')) else word.lstrip("0") or "0")
    return "".join(parts)


def _time_part(element: str, at: datetime, nanoseconds: int, offset: int | None) -> str:
    if element.startswith("FF"):
        return f"{nanoseconds:09d}"[: int(element[2:] or 6)]
    hours, minutes = divmod(abs(offset or 0), 60)
    sign = "-" if (offset or 0) < 0 else "+"
    made: dict[str, Callable[[], str]] = {
        "YYYY": lambda: f"{at.year:04d}", "SYYYY": lambda: f" {at.year:04d}", "RRRR": lambda: f"{at.year:04d}", "YYY": lambda: f"{at.year % 1000:03d}",
        "YY": lambda: f"{at.year % 100:02d}", "RR": lambda: f"{at.year % 100:02d}", "Y": lambda: str(at.year % 10), "MM": lambda: f"{at.month:02d}",
        "DD": lambda: f"{at.day:02d}", "HH24": lambda: f"{at.hour:02d}", "HH12": lambda: f"{at.hour % 12 or 12:02d}", "HH": lambda: f"{at.hour % 12 or 12:02d}",
        "MI": lambda: f"{at.minute:02d}", "SS": lambda: f"{at.second:02d}", "SSSSS": lambda: f"{at.hour * 3600 + at.minute * 60 + at.second:05d}",
        "DDD": lambda: f"{at.timetuple().tm_yday:03d}", "D": lambda: str(at.isoweekday() % 7 + 1), "Q": lambda: str((at.month + 2) // 3),
        "MON": lambda: _MONTHS[at.month - 1], "MONTH": lambda: f"{at:%B}".upper().ljust(9), "DY": lambda: f"{at:%a}".upper(), "DAY": lambda: f"{at:%A}".upper().ljust(9),
        "WW": lambda: f"{(at.timetuple().tm_yday + 6) // 7:02d}", "IW": lambda: f"{at.isocalendar().week:02d}", "IYYY": lambda: f"{at.isocalendar().year:04d}",
        "AM": lambda: "AM" if at.hour < 12 else "PM", "PM": lambda: "AM" if at.hour < 12 else "PM", "X": lambda: ".", "J": lambda: str(at.toordinal() + 1721425),
        "TZH": lambda: f"{sign}{hours:02d}", "TZM": lambda: f"{minutes:02d}", "TZR": lambda: f"{sign}{hours:02d}:{minutes:02d}",
    }  # fmt: skip
    if element in made:
        return made[element]()
    if element.isalnum():
        raise OracleError(1821, "date format not recognized")
    return element


def time_value(text: str, mask: str, *, fraction: bool) -> str:
    """Text by a mask as ISO text. Raises ORA-01830, ORA-01861 and their like."""
    found: dict[str, int] = {}
    at, zone = 0, None
    elements = _elements(mask)
    for element in elements:
        if element in ("FM", "FX"):
            continue
        if element == "TZH":
            match = re.match(r"([+-]?\d\d)", text[at:])
            zone = int(match[1]) * 60 if match else 0
        elif element == "TZM":
            match = re.match(r"(\d\d)", text[at:])
            zone = (zone or 0) + (-1 if (zone or 0) < 0 else 1) * int(match[1]) if match else zone
        elif element in ("AM", "PM"):
            match = re.match(r"[AaPp][Mm]", text[at:])
            found["HALF"] = 12 if match and match[0].upper() == "PM" else 0
        elif element == "MON":
            match = re.match(r"[A-Za-z]{3}", text[at:])
            found["MM"] = _MONTHS.index(match[0].upper()) + 1 if match and match[0].upper() in _MONTHS else 0
        elif element.startswith("FF") or element in _SPAN:
            span = int(element[2:] or 9) if element.startswith("FF") else _SPAN[element]
            match = re.match(rf"\d{{1,{span}}}", text[at:])
            if match is None and at < len(text):
                raise OracleError(1858, "a non-numeric character was found where a numeric was expected")
            if match is not None:
                found["FF" if element.startswith("FF") else element] = int(match[0].ljust(9, "0") if element.startswith("FF") else match[0])
        else:
            literal = element[1:-1] if element.startswith('"') else element
            if at < len(text) and not text.startswith(literal, at) and (text[at].isalnum() or literal.isalnum()):
                raise OracleError(1861, "literal does not match format string")
            at += len(literal) if at < len(text) else 0
            continue
        at += match.end() if match else 0
    if at < len(text.rstrip()):
        raise OracleError(1830, "date format picture ends before converting entire input string")
    return _built(found, zone, fraction=fraction)


def _built(found: dict[str, int], zone: int | None, *, fraction: bool) -> str:
    today = datetime.now()
    year = found.get("YYYY", found.get("SYYYY", found.get("RRRR")))
    if year is None:
        short = found.get("YY", found.get("RR"))
        year = today.year if short is None else 2000 + short if short < 50 or "YY" in found else 1900 + short
    hour = found.get("HH24", found.get("HH12", found.get("HH", 0)) % 12 + found["HALF"] if "HALF" in found else found.get("HH12", found.get("HH", 0)))
    month, day = found.get("MM", today.month), found.get("DD", 1)
    if not 1 <= month <= 12:
        raise OracleError(1843, "not a valid month")
    try:
        at = datetime(year, month, day, hour, found.get("MI", 0), found.get("SS", 0))
    except ValueError as error:
        raise OracleError(1839, "date not valid for month specified") if "day" in str(error) else OracleError(1850, "hour must be between 0 and 23") from error
    return spelled(at, found.get("FF", 0) if fraction else 0, zone)


def number_text(value: Decimal | int, mask: str) -> str:
    """A number by a mask: `TM9`, `FM9990.00`, `XXXX`."""
    upper = mask.upper()
    fill = not upper.startswith("FM")
    upper = upper.removeprefix("FM")
    if upper.startswith("TM"):
        return plain_number(value)
    if upper.strip("0") in ("X" * len(upper.strip("0")),) and upper:
        text = format(int(value), "X" if "X" in mask else "x")
        return ("#" * len(upper) if len(text) > len(upper) else text.rjust(len(upper), "0" if upper.startswith("0") else " ")).rjust(
            len(upper) + 1 if fill else 0
        )
    whole, _, part = upper.replace("D", ".").partition(".")
    places = sum(each in "90" for each in part)
    rounded = abs(Decimal(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    left, _, right = format(rounded, "f").partition(".")
    digits = [each for each in whole if each in "90"]
    width = len(digits)
    least = width - (digits.index("0") if "0" in digits else width)
    left = left.lstrip("0").rjust(max(least, 0), "0")
    if len(left) > width:
        return "#" * (len(mask) + 1)
    if not left and not places:
        left = "0"
    keep = max((i + 1 for i, each in enumerate(part) if each == "0"), default=0)
    if not fill:
        right = right[:keep] + right[keep:].rstrip("0")
    text = ("-" if value < 0 and rounded else "") + left + ("." + right if part else "")
    return text.rjust(width + 1 + (len(part) + 1 if part else 0)) if fill else text


def number_value(text: str, mask: str) -> Decimal | int:
    """Text by a mask as a number."""
    if re.fullmatch(r"0*X+", mask.upper()):
        try:
            return int(text.strip(), 16)
        except ValueError as error:
            raise OracleError(1722, "invalid number") from error
    plain = text.strip().replace(",", "")
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", plain):
        raise OracleError(1722, "invalid number")
    return Decimal(plain)
