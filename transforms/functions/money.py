"""Amounts of money as agencies write them: units, currency signs, thousands separators and capital numerals."""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from transforms.functions.numbers import NUMBER, PLAIN, multiplied, narrow, read_plain
from transforms.functions.reading import Reader, in_turn
from transforms.functions.spelling import missing
from transforms.signature import Cell, NumberOutcome, Outcome, Unsuitable, function

_POWERS = {"": 0, "十": 1, "百": 2, "千": 3, "万": 4, "十万": 5, "百万": 6, "千万": 7, "亿": 8}
_LEAD = r"^(?:(?:处以|处)?罚款|罚没款?|没收|金额|共计|合计)?:?(?:人民币|RMB|CNY)?[￥¥]?"
_TAIL = r"(?:整|正)?(?:人民币)?$"
_SUM = rf"{_LEAD}({PLAIN})(十万|百万|千万|[十百千万亿])?(元|圆|块)?{_TAIL}"
_SECTION = r"(?:(\d)千)?(?:(\d)百)?(?:(\d?)十)?(\d)?"
_WORDS = rf"{_LEAD}(?:{_SECTION}亿)?(?:{_SECTION}万)?{_SECTION}元?(?:(\d)角)?(?:(\d)分)?{_TAIL}"
_NUMERAL = "[零〇一二两三四五六七八九十百千壹贰貳叁參肆伍陆陸柒捌玖拾佰仟]"
_SPELT = {**dict(zip("一二三四五六七八九", "123456789", strict=True)), **dict(zip("壹贰叁肆伍陆柒捌玖", "123456789", strict=True))}
_SPELT |= {"零": "", "〇": "", "两": "2", "貳": "2", "參": "3", "陸": "6", "拾": "十", "佰": "百", "仟": "千", "萬": "万", "億": "亿", "圆": "元", "圓": "元"}
_FEN = [10**13, 10**12, 10**11, 10**10, 10**9, 10**8, 10**7, 10**6, 10**5, 10**4, 10**3, 10**2, 10, 1]  # what each group is worth


def power(unit: str) -> int:
    """The power of ten of a unit such as 元, 万元 or 亿. Raises `Unsuitable` for anything else."""
    word = unit.removesuffix("元")
    if word not in _POWERS or not unit:
        raise Unsuitable(f"unknown unit {unit!r}", "one of 元 千元 万元 亿元")
    return _POWERS[word]


@function(
    "money",
    "an amount to the unit `to`; a number without a unit is in `unit`; understands 2万元, ￥2,000.00, 罚款2000元, 贰万元整",
    label="金额换算",
    examples=[
        ("2万元", "money", 20000),
        ("2,000元", 'money(to="万元")', 0.2),
        ("￥5,000.00", "money", 5000),
        ("5000", 'money(unit="元", to="万元")', 0.5),
        ("1.5", 'money(unit="万元", to="万元")', 1.5),
        ("罚款2000元", "money", 2000),
        ("贰万叁仟元整", "money", 23000),
        ("壹佰零伍元叁角", "money", 105.3),
        ("十二万元", 'money(to="万元")', 12),
        ("若干", "money", None),
    ],
)
def money(value: Cell, unit: str = "元", to: str = "元") -> NumberOutcome:
    """Exact decimal in the unit `to`; null words are null, what is no amount is refused (R104)."""
    given, wanted = power(unit), power(to)
    text = value.cast(pl.String)
    readers: list[Reader] = [
        lambda texts: _scaled(read_plain(texts), given - wanted),
        lambda texts: _scaled(read_plain(narrow(texts)), given - wanted),
        lambda texts: _read_units(narrow(texts), given, wanted),
        lambda texts: _scaled(_read_numerals(narrow(texts)), -2 - wanted),
    ]
    parsed = in_turn(text, readers, NUMBER)
    return Outcome(parsed, code="R104", failed=parsed.is_null() & ~missing(text))


def _read_units(plain: pl.Series, given: int, wanted: int) -> pl.Series:
    """Digits with words around them (`罚款2万元`)."""
    parts = plain.str.extract_groups(_SUM).struct.unnest()
    power_of_word = parts["2"].fill_null("").replace_strict(_POWERS, return_dtype=pl.Int64)
    unitless = parts["2"].is_null() & parts["3"].is_null()
    shifts = pl.Series([Decimal(1).scaleb(p - wanted) for p in range(9)], dtype=NUMBER)
    shift = shifts.gather(power_of_word.set(unitless, given))
    return _product(read_plain(parts["1"]), shift)


def _read_numerals(plain: pl.Series) -> pl.Series:
    """Chinese numerals up to 9,999 亿, with 角 and 分, in 分: Int64; null for anything else."""
    numerals = plain.set(~plain.str.contains(_NUMERAL), None)
    digits = numerals.str.replace_many(list(_SPELT), list(_SPELT.values())).str.extract_groups(_WORDS).struct.unnest()
    worths = [pl.col(place).replace("", "1").cast(pl.Int64).fill_null(0) * worth for place, worth in zip(digits.columns, _FEN, strict=True)]
    found = pl.any_horizontal(pl.all().is_not_null())
    return digits.select(pl.when(found).then(pl.sum_horizontal(worths))).to_series()


def _scaled(amounts: pl.Series, power_of_ten: int) -> pl.Series:
    return _product(amounts, pl.Series([Decimal(1).scaleb(power_of_ten)], dtype=NUMBER).new_from_index(0, len(amounts)))


def _product(amounts: pl.Series, factors: pl.Series) -> pl.Series:
    return pl.DataFrame({"a": amounts, "b": factors}).select(multiplied(pl.col("a"), pl.col("b"))).to_series()
