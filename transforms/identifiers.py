"""Identifiers of legal and natural persons: their clean form, their check digits, and what can be derived from them, a whole column at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from transforms.columns import each, repaired

Bits = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.uint8]]
Numbers = np.ndarray[Any, np.dtype[np.int16]]

USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
DIGITS = "0123456789"
ORG_ALPHABET = DIGITS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ID_CHECKS = "10X98765432"

FULL_WIDTH = [chr(c) for c in range(0xFF01, 0xFF5F)] + ["\u3000"]
HALF_WIDTH = [chr(c) for c in range(0x21, 0x7F)] + [" "]

_NOT_PLAIN = "[^0-9A-Z]"
_DROPPED = r"[\s\p{Cc}\p{Cf}\-\u{2010}-\u{2015}\u{2212}'\x22`\u{2018}-\u{201d}]"
_FIRST_YEAR, _LAST_YEAR = 1850, 2099
_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0], np.int16)
_INVALID = 4096


@dataclass(frozen=True)
class Scheme:
    """A number of fixed length whose weighted sum, check symbol included, leaves `remainder` when divided by `modulus`.

    `alphabets` holds, per position, the symbols allowed there; a symbol counts as its index, and a blank keeps a place.
    """

    alphabets: Sequence[str]
    weights: Sequence[int]
    modulus: int
    remainder: int = 0

    @cached_property
    def tables(self) -> list[np.ndarray[Any, np.dtype[np.uint16]]]:
        """What each byte, or each pair of bytes where the length is even, adds to the sum; `_INVALID` where it is not allowed."""
        single = [self._table(symbols, weight) for symbols, weight in zip(self.alphabets, self.weights, strict=True)]
        if len(single) % 2:
            return single
        pairs = [np.minimum(low[None, :] + high[:, None], _INVALID).ravel() for low, high in zip(single[::2], single[1::2], strict=True)]
        return [pair.astype(np.uint16) for pair in pairs]

    def _table(self, symbols: str, weight: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
        table = np.full(256, _INVALID, np.uint16)
        for value, symbol in enumerate(symbols):
            if symbol != " ":
                table[ord(symbol)] = value * weight % self.modulus
        return table

    def holds(self, values: pl.Series) -> pl.Series:
        """Whether each text has the length, the symbols and the check symbol; null stays null."""
        tables = self.tables
        kind = pl.UInt8 if len(tables) == len(self.weights) else pl.UInt16
        words = _fixed(values, kind, len(tables))
        total = np.zeros(words.shape[0], np.uint16)
        for position, table in enumerate(tables):
            total += table[words[:, position]]
        # A table never adds more than 31 twice, so a sum below _INVALID has met allowed symbols only.
        good = (total < _INVALID) & (total % self.modulus == self.remainder)
        return _spread(values, len(self.weights), good)


USCC = Scheme(
    ["".join(c if c in "123456789ANY" else " " for c in USCC_ALPHABET), DIGITS, *[DIGITS] * 6, *[USCC_ALPHABET] * 10],
    [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28, 1],
    31,
)
ORG_CODE = Scheme([ORG_ALPHABET] * 8 + [DIGITS + "X"], [3, 7, 9, 10, 5, 8, 4, 2, 1], 11)
ID_NO = Scheme([DIGITS] * 17 + [DIGITS + "X"], [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1], 11, remainder=1)


def _fixed(values: pl.Series, kind: Any, words: int) -> np.ndarray[Any, Any]:
    """The values of exactly that many bytes as a matrix of their bytes or byte pairs, one row each, in order."""
    cells = values.cast(pl.Binary).bin.reinterpret(dtype=pl.Array(kind, words)).drop_nulls()
    return cells.to_numpy() if len(cells) else np.zeros((0, words), np.uint8 if kind is pl.UInt8 else np.uint16)


def _spread(values: pl.Series, length: int, good: Bits) -> pl.Series:
    """Verdicts on the values of the right length, laid over all values: the others are wrong, null stays null."""
    right_length = values.str.len_bytes() == length
    if len(good) == len(values):
        return pl.Series(values.name, good)
    verdict = np.zeros(len(values), np.bool_)
    verdict[right_length.fill_null(value=False).to_numpy()] = good
    return pl.select(pl.when(values.is_not_null()).then(pl.Series(values.name, verdict))).to_series()


def _digits(values: pl.Series, length: int) -> Codes:
    """Values of exactly that many bytes as a matrix of digit values; anything that is no digit becomes 208 or more."""
    digits: Codes = _fixed(values, pl.UInt8, length) - np.uint8(ord("0"))
    return digits


def _are_dates(year: Numbers, month: Numbers, day: Numbers) -> Bits:
    """Whether these are days of the calendar between 1850 and 2099."""
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    longest = _DAYS[np.clip(month, 0, 13)] + (leap & (month == 2))
    verdict: Bits = (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (day >= 1) & (day <= longest)
    return verdict


def _two_digits() -> Numbers:
    """The number that a pair of bytes writes, read as a little-endian word; 255 where it is no number."""
    table = np.full(65536, 255, np.int16)
    for number in range(100):
        table[int.from_bytes(f"{number:02d}".encode(), "little")] = number
    return table


_TWO_DIGITS = _two_digits()


def _id_18_holds(values: pl.Series) -> pl.Series:
    words = _fixed(values, pl.UInt16, 9)
    century, year, month, day = (_TWO_DIGITS[words[:, at]] for at in range(3, 7))
    return ID_NO.holds(values) & _spread(values, 18, _are_dates(century * 100 + year, month, day))


def _id_15_holds(values: pl.Series) -> pl.Series:
    digits = _digits(values, 15)
    tens, ones = digits[:, 6:12:2].astype(np.int16), digits[:, 7:12:2].astype(np.int16)
    year, month, day = (tens * 10 + ones).T
    return _spread(values, 15, (digits <= 9).all(axis=1) & _are_dates(1900 + year, month, day))


def _with_century(digits: Codes) -> Codes:
    """Rows of fifteen digits with 19 inserted before the two-digit year."""
    century = np.tile(np.array([1, 9], np.uint8), (len(digits), 1))
    return np.concatenate([digits[:, :6], century, digits[:, 6:]], axis=1)


def _id_no_holds(values: pl.Series) -> pl.Series:
    eighteen = _id_18_holds(values)
    return eighteen if not (values.str.len_bytes() == 15).any() else eighteen | _id_15_holds(values)


def _lengthened(values: pl.Series) -> pl.Series:
    """Valid numbers of fifteen digits as eighteen; all others as they are."""
    old = _id_15_holds(values).fill_null(value=False) if (values.str.len_bytes() == 15).any() else None
    if old is None or not old.any():
        return values
    digits = _with_century(_digits(values.filter(old), 15))
    total = digits.astype(np.int32) @ np.array(ID_NO.weights[:17], np.int32)
    checks = np.frombuffer(ID_CHECKS.encode(), np.uint8)[total % 11]
    text = np.concatenate([digits + np.uint8(ord("0")), checks[:, None]], axis=1).tobytes().decode("ascii")
    longer = pl.Series([text[at : at + 18] for at in range(0, len(text), 18)], dtype=pl.String)
    return values.clone().scatter(old.arg_true(), longer)


def _reg_no_holds(values: pl.Series) -> pl.Series:
    digits = _digits(values, 15)
    product = np.full(len(digits), 10, np.int32)
    for position in range(14):
        step = (product + digits[:, position]) % 10
        product = np.where(step == 0, 10, step) * 2 % 11
    checked = _spread(values, 15, (digits <= 9).all(axis=1) & ((product + digits[:, 14]) % 10 == 1))
    old = values.str.len_bytes() == 13
    return checked | values.str.contains("^[0-9]{13}$") if old.any() else checked


def plain(values: pl.Series) -> pl.Series:
    """Half-width, upper case, without spaces, hyphens and quotation marks; null where nothing is left. Touches only what needs it."""
    return repaired(values, values.str.contains(_NOT_PLAIN) | (values == ""), _made_plain)


def _made_plain(values: pl.Series) -> pl.Series:
    return values.str.replace_many(FULL_WIDTH, HALF_WIDTH).str.replace_all(_DROPPED, "").str.to_uppercase().replace("", None)


def uscc_valid(values: pl.Expr) -> pl.Expr:
    """Whether a clean text is a unified social credit code with its check symbol (GB 32100-2015): Boolean, null for null."""
    return each(values, USCC.holds, kind=pl.Boolean)


def org_code_valid(values: pl.Expr) -> pl.Expr:
    """Whether a clean text (no hyphen) is an organisation code with its check symbol (GB 11714-1997): Boolean, null for null."""
    return each(values, ORG_CODE.holds, kind=pl.Boolean)


def reg_no_valid(values: pl.Expr) -> pl.Expr:
    """Whether a clean text is a registration number: 15 digits with check digit (GS 15-2006), or 13 digits as issued before 2007."""
    return each(values, _reg_no_holds, kind=pl.Boolean)


def id_no_valid(values: pl.Expr) -> pl.Expr:
    """Whether a clean text is an ID number (GB 11643-1999): 18 with birth date and check symbol, or 15 digits with birth date.

    The area is not tested: numbers with repealed area codes stay valid.
    """
    return each(values, _id_no_holds, kind=pl.Boolean)


def id_no_18(values: pl.Expr) -> pl.Expr:
    """ID numbers of 15 digits as 18 (19 inserted before the year, check symbol appended); everything else as it is."""
    return each(values, _lengthened, kind=pl.String)


def org_code_of(uscc: pl.Expr) -> pl.Expr:
    """The organisation code inside a valid USCC (its characters 9 to 17), null otherwise."""
    return pl.when(uscc_valid(uscc)).then(uscc.str.slice(8, 9))


def uscc_clean(values: pl.Expr) -> pl.Expr:
    """Half-width, upper case, without spaces, hyphens and quotation marks; null where nothing is left."""
    return each(values, plain, kind=pl.String)


def org_code_clean(values: pl.Expr) -> pl.Expr:
    """As `uscc_clean`: the hyphen before the check symbol goes."""
    return each(values, plain, kind=pl.String)


def id_no_clean(values: pl.Expr) -> pl.Expr:
    """As `uscc_clean`: a final x becomes X, a leading quotation mark of a spreadsheet goes."""
    return each(values, plain, kind=pl.String)
